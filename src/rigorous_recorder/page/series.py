"""The chart query: the values of one key over another, by line, in arrays that grow as rows come.

It is the only module of the page that reads records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import count
from threading import Event, Lock
from time import time
from typing import Any, Final, NamedTuple

from .. import ExperimentCollection, Records
from .._arrow import pa, pc
from .._engines.arrow import stream
from .._engines.follow import NewRows
from .._lazy_imports import np
from ..errors import CompactedError, DeletedError

__all__ = ["INDEX", "Cancelled", "Line", "Series", "Tail", "metric_keys", "x_keys"]

#: In place of a key: the number of a point in its line.
INDEX: Final = ""
_RUN: Final = ("experiment_number", "experiment_start_time")
#: No key of an experiment itself is drawn.
_OWN_OF_EXPERIMENTS: Final = "experiment_"
#: Unique, also after a restart of the server.
_GENERATIONS: Final = count(int(time() * 1_000))


class Cancelled(Exception):  # noqa: N818 - the browser has left; nothing is wrong
    """The browser that a chart was for has left."""


class Line(NamedTuple):
    """The points of one line.

    Attributes:
        run: the number and start of the run, or None for lines over several runs and for records
            of none.
        labels: the values of the keys that separate lines, as text.
        x, y: float64, sorted by x; y can be NaN or infinite.
    """

    run: tuple[int, float] | None
    labels: tuple[str, ...]
    x: Any
    y: Any


class Tail(NamedTuple):
    """New points by line, and the number of points that are there with them."""

    lines: list[Line]
    position: int


class _Column:
    """An array that grows."""

    def __init__(self, dtype: str) -> None:
        self._room = np.empty(1_024, dtype)
        self.count = 0

    def add(self, values: Any) -> None:
        """Append values."""
        end = self.count + len(values)
        if end > len(self._room):
            room = np.empty(max(end, len(self._room) * 3 // 2), self._room.dtype)
            room[: self.count] = self.values
            self._room = room
        self._room[self.count : end] = values
        self.count = end

    @property
    def values(self) -> Any:
        """The values, as a view."""
        return self._room[: self.count]

    @property
    def nbytes(self) -> int:
        """The size in memory."""
        return int(self._room.nbytes)


class Series:
    """The values of a key over x in one collection, up to the latest snapshot that was read.

    Args:
        collection: where they are.
        y: the key of the values.
        x: the key of x, or ``INDEX``.
        by: keys that separate lines; None for the runs.
    """

    def __init__(
        self, collection: ExperimentCollection, y: str, x: str, by: tuple[str, ...] | None
    ) -> None:
        self._collection, self._y, self._x, self._by = collection, y, x, by
        self._lock = Lock()
        self._begin()

    def _begin(self) -> None:
        #: Another one once points were removed or changed, so that earlier counts mean nothing.
        self.generation = next(_GENERATIONS)
        keys = dict.fromkeys([*_RUN, *(self._by or ()), self._y, self._x or self._y])
        records: Records = self._collection.records.select(*keys)
        self._new_rows = NewRows(records._poll)
        self._codes: dict[tuple[Any, ...], int] = {}
        self._line, self._at, self._value = _Column("i4"), _Column("f8"), _Column("f8")
        self._sorted: list[Line] | None = None

    @property
    def nbytes(self) -> int:
        """The size in memory, about."""
        return 2 * (self._line.nbytes + self._at.nbytes + self._value.nbytes)

    @property
    def count(self) -> int:
        """The number of points."""
        return self._value.count

    def lines(self, *, renew: bool, stop: Event | None = None) -> tuple[list[Line], int, int]:
        """All lines, with the generation and the number of points, which are a cursor.

        Args:
            renew: whether attributes may have changed, so that lines by them are read again.
            stop: set once the browser has left.

        Raises:
            Cancelled: ``stop`` was set.
            ColumnError: there is no such key.
        """
        with self._lock:
            if renew and self._by is not None:
                self._begin()
            self._update(stop)
            if self._sorted is None:
                self._sorted = self._all_lines()
            return self._sorted, self.generation, self.count

    def tail(self, generation: int, position: int) -> Tail | None:
        """The points after a cursor; None if it is not valid."""
        with self._lock:
            self._update(None)
            is_valid = generation == self.generation and 0 <= position <= self.count
            if not is_valid or self._x == INDEX:
                return None
            columns = (each.values[position:] for each in (self._line, self._at, self._value))
            return Tail(self._lines_of(*columns), self.count)

    def _update(self, stop: Event | None) -> None:
        try:
            self._read(stop)
        except (CompactedError, DeletedError):
            self._begin()
            self._read(stop)

    def _read(self, stop: Event | None) -> None:
        for batch in stream(self._new_rows.take()):
            if stop is not None and stop.is_set():
                self._begin()  # what was read is not complete
                raise Cancelled
            self._add(batch)

    def _add(self, batch: pa.RecordBatch) -> None:
        y = batch.column(self._y)
        if y.null_count == len(y):
            return
        has = pc.is_valid(y)
        if self._x != INDEX:
            has = pc.and_(has, pc.is_valid(batch.column(self._x)))
        batch = batch.filter(has)
        if not batch.num_rows:
            return
        self._line.add(self._codes_of(batch))
        y = _floats(batch.column(self._y))
        self._at.add(np.zeros(len(y)) if self._x == INDEX else _floats(batch.column(self._x)))
        self._value.add(y)
        self._sorted = None

    def _codes_of(self, batch: pa.RecordBatch) -> Any:
        """The number of each row's line; rows of one line mostly are neighbours."""
        keys = _RUN if self._by is None else self._by
        columns = [batch.column(key) for key in keys]
        changes = np.zeros(batch.num_rows, bool)
        changes[0] = True
        for each in columns:
            codes = each.dictionary_encode("encode").indices.to_numpy(zero_copy_only=False)
            changes[1:] |= codes[1:] != codes[:-1]
        starts = np.flatnonzero(changes)
        values = zip(*(each.take(pa.array(starts)).to_pylist() for each in columns), strict=True)
        found = [self._codes.setdefault(value, len(self._codes)) for value in values]
        if not columns:
            found = [self._codes.setdefault((), 0)]
        return np.repeat(np.array(found, "i4"), np.diff(np.append(starts, batch.num_rows)))

    def _all_lines(self) -> list[Line]:
        return self._lines_of(self._line.values, self._at.values, self._value.values)

    def _lines_of(self, line: Any, x: Any, y: Any) -> list[Line]:
        if not len(line):
            return []
        if (line[1:] < line[:-1]).any():
            order = np.argsort(line, kind="stable")
            line, x, y = line[order], x[order], y[order]
        names = list(self._codes)
        starts = np.flatnonzero(np.concatenate(([True], line[1:] != line[:-1])))
        ends = np.append(starts[1:], len(line))
        make = partial(self._line_of, names)
        return [make(int(line[a]), x[a:b], y[a:b]) for a, b in zip(starts, ends, strict=True)]

    def _line_of(self, names: Sequence[tuple[Any, ...]], code: int, x: Any, y: Any) -> Line:
        if self._x == INDEX:
            x = np.arange(len(y), dtype="f8")
        finite = np.isfinite(x)
        if not finite.all():
            x, y = x[finite], y[finite]
        if (x[1:] < x[:-1]).any():
            order = np.argsort(x, kind="stable")
            x, y = x[order], y[order]
        name = names[code]
        if self._by is not None:
            return Line(None, tuple("" if each is None else str(each) for each in name), x, y)
        return Line(None if name[0] is None else (name[0], name[1]), (), x, y)


def _floats(column: Any) -> Any:
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("s"))
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        column = column.cast(pa.int64())
        return column.to_numpy(zero_copy_only=False) / _per_second(kind.unit)
    if pa.types.is_boolean(kind) or pa.types.is_decimal(kind):
        column = column.cast(pa.float64() if pa.types.is_decimal(kind) else pa.int8())
    return column.to_numpy(zero_copy_only=False).astype("f8")


def _per_second(unit: str) -> int:
    return {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]


def metric_keys(collection: ExperimentCollection) -> list[str]:
    """The keys with numbers that records have themselves, in order of first occurrence."""
    own = {str(column.key) for column in collection.records._scan().record_columns}
    return [name for name in _those(collection, _is_number) if name in own]


def x_keys(collection: ExperimentCollection) -> list[str]:
    """The keys that can be x: numbers and times, except the built-in ones of experiments."""
    names = _those(collection, lambda kind: _is_number(kind) or _is_time(kind))
    return [name for name in names if not name.startswith(_OWN_OF_EXPERIMENTS)]


def _those(collection: ExperimentCollection, is_wanted: Callable[[Any], bool]) -> Iterable[str]:
    return [field.name for field in collection.records.schema if is_wanted(field.type)]


def _is_number(kind: Any) -> bool:
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


def _is_time(kind: Any) -> bool:
    types = pa.types
    return bool(types.is_timestamp(kind) or types.is_duration(kind) or types.is_date(kind))
