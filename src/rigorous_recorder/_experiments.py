"""Experiments: those of a collection, as a list that shows as a table."""

from __future__ import annotations

from typing import Any

from ._arrow import pa
from ._display.experiments import experiments_table
from ._engines.arrow import resolved_table
from ._engines.instants import with_instants
from ._engines.pandas_polars import to_pandas, to_polars
from ._engines.rows import rows_at
from ._engines.scan import Source
from ._experiment import Experiment, statuses_of
from ._lazy_imports import pd, pl
from ._runs import Runs
from ._status import Status
from ._store.union import ReadableStore

__all__ = ["Experiments"]


class Experiments(list[Experiment]):
    """The experiments that were begun, in order of start, with what is known of each.

    One that was resumed is one of them, with the number of its last attempt and what is known of that.
    Printed, or shown in a notebook, it is a table that leads with the status.
    """

    def __init__(self, store: ReadableStore) -> None:
        self._store = store
        self._snapshot = Source(store).now()
        nodes = self._snapshot.nodes
        begun = Runs(nodes).nodes
        rows = rows_at(self._snapshot, nodes.positions_of([last for _, last in begun]))
        super().__init__(
            Experiment(store, node, last, row)
            for (node, last), row in zip(begun, rows, strict=True)
        )

    def to_arrow(self) -> pa.Table:
        """The rows as a ``pyarrow.Table``, with a column for every key.

        Behind these are ``experiment_start``, ``experiment_end`` and, where one was resumed,
        ``experiment_attempt_start``: the times in seconds as timestamps in UTC.
        """
        nodes = self._snapshot.nodes
        return with_instants(
            resolved_table(self._snapshot, nodes.positions_of([each._last for each in self]))
        )

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

    def statuses(self) -> list[Status]:
        """The status of each, found out in one look at those that had not ended."""
        return statuses_of(self._store, self)

    def __repr__(self) -> str:
        return experiments_table(self, self.statuses()).text()

    def _repr_html_(self) -> str:
        return experiments_table(self, self.statuses()).html()

    def __reduce__(self) -> tuple[Any, ...]:
        """A pickle, or a copy, is a plain list of the experiments."""
        return list, (list(self),)
