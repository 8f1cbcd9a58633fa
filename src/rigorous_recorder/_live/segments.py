"""The segments of a table: full ones that wait for sealing, then the one that is filled."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from .._arrow import pa
from .backend import Backend, Lease, SegmentBatch, attempt
from .layout import Layout
from .segment import UNNUMBERED, Segment, SyncedState

__all__ = ["Segments"]

#: Bytes of full segments beyond which writers help to seal.
MOST_WAITING: Final = 96 * 1024 * 1024
#: Segments with the same columns are sealed into one file, up to this many rows.
FILE_ROWS: Final = 2_097_152

_T = TypeVar("_T")


class _UnsegmentedRows:
    """Rows that were never in a segment."""

    is_full = True

    def __init__(self, lease: Lease, number: int, batch: pa.RecordBatch) -> None:
        self.lease = lease
        self.number = number
        self.rest_number: int | None = None
        self._batch = batch
        self.rows: int = batch.num_rows
        self.size: int = batch.nbytes

    def batch(self, *, copy: bool) -> pa.RecordBatch:  # noqa: ARG002 - as a segment's
        """The rows as Arrow."""
        return self._batch


class Segments:
    """All rows of a table that are in no sealed file yet, oldest first.

    Segments are added and filled by whoever holds the table's lock. Full ones are sealed one after
    the other, by whichever thread comes first. A segment and the list each
    change in a single step: so no lock is needed to look at them, and an exception from outside, as of
    Ctrl-C, leaves nothing half done.
    """

    def __init__(
        self, name: str, backend: Backend, before_seal: Callable[[], None] | None = None
    ) -> None:
        self.name = name
        self.backend = backend
        self._before_seal = before_seal
        self._numbers = itertools.count()  # taken also by who seals, without the table's lock
        #: More than each number that was taken for a live segment.
        self.next_number = 0
        #: Whether segments became full since it was last decided whether they can wait.
        self.has_new_full = False
        self._line: list[Segment | _UnsegmentedRows] = []
        self._spares: list[Segment] = []
        self._is_over = False
        #: Whether the last attempt to seal full segments failed.
        self.has_failed = False
        self.free_lock()

    def free_lock(self) -> None:
        """Release the locks in a forked child."""
        self._turn = threading.Lock()
        self._sealer = 0
        #: Held while a spare segment is added, but not while one is taken.
        self._stocking = threading.RLock()

    def take_number(self) -> int:
        """A number that no rows of the table have."""
        number = next(self._numbers)
        self.next_number = number + 1
        return number

    @property
    def live(self) -> Segment | None:
        """The segment that is filled; None if the last one is full."""
        for last in self._line[-1:]:
            if isinstance(last, Segment) and last.is_filling:
                return last
        return None

    def use(self, segment: Segment) -> None:
        """Fill this segment from now on, instead of the current one."""
        live = self.live
        if live is None:
            self._line.append(segment)
        elif live is not segment:
            self._line[-1] = segment
            live.mark_moved()

    def finish(self, live: Segment) -> None:
        """Let the live segment wait for sealing."""
        live.finish()
        self.has_new_full = True

    def add_rows(self, lease: Lease, number: int, batch: pa.RecordBatch) -> None:
        """Let rows be sealed as they are, before those of the live segment, if there is one."""
        place = slice(-1, -1) if self.live is not None else slice(len(self._line), None)
        self._line[place] = [_UnsegmentedRows(lease, number, batch)]
        self.has_new_full = True

    @property
    def _full(self) -> list[Segment | _UnsegmentedRows]:
        return [each for each in self._line if each.is_full]

    def has(self, segment: Segment) -> bool:
        """Whether the rows of a segment are in no sealed file and no other image."""
        return segment in self._line

    def is_on_device(self, number: int, rows: int) -> bool:
        """Whether rows with this number are synced, in any segment, or sealed."""
        return all(each.number != number for each in self._line[:]) or (
            self.synced().get(number, 0) >= rows
        )

    def unsynced(self) -> list[Segment]:
        """Segments in files that readers find, in order, that are not completely synced."""
        return [
            each
            for each in self._segments
            if each.image.is_persistent
            and (each.synced is None or each.synced.version != each.version)
        ]

    def start_sync(self, segment: Segment) -> tuple[SyncedState, Callable[[], None]] | None:
        """What a sync of a segment covers, and the function that does it, to call without locks.

        None if its file can't be written now, with a warning to the user.
        """
        synced = segment.begin_sync()
        start = partial(self._unless_sealed, segment, segment.start_sync)
        started = attempt(self.backend, start)
        return None if started is None else (synced, started[0] or _nothing)

    def synced(self) -> dict[int, int]:
        """How many rows of each segment are synced."""
        return {
            each.number: synced.rows
            for each in self._segments
            if (synced := each.synced)
            and synced.version[0] == each.number
            and each.image.is_persistent
        }

    @property
    def _segments(self) -> list[Segment]:
        return [each for each in self._line[:] if isinstance(each, Segment)]

    def _unless_sealed(self, segment: Segment, action: Callable[[], _T]) -> _T | None:
        """The result of an action; None if the segment was sealed meanwhile, and its file removed."""
        try:
            return action()
        except OSError:
            if segment in self._line:
                raise
            return None

    @property
    def loose_rows(self) -> int:
        """The number of rows in no file that readers find; called with the table's lock.

        Rows that were never in a segment count if they can't be sealed: whoever adds them seals them.
        """
        segments = [(each, each.loose_rows) for each in self._segments]
        rows = sum(
            rows for each, rows in segments if each in self._line
        )  # others are sealed by now
        if self.has_failed:
            rows += sum(each.rows for each in self._line[:] if isinstance(each, _UnsegmentedRows))
        return rows

    def flush(self) -> None:
        """Pass all rows to the operating system, as far as possible."""
        self.flush_full()
        if (live := self.live) is not None:
            attempt(self.backend, live.flush)

    def flush_full(self) -> None:
        """Pass the rows of full segments to the operating system, before later ones."""
        attempt(self.backend, self._flush_full)

    def _flush_full(self) -> None:
        for each in self._segments:
            if each.is_full:
                self._unless_sealed(each, each.flush)

    def resolve_pending(self) -> None:
        """Fetch pending device values."""
        for each in self._segments:
            each.resolve_pending()

    @property
    def has_pending(self) -> bool:
        """Whether there are pending device values."""
        return any(each.has_pending for each in self._segments)

    def full_parts(self) -> list[SegmentBatch]:
        """The rows of full segments, in order, sharing the memory of their segments."""
        return [SegmentBatch(each.number, each.batch(copy=False)) for each in self._full]

    @property
    def full_rows(self) -> int:
        """The number of rows in full segments."""
        return sum(each.rows for each in self._full)

    @property
    def _is_urgent(self) -> bool:
        """Whether rows are in no file at all, or so many wait that helping is better."""
        full = self._full
        is_loose = self.backend.is_durable and any(
            isinstance(each, _UnsegmentedRows) for each in full
        )
        return is_loose or sum(each.size for each in full) > MOST_WAITING

    def seal_if_urgent(self) -> None:
        """Seal what can't wait, in the caller's thread, without the table's lock."""
        self.has_new_full = False
        if self._is_urgent:
            self.seal()

    def spare(self, layout: Layout, lease: Lease) -> Segment | None:
        """A prepared empty segment with this layout; None if there is none."""
        while self._spares:
            try:
                segment = self._spares.pop()
            except IndexError:  # another thread was faster
                break
            is_alike = segment.layout == layout and segment.lease is lease
            if is_alike and segment.image.is_there:
                return segment
            segment.image.discard()
        return None

    def prepare(self, layout: Layout, lease: Lease) -> None:
        """Do now what sealing would otherwise wait for, and prepare a spare segment."""
        if not self._is_over:
            with contextlib.suppress(OSError):  # reported when rows are sealed
                self._get_ready()
        self._stock(layout, lease)

    def _stock(self, layout: Layout, lease: Lease) -> None:
        with self._stocking:
            if not (self._spares or self._is_over):
                self._spares.append(self.make(layout, lease))

    def make(self, layout: Layout, lease: Lease, number: int = UNNUMBERED) -> Segment:
        """A spare segment, whose file belongs to no other segment, now or later.

        So a copy of, or hard link to, a live file only has rows of one segment.

        Args:
            layout: the layout of its image.
            lease: the lease that its rows are written under.
            number: its future number, if known.
        """
        return Segment(layout, lease, partial(lease.image, self.name, number))

    def seal(self) -> bool:
        """Seal full segments, in order; False, with a warning to the user, if the disk fails.

        Call it without the table's lock, unless no other thread ever seals.
        """
        me = threading.get_ident()
        if self._sealer == me:
            return True  # called by a signal handler in the middle of sealing, which continues
        with self._turn:
            try:
                self._sealer = me
                while (full := self._full) and self._seal_first(full):
                    pass
                self.has_failed = bool(full)
            finally:
                self._sealer = 0
        return not self.has_failed

    def forget(self) -> None:
        """Drop all rows: they are stored elsewhere."""
        del self._line[:]

    def discard_images(self) -> None:
        """Remove the files of empty segments."""
        with self._stocking:
            self._is_over = True
            while self._spares:
                self._spares.pop().image.discard()
        if (live := self.live) is not None:
            self.withdraw(live)

    def withdraw(self, live: Segment) -> None:
        """Remove the live segment, which has no rows, and its file."""
        self._line.remove(live)
        live.mark_withdrawn()
        live.lease.withdraw(self.name, live.number, live.image)

    def _seal_first(self, full: list[Segment | _UnsegmentedRows]) -> bool:
        """Seal the oldest segment, together with similar ones that follow it."""
        parts: list[SegmentBatch] = []
        rows = 0
        for each in full:
            if isinstance(each, Segment):
                each.resolve_pending()
            batch = each.batch(copy=False)
            rows += batch.num_rows
            is_alike = not parts or batch.schema.equals(parts[0].batch.schema, check_metadata=True)
            if not is_alike or (parts and rows > FILE_ROWS):
                break
            parts.append(SegmentBatch(each.number, batch))
        try:
            self._get_ready()
            if not full[0].lease.seal(self.name, parts):
                self._rename(full[0], parts[0].batch)
                return True
        except (OSError, MemoryError, pa.ArrowException) as error:
            self.backend.complain(error)
            return False
        sealed = self._line[: len(parts)]
        del self._line[: len(parts)], parts, batch
        for each in sealed:
            if isinstance(each, Segment):
                self._replace_sealed(each)
        return True

    def number_rests(self) -> None:
        """Number the rows that a recovery did not seal, so that they precede later rows."""
        for each in self._full:
            if each.rest_number is None and each.lease is not self.backend.lease:
                each.rest_number = next(self._numbers)

    def _get_ready(self) -> None:
        """Prepare for sealing.

        Raises:
            OSError: that fails now.
        """
        if self._before_seal is not None:
            self._before_seal()

    def _rename(self, first: Segment | _UnsegmentedRows, rows: pa.RecordBatch) -> None:
        """Move the rows of a lost lease to the current one, except those that others sealed.

        Raises:
            OSError: it is not known yet how many they sealed.
        """
        sealed = first.lease.seal_first_rows(self.name, SegmentBatch(first.number, rows))
        lease, rest = self.backend.lease, rows.slice(sealed)
        left: list[Segment | _UnsegmentedRows] = []
        if rest.num_rows:
            number = next(self._numbers) if first.rest_number is None else first.rest_number
            named = rest.replace_schema_metadata(lease.metadata(self.name))
            left.append(_UnsegmentedRows(lease, number, named))
        self._line[:1] = left
        if isinstance(first, Segment):
            first.mark_sealed()
            first.image.discard()

    def _replace_sealed(self, segment: Segment) -> None:
        """Remove the file of a sealed segment, and prepare one for later rows instead."""
        segment.mark_sealed()
        if self.backend.is_durable:
            segment.image.discard()
            if segment.image.is_mapped:
                self._stock(segment.layout, segment.lease)


def _nothing() -> None:
    """Nothing to sync."""
