"""A preview of the flat table: its first and last rows, without reading what is between."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from .._engines.mixed import Flat
from .._engines.piece import Piece
from .._engines.scan import Scan
from .._engines.snapshot import Snapshot
from .._live.column import Key
from .._store.reader import StoreSnapshot
from .._tree.columns import ColumnsByKind, keys_of, values_of
from .._values.kinds import Kind
from .._values.promote import meet
from .table import without_middle

__all__ = ["Preview", "columns_of_scan", "preview_of"]

#: Rows at each end, and the maximum number of inherited and of own columns to read.
_END: Final = 5
_MOST_COLUMNS: Final = 40
#: Up to this many values, all are read to determine the columns of a scope.
_FEW_VALUES: Final = 2_000_000

_TableRows = list[list[Any]]


class Preview(NamedTuple):
    """The ends of a flat table: the number of rows, all columns' kinds, and the names of those read."""

    total: int
    kinds: dict[str, Kind]
    names: list[str]
    first: _TableRows
    last: _TableRows


def preview_of(scan: Scan) -> Preview:
    """The first and last rows of a scan."""
    kinds = columns_of_scan(scan)
    own = {column.key for column in scan.record_columns}
    read = [
        *_some([flat for flat in kinds if flat.key not in own]),
        *_some([flat for flat in kinds if flat.key in own]),
    ]
    by_name = {flat.name: kind for flat, kind in kinds.items()}
    names = [flat.name for flat in read]
    total = scan.row_count()
    if total <= 2 * _END:
        return Preview(total, by_name, names, _first(scan, read, 2 * _END), [])
    return Preview(total, by_name, names, _first(scan, read, _END), _last(scan, read, _END))


def _some(flats: list[Flat]) -> list[Flat]:
    return [flats[at] for at in without_middle([flat.name for flat in flats], _MOST_COLUMNS)]


def columns_of_scan(scan: Scan) -> dict[Flat, Kind]:
    """The columns of the flat table with their kinds.

    The columns of the rows below one recorder are known only after reading all of them. If there
    are many, only the first rows are read, and kinds are those of the whole collection.
    """
    rows = sum(fragment.rows for fragment in scan.snapshot.fragments.records)
    columns = scan.snapshot.record_columns
    if scan.node_ids is None or rows * len(columns) <= _FEW_VALUES:
        return {flat: scan.flat_kind(flat.name) for flat in scan.flats.values()}
    piece = next(scan.pieces(keys_of(columns)), None)
    used = keys_of(piece.columns_in_use()) if piece else []
    kinds: dict[Key, set[Kind]] = {key: set() for key in [*scan.shown_node_keys, *used]}
    for column in columns:
        kinds.get(column.key, set()).add(column.kind)
    for key in scan.shown_node_keys:
        kinds[key] |= scan.snapshot.nodes.kinds(key, scan.node_positions)
    return {
        flat: meet(filter(flat.takes, kinds[key]))
        for key in kinds
        for flat in scan.snapshot.mixed.flats_of(str(key), kinds[key])
    }


def _keys(flats: Sequence[Flat]) -> list[str]:
    return list(dict.fromkeys(flat.key for flat in flats))


def _first(scan: Scan, flats: Sequence[Flat], most: int) -> _TableRows:
    found: _TableRows = []
    for piece in scan.pieces(_keys(flats)):
        found += _values(piece.slice(0, most - len(found)), flats)
        if len(found) == most:
            break
    return found


def _last(scan: Scan, flats: Sequence[Flat], most: int) -> _TableRows:
    found: _TableRows = []
    for part in _from_the_end(scan):
        ends: deque[Piece] = deque(maxlen=most)
        for piece in part.pieces(_keys(flats)):
            ends.append(piece.slice(max(0, piece.rows - most), most))
        here = [row for piece in ends for row in _values(piece, flats)]
        found = [*here, *found][-most:]
        if len(found) == most:
            break
    return found


def _from_the_end(scan: Scan) -> Iterator[Scan]:
    """Scans of groups of fragments, from the last on: one, the two before, four, ..."""
    fragments, nodes = scan.snapshot.fragments, scan.snapshot.nodes
    end, some = len(fragments.records), 1
    while end > 0:
        start = max(0, end - some)
        part = StoreSnapshot(fragments.records[start:end], fragments.nodes)
        snapshot = Snapshot(part, nodes, whole=scan.snapshot.whole)
        yield Scan(snapshot, scan.scope, scan.conditions)
        end, some = start, 2 * some


def _values(piece: Piece, flats: Sequence[Flat]) -> _TableRows:
    """The rows of a piece as lists of values, None if missing."""
    found = {key: piece.by_kind(key) for key in _keys(flats)}
    columns = [values_of(_those(found[flat.key], flat), piece.rows) for flat in flats]
    return [list(row) for row in zip(*columns, strict=True)] if flats else [[]] * piece.rows


def _those(by_kind: ColumnsByKind, flat: Flat) -> ColumnsByKind:
    return {column: values for column, values in by_kind.items() if flat.takes(column.kind)}
