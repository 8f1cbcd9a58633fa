"""The reserved keys, which a collection sets on experiments itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from .errors import ReservedKeyError

__all__ = [
    "ATTEMPT_KEYS",
    "ERROR_KEYS",
    "EXPERIMENT_KEYS",
    "FIRST_KEYS",
    "RESERVED",
    "STATUS_KEY",
    "require_free",
]

#: The attributes of every experiment, first in the flat table.
EXPERIMENT_KEYS: Final = (
    "experiment_number",
    "error_number",
    "had_error",
    "experiment_start_time",
    "experiment_end_time",
    "experiment_duration",
)
#: The attributes of resumed experiments, which follow.
ATTEMPT_KEYS: Final = (
    "experiment_attempt",
    "experiment_attempt_start_time",
    "experiment_job",
    "experiment_job_restarts",
)
#: The attributes of experiments whose last attempt ended with an exception.
ERROR_KEYS: Final = (
    "experiment_error_type",
    "experiment_error_message",
    "experiment_error_traceback",
)
#: The attribute of experiments that ended on purpose: "stopped" or "pruned".
STATUS_KEY: Final = "experiment_status"
#: All of these; records outside experiments lack them, but queries may name them.
FIRST_KEYS: Final = (*EXPERIMENT_KEYS, *ATTEMPT_KEYS, *ERROR_KEYS, STATUS_KEY)

RESERVED: Final = frozenset(FIRST_KEYS)


def require_free(keys: Iterable[object]) -> None:
    """Raise for reserved keys.

    Raises:
        ReservedKeyError: naming them.
    """
    if reserved := RESERVED.intersection(keys):
        names = ", ".join(sorted(reserved, key=FIRST_KEYS.index))
        message = (
            f"{names}: a collection sets this attribute of experiments itself; choose another key"
        )
        raise ReservedKeyError(message)
