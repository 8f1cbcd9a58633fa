"""The policy of a live table: when it widens, grows, and is sealed to start anew."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial, wraps
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from .._arrow import pa, pc
from .._report import DROPPED
from .._values.arrays import ArrayKind, ListKind
from .._values.devices.libraries import fetch_each
from .._values.devices.values import DeviceValue, Unavailable
from .._values.foreign import learn
from ..errors import BusyError, RigorousError, SaveError
from .backend import Backend, SegmentBatch
from .batches import sealed_batch
from .column import Column, InternalKey
from .device_values import Cells, Row, warn_lost
from .fields import Described, describe_unread
from .implementation import FastPath
from .layout import Layout, row_width
from .segment import Segment, SyncedState
from .segments import Segments

__all__ = ["LiveTable"]

#: A live table starts with so many rows and bytes of long text, grows by copying, and is sealed
#: when it has so many rows or bytes. Only one of few bytes is copied for the sake of a new column.
FIRST_ROWS: Final = 1024
MOST_ROWS: Final = 262_144
FIRST_SPILL: Final = 64 * 1024
MOST_BYTES: Final = 32 * 1024 * 1024
WIDEN_BYTES: Final = 16 * 1024 * 1024
GROWTH: Final = 16
#: More rows with lists, which live tables have as text, are sealed at once.
MOST_LISTS: Final = 4_096
#: When so many values wait on a device they are fetched off the caller's thread, and when they are
#: more all the same, on it.
MANY_PENDING: Final = 1024
MOST_PENDING: Final = 16_384

#: One n-th of a segment's rows is enough to be sealed with full ones at the end of an experiment.
_MUCH: Final = 4

_T = TypeVar("_T")
_P = ParamSpec("_P")


def _alone(
    method: Callable[Concatenate[LiveTable, _P], None],
) -> Callable[Concatenate[LiveTable, _P], bool]:
    """Let a method run while no other changes the table, also in this same thread.

    A signal handler can call for a change in the middle of another one: that change is then made
    right after, and the answer is False.
    """

    @wraps(method)
    def run(self: LiveTable, /, *args: _P.args, **named: _P.kwargs) -> bool:
        with self.lock:
            if self._is_busy:
                self.close_fast_path()  # or a later row of this thread would overtake this one
                self._deferred.append(partial(method, self, *args, **named))
                return False
            try:
                try:
                    self._is_busy = True
                    method(self, *args, **named)
                finally:
                    self._leave()
            finally:  # an exception from outside can come before _leave does anything
                self._is_busy = False
        return True

    return run


class LiveTable:
    """One table (records or nodes) of one writer, as it fills.

    Safe to use from many threads, and from signal handlers. ``append`` is the way of every record
    that does not go through the ``fast_path`` by itself.
    """

    def __init__(self, name: str, backend: Backend) -> None:
        self.name = name
        self._backend = backend
        #: Where rows that fit are written at once; closed while anything else happens to the table.
        self.fast_path = FastPath()
        self.start_anew()

    def start_anew(self) -> None:
        """Begin with nothing written and a free lock: for a new writer, or after a fork."""
        self.lock = threading.RLock()
        self._is_busy = False
        self._deferred: list[Callable[[], None]] = []
        self.fast_path.buffers = None
        self._numbers = itertools.count()  # taken also by who seals, without the table's lock
        self._segments = Segments(self.name, self._backend, self._numbers)
        self._next: Segment | None = None
        #: Where a row's late values are noted that may not be written yet.
        self._noted: Segment | None = None
        self._has_full = False
        self._columns: tuple[Column, ...] = ()
        #: Columns, and some that were found among them: rows of one place in a program have the same.
        self._fitting_columns: tuple[tuple[Column, ...], list[Column]] = (), []
        self._room = FIRST_ROWS, FIRST_SPILL
        self._next_number = 0
        #: Whether the interpreter exits: no row is written that is not flushed.
        self._is_ending = False

    def forget_rows(self) -> None:
        """Drop all rows: they are kept elsewhere now."""
        with self.lock:
            self.close_fast_path()
            self._segments.forget()
            self._take_number()  # or the version could come back with the next rows

    def free_lock(self) -> None:
        """Keep all there is, with a free lock: in a forked child, of what is only in memory."""
        self.lock = threading.RLock()
        self._segments.free_lock()

    def close_fast_path(self) -> None:
        """Let no row be written but under the table's lock, until the next one was."""
        self.fast_path.buffers = None

    # --- rows ----------------------------------------------------------------------------------

    def append(self, node: int, fields: dict[Any, Any]) -> None:
        """Add one row. When this returns, the row survives the death of the process.

        Raises:
            KeyNotTextError, UnsupportedTypeError, UnsupportedValueError: nothing was added.
        """
        if self.fast_path.is_atomic:
            is_done = self.fast_path.append(node, fields)
        else:
            is_done = self._append_alone(node, fields)
        if not is_done:
            row = describe_unread(fields)  # without the lock: a value's own code can do anything
            if self._is_ending:
                self._append_at_end(node, row)
                return
            self._append_carefully(node, row)
            learn(fields.values())
        if self._has_full:
            self._seal_if_urgent()

    def _append_at_end(self, node: int, row: Described) -> None:
        """Hand a row to the system at once; where that fails it is dropped, and counted."""
        try:
            self._append_carefully(node, row)
            self.flush()
            is_lost = bool(self._segments.loose_rows)
        except RigorousError:
            raise
        except Exception:  # noqa: BLE001 - anything can fail in an interpreter that is taken down
            is_lost = True
        if is_lost:
            self._segments.forget()
            DROPPED.add(1)

    def _append_alone(self, node: int, fields: dict[Any, Any]) -> bool:
        """As ``_alone``, spelled out: without native code this is the way of every record."""
        with self.lock:
            if self._is_busy:
                return False
            try:
                try:
                    self._is_busy = True
                    return self.fast_path.append(node, fields)
                finally:
                    self._leave()
            finally:
                self._is_busy = False

    def append_columns(self, nodes: pa.Array, columns: Mapping[Column, pa.Array]) -> None:
        """Add many rows at once, as columns of the sealed types.

        Raises:
            ClosedError: the place of the rows was closed.
        """
        self._append_columns(nodes, columns)
        if self._has_full:
            self._seal_if_urgent()

    @_alone
    def _append_columns(self, nodes: pa.Array, columns: Mapping[Column, pa.Array]) -> None:
        self._backend.open()
        self._mend()
        fitting = self._fitted(columns)
        if len(nodes) > MOST_LISTS and any(isinstance(c.kind, ListKind) for c in fitting):
            self._append_sealed(nodes, columns)
            return
        self.close_fast_path()
        start = 0
        while start < len(nodes):
            start += self._fill(nodes.slice(start), _sliced(fitting, start))

    def _seal_if_urgent(self) -> None:
        """Without the table's lock: seal what can't wait, though it is the caller's time."""
        self._has_full = False
        if self._segments.is_urgent:
            self._segments.seal()

    def parts(self) -> list[SegmentBatch]:
        """The rows that are in no sealed file yet, in order."""
        with self.lock:
            while self._segments.has_pending:  # a handler may push in the middle of a fetch
                self._segments.settle()
            if not self._is_busy:
                self._mend()
            parts = self._segments.full_parts()
            if (live := self._segments.live) is not None and live.rows:
                parts.append(SegmentBatch(live.number, live.batch(copy=True)))
            return parts

    @property
    def version(self) -> tuple[int, int]:
        """Changes with every row: the segment's number, and how many rows it has."""
        live = self._segments.live
        return self._next_number, 0 if live is None else live.rows

    # --- durability ----------------------------------------------------------------------------

    @_alone
    def flush(self) -> None:
        """Hand all rows to the operating system, where the file is not mapped."""
        self._mend()
        self._flush()

    def _flush(self) -> None:
        self._guarded(self._segments.flush_full)
        if (live := self._segments.live) is not None:
            self._guarded(live.flush)

    def sync(self) -> dict[int, int] | None:
        """Return when all rows survive a loss of power, or wait in memory and the user was told.

        Returns:
            How many rows of which segments, of those that are not sealed, are on the device. None
            where nothing was done: a signal handler calls for it in the middle of a change.
        """
        if self.is_changing:
            return None
        self._segments.settle()
        while True:
            self._segments.seal()  # what is full; where that fails now it is synced as it is
            unsynced: list[Segment] = []
            self._look_for_unsynced(unsynced)
            are_done = [self._sync(segment) for segment in unsynced]
            if all(are_done):
                return self._segments.synced()

    @_alone
    def _look_for_unsynced(self, found: list[Segment]) -> None:
        self._mend()
        self._bring_to_backend()
        found += self._segments.unsynced()  # of what is only in memory the user was told

    def _sync(self, segment: Segment) -> bool:
        """Sync one segment; False where its rows went to another file meanwhile."""
        started: list[tuple[SyncedState, Callable[[], None]]] = []
        self._start_sync(segment, started)
        # Without the table's lock, since the device may take its time; not from a handler in the
        # middle of a change, which must be able to go on.
        return all(self._end_sync(segment, *each) for each in started)

    @_alone
    def _start_sync(
        self, segment: Segment, started: list[tuple[SyncedState, Callable[[], None]]]
    ) -> None:
        synced = segment.begin_sync()
        if sync := self._guarded(partial(self._segments.start_sync, segment)):
            started.append((synced, sync[0]))

    def _end_sync(self, segment: Segment, synced: SyncedState, sync: Callable[[], None]) -> bool:
        if self._guarded(sync) is None:
            return True
        with self.lock:
            if self._segments.has(segment):
                segment.mark_synced(synced)
                return True
            return self._segments.is_on_device(segment.number, synced.rows)

    def rows_at_risk(self) -> int:
        """Number of rows that the process would take with it, after a try to flush them.

        Asked after what is full was to be sealed.
        """
        found: list[int] = []
        for _ in range(2):  # a value can come from a device in the middle of the first look
            if not self._count_at_risk(found):  # a handler in the middle of a change
                return self._segments.loose_rows
            if not found[-1]:
                return 0
        return found[-1]

    @_alone
    def _count_at_risk(self, found: list[int]) -> None:
        self._mend()
        self._bring_to_backend()
        self.close_fast_path()  # no row comes between the flush and the look
        self._flush()
        found.append(self._segments.loose_rows)

    @_alone
    def hand_over_much(self) -> None:
        """Let the rows there are be sealed by the next ``sync`` with full segments that wait for it.

        Where they fill much of a segment: that takes little longer than to sync them, and saves that
        they are sealed in a file of their own one day.
        """
        live = self._segments.live
        if live is None or not self._segments.full_rows:
            return
        if live.rows >= live.layout.capacity // _MUCH:
            self._hand_over()

    def seal(self) -> bool:
        """Turn the rows there are into a sealed file; False where that fails now: nothing is lost."""
        self._seal_live()
        return self._segments.seal()

    def require_sealed(self) -> None:
        """Turn the rows there are into a sealed file.

        Raises:
            SaveError: that fails now; the rows are kept.
        """
        is_done = self.seal() or self.seal()  # a second try, as after trouble that is over
        self.require_saved()
        if not is_done and self.cannot_seal:
            message = (
                f"{self._segments.full_rows:,} rows of {self.name} could not be sealed:"
                f" {self._backend.trouble}. They are in live files, from which whoever opens the"
                " collection next takes them. Make the folder writable again, then call save()"
            )
            raise SaveError(message)

    @_alone
    def _seal_live(self) -> None:
        self._hand_over()

    def close(self) -> None:
        """Seal all rows and take the live file away.

        Raises:
            SaveError: some can't be sealed; they are kept.
            BusyError: a signal handler calls for it in the middle of another change.
        """
        closed: list[bool] = []
        while not closed:
            self.require_sealed()
            if not self._close(closed):
                self.require_quiet()

    def is_left(self) -> bool:
        """Take the live file away, where no row is in it: the interpreter exits, if it is."""
        closed: list[bool] = []
        self._close(closed)
        self._is_ending = bool(closed)
        return self._is_ending

    @_alone
    def _close(self, closed: list[bool]) -> None:
        self.close_fast_path()
        self._mend()
        live = self._segments.live
        if self._segments.full_rows or (live is not None and live.rows):
            return  # logged meanwhile, in another thread
        self._segments.discard_images()
        closed.append(True)

    def require_saved(self) -> None:
        """Pass where all rows are in files.

        Raises:
            SaveError: some wait in memory and still can't be written.
        """
        if rows := self.rows_at_risk():
            message = (
                f"{rows:,} rows of {self.name} could not be saved and are only in memory:"
                f" {self._backend.trouble}. Make the folder writable again, then call save()"
            )
            raise SaveError(message)

    @property
    def cannot_seal(self) -> bool:
        """Whether what was full could not be sealed the last time."""
        return self._segments.has_failed

    def require_quiet(self) -> None:
        """Pass where this thread is not in the middle of a change.

        Raises:
            BusyError: it is: a signal handler asks.
        """
        if self.is_changing:
            message = "the collection is just being written to, and can't be closed in between"
            raise BusyError(message)

    @property
    def is_changing(self) -> bool:
        """Whether this thread is in the middle of a change, as a signal handler can be."""
        with self.lock:
            return self._is_busy

    def _hand_over(self) -> None:
        """Let the rows there are wait for being sealed; the next ones go to other pages."""
        self._mend()
        live = self._segments.live
        if live is not None and live.rows:
            self.close_fast_path()
            self._columns = _worth_storing(live)
            self._room = live.layout.capacity, live.layout.spill
            live.finish()
            self._has_full = True

    def _hand_over_full(self) -> None:
        """As ``_hand_over``, and have them sealed off the caller's thread."""
        self._hand_over()
        self._backend.later(self._segments.seal)

    def _mend(self) -> None:
        """Finish what an exception from outside, as of Ctrl-C, left half done."""
        self._end_record()
        if self._next is not None:
            self._use(self._next)

    def _bring_to_backend(self) -> None:
        """Give rows that are only in memory a file that readers find, where that works again."""
        live = self._segments.live
        if live is None or not self._backend.is_durable or live.image.is_persistent:
            return
        if live.image.is_there:
            self._publish(live)
        else:
            self._replace(live.layout)

    def _publish(self, segment: Segment) -> None:
        self._guarded(partial(self._backend.publish, self.name, segment.number, segment.image))

    def _guarded(self, action: Callable[[], _T]) -> tuple[_T] | None:
        """What ``action`` gives, in a tuple; None, and the user is told, where the disk fails."""
        try:
            return (action(),)
        except OSError as error:
            self._backend.complain(error)
            return None

    def _begin(self, segment: Segment) -> None:
        """Use a segment that has no number yet under the next one."""
        self.close_fast_path()
        segment.begin(self._take_number())
        self._use(segment)

    # --- room ----------------------------------------------------------------------------------

    def _leave(self) -> None:
        """End a change, after those that were called for in the middle of it, in their order."""
        while True:
            try:
                self._do_deferred()
                self._reopen()  # last: rows don't overtake deferred ones
                self._do_deferred()
            finally:
                self._is_busy = False
            if not self._deferred:  # a handler can come between the two lines above, too
                return
            self._is_busy = True

    def _reopen(self) -> None:
        if self.fast_path.buffers is not None:
            return
        live = self._segments.live
        is_done = self._next is None and self._noted is None and not self._is_ending
        if live is not None and is_done:  # else an exception left a change half done
            self.fast_path.buffers = live.buffers

    def _do_deferred(self) -> None:
        while self._deferred:
            self._deferred.pop(0)()

    @_alone
    def _append_carefully(self, node: int, row: Described) -> None:
        self._backend.open()
        self._mend()
        row = self._fitting(row)
        columns = [column for column, _ in row]
        if new := self._missing(columns):
            self._check_new(new)
            self._make_fit(columns)
        while not self._try_write(node, row):
            self._make_fit(columns)  # handing over forgets columns that had no value

    def _check_new(self, columns: Sequence[Column]) -> None:
        """Refuse a row that has one of these columns, which no row had before, by an error."""

    def _fitting(self, row: Described) -> Described:
        """The columns that take the values, and what their cells are handed."""
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
                found.append((known, known.kind.raw(plain)))
        if lost:
            warn_lost(lost)
        return found

    def _try_write(self, node: int, row: Described) -> bool:
        segment = self._ready()
        there = [(segment.target(c), v) for c, v in row if not isinstance(v, DeviceValue)]
        late: Row = []
        if len(there) < len(row):
            late = [(c, v) for c, v in row if isinstance(v, DeviceValue)]
            self._note(segment, late)
        missing = segment.buffers.write(node, there)
        self._end_record()
        if missing:
            self._grow(spill=max(missing, 0))
            return False
        if late:
            self._fetch_of_many(segment, len(late))
        return True

    def _note(self, segment: Segment, late: Row) -> None:
        """Remember the values of the next row that are on a device: once it is there, they are known."""
        self.close_fast_path()  # until it is written no other one can take its place
        self._noted = segment
        segment.late.add(segment.rows, late)

    def _end_record(self) -> None:
        """Forget the values of a row that was not written after all."""
        if self._noted is not None:
            self._noted.late.take_back(self._noted.rows)
            self._noted = None

    def _fetch_of_many(self, segment: Segment, added: int) -> None:
        """Fetch what is on a device when it is much, now that there is so much more of it."""
        count = len(segment.late)
        if count // MANY_PENDING > (count - added) // MANY_PENDING:
            self._backend.later(self._segments.settle)
        if count > MOST_PENDING:
            segment.settle()

    def _fill(self, nodes: pa.Array, columns: Mapping[Column, pa.Array]) -> int:
        """Copy as many of the rows as there is room for; how many that were."""
        self._make_fit(list(columns))
        segment = self._ready()
        count = min(len(nodes), segment.buffers.capacity - segment.rows)
        while count:
            missing = segment.fill(nodes.slice(0, count), _sliced(columns, 0, count))
            if not missing:
                return count
            if self._can_grow(segment, missing):
                break
            count //= 2  # of long texts only some rows fit
        self._grow(spill=missing if count else 0, rows=len(nodes))
        return 0

    def _append_sealed(self, nodes: pa.Array, columns: Mapping[Column, pa.Array]) -> None:
        """Make a sealed file of rows with lists, which live tables only have as text."""
        self._hand_over()
        batch = sealed_batch(nodes, columns, self._backend.metadata(self.name))
        self._segments.add_rows(self._number_before_live_rows(), batch)
        self._has_full = True

    def _ready(self) -> Segment:
        if (live := self._segments.live) is not None:
            return live
        layout = self._layout(*self._room)
        segment = self._segments.spare(layout) or self._segments.make(layout)
        self._begin(segment)
        return segment

    def _make_fit(self, columns: list[Column]) -> None:
        new = self._missing(columns)
        if not new:
            return
        live = self._segments.live
        if live is not None and live.rows and not self._can_widen(live, new):
            self._hand_over_full()
        self._columns = self._known_columns() + self._missing(columns)
        if (live := self._segments.live) is not None:
            self._replace(self._layout(live.layout.capacity, live.layout.spill))

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
        """Columns of the kinds that this table keeps them as."""
        found: dict[Column, pa.Array] = {}
        for column, values in columns.items():
            target = self._ragged(column, tuple(found))
            fitting = values if target == column else column.kind.file(values)
            found[target] = pc.coalesce(found[target], fitting) if target in found else fitting
        return found

    def _ragged(self, column: Column, more: tuple[Column, ...] = ()) -> Column:
        """Arrays of another shape than the first one under their key are kept as lists."""
        kind = column.kind
        if not isinstance(kind, ArrayKind) or column in (known := self._known_columns() + more):
            return column
        if any(c.key == column.key and isinstance(c.kind, (ArrayKind, ListKind)) for c in known):
            return Column(column.key, ListKind.of(kind.dtype, len(kind.shape)))
        return column

    def _can_widen(self, segment: Segment, new: tuple[Column, ...]) -> bool:
        wider = self._layout(segment.layout.capacity, segment.layout.spill, new)
        return wider.capacity >= segment.rows and wider.size <= WIDEN_BYTES

    def _larger(self, segment: Segment, spill: int, rows: int = 0) -> Layout:
        """A layout with room for so many more bytes of text, or for more rows: at least so many."""
        old = segment.layout
        if spill:
            return self._layout(old.capacity, min(GROWTH * old.spill, MOST_BYTES) + spill)
        return self._layout(max(GROWTH * old.capacity, segment.rows + rows + 7), old.spill)

    def _can_grow(self, segment: Segment, spill: int, rows: int = 0) -> bool:
        larger = self._larger(segment, spill, rows)
        return larger != segment.layout and (larger.size <= MOST_BYTES or not segment.rows)

    def _grow(self, spill: int = 0, rows: int = 0) -> None:
        """Make room: in a larger image while that is small enough, else by sealing this one."""
        segment = self._ready()
        if not self._can_grow(segment, spill, rows):
            self._hand_over_full()
            return
        self._replace(self._larger(segment, spill, rows))
        if not self._can_grow(self._ready(), 0) and self._backend.is_durable:
            self._backend.later(partial(self._segments.prepare, self._ready().layout))

    def _layout(self, capacity: int, spill: int, more: tuple[Column, ...] = ()) -> Layout:
        columns = self._columns + more
        most = min(MOST_ROWS, int(MOST_BYTES / row_width(columns)))
        rows = max(8, min(capacity, most) // 8 * 8)
        return Layout(columns, rows, spill, self._backend.metadata(self.name))

    def _replace(self, layout: Layout) -> None:
        """Go on in another image, under the same number, with all rows copied."""
        self.close_fast_path()
        old = self._ready()
        new = self._segments.make(layout, old.number)
        old.copy_to(new)
        if old.synced:
            self._guarded(new.sync)  # what was on the device stays there
        self._use(new)
        if not old.image.is_persistent:  # published, it is readers' only file where this one is not
            old.image.discard()

    def _use(self, segment: Segment) -> None:
        # Until the last line rows take the careful way, which mends what was interrupted here.
        self._next = segment
        self.close_fast_path()
        self._guarded(self._segments.flush_full)
        self._guarded(segment.flush)
        self._publish(segment)
        self._segments.use(segment)
        self._columns = segment.layout.columns
        self._next = None

    def _number_before_live_rows(self) -> int:
        """A number for rows of their own: below that of the segment that is filled next."""
        live = self._segments.live
        if live is None:
            return self._take_number()
        number = live.number
        # Its file has that number for whoever copied it, and so is not filled under another one.
        self._segments.withdraw(live)
        self._begin(self._segments.make(live.layout))
        return number

    def _take_number(self) -> int:
        number = next(self._numbers)
        self._next_number = number + 1
        return number


def _worth_storing(segment: Segment) -> tuple[Column, ...]:
    """The columns of the next segment: those of this one, unless most of them had no value."""
    columns = segment.layout.columns
    used = segment.columns_in_use()
    return used if 2 * len(used) < len(columns) else columns


def _sliced(
    columns: Mapping[Column, pa.Array], start: int, count: int | None = None
) -> dict[Column, pa.Array]:
    return {column: values.slice(start, count) for column, values in columns.items()}
