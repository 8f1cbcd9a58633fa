"""The errors that scripts catch."""

from __future__ import annotations

from typing import Any

from rigorous_recorder.errors import RigorousError

__all__ = ["MlflowException", "RestException"]


class MlflowException(RigorousError):  # noqa: N818 - the name that scripts catch
    """A call that has no meaning now, such as a second run that is not nested.

    Args:
        message: what is wrong.
        error_code: MLflow's name of the kind of error.
    """

    def __init__(self, message: Any, error_code: Any = "INTERNAL_ERROR", **_: Any) -> None:
        super().__init__(str(message))
        self.message = str(message)
        self.error_code = error_code


class RestException(MlflowException):
    """What a server answers; there is none here."""
