"""Rows by their index: those around one are decoded together, and held for the next accesses."""

from __future__ import annotations

from typing import Final, NamedTuple

from .piece import Piece
from .rows import DecodedRows, Row, decoded, mutable_keys, numbers_at_once, selected
from .scan import Scan
from .widths import BATCH_BYTES

__all__ = ["row_at"]

#: How many rows are decoded together, at most; and the first time, or in no order. Rows that are
#: accessed one after the other are decoded in larger and larger pages.
_PAGE: Final = 4_096
_FIRST_PAGE: Final = 64
_PAGE_GROWTH: Final = 8
#: Where a scan has the page that was used last.
_LAST: Final = "page"
#: About how many bytes a value has that is a Python object.
_OBJECT: Final = 64


class _Page(NamedTuple):
    """A range of rows of a scan that were decoded together.

    Attributes:
        first: the index of the first row.
        mutable: keys with mutable values of records, of which each returned row gets copies.
        keys: the keys to return, if some are paths in dicts.
    """

    first: int
    rows: DecodedRows
    mutable: tuple[str, ...]
    keys: tuple[str, ...]

    def has(self, index: int) -> bool:
        return 0 <= index - self.first < len(self.rows)

    def row(self, index: int) -> Row:
        row = self.rows.row(index - self.first)
        if self.keys:
            row = selected(row, self.keys)
        return row.with_fresh(self.mutable) if self.mutable else row


def row_at(scan: Scan, index: int) -> Row | None:
    """The row of a scan at an index from 0 on; None if there is none."""
    page: _Page | None = scan.cache.get(_LAST)  # read once: other threads replace it
    if page is None or not page.has(index):
        page = _page_with(scan, index, page)
        if page is None:
            return None
        scan.cache[_LAST] = page
    return page.row(index)


def _page_with(scan: Scan, index: int, before: _Page | None) -> _Page | None:
    """The page of rows with ``index``; None if there is no such row."""
    for first, piece in scan.located(index):
        rows = _page_rows(piece, scan, index, before)
        start = (index - first) // rows * rows
        key = scan.identity, first + start, rows
        page: _Page | None = scan.snapshot.recent.get(key)
        if page is None:
            part = piece.slice(start, rows)
            page = _decoded(scan, first + start, part)
            size = part.own_bytes + page.rows.objects * _OBJECT
            scan.snapshot.recent.put(key, page, size)
        return page
    return None


def _decoded(scan: Scan, first: int, piece: Piece) -> _Page:
    keys = tuple(scan.keys) if scan.selected_paths else ()
    return _Page(first, decoded(piece, scan), mutable_keys(scan), keys)


def _page_rows(piece: Piece, scan: Scan, index: int, before: _Page | None) -> int:
    """How many rows to decode together; fewer if they are large.

    Numbers are not decoded before they are accessed, so that a page can have many rows of them.
    """
    if before is None:
        most = _FIRST_PAGE
    elif numbers := numbers_at_once(piece):
        return numbers
    elif index in {before.first - 1, before.first + len(before.rows)}:
        most = min(_PAGE, _PAGE_GROWTH * len(before.rows))
    else:
        most = _FIRST_PAGE
    own, nodes = piece.own_bytes // max(1, piece.rows), scan.snapshot.nodes
    copied = sum(nodes.widest(key) for key in mutable_keys(scan) if key in scan.shown_node_keys)
    return max(1, min(most, _PAGE, BATCH_BYTES // max(1, own + copied)))
