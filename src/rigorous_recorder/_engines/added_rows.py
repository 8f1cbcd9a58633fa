"""Rows that this process has added since a snapshot, read one by one from its live table."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any

from .._live.column import META
from .._live.row_cells import LiveRow, RowCells
from .._live.table_writer import LiveCells, TableWriter
from .._store.fragments import InMemoryFragment
from .rows import Row, inherited_values, mutable_keys
from .scan import Scan

__all__ = ["AddedRows", "added_rows"]


class AddedRows:
    """The rows of a scan without conditions that were added since, as long as nothing else changes.

    Args:
        scan: the scan of the snapshot.
        table: the table of records.
        number: that of its segment.
        before: how many rows of the segment are in the snapshot.

    Attributes:
        start: the index of the first added row.
    """

    def __init__(
        self, scan: Scan, table: TableWriter, number: int, before: int, start: int
    ) -> None:
        self.start = start
        self._scan = scan
        self._table = table
        self._number = number
        self._before = before
        self._nodes = None if scan.node_ids is None else {*scan.node_ids.to_pylist()}
        order = {key: at for at, key in enumerate(scan.shown_record_keys)}
        self._order = {column: order[str(column.key)] for column in scan.record_columns}
        self._mutable = mutable_keys(scan)
        self._inherited: dict[int, dict[str, Any] | None] = {}
        #: Those of the scope, by place in the segment, and how many rows of it were looked at.
        self._places: list[int] = []
        self._seen = before
        self._looking = threading.Lock()

    def places(self, rows: int) -> Sequence[int] | None:
        """Which of the first rows of the segment they are; None if that can't be known now."""
        if self._nodes is None:
            return range(self._before, rows)
        if (cells := self._cells()) is None or not self._looking.acquire(blocking=False):
            return None
        try:
            nodes = cells.nodes
            self._places += [at for at in range(self._seen, rows) if nodes[at] in self._nodes]
            self._seen = max(self._seen, rows)
        finally:
            self._looking.release()
        return self._places

    def row(self, place: int) -> Row | None:
        """The row at a place in the segment; None if it can't be read alone."""
        cells = self._cells()
        return None if cells is None else self._joined(cells.row(place))

    def _cells(self) -> RowCells | None:
        found = self._table.live_cells()
        return found.cells if found is not None and found.number == self._number else None

    def _joined(self, row: LiveRow) -> Row | None:
        if row.node not in self._inherited:
            self._inherited[row.node] = inherited_values(self._scan, row.node)
        above = self._inherited[row.node]
        if above is None or not self._order.keys() >= row.values.keys():
            return None
        columns = sorted(row.values, key=self._order.__getitem__)
        own = {str(column.key): row.values[column] for column in columns}
        return (
            Row({**above, **own}).with_fresh(self._mutable) if self._mutable else Row(above | own)
        )


def added_rows(scan: Scan, table: TableWriter, rows: int) -> AddedRows | None:
    """The rows that were added since a scan of all records of its scope; None if they can't be read.

    Args:
        table: the table of records.
        rows: how many rows of its current segment at least are in the snapshot.
    """
    cells = table.live_cells()
    if cells is None or scan.snapshot.nodes.deleted is not None:
        return None
    fragments = scan.snapshot.fragments.records
    for place, fragment in enumerate(fragments):
        if isinstance(fragment, InMemoryFragment) and _is_of(fragment, cells):
            if fragment.rows < rows:  # others have sealed the first ones
                return None
            before = {id(each) for each in fragments[: place + 1]}
            groups = sum(id(group.fragment) in before for group in scan.groups)
            return AddedRows(scan, table, cells.number, fragment.rows, scan.starts[groups])
    return None


def _is_of(fragment: InMemoryFragment, cells: LiveCells) -> bool:
    metadata = json.loads(cells.metadata[META])
    return fragment.origin[1:] == (metadata.get("writer", ""), cells.number)
