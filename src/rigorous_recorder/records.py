"""Records: the whole tree below a recorder as one flat table, lazily."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, overload

from ._engines.arrow import flat_table, stream
from ._engines.duckdb import records_sql
from ._engines.frames import to_pandas, to_polars
from ._engines.rows import Row, rows_of
from ._engines.scan import Scan, Scope, Source

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa

__all__ = ["Records", "Row"]

#: Rows that are decoded together when one is asked for by its index.
_PAGE: Final = 4_096


class Records(Sequence[Row]):
    """Records with all that their ancestors know: a sequence of read-only rows, and a table.

    Nothing is read before it is asked for, and what is asked for is answered from the newest
    moment: rows pushed since, by this process or another, and late data of parents are in it.
    One iteration, one query, one ``to_...`` sees one moment.

    The columns of the table: the six keys of experiments, then the ancestors' from the root down,
    then the records' own. A missing value is null. Rows have the exact values that were logged;
    in a column of the table int and float meet as double, and kinds that don't meet as JSON.
    """

    def __init__(self, source: Source, scope: Scope, conditions: dict[str, Any]) -> None:
        self._source = source
        self._scope = scope
        self._conditions = conditions
        self._page: tuple[Scan | None, int, list[Row]] = (None, 0, [])

    # --- rows ----------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self.scan().row_count()

    def __iter__(self) -> Iterator[Row]:
        scan = self.scan()
        for piece in scan.pieces():
            yield from rows_of(piece, scan)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        scan = self.scan()
        if isinstance(index, slice):
            wanted = range(*index.indices(scan.row_count()))
            return _sliced(_rows_from(scan, min(wanted, default=0)), wanted)
        return self._row(scan, index)

    def where(self, /, **values: Any) -> Records:
        """Those records in which every key has that value; ``None`` asks for a missing one.

        int and float are compared as numbers; ``True`` is not ``1``.

        >>> recorder.all_records.where(model="m1", training=True)  # doctest: +SKIP
        """
        return Records(self._source, self._scope, self._conditions | values)

    def __repr__(self) -> str:
        scan = self.scan()
        return f"<Records: {scan.row_count():,} rows, columns {', '.join(scan.flat_kinds) or '-'}>"

    # --- tables --------------------------------------------------------------------------------

    def to_arrow(self) -> pa.Table:
        """The flat table as a ``pyarrow.Table``."""
        return flat_table(self.scan())

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The flat table as an Arrow stream, batch by batch, for any library that takes one."""
        return stream(self.scan()).__arrow_c_stream__(requested_schema)

    def to_polars(self) -> pl.DataFrame:
        """The flat table as a Polars DataFrame.

        Raises:
            MissingPackageError: Polars is not installed.
        """
        return to_polars(self.to_arrow())

    def to_pandas(self) -> pd.DataFrame:
        """The flat table as a pandas DataFrame; ints and bools with gaps are nullable dtypes.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        return to_pandas(self.to_arrow())

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """The result of a DuckDB query over the table ``records``, as a lazy relation.

        Names that differ only in case are told apart as ``docs/format.md`` says.
        """
        return records_sql(self.scan(), query)

    # -------------------------------------------------------------------------------------------

    def scan(self) -> Scan:
        """What an engine is to read, at the newest moment."""
        moment = self._source.now()
        known = self._page[0]
        if known is not None and known.moment is moment:
            return known
        scan = Scan(moment, self._scope, self._conditions)
        self._page = (scan, 0, [])
        return scan

    def _row(self, scan: Scan, index: int) -> Row:
        at = index if index >= 0 else index + scan.row_count()
        _, first, rows = self._page
        if not first <= at < first + len(rows):
            first, rows = _page_with(scan, at)
            self._page = (scan, first, rows)
        if not rows or at < 0:
            message = f"record {index} of {scan.row_count():,}"
            raise IndexError(message)
        return rows[at - first]


def _page_with(scan: Scan, index: int) -> tuple[int, list[Row]]:
    """The rows around ``index`` that are read together, and the index of the first of them."""
    for first, piece in scan.located(index):
        start = index - first
        start -= start % _PAGE
        return first + start, list(rows_of(piece.slice(start, _PAGE), scan))
    return 0, []


def _rows_from(scan: Scan, start: int) -> Iterator[Row]:
    for first, piece in scan.located(start):
        skip = max(0, start - first)
        yield from rows_of(piece.slice(skip, piece.rows), scan)


def _sliced(rows: Iterator[Row], wanted: range) -> list[Row]:
    """The rows of ``wanted``, of which the first that ``rows`` gives is the least."""
    if not wanted:
        return []
    step = abs(wanted.step)
    found = list(islice(rows, 0, abs(wanted[-1] - wanted[0]) + 1, step))
    return found if wanted.step > 0 else found[::-1]
