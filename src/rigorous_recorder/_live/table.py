"""A live table: rows are added to one image, which widens, grows, and finally is full."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from .._arrow import pa, pc
from .._values.arrays import ArrayKind, ListKind
from .._values.devices.libraries import fetch_each
from .._values.devices.values import DeviceValue, Unavailable
from .backend import Lease, attempt
from .batches import sealed_batch
from .column import SPARSE_COLUMNS, Column, InternalKey
from .device_values import Cells, Row, warn_lost
from .fields import Described
from .implementation import NO_CELLS, FastPath
from .layout import Layout, cell_width, row_width
from .segment import Segment
from .segments import Segments
from .split import MOST_COUNTED, MOST_DENSE, KeyCount, Split, is_wasteful, recounted, split_new

__all__ = ["LiveTable"]

#: A live table starts with this many rows, cells of a sparse column, and bytes of long text, grows by
#: copying, and is sealed at this many rows or bytes. Only a small one is copied for a new column.
FIRST_ROWS: Final = 1024
FIRST_CELLS: Final = 1024
MOST_ROWS: Final = 262_144
FIRST_SPILL: Final = 64 * 1024
MOST_BYTES: Final = 32 * 1024 * 1024
WIDEN_BYTES: Final = 16 * 1024 * 1024
GROWTH: Final = 16
#: Room for this many times the cells that as many rows had before.
CELLS_MARGIN: Final = 1.25
#: A segment has up to about this many sparse keys.
MOST_KEYS: Final = 65_536
#: More rows than this with lists, which live tables store as text, are sealed directly.
MOST_LISTS: Final = 4_096
#: From this many pending device values on, they are fetched on another thread; from this many on, on
#: the caller's.
MANY_PENDING: Final = 1024
MOST_PENDING: Final = 16_384


class Room(NamedTuple):
    """The room of an image: rows, bytes of each column's long text, cells of each sparse column."""

    rows: int
    spill: int
    cells: int


class LiveTable:
    """The rows that are added to a table.

    The segment widens for a new column and grows for more rows; if it is too large for that, it counts
    as full, and another one is filled. Each method is one change, made by ``Exclusive``; in between,
    rows that fit are written through the fast path.
    """

    def __init__(
        self,
        segments: Segments,
        fast_path: FastPath,
        check_new: Callable[[Sequence[Column]], None] | None = None,
        reserved: frozenset[str] = frozenset(),
    ) -> None:
        self._segments = segments
        self._reserved = reserved
        self._backend = segments.backend
        self._name = segments.name
        self.fast_path = fast_path
        self._check_new = check_new
        #: The segment that is about to be filled.
        self._next: Segment | None = None
        #: The pending values of a row that may not be written yet.
        self._promised: Segment | None = None
        self._columns: tuple[Column, ...] = ()
        self._keys = KeyCount()
        #: Whether keys may be sparse, as far as it is known.
        self._is_sparse = False
        #: Recently matched columns: rows from the same place in a program have the same ones.
        self._fitting_columns: tuple[Segment | None, list[Column]] = None, []
        self._room = Room(FIRST_ROWS, FIRST_SPILL, FIRST_CELLS)
        #: Whether the interpreter exits: then each row is flushed.
        self.is_ending = False

    def close_fast_path(self) -> None:
        """Allow rows to be written only in changes, until after the next change."""
        self.fast_path.buffers = None

    def reopen_fast_path(self) -> None:
        """Allow rows to be written outside changes, unless an exception left one incomplete."""
        live = self._segments.live
        is_done = self._next is None and self._promised is None and not self.is_ending
        if live is not None and is_done:
            self.fast_path.buffers = live.buffers

    def append(self, node: int, row: Described) -> None:
        """Add a row.

        Raises:
            ClosedError: the collection was closed.
        """
        self._backend.open()
        self.finish_interrupted()
        row = self._fitting(row)
        columns = [column for column, _ in row]
        own = [column for column, value in row if isinstance(value, DeviceValue)]
        if new := self._missing(columns):
            if self._check_new is not None:
                self._check_new(new)
            self._make_fit(columns, own)
        while not self._try_write(node, row):
            self._make_fit(columns, own)  # a new segment does not have columns without values

    def extend(self, nodes: pa.Array, columns: Mapping[Column, pa.Array]) -> None:
        """Add many rows, as columns of the sealed types.

        Raises:
            ClosedError: the collection was closed.
        """
        self._backend.open()
        self.finish_interrupted()
        fitting = self._fitted(columns)
        if len(nodes) > MOST_LISTS and any(isinstance(c.kind, ListKind) for c in fitting):
            self._append_sealed(nodes, columns)
            return
        self.close_fast_path()
        start = 0
        while start < len(nodes):
            start += self._fill(nodes.slice(start), _sliced(fitting, start))

    def hand_over(self) -> None:
        """Let the current rows wait for sealing; later ones go to another segment."""
        self.finish_interrupted()
        live = self._segments.live
        if live is not None and live.rows:
            self.close_fast_path()
            is_sparse = self._is_sparse or (is_wasteful(live) and self._may_be_sparse())
            self._columns = recounted(live, is_sparse=is_sparse)
            self._keys.add((*live.layout.columns, *live.sparse_counts()))
            self._room = self._room_after(live)
            self._fitting_columns = None, []
            self._segments.finish(live)

    def finish_interrupted(self) -> None:
        """Finish what an asynchronous exception, such as Ctrl-C, left incomplete."""
        self._end_row()
        if self._next is not None:
            self._use(self._next)

    def republish(self) -> None:
        """Give rows that are only in memory a file that readers find, if that works again."""
        live = self._segments.live
        if live is None or not self._backend.is_durable or live.image.is_persistent:
            return
        if self._leave_if_lost():
            return
        if live.image.is_there:
            self._publish(live)
        else:
            self._replace(live.layout)

    def leave_lost_name(self) -> None:
        """Check whether others presumed the writer dead; then the current rows wait for sealing."""
        self.finish_interrupted()
        self._look()
        self._leave_if_lost()

    def _leave_if_lost(self) -> bool:
        """If others presumed the writer dead, let the rows, which they may have sealed, wait for sealing.

        Returns:
            Whether they did: then the next rows go to a segment under another name.
        """
        live = self._segments.live
        if live is None or live.lease is self._look():
            return False
        if live.rows:
            self._hand_over_full()
        else:
            self._segments.withdraw(live)
        return True

    def _look(self) -> Lease:
        """The lease for the next segment."""
        attempt(self._backend, self._backend.look)
        return self._backend.lease

    def _publish(self, segment: Segment) -> None:
        publish = partial(segment.lease.publish, self._name, segment.number, segment.image)
        attempt(self._backend, publish)

    def _hand_over_full(self) -> None:
        """Like ``hand_over``, and have the rows sealed on another thread."""
        self.hand_over()
        self._backend.schedule(self._segments.seal)

    def _fitting(self, row: Described) -> Described:
        """The columns that the values go to, and the converted values for their cells."""
        found: Described = []
        lost: Cells = {}
        for column, value in row:
            known = self._ragged(column)
            is_pending = isinstance(value, DeviceValue)
            can_wait = is_pending and known is column and self._can_be_own(column)
            if can_wait or isinstance(known.key, InternalKey):
                found.append((known, value))
                continue
            plain = fetch_each([value])[0] if is_pending else value
            if isinstance(plain, Unavailable):
                lost[column] = [(0, plain)]
            else:
                found.append((known, known.kind.encode(plain)))
        if lost:
            warn_lost(lost)
        return found

    def _can_be_own(self, column: Column) -> bool:
        """Whether a column has cells of its own, or can get them: only those wait for a device."""
        live, known = self._segments.live, self._known_columns()
        most = MOST_COUNTED if live is None or not live.rows else MOST_DENSE
        return not self._is_sparse or len(known) < most or column in known

    def _try_write(self, node: int, row: Described) -> bool:
        segment = self._ready()
        there = [(segment.target(c), v) for c, v in row if not isinstance(v, DeviceValue)]
        pending: Row = []
        if len(there) < len(row):
            pending = [(c, v) for c, v in row if isinstance(v, DeviceValue)]
            self._promise(segment, pending)
        missing = segment.buffers.write(node, there)
        self._end_row()
        if missing == NO_CELLS:
            self._grow(cells=len(row))
            return False
        if missing:
            self._grow(spill=max(missing, 0))
            return False
        if pending:
            self._fetch_of_many(segment, len(pending))
        return True

    def _promise(self, segment: Segment, pending: Row) -> None:
        """Add the next row's pending device values, which exist as soon as the row does."""
        self.close_fast_path()  # so that no other row takes its place
        self._promised = segment
        segment.pending.add(segment.rows, pending)

    def _end_row(self) -> None:
        """Remove the pending values of a row that was not written after all."""
        if self._promised is not None:
            self._promised.pending.take_back(self._promised.rows)
            self._promised = None

    def _fetch_of_many(self, segment: Segment, added: int) -> None:
        """Fetch pending device values once there are many."""
        count = len(segment.pending)
        if count // MANY_PENDING > (count - added) // MANY_PENDING:
            self._backend.schedule(self._segments.resolve_pending)
        if count > MOST_PENDING:
            segment.resolve_pending()

    def _fill(self, nodes: pa.Array, columns: Mapping[Column, pa.Array]) -> int:
        """Copy as many of the rows as there is room for; return their number."""
        self._make_fit(list(columns), columns)
        segment = self._ready()
        count = min(len(nodes), segment.buffers.capacity - segment.rows)
        while count:
            missing = segment.fill(nodes.slice(0, count), _sliced(columns, 0, count))
            if not missing:
                return count
            if self._can_grow(segment, Room(0, missing, 0)):
                break
            count //= 2  # only some rows with long text fit
        self._grow(spill=missing if count else 0, rows=len(nodes))
        return 0

    def _append_sealed(self, nodes: pa.Array, columns: Mapping[Column, pa.Array]) -> None:
        """Make a sealed file of rows with lists, which live tables only have as text."""
        self._leave_if_lost()
        self.hand_over()
        live = self._segments.live
        lease = self._look() if live is None else live.lease
        batch = sealed_batch(nodes, columns, lease.metadata(self._name))
        self._segments.add_rows(lease, self._number_before_live_rows(), batch)

    def _ready(self) -> Segment:
        if (live := self._segments.live) is not None:
            return live
        lease = self._look()
        layout = self._layout(lease, self._room)
        spare = self._segments.spare(layout, lease)
        segment = spare or self._segments.make(layout, lease)
        self._segments.number_rests()
        self._begin(segment)
        return segment

    def _begin(self, segment: Segment) -> None:
        """Start a spare segment under the next number."""
        self.close_fast_path()
        segment.begin(self._segments.take_number())
        self._use(segment)

    def _make_fit(self, columns: list[Column], own: Collection[Column] = ()) -> None:
        """Give values of columns a place; of some of them, one that no other column has."""
        while new := self._missing(columns, own):
            self._add(self._split(new, own))

    def _split(self, new: tuple[Column, ...], own: Collection[Column]) -> Split:
        live = self._segments.live
        others = [column for column in new if column not in own] if own else new
        is_empty = live is None or not live.rows
        found = split_new(others, self._known_columns(), is_empty=is_empty)
        if found.sparse and not self._may_be_sparse():
            return Split(new, ())
        return Split((*(column for column in new if column in own), *found.dense), found.sparse)

    def _may_be_sparse(self) -> bool:
        """Whether keys may be sparse; once they may, that stays so."""
        if not self._is_sparse:
            self._is_sparse = attempt(self._backend, self._backend.allows_sparse) == (True,)
        return self._is_sparse

    def _add(self, split: Split) -> None:
        """Add columns, or do something without which that is not possible."""
        live, known = self._segments.live, self._known_columns()
        shared = dict.fromkeys(SPARSE_COLUMNS[column.kind] for column in split.sparse)
        new = (*split.dense, *(column for column in shared if column not in known))
        is_over = live is not None and live.sparse_keys + len(split.sparse) > MOST_KEYS
        if (new or is_over) and self._leave_if_lost():
            return
        if live is not None and live.rows and (is_over or (new and not self._can_widen(live, new))):
            self._hand_over_full()
            return
        if new:
            self._columns = (*known, *new)
            if live is not None:
                self._replace(self._layout(live.lease, self._room_of(live)))
        if split.sparse:
            self._add_sparse(self._ready(), split.sparse)

    def _add_sparse(self, segment: Segment, columns: Sequence[Column]) -> None:
        for column in columns:
            if not segment.add_sparse(column):
                self._grow(spill=len(str(column.key).encode()))
                return

    def _known_columns(self) -> tuple[Column, ...]:
        """The columns of the segment that is filled, or of the next one."""
        live = self._segments.live
        return self._columns if live is None else live.layout.columns

    def _missing(self, columns: list[Column], own: Collection[Column] = ()) -> tuple[Column, ...]:
        """The columns that have no place, or not one of their own that they must have."""
        live = self._segments.live
        if live is None:
            there = set(self._columns)
            return tuple(dict.fromkeys(c for c in columns if c not in there))
        if (live, columns) == self._fitting_columns and not own:
            return ()
        missing = [c for c in columns if not live.has(c)]
        missing += [c for c in own if not live.has_own(c)]
        if not missing:
            self._fitting_columns = live, columns
        return tuple(dict.fromkeys(missing))

    def _fitted(self, columns: Mapping[Column, pa.Array]) -> dict[Column, pa.Array]:
        """Columns converted to the kinds that this table stores."""
        found: dict[Column, pa.Array] = {}
        for column, values in columns.items():
            target = self._ragged(column, tuple(found))
            fitting = values if target == column else column.kind.to_storage(values)
            found[target] = pc.coalesce(found[target], fitting) if target in found else fitting
        return found

    def _ragged(self, column: Column, more: tuple[Column, ...] = ()) -> Column:
        """Store arrays that differ in shape from the first one of their key as lists."""
        kind = column.kind
        if not isinstance(kind, ArrayKind) or column in (known := self._known_columns() + more):
            return column
        if any(c.key == column.key and isinstance(c.kind, (ArrayKind, ListKind)) for c in known):
            return Column(column.key, ListKind.of(kind.dtype, len(kind.shape)))
        return column

    def _can_widen(self, segment: Segment, new: tuple[Column, ...]) -> bool:
        wider = self._layout(segment.lease, self._room_of(segment), new)
        return wider.capacity >= segment.rows and wider.size <= WIDEN_BYTES

    def _larger(self, segment: Segment, more: Room) -> Layout:
        """A layout with room for at least this many more cells or bytes of text, or more rows."""
        old, lease, room = segment.layout, segment.lease, self._room_of(segment)
        if more.spill:
            spill = min(GROWTH * old.spill, MOST_BYTES) + more.spill
            return self._layout(lease, room._replace(spill=spill))
        if more.cells:
            used = segment.cells(segment.rows)
            return self._layout(
                lease, room._replace(cells=self._most_cells(old, used + more.cells))
            )
        rows = max(GROWTH * old.capacity, segment.rows + more.rows + 7)
        return self._layout(lease, self._balanced(segment, room._replace(rows=rows)))

    def _most_cells(self, old: Layout, needed: int) -> int:
        """Cells for an image that has no room for so many, as long as its rows have it."""
        left = MOST_BYTES - old.capacity * row_width(old.columns)
        return max(needed, min(GROWTH * old.cells, int(left / cell_width(old.columns))))

    def _balanced(self, segment: Segment, room: Room) -> Room:
        """Room for rows like those of a segment, with cells for as many of them as fit."""
        columns = self._columns
        used = segment.cells(segment.rows)
        a_row = used / max(1, segment.rows) * CELLS_MARGIN
        width = row_width(columns) + a_row * cell_width(columns)
        rows = min(room.rows, MOST_ROWS, int(MOST_BYTES / width))
        return room._replace(rows=rows, cells=max(used + 8, FIRST_CELLS, int(a_row * rows)))

    def _room_of(self, segment: Segment) -> Room:
        old = segment.layout
        return Room(old.capacity, old.spill, max(old.cells, FIRST_CELLS))

    def _room_after(self, segment: Segment) -> Room:
        """Room for the rows after a segment: as it has, unless other rows would fit it better.

        One that was handed over almost empty was too large for a new column: so the next one is small.
        """
        room, used = self._room_of(segment), segment.cells(segment.rows)
        if GROWTH * segment.rows < room.rows:
            return Room(FIRST_ROWS, FIRST_SPILL, FIRST_CELLS)
        is_fit = 2 * used >= room.cells and 2 * segment.rows >= room.rows
        return room if is_fit else self._balanced(segment, room)

    def _can_grow(self, segment: Segment, more: Room) -> bool:
        larger = self._larger(segment, more)
        old = segment.layout
        if more.cells:
            is_larger = larger.cells > old.cells and larger.capacity >= old.capacity
        elif more.spill:
            is_larger = larger.spill > old.spill
        else:
            is_larger = larger.capacity > old.capacity
        return not segment.rows or (is_larger and larger.size <= MOST_BYTES)

    def _grow(self, spill: int = 0, rows: int = 0, cells: int = 0) -> None:
        """Make room: in a larger image while that is small enough, else by sealing this one."""
        if self._leave_if_lost():
            return
        segment, more = self._ready(), Room(rows, spill, cells)
        if not self._can_grow(segment, more) or (is_wasteful(segment) and self._may_be_sparse()):
            self._hand_over_full()
            return
        self._replace(self._larger(segment, more))
        if not self._can_grow(self._ready(), Room(0, 0, 0)) and self._backend.is_durable:
            large = self._ready()
            self._backend.schedule(partial(self._segments.prepare, large.layout, large.lease))

    def _layout(self, lease: Lease, room: Room, more: tuple[Column, ...] = ()) -> Layout:
        columns = self._columns + more
        width = cell_width(columns)
        cells = -(-room.cells // 8) * 8 if width else 0
        most = min(MOST_ROWS, int((MOST_BYTES - cells * width) / row_width(columns)))
        rows = max(8, min(room.rows, most) // 8 * 8)
        return Layout(columns, rows, room.spill, lease.metadata(self._name), cells)

    def _replace(self, layout: Layout) -> None:
        """Continue in another image, under the same number, with all rows copied."""
        self.close_fast_path()
        old = self._ready()
        new = self._segments.make(layout, old.lease, old.number)
        old.copy_to(new)
        if old.synced:
            attempt(self._backend, new.sync)  # what was synced must stay synced
        self._use(new)
        if (
            not old.image.is_persistent
        ):  # otherwise it stays visible if the new one is not published
            old.image.discard()

    def _use(self, segment: Segment) -> None:
        # Until the last line rows use the slow path, which repairs interruptions of this method.
        self._next = segment
        self.close_fast_path()
        self._segments.flush_full()
        attempt(self._backend, segment.flush)
        self._publish(segment)
        segment.accept_new_keys(self._reserved, MOST_KEYS)
        self._segments.use(segment)
        self._columns = segment.layout.columns
        self._fitting_columns = None, []
        self._next = None

    def _number_before_live_rows(self) -> int:
        """A number for separate rows: lower than that of the segment that is filled next."""
        live = self._segments.live
        if live is None:
            return self._segments.take_number()
        number = live.number
        # Copies may have its file under that number, so it is not filled under another one.
        self._segments.withdraw(live)
        self._begin(self._segments.make(live.layout, live.lease))
        return number


def _sliced(
    columns: Mapping[Column, pa.Array], start: int, count: int | None = None
) -> dict[Column, pa.Array]:
    return {column: values.slice(start, count) for column, values in columns.items()}
