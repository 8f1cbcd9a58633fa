"""A page of the flat table: its first and last rows, read without reading what is between."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from .._engines.scan import Moment, Piece, Scan
from .._live.column import Key
from .._store.store import Snapshot
from .._tree import keys_of, values_of
from .._values.kinds import Kind
from .._values.promote import meet
from .table import without_middle

__all__ = ["Page", "columns_of_scan", "page_of"]

#: Rows shown at each end, and the columns of which values are read at all.
_END: Final = 5
_MOST_COLUMNS: Final = 40
#: Up to so many values, all are read to find out which columns the rows of a scope have.
_FEW_VALUES: Final = 2_000_000

_Rows = list[list[Any]]


class Page(NamedTuple):
    """The ends of a flat table: how many rows, the kinds of all columns, the keys of those read."""

    total: int
    kinds: dict[str, Kind]
    keys: list[str]
    first: _Rows
    last: _Rows


def page_of(scan: Scan) -> Page:
    """The first and the last rows of what a scan reads."""
    kinds = columns_of_scan(scan)
    names = list(kinds)
    keys = [names[at] for at in without_middle(names, _MOST_COLUMNS)]
    total = scan.row_count()
    if total <= 2 * _END:
        return Page(total, kinds, keys, _first(scan, keys, 2 * _END), [])
    return Page(total, kinds, keys, _first(scan, keys, _END), _last(scan, keys, _END))


def columns_of_scan(scan: Scan) -> dict[str, Kind]:
    """The columns of the flat table with their kinds.

    Which ones the rows below one recorder have is known when all were read. Where these are many
    it is those of the first of them, each with the kind that it has in the whole collection.
    """
    rows = sum(fragment.rows for fragment in scan.moment.snapshot.records)
    columns = scan.moment.record_columns
    if scan.node_ids is None or rows * len(columns) <= _FEW_VALUES:
        return scan.flat_kinds
    piece = next(scan.pieces(keys_of(columns)), None)
    used = keys_of(piece.columns_in_use()) if piece else []
    kinds: dict[Key, set[Kind]] = {key: set() for key in [*scan.node_keys, *used]}
    for column in columns:
        kinds.get(column.key, set()).add(column.kind)
    for key in scan.node_keys:
        kinds[key] |= scan.moment.nodes.kinds(key, scan.node_positions)
    return {str(key): meet(found) for key, found in kinds.items()}


def _first(scan: Scan, keys: Sequence[str], most: int) -> _Rows:
    found: _Rows = []
    for piece in scan.pieces(keys):
        found += _values(piece.slice(0, most - len(found)), keys)
        if len(found) == most:
            break
    return found


def _last(scan: Scan, keys: Sequence[str], most: int) -> _Rows:
    found: _Rows = []
    for part in _from_the_end(scan):
        ends: deque[Piece] = deque(maxlen=most)
        for piece in part.pieces(keys):
            ends.append(piece.slice(max(0, piece.rows - most), most))
        here = [row for piece in ends for row in _values(piece, keys)]
        found = [*here, *found][-most:]
        if len(found) == most:
            break
    return found


def _from_the_end(scan: Scan) -> Iterator[Scan]:
    """Scans of some fragments each, from the last on: of one, of two before it, of four, ..."""
    snapshot, nodes = scan.moment
    end, some = len(snapshot.records), 1
    while end > 0:
        start = max(0, end - some)
        part = Snapshot(snapshot.records[start:end], snapshot.nodes)
        yield Scan(Moment(part, nodes), scan.scope, scan.conditions)
        end, some = start, 2 * some


def _values(piece: Piece, keys: Sequence[str]) -> _Rows:
    """The rows of a piece as lists of their values under these keys, None where there is none."""
    columns = [values_of(piece.variants(key), piece.rows) for key in keys]
    return [list(row) for row in zip(*columns, strict=True)] if keys else [[]] * piece.rows
