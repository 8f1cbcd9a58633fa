"""The errors that scripts for W&B catch."""

from __future__ import annotations

from rigorous_recorder.errors import RigorousError

from .advice import found_on_use

__all__ = ["AuthenticationError", "CommError", "ConfigError", "Error", "UsageError"]

#: Names that it has not are looked for as modules below it, which gives advice.
__path__: list[str] = []
__getattr__ = found_on_use(__name__)


class Error(RigorousError):
    """Any error of this module."""


class CommError(Error):
    """Never raised, as nothing is sent anywhere."""


class AuthenticationError(CommError):
    """Never raised, as no account is needed."""


class UsageError(Error):
    """Something was used in a way that has no meaning."""


class ConfigError(Error):
    """A parameter would have been changed."""
