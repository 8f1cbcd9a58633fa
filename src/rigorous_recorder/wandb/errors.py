"""The errors that scripts for W&B catch."""

from __future__ import annotations

from rigorous_recorder.errors import RigorousError

__all__ = ["CommError", "ConfigError", "Error", "UsageError"]


class Error(RigorousError):
    """Any error of this module."""


class CommError(Error):
    """Never raised, as nothing is sent anywhere."""


class UsageError(Error):
    """Something was used in a way that has no meaning."""


class ConfigError(Error):
    """A parameter would have been changed."""
