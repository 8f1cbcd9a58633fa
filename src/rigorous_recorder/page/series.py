"""The chart query: the values of keys over another, by line, in points that grow as rows come.

It is the only module of the page that reads records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import count
from threading import Event, Lock
from time import time
from typing import Any, Final, NamedTuple

from .. import ExperimentCollection, Records
from .._arrow import pa
from .._engines.arrow import flat_schema
from .._engines.follow import NewRows
from .._engines.piece import Group, Piece
from .._engines.scan import Scan
from .._lazy_imports import np
from .._prefetch import ahead
from .._tree.nodes import Nodes
from ..errors import CompactedError, DeletedError
from .points import Points

__all__ = [
    "INDEX",
    "Cancelled",
    "Feed",
    "Line",
    "State",
    "Tail",
    "is_instant",
    "metric_keys",
    "numbers",
    "parts_of",
    "x_keys",
]

#: In place of a key: the number of a point in its line.
INDEX: Final = ""
_RUN: Final = ("experiment_number", "experiment_start_time")
#: No key of an experiment itself is drawn.
_OWN_OF_EXPERIMENTS: Final = "experiment_"
#: Unique, also after a restart of the server.
_GENERATIONS: Final = count(int(time() * 1_000))
#: Additions that a cursor can go back over.
_MOST_ADDED: Final = 20_000


class Cancelled(Exception):  # noqa: N818 - the browser has left; nothing is wrong
    """The browser that a chart was for has left."""


class Line(NamedTuple):
    """A line.

    Attributes:
        run: the number and start of the run, or None for lines over several runs and for records
            of none.
        labels: the values of the keys that separate lines, as text.
        points: its points.
    """

    run: tuple[int, float] | None
    labels: tuple[str, ...]
    points: Points


class Tail(NamedTuple):
    """New points of a line: x and y, and those of NaN and infinities."""

    line: Line
    x: Any
    y: Any
    odd_x: Any
    odd_y: Any


class State(NamedTuple):
    """The lines of a key, and the cursor after them."""

    lines: list[Line]
    cursor: tuple[int, int]


class _Added(NamedTuple):
    """How many points a line had before some were added."""

    code: tuple[Any, ...]
    finite: int
    odd: int


class _Lines:
    """The lines of one key."""

    def __init__(self) -> None:
        self.lines: dict[tuple[Any, ...], Line] = {}
        self.added: list[_Added] = []
        #: The number of additions that are not listed any more.
        self.dropped = 0

    @property
    def cursor(self) -> int:
        return self.dropped + len(self.added)

    def add(
        self, make: Callable[[tuple[Any, ...]], Line], name: tuple[Any, ...], x: Any, y: Any
    ) -> None:
        """Append points to a line; no x is their number."""
        if name not in self.lines:
            self.lines[name] = make(name)
        points = self.lines[name].points
        self.added.append(_Added(name, points.finite, len(points.odd[1])))
        if x is None:
            x = np.arange(points.count, points.count + len(y), dtype="f8")
        points.add(x, y)

    def trim(self) -> None:
        more = len(self.added) - _MOST_ADDED
        if more > 0:
            del self.added[:more]
            self.dropped += more

    def since(self, cursor: int) -> list[Tail] | None:
        if not self.dropped <= cursor <= self.cursor:
            return None
        first: dict[tuple[Any, ...], _Added] = {}
        for each in self.added[cursor - self.dropped :]:
            first.setdefault(each.code, each)
        found = []
        for name, before in first.items():
            line = self.lines[name]
            new = line.points.since(before.finite, before.odd)
            if new is None:
                return None
            found.append(Tail(line, *new))
        return found


class _Numbers(NamedTuple):
    """Values as float64, and which rows have one; None for all."""

    values: Any
    has: Any


class _Values(NamedTuple):
    """Rows of a piece: the name and the end of neighbours in one line, and the values of keys."""

    names: Sequence[tuple[Any, ...]]
    ends: Any
    x: _Numbers | None
    y: dict[str, _Numbers]


class Feed:
    """The values of some keys over x in one collection, up to the latest snapshot that was read.

    They are read together, since they share x, the runs and the files.

    Args:
        collection: where they are.
        keys: the keys of the values, all of which it has.
        x: the key of x, or ``INDEX``.
        by: keys that separate lines; None for the runs.
    """

    def __init__(
        self,
        collection: ExperimentCollection,
        keys: Sequence[str],
        x: str,
        by: tuple[str, ...] | None,
    ) -> None:
        self._collection, self.keys, self._x, self._by = collection, tuple(keys), x, by
        self._lock = Lock()
        self._begin()

    def _begin(self) -> None:
        #: Another one once points were removed or changed, so that earlier cursors mean nothing.
        self._generation = next(_GENERATIONS)
        by = _RUN if self._by is None else self._by
        wanted = dict.fromkeys([*by, *self.keys, *([self._x] if self._x != INDEX else [])])
        records: Records = self._collection.records.select(*wanted)
        self._new_rows = NewRows(records._poll)
        self._nodes: Nodes | None = None
        self._lines = {key: _Lines() for key in self.keys}

    @property
    def nbytes(self) -> int:
        """The size in memory, about."""
        of_keys = self._lines.values()
        return sum(line.points.nbytes for each in of_keys for line in each.lines.values())

    def states(self, keys: Iterable[str], stop: Event | None = None) -> dict[str, State]:
        """All lines of some of the keys.

        Args:
            stop: set once the browser has left.

        Raises:
            Cancelled: ``stop`` was set.
            ColumnError: a key is not there any more.
        """
        with self._lock:
            self._update(stop)
            return {key: self._state(key) for key in keys}

    def _state(self, key: str) -> State:
        found = self._lines[key]
        return State(list(found.lines.values()), (self._generation, found.cursor))

    def tails(
        self, cursors: dict[str, tuple[int, int]], stop: Event | None = None
    ) -> dict[str, tuple[list[Tail], tuple[int, int]] | None]:
        """The points of keys after cursors; None for those that are not valid.

        Raises:
            Cancelled: ``stop`` was set.
        """
        with self._lock:
            self._update(stop)
            found: dict[str, tuple[list[Tail], tuple[int, int]] | None] = {}
            for key, (generation, position) in cursors.items():
                lines = self._lines[key]
                tails = lines.since(position) if generation == self._generation else None
                found[key] = None if tails is None else (tails, (generation, lines.cursor))
            return found

    def _update(self, stop: Event | None) -> None:
        try:
            self._read(stop)
        except (CompactedError, DeletedError):
            self._begin()
            self._read(stop)

    def _read(self, stop: Event | None) -> None:
        try:
            scan = self._scan()
            columns = scan.columns_for(None)

            def read(group: Group) -> list[_Values]:
                pieces = [] if _is_set(stop) else scan.read(group, columns)
                return [found for piece in pieces if (found := self._values(scan, piece))]

            for values in ahead(read, scan.groups):
                _require(stop)
                for each in values:
                    self._add(each)
        except BaseException:
            self._begin()  # what was read is not complete
            raise
        for lines in self._lines.values():
            lines.trim()

    def _scan(self) -> Scan:
        """The new rows; all if others were deleted, or lines are by attributes, which have changed."""
        scan = self._new_rows.take()
        if self._nodes is not None and self._has_changed(scan.snapshot.nodes):
            self._begin()
            scan = self._new_rows.take()
        self._nodes = scan.snapshot.nodes
        return scan

    def _has_changed(self, nodes: Nodes) -> bool:
        if nodes is self._nodes or self._nodes is None:
            return False
        before, deleted = self._nodes.deleted, nodes.deleted
        is_same = deleted is before or (
            deleted is not None and before is not None and deleted.equals(before)
        )
        return self._by is not None or not is_same

    def _values(self, scan: Scan, piece: Piece) -> _Values | None:
        x = None if self._x == INDEX else numbers(scan, piece, self._x)
        if self._x != INDEX and x is None:
            return None
        values = {key: found for key in self.keys if (found := numbers(scan, piece, key))}
        by = _RUN if self._by is None else self._by
        return _Values(*parts_of(scan, piece, by), x, values) if values else None

    def _add(self, found: _Values) -> None:
        names, ends, places = found.names, found.ends, None
        if len(set(names)) < len(names):  # the rows of a line are not all neighbours
            names, ends, places = _gathered(names, ends)
        for key, (values, has) in found.y.items():
            arrays = [None if found.x is None else found.x.values, values]
            masks = [each for each in (found.x and found.x.has, has) if each is not None]
            mask = np.logical_and.reduce(masks) if masks else None
            if places is not None:
                arrays = [each if each is None else each[places] for each in arrays]
                mask = mask if mask is None else mask[places]
            self._add_lines(self._lines[key], names, ends, arrays, mask)

    def _add_lines(self, lines: _Lines, names: Any, ends: Any, arrays: Any, mask: Any) -> None:
        start = 0
        x: Any
        y: Any
        for name, end in zip(names, ends.tolist(), strict=True):
            x, y = (each if each is None else each[start:end] for each in arrays)
            if mask is not None:
                some = mask[start:end]
                x, y = (each if each is None else each[some] for each in (x, y))
            start = end
            if len(y):
                lines.add(self._line, name, x, y)

    def _line(self, name: tuple[Any, ...]) -> Line:
        if self._by is not None:
            return Line(None, tuple("" if each is None else str(each) for each in name), Points())
        return Line(None if name[0] is None else (name[0], name[1]), (), Points())


def _require(stop: Event | None) -> None:
    if _is_set(stop):
        raise Cancelled


def _is_set(stop: Event | None) -> bool:
    return stop is not None and stop.is_set()


def parts_of(scan: Scan, piece: Piece, by: Sequence[str]) -> tuple[list[tuple[Any, ...]], Any]:
    """The values of keys of neighbouring rows that have the same ones, and the ends of these rows."""
    if not by:
        return [()], np.array([piece.rows])
    if any(piece.own(key) for key in by):
        return _neighbours(_flat(scan, piece, by), piece.rows)
    ends = piece.runs.run_ends.to_numpy().astype(np.int64)
    firsts = piece.taken(pa.array(np.concatenate(([0], ends[:-1]))))
    names, places = _neighbours(_flat(scan, firsts, by), len(ends))
    return names, ends[places - 1]


def is_instant(scan: Scan, key: str) -> bool:
    """Whether the values of a key are points in time."""
    kind = flat_schema(scan).field(key).type
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _flat(scan: Scan, piece: Piece, keys: Sequence[str]) -> list[pa.Array]:
    return piece.flat([scan.flats[key] for key in keys])


def _neighbours(columns: Sequence[pa.Array], rows: int) -> tuple[list[tuple[Any, ...]], Any]:
    """The values of neighbouring rows that are equal, and the ends of these rows."""
    changes = np.zeros(rows, bool)
    changes[0] = True
    for each in columns:
        codes = each.dictionary_encode("encode").indices.to_numpy(zero_copy_only=False)
        changes[1:] |= codes[1:] != codes[:-1]
    starts = np.flatnonzero(changes)
    values = (map(_name, each.take(pa.array(starts)).to_pylist()) for each in columns)
    return list(zip(*values, strict=True)), np.append(starts[1:], rows)


def _name(value: Any) -> Any:
    """What is equal for equal values, also for NaN and arrays."""
    if value != value:  # noqa: PLR0124 - only NaN is not equal to itself
        return np.nan
    return str(value) if isinstance(value, list) else value


def _gathered(
    names: Sequence[tuple[Any, ...]], ends: Any
) -> tuple[list[tuple[Any, ...]], Any, Any]:
    """The names, each once, with the ends of their rows, and the places of the rows in this order."""
    codes: dict[tuple[Any, ...], int] = {}
    of_parts = np.array([codes.setdefault(name, len(codes)) for name in names])
    of_rows = np.repeat(of_parts, np.diff(ends, prepend=0))
    return list(codes), np.cumsum(np.bincount(of_rows)), np.argsort(of_rows, kind="stable")


def numbers(scan: Scan, piece: Piece, key: str) -> _Numbers | None:
    """The values of a key in the rows of a piece; None if there is no number."""
    (column,) = _flat(scan, piece, [key])
    kind = column.type
    is_known = _is_number(kind) or _is_time(kind) or pa.types.is_decimal(kind)
    if column.null_count == len(column) or not is_known:
        return None
    has = column.is_valid().to_numpy(zero_copy_only=False) if column.null_count else None
    return _Numbers(_floats(column), has)


def _floats(column: Any) -> Any:
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("s"))
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        column = column.cast(pa.int64())
        return column.to_numpy(zero_copy_only=False) / _per_second(kind.unit)
    if pa.types.is_boolean(kind) or pa.types.is_decimal(kind):
        column = column.cast(pa.float64() if pa.types.is_decimal(kind) else pa.int8())
    return column.to_numpy(zero_copy_only=False).astype("f8", copy=False)


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
