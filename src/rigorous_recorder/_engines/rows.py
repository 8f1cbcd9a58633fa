"""Rows in Python: read-only dicts with the exact values that were logged."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import Any, Final, NamedTuple, NoReturn, TypeVar

from .._arrow import pa, pc
from .._live.column import Column
from .._nested import value_at
from .._public import public
from .._rows.implementation import Known, fresh, rows_of_node
from .._tree.columns import any_valid, keys_of, present_values_of, values_of
from .._tree.nodes import Nodes
from .._values.chunks import int64_array, int64_scalar
from .._values.kinds import BOOL, FLOAT, INT, NULL
from .._values.sparse import SparseKind, cells_among
from ..errors import ReadOnlyError
from .attempts import experiment_positions
from .piece import Piece
from .scan import Scan
from .snapshot import Snapshot

__all__ = [
    "DecodedRows",
    "Row",
    "all_rows",
    "decoded",
    "experiment_rows",
    "inherited_values",
    "mutable_keys",
    "numbers_at_once",
    "own_rows",
    "rows_at",
    "rows_from",
    "rows_of",
    "selected",
]

#: How many rows are decoded at a time if some values are not plain numbers.
_ROWS_AT_ONCE: Final = 8_192
#: Numbers are read directly from Arrow's memory, except in columns with missing values.
_NUMBERS_AT_ONCE: Final = 131_072
_NUMBERS: Final = {INT, FLOAT, BOOL, NULL}

_Dict = TypeVar("_Dict", bound=dict[str, Any])


@public
class Row(Known):
    """One record with its inherited attributes. Read-only; a missing key reads as None.

    A dict, list or array in it belongs to this row: changing it changes no other row.

    Otherwise it behaves like a dict: ``row.get(key, default)``, ``key in row`` and ``dict(row)``
    only consider keys that have a value.
    """

    __slots__ = ()

    def _refuse(self, *_args: Any, **_named: Any) -> NoReturn:
        message = "a row is read-only; change a copy: dict(row)"
        raise ReadOnlyError(message)

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __eq__(self, other: object) -> bool:
        """Whether it is a mapping with the same keys and equal values; arrays elementwise."""
        if not isinstance(other, dict):
            return NotImplemented
        # Not by dict: its comparison of arrays has no single truth value, or warns for empty ones.
        return len(self) == len(other) and all(
            key in other and _is_same(value, other[key]) for key, value in self.items()
        )

    def __ne__(self, other: object) -> bool:
        is_equal = self.__eq__(other)
        return is_equal if is_equal is NotImplemented else not is_equal

    __hash__ = None  # type: ignore[assignment]

    def copy(self) -> dict[str, Any]:
        """A mutable dict."""
        return dict(self)

    def with_fresh(self, keys: Iterable[str]) -> Row:
        """The same row with copies of some values, so that they can be changed."""
        return Row({**self, **{key: fresh(self[key]) for key in keys if key in self}})

    def __reduce__(self) -> tuple[type[Row], tuple[dict[str, Any]]]:
        return Row, (dict(self),)


def _is_same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    are_arrays = [hasattr(each, "__array_interface__") for each in (one, other)]
    if any(are_arrays):
        return all(are_arrays) and one.shape == other.shape and bool((one == other).all())
    return bool(one == other)


def mutable_keys(scan: Scan) -> tuple[str, ...]:
    """The keys of a scan under which rows can have a dict, a list or an array."""
    keys = _mutable([*scan.snapshot.nodes.columns, *scan.record_columns])
    return (*keys, *scan.selected_paths)


def _mutable(columns: Iterable[Column]) -> tuple[str, ...]:
    return tuple(keys_of(column for column in columns if column.kind.is_mutable))


def rows_of(piece: Piece, scan: Scan) -> Iterator[Row]:
    """The rows of a piece, in order; at most a few thousand are in memory."""
    return chain.from_iterable(_batches(piece, scan))


def all_rows(scan: Scan) -> Iterator[Row]:
    """All rows of a scan, in order; at most a few thousand are in memory."""
    return chain.from_iterable(rows for piece in scan.pieces() for rows in _batches(piece, scan))


def rows_from(scan: Scan, start: int) -> Iterator[Row]:
    """The rows of a scan from an index on, reading as little as possible before it."""
    for first, piece in scan.located(start):
        skip = max(0, start - first)
        yield from rows_of(piece.slice(skip, piece.rows), scan)


def own_rows(scan: Scan) -> Iterator[tuple[list[int], Iterator[Iterator[Row]]]]:
    """The rows of a scan in order, with their own values alone, and whose they are.

    Gives nodes, and for each of them rows that follow each other; at most a few thousand are in
    memory.
    """
    for piece in scan.pieces():
        rows = numbers_at_once(piece) or _ROWS_AT_ONCE
        for start in range(0, piece.rows, rows):
            part = piece.slice(start, rows)
            nodes: list[int] = part.runs.values.to_pylist()
            above: dict[int, dict[str, Any]] = {node: {} for node in nodes}
            yield nodes, DecodedRows(part, above, (), scan).runs()


def experiment_rows(snapshot: Snapshot) -> list[Row]:
    """One row for each experiment, in order of start, with own and inherited attributes."""
    return rows_at(snapshot, experiment_positions(snapshot.nodes))


def rows_at(snapshot: Snapshot, positions: pa.Array) -> list[Row]:
    """One row for each recorder at a position, with own and inherited attributes."""
    keys = snapshot.nodes.keys_above(positions)
    return list(_node_values(Row, snapshot.nodes, keys, positions))


def inherited_values(scan: Scan, node: int) -> dict[str, Any] | None:
    """What records of a node inherit; None if it is not in the snapshot."""
    nodes = scan.snapshot.nodes
    positions = nodes.positions(int64_array([node]))
    if positions.null_count:
        return None
    return next(_node_values(dict, nodes, scan.shown_node_keys, positions))


def _node_values(
    copy: Callable[[dict[str, Any]], _Dict], nodes: Nodes, keys: list[str], positions: pa.Array
) -> Iterator[_Dict]:
    """For each position the own and inherited values of the node, without missing ones."""
    if (few := nodes.few.at(positions)) is not None:
        mutable, order = set(_mutable(nodes.columns)), {key: at for at, key in enumerate(keys)}
        return (copy(_in_order(values, order, mutable)) for values in few)
    columns = tuple(_values_at(nodes, key, positions) for key in keys)
    return rows_of_node(copy, {}, tuple(keys), columns, 0, len(positions), True)


def _in_order(
    values: Mapping[str, Any], order: Mapping[str, int], mutable: Collection[str]
) -> dict[str, Any]:
    """The values of some keys in their order, with copies of mutable ones, which others inherit."""
    keys = sorted(values.keys() & order.keys(), key=order.__getitem__)
    return {key: fresh(values[key]) if key in mutable else values[key] for key in keys}


def _values_at(nodes: Nodes, key: str, positions: pa.Array) -> list[Any]:
    """The value of a key at each position; nodes that inherit it share one immutable object."""
    found, places = nodes.shared(key, positions)
    if any(column.kind.is_mutable for column in found):
        return values_of(nodes.resolved(key, positions), len(positions))
    values = values_of(found, len(next(iter(found.values()), ())))
    return [None if at is None else values[at] for at in places.to_pylist()]


def _batches(piece: Piece, scan: Scan) -> Iterator[Iterator[Row]]:
    if scan.selected_paths:
        for whole in _batches(piece, scan.of_roots):
            yield (selected(row, scan.keys) for row in whole)
        return
    above, mutable = _inherited(piece, scan), _mutable(scan.snapshot.nodes.columns)
    rows = numbers_at_once(piece) or _ROWS_AT_ONCE
    for start in range(0, piece.rows, rows):
        yield from DecodedRows(piece.slice(start, rows), above, mutable, scan).runs()


def decoded(piece: Piece, scan: Scan) -> DecodedRows:
    """The rows of a piece, of which each is made when it is accessed.

    Of paths in dicts they have the whole dicts.
    """
    scan = scan.of_roots if scan.selected_paths else scan
    return DecodedRows(piece, _inherited(piece, scan), _mutable(scan.snapshot.nodes.columns), scan)


def numbers_at_once(piece: Piece) -> int:
    """How many rows to decode together if all values are plain numbers; else 0."""
    columns = piece.columns
    if piece.sparse() or any(column.kind not in _NUMBERS for column in columns):
        return 0
    return max(1, _NUMBERS_AT_ONCE // max(1, len(columns)))


def selected(row: Row, keys: Iterable[str]) -> Row:
    """A row with only these keys, which can be paths in its dicts."""
    found = ((str(key), value_at(row, key)) for key in keys)
    return Row((key, value) for key, value in found if value is not None)


def _without(values: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in keys}


class _OwnValues(NamedTuple):
    """The records' own values of one key in a piece."""

    key: str
    values: Sequence[Any]
    #: How many records of each run have a value; None if all have.
    present: list[int] | None

    def has_gaps(self, run: int, rows: int) -> bool:
        """Whether any row of a run has no value."""
        return self.present is not None and self.present[run] < rows


class DecodedRows:
    """Some rows as columns: each row is made when it is accessed.

    Args:
        piece: the rows.
        above: for each of their nodes what they inherit.
        mutable: the keys with inherited values of which each row gets copies.
    """

    def __init__(
        self, piece: Piece, above: dict[int, dict[str, Any]], mutable: tuple[str, ...], scan: Scan
    ) -> None:
        runs = piece.runs
        self._nodes, self._ends = runs.values.to_pylist(), runs.run_ends.to_pylist()
        self._above, self._mutable = above, mutable
        self._places = scan.places_of_record_keys
        self._cells = _cells(piece, scan)
        own = piece.dense_keys() if self._cells else keys_of(piece.columns)
        shown = scan.record_keys_among(own)
        piece.unpack(shown)
        self._own = [each for key in shown if (each := _own_values(piece, key))]
        self._is_gapless = all(each.present is None for each in self._own)
        self._columns = _those(self._own)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @property
    def objects(self) -> int:
        """How many Python objects are held for them; numbers are in Arrow's memory."""
        own = sum(len(each.values) for each in self._own if isinstance(each.values, list))
        cells = sum(2 * len(each.values) for each in self._cells)
        return own + cells + sum(map(len, self._above.values()))

    def row(self, at: int) -> Row:
        """The row at a place; its own mutable values are those of all rows made for this place."""
        return next(iter(self._of_run(bisect_right(self._ends, at), at, at + 1)))

    def runs(self) -> Iterator[Iterator[Row]]:
        """The rows of each run of rows of a node."""
        for run, (start, stop) in enumerate(pairwise([0, *self._ends])):
            yield self._of_run(run, start, stop)

    def _of_run(self, run: int, start: int, stop: int) -> Iterator[Row]:
        """Rows of one run; none with values of sparse columns, which replace inherited ones, is reused."""
        has_gaps, (keys, columns) = bool(self._cells), self._columns
        if not self._is_gapless:
            rows = self._ends[run] - (self._ends[run - 1] if run else 0)
            some = [each for each in self._own if each.present is None or each.present[run]]
            has_gaps = has_gaps or any(each.has_gaps(run, rows) for each in some)
            keys, columns = _those(some)
        base = self._above[self._nodes[run]]
        mutable = self._mutable
        shared = tuple(key for key in mutable if key in base) if mutable else ()
        found = rows_of_node(Row, base, keys, columns, start, stop, has_gaps, shared)
        if not self._cells:
            return found
        return _with_cells(found, self._cells, start, base, self._places)


class _Cells(NamedTuple):
    """The records' own values in a sparse column of a piece.

    Attributes:
        ends: for each record where its values end.
        keys: the key of each value.
        values: the values.
    """

    ends: list[int]
    keys: list[str]
    values: Sequence[Any]


def _cells(piece: Piece, scan: Scan) -> list[_Cells]:
    """The values in all sparse columns of a piece: as many as were logged."""
    found = []
    for column, maps in piece.sparse().items():
        if isinstance(column.kind, SparseKind) and (kind := column.kind.kind) != NULL:
            cells = cells_among(maps, None if scan.scope.keys is None else scan.shown_record_keys)
            found.append(_Cells(cells.ends.to_pylist(), cells.keys, kind.values(cells.values)))
    return found


def _with_cells(
    rows: Iterable[Row],
    cells: list[_Cells],
    start: int,
    base: dict[str, Any],
    places: dict[str, int],
) -> Iterator[Row]:
    """Rows from a position on, with their values in sparse columns."""
    for at, row in enumerate(rows, start):
        for ends, keys, values in cells:
            first, stop = ends[at - 1] if at else 0, ends[at]
            dict.update(row, zip(keys[first:stop], values[first:stop], strict=True))
        yield _in_places(row, base, places)


def _in_places(row: Row, base: dict[str, Any], places: dict[str, int]) -> Row:
    """The row with its own keys in the order of the flat table, behind those that it inherits."""
    own = [key for key in row if key not in base]
    at = [places[key] for key in own]
    if at == sorted(at):
        return row
    own.sort(key=places.__getitem__)
    return Row({key: row[key] for key in (*base, *own)})


def _those(all_own: list[_OwnValues]) -> tuple[tuple[str, ...], tuple[Sequence[Any], ...]]:
    return tuple(each.key for each in all_own), tuple(each.values for each in all_own)


def _own_values(piece: Piece, key: str) -> _OwnValues | None:
    own = piece.own(key)
    if not own:
        return None
    count = sum(len(values) - values.null_count for values in own.values())
    if count == piece.rows:
        return _OwnValues(key, present_values_of(own, piece.rows), None)
    so_far = pc.cumulative_sum(any_valid(own, piece.rows).cast(pa.int64()))
    at_ends = so_far.take(
        pc.subtract(piece.runs.run_ends.cast(pa.int64()), int64_scalar(1))
    ).to_pylist()
    present = [last - first for first, last in pairwise([0, *at_ends])]
    return _OwnValues(key, values_of(own, piece.rows), present)


def _inherited(piece: Piece, scan: Scan) -> dict[int, dict[str, Any]]:
    """For each node of the piece, by id, its own and inherited values."""
    ids = pc.unique(piece.runs.values)
    positions = scan.snapshot.nodes.positions(ids)
    values = _node_values(dict, scan.snapshot.nodes, scan.shown_node_keys, positions)
    if lost := [key for key in scan.shown_node_keys if piece.is_lost(key)]:
        values = (_without(each, lost) for each in values)
    return dict(zip(ids.to_pylist(), values, strict=True))
