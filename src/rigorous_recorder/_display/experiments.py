"""Display of the experiments of a collection: a table that begins with the status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from .._engines.rows import Row
from .._keys import ATTEMPT_KEYS, ERROR_KEYS, EXPERIMENT_KEYS, STATUS_KEY
from .._status import Status
from .table import Table
from .text import MISSING, duration_text, instant_text, plural

__all__ = ["experiments_table"]

#: Of many experiments, this many are shown at each end.
_END: Final = 10
_COLUMNS: Final = ("experiment", "status", "start", "duration")


def experiments_table(rows: Sequence[Row], statuses: Sequence[str]) -> Table:
    """The rows of experiments with their statuses as a table."""
    keys = [key for key in dict.fromkeys(k for row in rows for k in row) if _is_shown(key)]
    numbers = [at for at in range(len(rows)) if at < _END or at >= len(rows) - _END]
    names = [*_COLUMNS, *keys]
    cells = [[*_outcome(rows[at], statuses[at]), *map(rows[at].get, keys)] for at in numbers]
    return Table(plural(len(rows), "experiment"), names, names, cells, numbers)


def _is_shown(key: str) -> bool:
    return key not in {*EXPERIMENT_KEYS, ATTEMPT_KEYS[1], *ERROR_KEYS, STATUS_KEY}


def _outcome(row: Row, status: str) -> list[Any]:
    """The built-in attributes of an experiment, in words."""
    start, duration = row["experiment_start_time"], row["experiment_duration"]
    took = MISSING if duration is None else duration_text(duration)
    name = f"{status} {row['error_number']}" if status == Status.FAILED else str(status)
    return [row["experiment_number"], name, instant_text(start), took]
