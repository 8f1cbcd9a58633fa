"""A live table: rows are added to one image, which widens, grows, and finally is full."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from .._arrow import pa, pc
from .._values.arrays import ArrayKind, ListKind
from .._values.devices.libraries import fetch_each
from .._values.devices.values import DeviceValue, Unavailable
from .backend import Lease, attempt
from .batches import sealed_batch
from .column import Column, InternalKey
from .device_values import Cells, Row, warn_lost
from .fields import Described
from .implementation import FastPath
from .layout import Layout, row_width
from .segment import Segment
from .segments import Segments

__all__ = ["LiveTable"]

#: A live table starts with this many rows and bytes of long text, grows by copying, and is sealed at
#: this many rows or bytes. Only a small one is copied for a new column.
FIRST_ROWS: Final = 1024
MOST_ROWS: Final = 262_144
FIRST_SPILL: Final = 64 * 1024
MOST_BYTES: Final = 32 * 1024 * 1024
WIDEN_BYTES: Final = 16 * 1024 * 1024
GROWTH: Final = 16
#: More rows than this with lists, which live tables store as text, are sealed directly.
MOST_LISTS: Final = 4_096
#: From this many pending device values on, they are fetched on another thread; from this many on, on
#: the caller's.
MANY_PENDING: Final = 1024
MOST_PENDING: Final = 16_384


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
    ) -> None:
        self._segments = segments
        self._backend = segments.backend
        self._name = segments.name
        self.fast_path = fast_path
        self._check_new = check_new
        #: The segment that is about to be filled.
        self._next: Segment | None = None
        #: The pending values of a row that may not be written yet.
        self._promised: Segment | None = None
        self._columns: tuple[Column, ...] = ()
        #: Recently matched columns: rows from the same place in a program have the same ones.
        self._fitting_columns: tuple[tuple[Column, ...], list[Column]] = (), []
        self._room = FIRST_ROWS, FIRST_SPILL
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
        if new := self._missing(columns):
            if self._check_new is not None:
                self._check_new(new)
            self._make_fit(columns)
        while not self._try_write(node, row):
            self._make_fit(columns)  # a new segment does not have columns without values

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
            self._columns = _worth_storing(live)
            self._room = live.layout.capacity, live.layout.spill
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
            if (is_pending and known is column) or isinstance(known.key, InternalKey):
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

    def _try_write(self, node: int, row: Described) -> bool:
        segment = self._ready()
        there = [(segment.target(c), v) for c, v in row if not isinstance(v, DeviceValue)]
        pending: Row = []
        if len(there) < len(row):
            pending = [(c, v) for c, v in row if isinstance(v, DeviceValue)]
            self._promise(segment, pending)
        missing = segment.buffers.write(node, there)
        self._end_row()
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
        self._make_fit(list(columns))
        segment = self._ready()
        count = min(len(nodes), segment.buffers.capacity - segment.rows)
        while count:
            missing = segment.fill(nodes.slice(0, count), _sliced(columns, 0, count))
            if not missing:
                return count
            if self._can_grow(segment, missing):
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
        layout = self._layout(lease, *self._room)
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

    def _make_fit(self, columns: list[Column]) -> None:
        new = self._missing(columns)
        if not new:
            return
        self._leave_if_lost()
        live = self._segments.live
        if live is not None and live.rows and not self._can_widen(live, new):
            self._hand_over_full()
        self._columns = self._known_columns() + self._missing(columns)
        if (live := self._segments.live) is not None:
            self._replace(self._layout(live.lease, live.layout.capacity, live.layout.spill))

    def _known_columns(self) -> tuple[Column, ...]:
        """The columns of the segment that is filled, or of the next one."""
        live = self._segments.live
        return self._columns if live is None else live.layout.columns

    def _missing(self, columns: list[Column]) -> tuple[Column, ...]:
        known = self._known_columns()
        if (known, columns) != self._fitting_columns:
            there = set(known)
            if missing := tuple(dict.fromkeys(c for c in columns if c not in there)):
                return missing
            self._fitting_columns = known, columns
        return ()

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
        wider = self._layout(segment.lease, segment.layout.capacity, segment.layout.spill, new)
        return wider.capacity >= segment.rows and wider.size <= WIDEN_BYTES

    def _larger(self, segment: Segment, spill: int, rows: int = 0) -> Layout:
        """A layout with room for at least this many more bytes of text, or more rows."""
        old, lease = segment.layout, segment.lease
        if spill:
            return self._layout(lease, old.capacity, min(GROWTH * old.spill, MOST_BYTES) + spill)
        return self._layout(lease, max(GROWTH * old.capacity, segment.rows + rows + 7), old.spill)

    def _can_grow(self, segment: Segment, spill: int, rows: int = 0) -> bool:
        larger = self._larger(segment, spill, rows)
        return larger != segment.layout and (larger.size <= MOST_BYTES or not segment.rows)

    def _grow(self, spill: int = 0, rows: int = 0) -> None:
        """Make room: in a larger image while that is small enough, else by sealing this one."""
        if self._leave_if_lost():
            return
        segment = self._ready()
        if not self._can_grow(segment, spill, rows):
            self._hand_over_full()
            return
        self._replace(self._larger(segment, spill, rows))
        if not self._can_grow(self._ready(), 0) and self._backend.is_durable:
            large = self._ready()
            self._backend.schedule(partial(self._segments.prepare, large.layout, large.lease))

    def _layout(
        self, lease: Lease, capacity: int, spill: int, more: tuple[Column, ...] = ()
    ) -> Layout:
        columns = self._columns + more
        most = min(MOST_ROWS, int(MOST_BYTES / row_width(columns)))
        rows = max(8, min(capacity, most) // 8 * 8)
        return Layout(columns, rows, spill, lease.metadata(self._name))

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
        self._segments.use(segment)
        self._columns = segment.layout.columns
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


def _worth_storing(segment: Segment) -> tuple[Column, ...]:
    """The columns of the next segment: those of this one, unless most of them had no values."""
    columns = segment.layout.columns
    used = segment.columns_in_use()
    return used if 2 * len(used) < len(columns) else columns


def _sliced(
    columns: Mapping[Column, pa.Array], start: int, count: int | None = None
) -> dict[Column, pa.Array]:
    return {column: values.slice(start, count) for column, values in columns.items()}
