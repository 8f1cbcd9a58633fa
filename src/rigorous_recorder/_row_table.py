"""Tables whose rows are read on use: the common base of levels and views of records."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Literal, Self, overload

from ._arrow import pa, pc
from ._display.table import Table
from ._display.text import plural
from ._engines.duckdb import named_tables_sql, names_in
from ._engines.known_keys import no_such_key
from ._engines.pandas_polars import to_pandas, to_polars
from ._engines.rows import Row
from ._lazy_imports import duckdb, pd, pl
from ._row_sequence import RowSequence
from .errors import ArgumentError, ArgumentTypeError, ColumnError, RecordIndexError

__all__ = ["RowTable", "checked_count", "checked_keys", "checked_signs", "sorted_places"]

#: Of many rows, this many are shown at each end.
_END = 10


class RowTable(RowSequence, ABC):
    """Rows that each use reads again: rows in Python, and a table for every engine."""

    #: The name of the table in ``sql``.
    _sql_name: str

    @abstractmethod
    def _rows(self) -> Iterator[Row]:
        """The rows with the exact values that were logged."""

    @abstractmethod
    def to_arrow(self) -> pa.Table:
        """The rows as a ``pyarrow.Table``."""

    def _table_with(self, names: Iterable[str]) -> pa.Table:  # noqa: ARG002 - for subclasses
        """The table, with a column for each of the names that is a path in dicts."""
        return self.to_arrow()

    def __iter__(self) -> Iterator[Row]:
        return self._rows()

    def __len__(self) -> int:
        return sum(1 for _ in self._rows())

    def __reversed__(self) -> Iterator[Row]:
        return reversed(list(self._rows()))

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        rows = list(self._rows())
        try:
            return rows[index]
        except IndexError:
            message = f"row {index} of {len(rows):,}"
            raise RecordIndexError(message) from None
        except TypeError:
            message = f"{index!r:.60} is not a valid index of a row; expected an int or a slice"
            raise ArgumentTypeError(message) from None

    @property
    def schema(self) -> pa.Schema:
        """The names and Arrow types of the columns, in order."""
        return self.to_arrow().schema

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(self.schema.names)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The table as an Arrow stream, for any library that accepts one."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    @overload
    def to_polars(self, *, lazy: Literal[False] = False) -> pl.DataFrame: ...
    @overload
    def to_polars(self, *, lazy: Literal[True]) -> pl.LazyFrame: ...
    def to_polars(self, *, lazy: bool = False) -> pl.DataFrame | pl.LazyFrame:
        """The rows as a Polars DataFrame, or a LazyFrame of it.

        Raises:
            MissingPackageError: Polars is not installed.
        """
        frame = to_polars(self.to_arrow())
        return frame.lazy() if lazy else frame

    def to_pandas(self) -> pd.DataFrame:
        """The rows as a pandas DataFrame; ints and bools with gaps are nullable dtypes.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        return to_pandas(self.to_arrow())

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """The result of a DuckDB query over these rows, as a lazy relation.

        Raises:
            ArgumentTypeError: the query is not text.
            ColumnError: a name is ambiguous between columns that differ only in case.
        """
        return named_tables_sql({self._sql_name: self._table_with(names_in(query))}, query)

    def __repr__(self) -> str:
        try:
            return self._shown().text()
        except (ArgumentError, ColumnError) as error:
            return f"<{type(self).__name__}: {error}>"

    def _repr_html_(self) -> str:
        try:
            return self._shown().html()
        except (ArgumentError, ColumnError) as error:
            return f"<p>{escape(str(error))}</p>"

    def _shown(self) -> Table:
        rows = list(self._rows())
        keys = list(dict.fromkeys(key for row in rows for key in row))
        numbers = [at for at in range(len(rows)) if at < _END or at >= len(rows) - _END]
        cells = [[rows[at].get(key) for key in keys] for at in numbers]
        return Table(plural(len(rows), "row"), keys, keys, cells, numbers)

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__

    def __copy__(self) -> Self:
        return self


def checked_count(count: int, what: str) -> int:
    """Validate a number of rows.

    Raises:
        ArgumentTypeError: it is not an int.
        ArgumentError: it is negative.
    """
    if not isinstance(count, int) or isinstance(count, bool):
        message = f"{what}({count!r:.60}): expected a number of rows"
        raise ArgumentTypeError(message)
    if count < 0:
        message = f"{what}({count}): expected 0 or more rows"
        raise ArgumentError(message)
    return count


def checked_keys(keys: Sequence[str], known: Sequence[str], what: str) -> tuple[str, ...]:
    """Validate requested keys, and remove duplicates.

    Raises:
        ArgumentTypeError: one is not text.
        ArgumentError: there are no keys.
        ColumnError: one does not exist; the message suggests similar ones.
    """
    for key in keys:
        if not isinstance(key, str):
            message = f"{what}({key!r:.60}): expected keys, such as 'loss'"
            raise ArgumentTypeError(message)
        if key not in known:
            message = f"{what}({key!r}): {no_such_key(key, known)}"
            raise ColumnError(message)
    if not keys:
        message = f"{what}(): expected at least one key"
        raise ArgumentError(message)
    return tuple(dict.fromkeys(keys))


def checked_signs(keys: Sequence[str], descending: bool | Sequence[bool]) -> tuple[bool, ...]:
    """For each key to sort by, whether the largest value comes first.

    Raises:
        ArgumentError: ``descending`` has another length than the keys.
    """
    signs = (descending,) * len(keys) if isinstance(descending, bool) else tuple(descending)
    if len(signs) != len(keys):
        message = f"sort(): {len(keys)} keys, and descending= is of {len(signs)}"
        raise ArgumentError(message)
    return signs


def sorted_places(table: pa.Table, names: Sequence[str], descending: Sequence[bool]) -> list[int]:
    """The numbers of the rows in the order of some columns.

    Rows without a value, or with NaN, come last in any case; equal ones stay in order.

    Raises:
        ColumnError: the values of a column have no order.
    """
    columns = pa.table([_without_nan(table[name]) for name in names], names=list(names))
    orders = ("descending" if each else "ascending" for each in descending)
    try:
        found = pc.sort_indices(columns, sort_keys=list(zip(names, orders, strict=True)))
    except (pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        message = f"sort({', '.join(map(repr, names))}): values have no order ({error})"
        raise ColumnError(message) from None
    places: list[int] = found.to_pylist()
    return places


def _without_nan(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column with nulls in place of NaN."""
    if not pa.types.is_floating(column.type):
        return column
    return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
