"""The chart query: the values of keys over another, by line, in points that grow as rows come.

With ``reading`` it is the only module of the page that reads records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import count
from threading import Event, Lock
from time import time
from typing import Any, Final, NamedTuple

from .. import ExperimentCollection, Records
from .._arrow import pa
from .._engines.follow import NewRows
from .._engines.scan import Scan
from .._lazy_imports import np
from .._prefetch import ahead
from .._tree.nodes import Nodes
from ..errors import CompactedError, DeletedError
from .chunks import Thin
from .points import Points
from .reading import (
    INDEX,
    RUN,
    Cancelled,
    Loaded,
    Name,
    Reader,
    Values,
    Wanted,
    is_number,
    is_time,
    numbers,
    require,
    require_drawable,
)

__all__ = [
    "INDEX",
    "RUN",
    "Cancelled",
    "Feed",
    "Line",
    "State",
    "Tail",
    "metric_keys",
    "same_deleted",
    "whole_beside",
    "x_keys",
]

#: No key of an experiment itself is drawn.
_OWN_OF_EXPERIMENTS: Final = "experiment_"
#: Unique, also after a restart of the server.
_GENERATIONS: Final = count(int(time() * 1_000))
#: Points of summaries that are read again stay within this.
_LOADED_BYTES: Final = 90 << 20
#: A line without its points, about.
_LINE_BYTES: Final = 1_000
#: Additions that a cursor can go back over.
_MOST_ADDED: Final = 20_000


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

    code: Name
    finite: int
    odd: int


class _Lines:
    """The lines of one key."""

    def __init__(self) -> None:
        self.lines: dict[Name, Line] = {}
        self.added: list[_Added] = []
        #: The number of additions that are not listed any more.
        self.dropped = 0

    @property
    def cursor(self) -> int:
        return self.dropped + len(self.added)

    def add(self, make: Callable[[Name], Line], name: Name, x: Any, y: Any) -> None:
        """Append points to a line; no x is their number."""
        points = self._points(make, name)
        if x is None:
            x = np.arange(points.count, points.count + len(y), dtype="f8")
        points.add(x, y)

    def add_thin(self, make: Callable[[Name], Line], name: Name, thin: Thin) -> None:
        """Append points with their summary to a line."""
        points = self._points(make, name)
        points.add_thin(thin)

    def _points(self, make: Callable[[Name], Line], name: Name) -> Points:
        if name not in self.lines:
            require_drawable(len(self.lines) + 1)
            self.lines[name] = make(name)
        points = self.lines[name].points
        self.added.append(_Added(name, points.finite, len(points.odd[1])))
        return points

    @property
    def nbytes(self) -> int:
        """The size in memory."""
        return sum(_LINE_BYTES + line.points.nbytes for line in self.lines.values())

    def trim(self) -> None:
        more = len(self.added) - _MOST_ADDED
        if more > 0:
            del self.added[:more]
            self.dropped += more

    def since(self, cursor: int) -> list[Tail] | None:
        if not self.dropped <= cursor <= self.cursor:
            return None
        first: dict[Name, _Added] = {}
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
        self._wanted = Wanted(self.keys, x, RUN if by is None else by)
        self._loaded = Loaded(_LOADED_BYTES)
        self._lock = Lock()
        self._begin()

    def _begin(self) -> None:
        #: Another one once points were removed or changed, so that earlier cursors mean nothing.
        self._generation = next(_GENERATIONS)
        wanted = dict.fromkeys(
            [*self._wanted.by, *self.keys, *([self._x] if self._x != INDEX else [])]
        )
        records: Records = self._collection.records.select(*wanted)
        self._new_rows = NewRows(records._poll)
        self._nodes: Nodes | None = None
        self._lines = {key: _Lines() for key in self.keys}
        self._bytes = 0

    @property
    def nbytes(self) -> int:
        """The size in memory, about."""
        return self._bytes + self._loaded.nbytes

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
            reader, has_more = Reader(scan, self._wanted, self._loaded, stop), False
            for found in ahead(reader.read, scan.groups):
                require(stop)
                has_more = True
                for rows in found.rows:
                    self._add(rows)
                for key, thin in found.thin.items():
                    self._lines[key].add_thin(self._line, found.name, thin)
            reader.end()
        except BaseException:
            self._begin()  # what was read is not complete
            raise
        if has_more:
            for lines in self._lines.values():
                lines.trim()
            self._bytes = sum(lines.nbytes for lines in self._lines.values())

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
        return self._by is not None or not same_deleted(self._nodes, nodes)

    def _add(self, found: Values) -> None:
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

    def _line(self, name: Name) -> Line:
        if self._by is not None:
            return Line(None, tuple("" if each is None else str(each) for each in name), Points())
        return Line(None if name[0] is None else (name[0], name[1]), (), Points())


def _gathered(names: Sequence[Name], ends: Any) -> tuple[list[Name], Any, Any]:
    """The names, each once, with the ends of their rows, and the places of the rows in this order."""
    codes: dict[Name, int] = {}
    of_parts = np.array([codes.setdefault(name, len(codes)) for name in names])
    of_rows = np.repeat(of_parts, np.diff(ends, prepend=0))
    return list(codes), np.cumsum(np.bincount(of_rows)), np.argsort(of_rows, kind="stable")


def same_deleted(before: Nodes, nodes: Nodes) -> bool:
    """Whether the same recorders are deleted in two snapshots."""
    first, second = before.deleted, nodes.deleted
    if first is None or second is None:
        return first is second
    return first is second or bool(first.equals(second))


def metric_keys(collection: ExperimentCollection) -> list[str]:
    """The keys with numbers that records have themselves, in order of first occurrence."""
    own = {str(column.key) for column in collection.records._scan().record_columns}
    return [name for name in _those(collection, is_number) if name in own]


def x_keys(collection: ExperimentCollection) -> list[str]:
    """The keys that can be x: numbers and times, except the built-in ones of experiments."""
    names = _those(collection, lambda kind: is_number(kind) or is_time(kind))
    return [name for name in names if not name.startswith(_OWN_OF_EXPERIMENTS)]


def whole_beside(collection: ExperimentCollection, key: str) -> list[str]:
    """The other keys of records with whole numbers that the first records with a key have."""
    own = metric_keys(collection)
    fields = [each for each in collection.records.schema if each.name in own and each.name != key]
    others = [each.name for each in fields if pa.types.is_integer(each.type)]
    scan = collection.records.select(key, *others)._scan()
    columns = scan.columns_for(None)
    for group in scan.groups:
        for piece in scan.read(group, columns):
            there = numbers(scan, piece, key)
            if there is not None and _some(there.has):
                found = ((name, numbers(scan, piece, name)) for name in others)
                return [name for name, each in found if each is not None and _both(each, there)]
    return []


def _some(has: Any) -> bool:
    return has is None or bool(has.any())


def _both(one: Any, other: Any) -> bool:
    masks = [each.has for each in (one, other) if each.has is not None]
    return not masks or bool(np.logical_and.reduce(masks).any())


def _those(collection: ExperimentCollection, is_wanted: Callable[[Any], bool]) -> Iterable[str]:
    return [field.name for field in collection.records.schema if is_wanted(field.type)]
