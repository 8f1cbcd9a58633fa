"""Experiments: those of a collection, as a list that prints as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, SupportsIndex, overload

from ._arrow import pa, pc
from ._display.experiments import experiments_table
from ._engines.arrow import resolved_table
from ._engines.conditions import AnyCondition, Choice, Condition, conditions_of
from ._engines.duckdb import named_tables_sql, names_in
from ._engines.instants import with_instants
from ._engines.known_keys import no_such_key, why_misnamed
from ._engines.pandas_polars import to_pandas, to_polars
from ._engines.rows import rows_at
from ._engines.source import Source
from ._engines.sql import SqlNames, identifier
from ._engines.sql_conditions import SqlCondition, first_line
from ._experiment import Experiment, statuses_of
from ._keys import EXPERIMENT_KEYS
from ._lazy_imports import duckdb, pd, pl
from ._live.column import Column
from ._nested import Path
from ._public import public
from ._row_table import checked_count, checked_keys, checked_signs, sorted_places
from ._runs import Runs
from ._status import Status
from ._store.union import ReadableStore
from ._values.chunks import bool_scalar
from ._values.kinds import TEXT
from .errors import ArgumentError, ColumnError

__all__ = ["Experiments"]

#: The column with statuses; and one that no user has, for row numbers in a query.
STATUS: Final = "status"
_ROW: Final = chr(1)


@public
class Experiments(list[Experiment]):
    """The experiments of a collection in order of start, with their attributes.

    A resumed experiment is a single item, with the attributes of its last attempt. Printed, or in a
    notebook, it is a table that begins with the status.
    """

    def __init__(self, store: ReadableStore) -> None:
        self._store = store
        self._snapshot = Source(store).now()
        nodes = self._snapshot.nodes
        runs = Runs(nodes).nodes
        rows = rows_at(self._snapshot, nodes.positions_of([last for _, last in runs]))
        super().__init__(
            Experiment(store, node, last, row) for (node, last), row in zip(runs, rows, strict=True)
        )

    # --- which ---------------------------------------------------------------------------------

    def where(self, /, *conditions: str, **values: Any) -> Experiments:
        """The experiments that meet all conditions, which are those of ``records.where``.

        A keyword selects a value, or one of a list of values; ``status="failed"`` selects a status. A
        text is a SQL expression over the columns of ``to_arrow()``.

        Raises:
            ArgumentTypeError: a condition without a key is not text.
            ArgumentError: a text is not a single SQL condition, or can't be evaluated for an
                experiment, as when a cast fails; or a status does not exist.
            ColumnError: no experiment has a key, or the value is of another kind than all values of
                its key; or a text is not a condition over the columns.
            UnsupportedTypeError: a value's type can't be in an experiment.
            UnsupportedValueError: a value can't be in an experiment.

        Examples:
            >>> collection.experiments.where("lr > 0.01", status=["failed", "crashed"])  # doctest: +SKIP
        """
        wanted = conditions_of(conditions, values)
        if not self:
            return self._some([])
        table = self._table_with(_names_in(wanted))
        mask = pa.repeat(bool_scalar(value=True), len(self))
        for each in wanted:
            found = (
                self._by_sql(table, each)
                if isinstance(each, SqlCondition)
                else self._by_key(table, each)
            )
            mask = pc.and_(mask, found)
        return self._some(pc.indices_nonzero(mask).to_pylist())

    def sort(  # type: ignore[override]
        self, /, *keys: str, descending: bool | Sequence[bool] = False
    ) -> Experiments:
        """The experiments sorted by their values, the first key first.

        Those without a value, or with NaN, come last in any case; equal ones stay in order of start.

        Args:
            keys: columns of ``to_arrow()``, and paths in dicts.
            descending: whether the largest value comes first; a list has a value for each key.

        Raises:
            ArgumentTypeError: a key is not text.
            ArgumentError: there are no keys, or ``descending`` has another length.
            ColumnError: no experiment has a key, or its values can't be ordered.

        Examples:
            >>> collection.experiments.where(status="finished").sort("accuracy", descending=True)[:3]
            ... # doctest: +SKIP
        """
        table = self._table_with(keys)
        names = checked_keys(keys, table.column_names if self else keys, "sort")
        signs = checked_signs(names, descending)
        return self._some(sorted_places(table, names, signs) if self else [])

    def head(self, n: int = 5) -> Experiments:
        """The first ``n``.

        Raises:
            ArgumentTypeError: ``n`` is not an int.
            ArgumentError: it is negative.
        """
        return self[: checked_count(n, "head")]

    def tail(self, n: int = 5) -> Experiments:
        """The last ``n``; errors are those of ``head``."""
        return self[max(0, len(self) - checked_count(n, "tail")) :]

    @overload
    def __getitem__(self, index: SupportsIndex) -> Experiment: ...
    @overload
    def __getitem__(self, index: slice) -> Experiments: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Experiment | Experiments:
        if isinstance(index, slice):
            return self._some(range(len(self))[index])
        return super().__getitem__(index)

    def _some(self, positions: Sequence[int]) -> Experiments:
        found = Experiments.__new__(Experiments)
        list.__init__(found, [self[at] for at in positions])
        found._store, found._snapshot = self._store, self._snapshot
        return found

    def _by_key(self, table: pa.Table, condition: Condition | Choice) -> pa.Array:
        condition = condition._replace(key=self._snapshot.key_named(condition.key))
        key, nodes = condition.key, self._snapshot.nodes
        if key not in table.column_names and not self._has_any(key):
            paths = self._snapshot.paths_of_nodes(key)
            message = f"{condition}: {no_such_key(key, [*table.column_names, *paths])}"
            raise ColumnError(message)
        if key == STATUS and not nodes.has_key(STATUS):
            _require_statuses(condition)
            statuses = {Column(STATUS, TEXT): table[STATUS].combine_chunks()}
            return condition.matches(statuses, len(self))
        if why := condition.why_never(nodes.value_counts(key)):
            message = f"{condition}: {why}"
            raise ColumnError(message)
        return condition.matches(nodes.resolved(key, self._positions()), len(self))

    def _by_sql(self, table: pa.Table, condition: SqlCondition) -> pa.Array:
        rows = pa.array(range(len(self)), pa.int64())
        numbered = table.append_column(_ROW, rows)
        _require_named(condition, table.column_names)

        def selected(expression: str) -> duckdb.DuckDBPyRelation:
            query = f"SELECT {expression} FROM experiments WHERE ({condition.text}\n)"
            return named_tables_sql({"experiments": numbered}, query)

        try:
            why = condition.why_no_condition(lambda each: selected(each).types[0])
            found = selected(identifier(_ROW))
        except duckdb.Error as error:
            why = f"{condition}: {first_line(error)}"
        if why is not None:
            raise ColumnError(why)
        try:
            found = found.to_arrow_table()
        except duckdb.Error as error:
            message = f"{condition}: {first_line(error)}"
            raise ArgumentError(message) from None
        return pc.is_in(rows, value_set=found.column(0).combine_chunks())

    # --- tables --------------------------------------------------------------------------------

    def to_arrow(self) -> pa.Table:
        """A ``pyarrow.Table`` with a row for each, and a column for every key.

        The six keys of experiments are followed by ``status``, unless that is a user attribute. The
        last columns are ``experiment_start``, ``experiment_end`` and, if one was resumed,
        ``experiment_attempt_start``: the times in seconds as UTC timestamps.
        """
        return self._table_with(())

    def _table_with(self, names: Iterable[str]) -> pa.Table:
        """The table, with a column for each of the names that is a path in dicts."""
        named = {self._snapshot.key_named(name) for name in names if isinstance(name, str)}
        paths = sorted(path for path in named if isinstance(path, Path) and self._has_any(path))
        table = with_instants(resolved_table(self._snapshot, self._positions(), paths))
        if STATUS in table.column_names:
            return table
        statuses = pa.array([each.value for each in self.statuses()], pa.string())
        behind = sum(name in EXPERIMENT_KEYS for name in table.column_names)
        return table.add_column(behind, STATUS, statuses)

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """The result of a DuckDB query over the table ``experiments``, which is ``to_arrow()``.

        Raises:
            ArgumentTypeError: the query is not text.
            ColumnError: a name is ambiguous between columns whose names differ only in case.

        Examples:
            >>> collection.experiments.sql("SELECT status, count(*) FROM experiments GROUP BY ALL")
            ... # doctest: +SKIP
        """
        return named_tables_sql({"experiments": self._table_with(names_in(query))}, query)

    def _has_any(self, key: str) -> bool:
        """Whether any recorder has a value under a key, or had one, or has one at a path."""
        nodes = self._snapshot.nodes
        if not isinstance(key, Path):
            return nodes.has_key(key)
        return nodes.has_key(key.root) and bool(nodes.kinds(key))

    def _positions(self) -> pa.Array:
        return self._snapshot.nodes.positions_of([each._last for each in self])

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
        """The status of each; those that had not ended are read again at once."""
        return statuses_of(self._store, self)

    def __repr__(self) -> str:
        return experiments_table(self, self.statuses()).text()

    def _repr_html_(self) -> str:
        return experiments_table(self, self.statuses()).html()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles and copies are plain lists of the experiments."""
        return list, (list(self),)


def _require_statuses(condition: Condition | Choice) -> None:
    """Raise for a text that is not a status, which no experiment can have.

    Raises:
        ArgumentError: naming the statuses.
    """
    options = condition.options if isinstance(condition, Choice) else (condition,)
    if any(isinstance(each.value, str) and each.value not in [*Status] for each in options):
        message = f"{condition}: expected one of {', '.join(Status)}"
        raise ArgumentError(message)


def _require_named(condition: SqlCondition, columns: Sequence[str]) -> None:
    """Raise for names in a SQL condition that are not columns of the table ``experiments``.

    Raises:
        ColumnError: the message suggests similar ones.
    """
    folded = {name.casefold(): name for name in SqlNames(columns).all}
    named = {name: name.casefold().removeprefix("experiments.") for name in condition.names}
    used = [folded[name] for name in named.values() if name in folded]
    unknown = [name for name, fold in named.items() if fold not in folded]
    if why := why_misnamed(condition.text, sorted(unknown), used, columns):
        message = f"{condition}: {why}"
        raise ColumnError(message)


def _names_in(conditions: Iterable[AnyCondition]) -> set[str]:
    """The names that conditions are about, as written."""
    return {
        name
        for each in conditions
        for name in (each.names if isinstance(each, SqlCondition) else each.keys)
    }
