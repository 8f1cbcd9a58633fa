"""Rows in Python: read-only dicts with the exact values that were logged."""

from __future__ import annotations

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
    "Row",
    "all_rows",
    "experiment_rows",
    "inherited_values",
    "mutable_keys",
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
    if lost := [key for key in scan.shown_node_keys if piece.is_lost(key)]:
        above = {node: _without(values, lost) for node, values in above.items()}
    rows, sparse, columns = _ROWS_AT_ONCE, piece.sparse(), piece.columns
    if not sparse and all(column.kind in _NUMBERS for column in columns):
        rows = max(1, _NUMBERS_AT_ONCE // max(1, len(columns)))
    for start in range(0, piece.rows, rows):
        yield from _rows(piece.slice(start, rows), above, mutable, scan)


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


def _rows(
    piece: Piece, above: dict[int, dict[str, Any]], mutable: tuple[str, ...], scan: Scan
) -> Iterator[Iterator[Row]]:
    runs = piece.runs
    nodes, ends = runs.values.to_pylist(), runs.run_ends.to_pylist()
    shown, cells = scan.record_keys_of(piece), _cells(piece, scan)
    if cells:
        dense = piece.dense_keys()
        shown = [key for key in shown if key in dense]
    all_own = [each for key in shown if (each := _own_values(piece, key))]
    is_gapless = all(each.present is None for each in all_own)
    keys, columns = _those(all_own)
    for run, (start, stop) in enumerate(pairwise([0, *ends])):
        has_gaps = bool(cells)  # a row with them is never reused: they may replace inherited values
        if not is_gapless:
            some = [each for each in all_own if each.present is None or each.present[run]]
            has_gaps = has_gaps or any(each.has_gaps(run, stop - start) for each in some)
            keys, columns = _those(some)
        base = above[nodes[run]]
        shared = tuple(key for key in mutable if key in base) if mutable else ()
        found = rows_of_node(Row, base, keys, columns, start, stop, has_gaps, shared)
        yield _with_cells(found, cells, start) if cells else found


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


def _with_cells(rows: Iterable[Row], cells: list[_Cells], start: int) -> Iterator[Row]:
    """Rows from a position on, with their values in sparse columns."""
    for at, row in enumerate(rows, start):
        for ends, keys, values in cells:
            first, stop = ends[at - 1] if at else 0, ends[at]
            dict.update(row, zip(keys[first:stop], values[first:stop], strict=True))
        yield row


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
    return dict(zip(ids.to_pylist(), values, strict=True))
