"""The error that scripts for MLflow catch."""

from __future__ import annotations

from rigorous_recorder.errors import RigorousError

__all__ = ["MlflowException"]


class MlflowException(RigorousError):  # noqa: N818 - the name that scripts catch
    """A call that has no meaning now, such as a second run that is not nested."""
