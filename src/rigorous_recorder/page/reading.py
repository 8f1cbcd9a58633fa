"""Reading rows for charts: the values of keys with the names of lines, or summaries of many rows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Event, Lock
from typing import Any, Final, NamedTuple

from .._arrow import pa
from .._engines.arrow import flat_schema
from .._engines.piece import Group, Piece
from .._engines.scan import Scan
from .._lazy_imports import np
from .._live.column import NODE
from .._store.fragments import Spans
from .._store.parquet_fragment import ParquetFragment
from .._tree.columns import keys_of
from ..errors import ArgumentError
from .arrow_arrays import arrow_of, values_of
from .chunks import Chunk, Thin
from .pyramids import Summaries, Summary, summary_of

__all__ = [
    "INDEX",
    "RUN",
    "Cancelled",
    "Loaded",
    "Name",
    "Read",
    "Reader",
    "Values",
    "Wanted",
    "is_instant",
    "is_number",
    "is_time",
    "numbers",
    "parts_of",
    "require",
    "require_drawable",
]

#: In place of a key: the number of a point in its line.
INDEX: Final = ""
RUN: Final = ("experiment_number", "experiment_start_time")
#: Of fewer points summaries are not worth it.
_MANY_POINTS: Final = 4_000_000
#: Of more points all are not in memory, where summaries will do.
_MOST_POINTS: Final = 11_000_000
#: Lines of a chart; more are no picture, and are kilobytes each.
_MOST_LINES: Final = 20_000
#: Groups with fewer rows are read.
_LARGE_GROUP: Final = 1 << 15

#: The values of the keys that separate lines.
Name = tuple[Any, ...]


class Cancelled(Exception):  # noqa: N818 - the browser has left; nothing is wrong
    """The browser that a chart was for has left."""


class Wanted(NamedTuple):
    """What is read.

    Attributes:
        keys: the keys of values.
        x: the key of x, or ``INDEX``.
        by: the keys that separate lines.
    """

    keys: tuple[str, ...]
    x: str
    by: tuple[str, ...]


class Numbers(NamedTuple):
    """Values as float64, and which rows have one; None for all."""

    values: Any
    has: Any


class Values(NamedTuple):
    """Rows of a piece: the name and the end of neighbours in one line, and the values of keys."""

    names: Sequence[Name]
    ends: Any
    x: Numbers | None
    y: dict[str, Numbers]


class Read(NamedTuple):
    """What was read of a group: its rows, or for each key a summary of them, all of one line."""

    rows: list[Values]
    name: Name = ()
    thin: dict[str, Thin] = {}  # noqa: RUF012 - never changed


class Loaded:
    """The points that were read again last, within some memory."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._chunks: OrderedDict[Any, Chunk] = OrderedDict()
        #: The size in memory.
        self.nbytes = 0
        self._lock = Lock()

    def get(self, key: Any, load: Callable[[], Chunk]) -> Chunk:
        """Points by their place, read if they are not there."""
        with self._lock:
            if found := self._chunks.get(key):
                self._chunks.move_to_end(key)
                return found
        found = load()
        with self._lock:
            if key not in self._chunks:
                self._chunks[key] = found
                self.nbytes += found.nbytes
            while len(self._chunks) > 1 and self.nbytes > self._most:
                self.nbytes -= self._chunks.popitem(last=False)[1].nbytes
        return found


class Reader:
    """Reads the groups of a scan, several at a time."""

    def __init__(self, scan: Scan, wanted: Wanted, loaded: Loaded, stop: Event | None) -> None:
        self._scan, self._wanted, self._loaded, self._stop = scan, wanted, loaded, stop
        self._columns = scan.columns_for(None)
        points = scan.row_count() * len(wanted.keys)
        self._is_summed = points > _MANY_POINTS and self._can_be_summed()
        self._is_thin = points > _MOST_POINTS
        kinds = {key: str(self._type(key)) for key in wanted.keys} if self._is_summed else {}
        x = f"{wanted.x}:{self._type(wanted.x)}" if kinds else ""
        self._summaries = {key: Summaries(x, f"{key}:{kind}") for key, kind in kinds.items()}
        #: New summaries, by key and file.
        self._new: dict[tuple[str, Path], dict[int, Summary]] = {}
        self._lock = Lock()

    def read(self, group: Group) -> Read:
        """The rows of a group, or their summaries."""
        if is_set(self._stop):
            return Read([])
        if not self._is_summed or (place := self._place_of(group)) is None:
            return Read(self._rows(group))
        known = {key: each.of(*place) for key, each in self._summaries.items()}
        if not all(known.values()):
            rows = self._rows(group)
            known = {key: _summary_in(rows, key) for key in self._wanted.keys}
            if not all(known.values()):
                return Read(rows)
            self._note(place, known)
            if not self._is_thin:
                return Read(rows)
        first = Piece(self._scan, group.fragment, pa.table({NODE: group.nodes.slice(0, 1)}))
        names, _ = parts_of(self._scan, first, self._wanted.by)
        thin = {
            key: Thin(
                each, partial(self._loaded.get, (place, key), partial(self._chunk, group, key))
            )
            for key, each in known.items()
            if each is not None
        }
        return Read([], names[0], thin)

    def end(self) -> None:
        """Write the new summaries."""
        for (key, path), found in self._new.items():
            self._summaries[key].write(path, found)

    def _can_be_summed(self) -> bool:
        """Whether values and lines are those of the records, in groups of one node."""
        wanted, scan = self._wanted, self._scan
        own = set(keys_of(scan.record_columns))
        of_records = {*wanted.keys, wanted.x}
        return (
            wanted.x != INDEX
            and of_records.isdisjoint(scan.node_keys)
            and own.issuperset(of_records)
            and own.isdisjoint(wanted.by)
            and all(is_number(self._type(key)) for key in of_records)
        )

    def _type(self, key: str) -> pa.DataType:
        return self._scan.flat_kind(self._scan.flats[key].name).sealed_type

    def _place_of(self, group: Group) -> tuple[Path, int] | None:
        """The file and the number of a large group, all of one node, that is wholly read."""
        if group.rows < _LARGE_GROUP or not isinstance(group.fragment, Spans):
            return None
        found = group.fragment.whole_group(group.number)
        if found is None or not isinstance(found[0], ParquetFragment):
            return None
        is_one = self._scan.takes_all(group) and len(group.nodes) == 1
        return (found[0].path, found[1]) if is_one else None

    def _note(self, place: tuple[Path, int], found: dict[str, Summary | None]) -> None:
        path, number = place
        with self._lock:
            for key, each in found.items():
                if each is not None:
                    self._new.setdefault((key, path), {})[number] = each

    def _chunk(self, group: Group, key: str) -> Chunk:
        """All points of a group that has a summary."""
        rows = self._rows(group)
        x, y = (
            np.concatenate(each) for each in zip(*(_points(one, key) for one in rows), strict=True)
        )
        is_finite = np.isfinite(y)
        return Chunk(x[is_finite], y[is_finite], is_full=True)

    def _rows(self, group: Group) -> list[Values]:
        pieces = self._scan.read(group, self._columns)
        return [found for piece in pieces if (found := self._values(piece))]

    def _values(self, piece: Piece) -> Values | None:
        """The values of some rows; None if there are none."""
        wanted, scan = self._wanted, self._scan
        x = None if wanted.x == INDEX else numbers(scan, piece, wanted.x)
        if wanted.x != INDEX and x is None:
            return None
        values = {key: found for key in wanted.keys if (found := numbers(scan, piece, key))}
        return Values(*parts_of(scan, piece, wanted.by), x, values) if values else None


def _points(rows: Values, key: str) -> tuple[Any, Any]:
    """X and y of some rows, all of which have both."""
    return (rows.x.values if rows.x else np.empty(0)), rows.y[key].values


def _summary_in(rows: list[Values], key: str) -> Summary | None:
    """The summary of some rows of one line; None if some have no x or y."""
    if len(rows) != 1 or (one := rows[0]).x is None or key not in one.y:
        return None
    if one.x.has is not None or one.y[key].has is not None:
        return None
    return summary_of(*_points(one, key))


def require(stop: Event | None) -> None:
    """Raise if the browser has left.

    Raises:
        Cancelled: it has.
    """
    if is_set(stop):
        raise Cancelled


def require_drawable(lines: int) -> None:
    """Raise if there are more lines than can be distinguished, or be in memory.

    Raises:
        ArgumentError: there are.
    """
    if lines > _MOST_LINES:
        message = (
            f"more than {_MOST_LINES:,} lines in a chart: choose lines by a key with fewer values"
        )
        raise ArgumentError(message)


def is_set(stop: Event | None) -> bool:
    """Whether the browser has left."""
    return stop is not None and stop.is_set()


def parts_of(scan: Scan, piece: Piece, by: Sequence[str]) -> tuple[list[Name], Any]:
    """The values of keys of neighbouring rows that have the same ones, and the ends of these rows."""
    if not by:
        return [()], np.array([piece.rows])
    if any(piece.own(key) for key in by):
        return _neighbours(_flat(scan, piece, by), piece.rows)
    ends = values_of(piece.runs.run_ends).astype(np.int64)
    firsts = piece.taken(arrow_of(np.concatenate(([0], ends[:-1]))))
    names, places = _neighbours(_flat(scan, firsts, by), len(ends))
    return names, ends[places - 1]


def is_instant(scan: Scan, key: str) -> bool:
    """Whether the values of a key are points in time."""
    kind = flat_schema(scan).field(key).type
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _flat(scan: Scan, piece: Piece, keys: Sequence[str]) -> list[pa.Array]:
    return piece.flat([scan.flats[key] for key in keys])


def _comparable(column: pa.Array) -> pa.Array:
    """Values that Arrow can compare, which arrays are not: these are compared as text."""
    if not pa.types.is_nested(column.type):
        return column
    texts = [None if each is None else str(each) for each in column.to_pylist()]
    return pa.array(texts, pa.string())


def _neighbours(columns: Sequence[pa.Array], rows: int) -> tuple[list[Name], Any]:
    """The values of neighbouring rows that are equal, and the ends of these rows."""
    columns = [_comparable(each) for each in columns]
    changes = np.zeros(rows, bool)
    changes[0] = True
    for each in columns:
        codes = values_of(each.dictionary_encode("encode").indices)
        changes[1:] |= codes[1:] != codes[:-1]
    starts = np.flatnonzero(changes)
    values = (map(_name, each.take(arrow_of(starts)).to_pylist()) for each in columns)
    return list(zip(*values, strict=True)), np.append(starts[1:], rows)


def _name(value: Any) -> Any:
    """What is equal for equal values, also for NaN."""
    return np.nan if value != value else value  # noqa: PLR0124 - only NaN is not equal to itself


def numbers(scan: Scan, piece: Piece, key: str) -> Numbers | None:
    """The values of a key in the rows of a piece; None if there is no number."""
    (column,) = _flat(scan, piece, [key])
    kind = column.type
    is_known = is_number(kind) or is_time(kind) or pa.types.is_decimal(kind)
    if column.null_count == len(column) or not is_known:
        return None
    has = values_of(column.is_valid()) if column.null_count else None
    return Numbers(_floats(column), has)


def _floats(column: Any) -> Any:
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("s"))
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        column = column.cast(pa.int64())
        return values_of(column) / _per_second(kind.unit)
    if pa.types.is_boolean(kind) or pa.types.is_decimal(kind):
        column = column.cast(pa.float64() if pa.types.is_decimal(kind) else pa.int8())
    return values_of(column).astype("f8", copy=False)


def _per_second(unit: str) -> int:
    return {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]


def is_number(kind: Any) -> bool:
    """Whether values of an Arrow type are numbers."""
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


def is_time(kind: Any) -> bool:
    """Whether values of an Arrow type are times."""
    types = pa.types
    return bool(types.is_timestamp(kind) or types.is_duration(kind) or types.is_date(kind))
