"""Experiments: the rows of a collection's experiments, as a list that shows as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .._engines.arrow import resolved_table
from .._engines.pandas_polars import to_pandas, to_polars
from .._engines.rows import Row, experiment_rows
from .._engines.scan import Moment, experiment_positions
from .._keys import ERROR_KEYS
from .._tree import ATTEMPT_KEYS, EXPERIMENT_KEYS
from .table import Table
from .text import MISSING, duration_text, instant_text, plural

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

__all__ = ["Experiments"]

#: Of many experiments so many are shown at each end.
_END: Final = 10
_COLUMNS: Final = ("experiment", "outcome", "start (UTC)", "duration")


class Experiments(list[Row]):
    """One row for each experiment that was begun, in order of start, with what is known of it.

    One that was resumed is one row, with the number of its last attempt and what is known of that.
    Printed, or shown in a notebook, it is a table. ``outcome`` there is ``finished``; ``failed``,
    with how many attempts in a row did; or ``not ended``: it runs still, or was killed, which
    ``collection.overview()`` tells apart.
    """

    def __init__(self, moment: Moment, root: int) -> None:
        super().__init__(experiment_rows(moment, root))
        self._moment = moment
        self._root = root

    def to_arrow(self) -> pa.Table:
        """The rows as a ``pyarrow.Table``, with a column for every key."""
        positions = experiment_positions(self._moment, self._root)
        return resolved_table(self._moment, positions)

    def to_polars(self) -> pl.DataFrame:
        """The rows as a Polars DataFrame.

        Raises:
            MissingPackageError: Polars is not installed.
        """
        return to_polars(self.to_arrow())

    def to_pandas(self) -> pd.DataFrame:
        """The rows as a pandas DataFrame.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        return to_pandas(self.to_arrow())

    def __repr__(self) -> str:
        return self._table().text()

    def _repr_html_(self) -> str:
        return self._table().html()

    def __reduce__(self) -> tuple[Any, ...]:
        """A pickle, or a copy, is a plain list of the rows."""
        return list, (list(self),)

    def _table(self) -> Table:
        keys = [key for key in dict.fromkeys(k for row in self for k in row) if _is_told(key)]
        numbers = [at for at in range(len(self)) if at < _END or at >= len(self) - _END]
        names = [*_COLUMNS, *keys]
        rows = [[*_told(self[at]), *map(self[at].get, keys)] for at in numbers]
        title = plural(len(self), "experiment")
        whole = "experiments[i][key]"
        return Table(title, names, names, rows, numbers, shared=keys, whole=whole)


def _is_told(key: str) -> bool:
    return key not in {*EXPERIMENT_KEYS, ATTEMPT_KEYS[1], *ERROR_KEYS}


def _told(row: Row) -> list[Any]:
    """What is known of every experiment, in words."""
    start, duration = row["experiment_start_time"], row["experiment_duration"]
    took = MISSING if duration is None else duration_text(duration)
    return [row["experiment_number"], _outcome(row), instant_text(start), took]


def _outcome(row: Row) -> str:
    if row["had_error"] is False:
        return "finished"
    return "not ended" if row["experiment_end_time"] is None else f"failed {row['error_number']}"
