"""Segments: a live table's image with its buffers, which is written to and read as Arrow."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, Final, NamedTuple

from .._arrow import pa
from .._once import once
from .._values.foreign import CONVERTERS
from .._values.kinds import Kind
from .._values.sparse import SparseKind
from .backend import Lease
from .backing import Image
from .batches import arrow_of
from .cells import DenseCells, PackedCells, piece_of
from .column import TIME, Column
from .device_values import Cells, PendingValues, warn_lost
from .implementation import Buffers, Slot
from .layout import Blank, Buffer, Layout, PackBuffers, map_of
from .probe_block import fill_count_in
from .row_cells import RowCells

__all__ = ["UNNUMBERED", "Segment", "SegmentStateError", "SyncedState"]

#: The number of a spare segment.
UNNUMBERED: Final = -1


class SyncedState(NamedTuple):
    """The part of a segment that survives a power loss.

    Attributes:
        version: the version of the segment when it was synced.
        rows: the number of rows, with all of their values.
    """

    version: tuple[int, int, int]
    rows: int


#: The state of a segment that was never synced.
_NOTHING_SYNCED: Final = SyncedState((UNNUMBERED, 0, 0), 0)


class _State(Enum):
    """The life cycle of a segment.

    A spare segment gets a number, and rows until it is full, or it moves to a larger image. A full
    one is sealed. One without rows can be withdrawn.
    """

    SPARE = "has no number yet"
    FILLING = "is being filled"
    FULL = "is full"
    MOVED = "has moved to another image"
    SEALED = "is sealed"
    WITHDRAWN = "was withdrawn"


class SegmentStateError(RuntimeError):
    """An operation is not allowed in the state of a segment."""


class Segment:
    """The rows of a live table from its start until it is sealed.

    The state changes in a single, final step: an asynchronous exception, such as Ctrl-C, leaves it as
    it was, and it can be read without a lock.
    """

    def __init__(self, layout: Layout, lease: Lease, make: Callable[[Blank], Image]) -> None:
        self._state = _State.SPARE
        self._number = UNNUMBERED
        self._synced: SyncedState | None = None
        #: The name that its rows are logged under.
        self.lease = lease
        #: The number for rows that others did not seal when they presumed the writer dead.
        self.rest_number: int | None = None
        self.layout = layout
        self.image = make(layout.blank())
        self._map = map_of(pa.py_buffer(self.image.view), layout.columns)
        self._node = self._map.node
        self._fill_count = fill_count_in(self.image.view)
        self.pending = PendingValues()
        self._resolved = 0
        self._heir: Segment | None = None
        self._stale: list[int] = []  # the first rows of cells that were written after a flush
        self._flushed = 0
        self._flushed_spill: dict[Column, tuple[int, ...]] = {}
        self._dense: dict[Column, DenseCells] = {}
        self._packed: dict[Column, PackedCells] = {}
        self._by_kind: dict[Kind, PackedCells] = {}
        self._targets: dict[Column, Slot] = {}
        self._map_cells()
        self.buffers = self._buffers()

    def begin(self, number: int) -> None:
        """Start being filled, under a number that no other rows have."""
        self._require(_State.SPARE)
        self._number, self._state = number, _State.FILLING

    def copy_to(self, new: Segment) -> None:
        """Let a spare segment, which has all columns of this one, start with a copy of its rows."""
        self._require(_State.FILLING)
        new.begin(self._number)
        if self.pending:
            self._heir = new  # before the cells are copied: see resolve_pending
        new._copy_from(self)

    def mark_moved(self) -> None:
        """Accept no more rows: they go to the segment that this one was copied to."""
        self._enter(_State.MOVED, _State.FILLING)

    def finish(self) -> None:
        """Accept no more rows, and wait for sealing."""
        self._enter(_State.FULL, _State.FILLING)

    def mark_sealed(self) -> None:
        """Record that the rows are in a sealed file."""
        self._enter(_State.SEALED, _State.FULL)

    def mark_withdrawn(self) -> None:
        """Accept no rows at all: another segment has the number."""
        if self.rows:
            message = f"segment {self.number} has {self.rows} rows, and can't be withdrawn"
            raise SegmentStateError(message)
        self._enter(_State.WITHDRAWN, _State.FILLING)

    def begin_sync(self) -> SyncedState:
        """The state that is reached once everything written so far is synced.

        Called before flushing: values that are fetched from a device later are not included. Moving the
        segment meanwhile requires syncing the one that it moves to.
        """
        self._synced = self._synced or _NOTHING_SYNCED
        return SyncedState(self.version, self.whole_rows)

    def mark_synced(self, synced: SyncedState) -> None:
        """Record what survives a power loss; without effect if everything was sealed meanwhile."""
        self._require(_State.FILLING, _State.FULL, _State.SEALED)
        self._synced = synced

    def _enter(self, state: _State, before: _State) -> None:
        self._require(before)
        self._state = state

    def _require(self, *states: _State) -> None:
        if self._state not in states:
            needed = " or ".join(f"one that {state.value}" for state in states)
            message = f"segment {self.number} {self._state.value}; this needs {needed}"
            raise SegmentStateError(message)

    @property
    def number(self) -> int:
        """The number of the segment in its table; negative before it has one."""
        return self._number

    @property
    def synced(self) -> SyncedState | None:
        """What survives a power loss; None if it was never synced."""
        return self._synced

    @property
    def is_filling(self) -> bool:
        """Whether rows are added to it."""
        return self._state is _State.FILLING

    @property
    def is_full(self) -> bool:
        """Whether it waits for sealing."""
        return self._state is _State.FULL

    @property
    def rows(self) -> int:
        """The number of written rows."""
        return self.buffers.rows

    @property
    def loose_rows(self) -> int:
        """The number of rows that are in no file that readers find."""
        if not self.image.is_persistent:
            return self.rows
        return 0 if self.image.is_mapped else self.rows - min([self._flushed, *self._stale])

    @property
    def whole_rows(self) -> int:
        """The number of rows before the first with a pending device value."""
        return self.pending.first_row(self.rows)

    @property
    def has_pending(self) -> bool:
        """Whether any row has a pending device value."""
        return bool(self.pending) and self.whole_rows < self.rows

    @property
    def version(self) -> tuple[int, int, int]:
        """Changes with every write."""
        return self.number, self.rows, self._resolved

    @property
    def size(self) -> int:
        """The size of the image in bytes."""
        return len(self.image.view)

    def target(self, column: Column) -> Slot:
        """The cells of a column that it has."""
        found = self._target(column)
        if found is None:
            raise KeyError(column)
        return found

    @once
    def row_cells(self) -> RowCells:
        """The cells of single rows, to read those that are written."""
        return RowCells(self.image.view, self._map, self.layout.capacity)

    def has(self, column: Column) -> bool:
        """Whether values of a column have a place: of their own, or in a sparse column."""
        return self._target(column) is not None

    def has_own(self, column: Column) -> bool:
        """Whether a column has cells of its own."""
        return column in self._dense

    def _target(self, column: Column) -> Slot | None:
        if (own := self._targets.get(column)) is not None:
            return own
        packed = self._by_kind.get(column.kind)
        if packed is None or not isinstance(column.key, str):
            return None
        return packed.pack.known.get(column.key)

    @property
    def sparse_keys(self) -> int:
        """The number of keys without cells of their own, of one kind at most."""
        return max((len(cells.pack.known) for cells in self._packed.values()), default=0)

    def accept_new_keys(self, reserved: frozenset[str], most: int) -> None:
        """Let values under new keys go to the sparse column of their kind, if it is there.

        Args:
            reserved: keys for which it may not.
            most: the number of keys of a kind.
        """
        packs = {
            exact: cells.pack for kind, cells in self._by_kind.items() for exact in kind.fast_types
        }
        if packs:
            self.buffers.accept(packs, reserved, most)

    def add_sparse(self, column: Column) -> bool:
        """Give values of a column a place in the sparse column of their kind, which is there.

        Returns:
            False if there is no room for the text of the key.
        """
        assert isinstance(column.key, str)
        slot = self._by_kind[column.kind].pack.slot(column.key)
        if slot is None:
            return False
        for kind in column.kind.fast_types:
            self.buffers.add(column.key, kind, slot)
        return True

    def sparse_counts(self) -> dict[Column, int]:
        """About how many rows have a value in each column without cells of its own."""
        return {
            Column(key, kind): count
            for kind, cells in self._by_kind.items()
            for key, count in cells.counts().items()
        }

    def dense_counts(self) -> dict[Column, int]:
        """How many rows have a value in each column with cells of its own."""
        return {column: cells.count(self.rows) for column, cells in self._dense.items()}

    def cells(self, rows: int) -> int:
        """The most cells of a sparse column that the first rows have."""
        return max((each.cells(rows) for each in self._packed.values()), default=0)

    def fill(self, nodes: pa.Array, columns: Mapping[Column, pa.Array]) -> int:
        """Append rows from columns of the sealed types.

        Returns:
            0, or the bytes of long text that there is no room for; then nothing was added.
        """
        rows = self.rows
        try:
            for column, values in columns.items():
                if missing := self._fill(column, rows, values):
                    self._forget_from(rows)
                    return missing
            for packed in self._packed.values():
                packed.pack.skip(rows, len(nodes))
            ids = memoryview(nodes.buffers()[1]).cast("B")[8 * nodes.offset :]
            self.buffers.add_rows(ids[: 8 * len(nodes)])
        except BaseException:
            if self.rows == rows:
                self._forget_from(rows)
            raise
        return 0

    def _fill(self, column: Column, row: int, values: pa.Array) -> int:
        raw = column.kind.live(values)
        views = [None if b is None else memoryview(b).cast("B") for b in (*raw.buffers, None)]
        validity, found, data = views[:3]
        buffers = (validity, found or memoryview(b""), data)
        return self._targets[column].fill(row, len(values), raw.offset, buffers)

    def _forget_from(self, row: int) -> None:
        """Reset the validity bits of rows that were not finished."""
        for cells in self._dense.values():
            cells.forget_from(row)

    def _copy_from(self, old: Segment) -> None:
        rows = old.rows
        self.pending = old.pending.below(rows)
        for column, cells in old._dense.items():
            self._dense[column].copy_from(cells, rows)
        for column, packed in old._packed.items():
            self._packed[column].copy_from(packed, rows)
        for kind, packed in self._by_kind.items():
            for key, slot in packed.pack.known.items():
                for exact in kind.fast_types:
                    self.buffers.add(key, exact, slot)
        start = old._node.start
        self.buffers.add_rows(old.image.view[start : start + 8 * rows])

    def resolve_pending(self) -> None:
        """Fetch pending device values, many at once, into their cells.

        It takes time, so call it without the table's lock. It holds no lock, so only the caller waits
        for it; a concurrent call, from a signal handler or another thread, fetches the same values
        again and writes the same cells.
        """
        if pending := self.pending.below(self.rows):
            self._resolve(pending)

    def _resolve(self, pending: PendingValues) -> None:
        found, lost = pending.fetch()
        # A segment that replaces this one meanwhile copies its cells before or after this.
        line: list[Segment] = []
        each: Segment | None = self
        while each is not None:
            each._put(found)
            line.append(each)
            each = each._heir
        for each in line:
            each.pending.drop(pending)
        if lost:
            warn_lost(lost)

    def _put(self, found: Cells) -> None:
        for column, cells in found.items():
            put, encode = self._targets[column].put, column.kind.encode
            for row, value in cells:
                put(row, encode(value))
        if found and not self.image.is_mapped:
            self._stale.append(min(row for cells in found.values() for row, _ in cells))
        self._resolved += (
            1  # last: readers of the counter flush them, and those of files read again
        )
        start, stop = self._fill_count
        self.image.view[start:stop] = self._resolved.to_bytes(stop - start, "little")

    def flush(self) -> None:
        """Pass the rows written since the last flush to the operating system."""
        rows, stale = self.rows, self._stale[:]
        first = min([self._flushed, *stale])
        if rows == first or self.image.is_mapped:
            return
        used: dict[Column, tuple[int, ...]] = {}
        ranges: list[tuple[int, int]] = []
        for column, cells in self._cells:
            used[column] = cells.spilled()
            ranges += cells.written(first, rows, self._flushed_spill.get(column, ()))
        start = self._node.start
        ranges += [(start + 8 * first, start + 8 * rows), self._fill_count]
        self.image.flush(ranges)
        self._flushed, self._flushed_spill = rows, used
        del self._stale[: len(stale)]

    def start_sync(self) -> Callable[[], None]:
        """Flush, and return a function to call without locks to make the rows survive a power loss."""
        self.flush()
        return self.image.syncing()

    def sync(self) -> None:
        """Block until all rows survive a power loss."""
        synced = self.begin_sync()
        self.start_sync()()
        self.mark_synced(synced)

    def columns_in_use(self) -> tuple[Column, ...]:
        """The columns in which any row has a value, including pending ones."""
        pending = self.pending.columns()
        return tuple(
            column
            for column, cells in self._cells
            if column in pending or cells.has_values(self.rows)
        )

    def batch(self, *, copy: bool) -> pa.RecordBatch:
        """The rows as Arrow with sealed types, without columns that are all null.

        ``copy=False`` shares the image's memory: for segments that accept no more rows.
        """
        view = self.image.view
        used = {
            place.start: size
            for column, cells in self._cells
            for place, size in zip(cells.spills, cells.spilled(), strict=True)
        }

        def take(buffer: Buffer, size: int) -> pa.Buffer:
            size = min(size, buffer.size, used.get(buffer.start, size))
            piece = view[buffer.start : buffer.start + size]
            return pa.py_buffer(bytes(piece) if copy else piece)

        return arrow_of(self._map, self.rows, take, self.layout.metadata)

    @property
    def _cells(self) -> Iterable[tuple[Column, DenseCells | PackedCells]]:
        return itertools.chain(self._dense.items(), self._packed.items())

    def _map_cells(self) -> None:
        view = self.image.view
        for column, places in self._map.columns.items():
            kind = column.kind
            if isinstance(places, PackBuffers):
                assert isinstance(kind, SparseKind)
                self._packed[column] = PackedCells(view, kind, places)
                self._by_kind[kind.kind] = self._packed[column]
            else:
                self._dense[column] = DenseCells(view, kind, places, self.layout.capacity)

    def _buffers(self) -> Buffers:
        self._targets = {column: cells.slot for column, cells in self._dense.items()}
        direct: dict[Any, dict[type, Slot]] = {}
        for column, slot in self._targets.items():
            # Times that the library writes itself are passed as the numbers in their cells.
            exact = (int,) if column.key is TIME else column.kind.fast_types
            for kind in exact:
                direct.setdefault(column.key, {}).setdefault(kind, slot)
        packs = tuple(cells.pack for cells in self._packed.values())
        return Buffers(piece_of(self.image.view, self._node), direct, CONVERTERS, packs)
