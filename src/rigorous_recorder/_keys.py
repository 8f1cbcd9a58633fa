"""The keys that a collection sets on experiments itself, and nobody else."""

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

#: What a collection says of every experiment; these come first in the flat table.
EXPERIMENT_KEYS: Final = (
    "experiment_number",
    "error_number",
    "had_error",
    "experiment_start_time",
    "experiment_end_time",
    "experiment_duration",
)
#: What it says of those that go on after a crash; these come next.
ATTEMPT_KEYS: Final = (
    "experiment_attempt",
    "experiment_attempt_start_time",
    "experiment_job",
    "experiment_job_restarts",
)
#: What it says of those whose last attempt ended with an exception.
ERROR_KEYS: Final = (
    "experiment_error_type",
    "experiment_error_message",
    "experiment_error_traceback",
)
#: What it sets on those that ended neither well nor with a failure: "stopped" or "pruned".
STATUS_KEY: Final = "experiment_status"
#: All of these; what is logged in no experiment has none of them, and may be asked for them.
FIRST_KEYS: Final = (*EXPERIMENT_KEYS, *ATTEMPT_KEYS, *ERROR_KEYS, STATUS_KEY)

RESERVED: Final = frozenset(FIRST_KEYS)


def require_free(keys: Iterable[object]) -> None:
    """Refuse keys that a collection sets on experiments itself.

    Raises:
        ReservedKeyError: naming them.
    """
    if taken := RESERVED.intersection(keys):
        names = ", ".join(sorted(taken, key=FIRST_KEYS.index))
        message = (
            f"{names}: a collection sets this attribute of experiments itself; choose another key"
        )
        raise ReservedKeyError(message)
