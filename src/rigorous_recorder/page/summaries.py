"""Summaries of a key: the last, lowest, highest and mean of records' numbers, and their course.

A part of the chart query: the page reads records here and in ``series`` only.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event, Lock
from typing import Any, Final, NamedTuple

from .. import ExperimentCollection
from .._arrow import pa, pc
from .._engines.follow import NewRows
from .._engines.piece import Piece
from .._engines.scan import Scan
from .._engines.scanned_rows import Scope
from .._lazy_imports import np
from ..errors import ColumnError, CompactedError, DeletedError
from .arrow_arrays import arrow_of, values_of
from .series import Cancelled

__all__ = ["STATISTICS", "Course", "Summary"]

#: What is known of the numbers of a row.
STATISTICS: Final = ("last", "min", "max", "mean", "count")
#: Points of a course: each has the lowest and the highest value of its part.
_PARTS: Final = 48
#: So many parts of totals are merged at once.
_MOST_PARTS: Final = 256


class _Totals(NamedTuple):
    """The numbers of some owners, in order of their codes.

    Attributes:
        code: what a number is of.
        count, total, low, high: over the numbers; lows and highs are not NaN if any number is not.
        last: the last number.
        at: its place among all rows.
    """

    code: Any
    count: Any
    total: Any
    low: Any
    high: Any
    last: Any
    at: Any


def _joined(parts: Sequence[_Totals]) -> _Totals:
    """The totals of each code over several, in which codes can occur more than once."""
    columns = [np.concatenate(each) for each in zip(*parts, strict=True)]
    order = np.lexsort((columns[6], columns[0]))
    code, count, total, low, high, last, at = (each[order] for each in columns)
    if not len(code):
        return _Totals(code, count, total, low, high, last, at)
    starts = np.flatnonzero(np.concatenate(([True], code[1:] != code[:-1])))
    ends = np.append(starts[1:], len(code)) - 1
    return _Totals(
        code[starts],
        np.add.reduceat(count, starts),
        _sums(total, starts),
        np.fmin.reduceat(low, starts),
        np.fmax.reduceat(high, starts),
        last[ends],
        at[ends],
    )


def _sums(values: Any, starts: Any) -> Any:
    """The sums of parts; of inf and -inf it is NaN."""
    with np.errstate(all="ignore"):
        return np.add.reduceat(values, starts)


class Summary:
    """The numbers of a key by recorder, up to the latest snapshot; only new rows are read again.

    Args:
        collection: where they are.
        key: the key.
    """

    def __init__(self, collection: ExperimentCollection, key: str) -> None:
        self._collection, self._key = collection, key
        self._lock = Lock()
        self._begin()

    def _begin(self) -> None:
        self._new_rows: NewRows | None = None
        self._parts: list[_Totals] = []
        self._read_rows = 0

    def of_rows(self, nodes: Any, owner: Any, rows: int) -> dict[str, list[float | None]]:
        """The statistics of each row of a table.

        Args:
            nodes: the recorders of a snapshot.
            owner: for each of them, by position, the row that it is below; -1 for none.
            rows: the number of rows.
        """
        with self._lock:
            self._update()
            totals = self._parts[0] if self._parts else None
        if totals is None:
            return {name: [None] * rows for name in STATISTICS}
        found = nodes.positions(arrow_of(totals.code))
        is_known = values_of(found.is_valid())
        code = np.full(len(found), -1)
        code[is_known] = owner[values_of(found)[is_known]]
        is_owned = code >= 0
        owned = _Totals(*(each[is_owned] for each in (code, *totals[1:])))
        return _by_row(_joined([owned]), rows)

    def _update(self) -> None:
        try:
            self._read()
        except (CompactedError, DeletedError):
            self._begin()
            self._read()

    def _read(self) -> None:
        if self._new_rows is None:
            try:
                self._new_rows = NewRows(self._collection.records.select(self._key)._poll)
            except ColumnError:
                return  # of another collection
        scan = self._new_rows.take()
        for piece in scan.pieces():
            if (found := _totals_of(piece, scan, self._read_rows, self._key)) is not None:
                self._parts.append(found)
            self._read_rows += piece.rows
            if len(self._parts) > _MOST_PARTS:
                self._parts = [_joined(self._parts)]
        if len(self._parts) > 1:
            self._parts = [_joined(self._parts)]


def _totals_of(piece: Piece, scan: Scan, first: int, key: str) -> _Totals | None:
    """The totals of the rows of a piece by the id of their recorder."""
    values, is_there = _numbers(piece, scan, key)
    if not is_there.any():
        return None
    lengths = np.diff(values_of(piece.runs.run_ends), prepend=0)
    run = np.repeat(np.arange(len(lengths)), lengths)[is_there]
    ids = values_of(piece.runs.values)
    values = values[is_there]
    at = first + np.flatnonzero(is_there)
    starts = np.flatnonzero(np.concatenate(([True], run[1:] != run[:-1])))
    ends = np.append(starts[1:], len(run))
    return _joined(
        [
            _Totals(
                ids[run[starts]],
                ends - starts,
                _sums(values, starts),
                np.fmin.reduceat(values, starts),
                np.fmax.reduceat(values, starts),
                values[ends - 1],
                at[ends - 1],
            )
        ]
    )


def _numbers(piece: Piece, scan: Scan, key: str) -> tuple[Any, Any]:
    """The numbers of a key in each row, and where there are any."""
    flat = scan.flats.get(key)
    if flat is None or not piece.rows:
        return np.zeros(piece.rows), np.zeros(piece.rows, bool)
    (column,) = piece.flat([flat])
    types = pa.types
    if types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if not (types.is_integer(column.type) or types.is_floating(column.type)):
        return np.zeros(piece.rows), np.zeros(piece.rows, bool)
    is_there = values_of(pc.is_valid(column))
    return values_of(column).astype("f8"), is_there


def _by_row(totals: _Totals, rows: int) -> dict[str, list[float | None]]:
    found: dict[str, list[float | None]] = {}
    with np.errstate(all="ignore"):
        mean = totals.total / totals.count
    arrays = (totals.last, totals.low, totals.high, mean, totals.count)
    for name, values in zip(STATISTICS, arrays, strict=True):
        column: list[float | None] = [None] * rows
        for row, value in zip(totals.code.tolist(), values.tolist(), strict=True):
            column[row] = value
        found[name] = column
    return found


class Course(NamedTuple):
    """The course of a key below a recorder, in the order of logging, with all lows and highs.

    Attributes:
        rows: the number of records.
        points: the lowest and the highest of each part with a finite number, by its place from 0 to
            47.
    """

    rows: int
    points: list[tuple[int, float, float]]

    @classmethod
    def of(cls, collection: ExperimentCollection, node: int, key: str, stop: Event) -> Course:
        """Read it.

        Raises:
            Cancelled: ``stop`` was set.
        """
        records = collection.records
        scan = Scan(records._scan().snapshot, Scope(node, keys=(key,)))
        rows = scan.row_count()
        low, high = np.full(_PARTS, np.inf), np.full(_PARTS, -np.inf)
        first = 0
        for piece in scan.pieces():
            if stop.is_set():
                raise Cancelled
            values, is_there = _numbers(piece, scan, key)
            is_there &= np.isfinite(values)
            at = (first + np.flatnonzero(is_there)) * _PARTS // max(rows, 1)
            np.minimum.at(low, at, values[is_there])
            np.maximum.at(high, at, values[is_there])
            first += piece.rows
        there = np.flatnonzero(low <= high).tolist()
        return cls(rows, [(at, float(low[at]), float(high[at])) for at in there])
