"""The segments of one table: full ones on their way to sealed files, then the one that is filled."""

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

#: Bytes of full segments; whoever fills faster than they are sealed helps to seal.
MOST_WAITING: Final = 96 * 1024 * 1024
#: Segments of the same columns go to one file, up to so many rows.
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
    """All rows of one table that are in no sealed file yet, oldest first.

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
        #: Whether rows were handed over, and nobody has looked yet whether they can wait.
        self.has_new_full = False
        self._line: list[Segment | _UnsegmentedRows] = []
        self._spares: list[Segment] = []
        self._is_over = False
        #: Whether what was full could not be sealed the last time.
        self.has_failed = False
        self.free_lock()

    def free_lock(self) -> None:
        """Let nobody hold the lock: in a forked child."""
        self._turn = threading.Lock()
        self._sealer = 0
        #: Held while a spare segment is added; not by who takes one.
        self._stocking = threading.RLock()

    def take_number(self) -> int:
        """A number that no rows of the table have."""
        number = next(self._numbers)
        self.next_number = number + 1
        return number

    @property
    def live(self) -> Segment | None:
        """The segment that is filled; None where the last one is full."""
        for last in self._line[-1:]:
            if isinstance(last, Segment) and last.is_filling:
                return last
        return None

    def use(self, segment: Segment) -> None:
        """Fill this segment from now on, in place of the one that was filled."""
        live = self.live
        if live is None:
            self._line.append(segment)
        elif live is not segment:
            self._line[-1] = segment
            live.mark_moved()

    def finish(self, live: Segment) -> None:
        """Let the live segment wait for being sealed."""
        live.finish()
        self.has_new_full = True

    def add_rows(self, lease: Lease, number: int, batch: pa.RecordBatch) -> None:
        """Let rows be sealed as they are, before those of the live segment, where there is one."""
        place = slice(-1, -1) if self.live is not None else slice(len(self._line), None)
        self._line[place] = [_UnsegmentedRows(lease, number, batch)]
        self.has_new_full = True

    @property
    def _full(self) -> list[Segment | _UnsegmentedRows]:
        return [each for each in self._line if each.is_full]

    def has(self, segment: Segment) -> bool:
        """Whether the rows of a segment are in no sealed file, and in no other image."""
        return segment in self._line

    def is_on_device(self, number: int, rows: int) -> bool:
        """Whether so many rows with that number are, in whichever segment, or in a sealed file."""
        return all(each.number != number for each in self._line[:]) or (
            self.synced().get(number, 0) >= rows
        )

    def unsynced(self) -> list[Segment]:
        """Segments in files that readers find, in order, of which not all is on the device."""
        return [
            each
            for each in self._segments
            if each.image.is_persistent
            and (each.synced is None or each.synced.version != each.version)
        ]

    def start_sync(self, segment: Segment) -> tuple[SyncedState, Callable[[], None]] | None:
        """What of a segment will survive a loss of power, and what to call for that without a lock.

        None where its file can't be written now, and the user was told.
        """
        synced = segment.begin_sync()
        start = partial(self._unless_sealed, segment, segment.start_sync)
        started = attempt(self.backend, start)
        return None if started is None else (synced, started[0] or _nothing)

    def synced(self) -> dict[int, int]:
        """How many rows of which segments are on the device."""
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
        """What an action gives; None where the segment is sealed by now, and its file gone."""
        try:
            return action()
        except OSError:
            if segment in self._line:
                raise
            return None

    @property
    def loose_rows(self) -> int:
        """Number of rows in no file that readers find; the caller holds the table's lock.

        Rows that were never in a segment count where they can't be sealed: who adds them seals them.
        """
        segments = [(each, each.loose_rows) for each in self._segments]
        rows = sum(rows for each, rows in segments if each in self._line)  # else sealed by now
        if self.has_failed:
            rows += sum(each.rows for each in self._line[:] if isinstance(each, _UnsegmentedRows))
        return rows

    def flush(self) -> None:
        """Hand all rows to the operating system, where that works now."""
        self.flush_full()
        if (live := self.live) is not None:
            attempt(self.backend, live.flush)

    def flush_full(self) -> None:
        """Hand the rows of full segments to the operating system, before those that come after."""
        attempt(self.backend, self._flush_full)

    def _flush_full(self) -> None:
        for each in self._segments:
            if each.is_full:
                self._unless_sealed(each, each.flush)

    def resolve_pending(self) -> None:
        """Fetch what is still on a device."""
        for each in self._segments:
            each.resolve_pending()

    @property
    def has_pending(self) -> bool:
        """Whether anything is still on a device."""
        return any(each.has_pending for each in self._segments)

    def full_parts(self) -> list[SegmentBatch]:
        """The rows of full segments, in order, in the memory of their segments."""
        return [SegmentBatch(each.number, each.batch(copy=False)) for each in self._full]

    @property
    def full_rows(self) -> int:
        """Number of rows in full segments."""
        return sum(each.rows for each in self._full)

    @property
    def _is_urgent(self) -> bool:
        """Whether rows are in no file at all, or so much waits that it is better to help."""
        full = self._full
        is_loose = self.backend.is_durable and any(
            isinstance(each, _UnsegmentedRows) for each in full
        )
        return is_loose or sum(each.size for each in full) > MOST_WAITING

    def seal_if_urgent(self) -> None:
        """Without the table's lock: seal what can't wait, though it is the caller's time."""
        self.has_new_full = False
        if self._is_urgent:
            self.seal()

    def spare(self, layout: Layout, lease: Lease) -> Segment | None:
        """An empty segment of that layout and lease, made ahead; None where there is none."""
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
        """Do ahead what sealing will wait for, and have a spare segment ready before it is needed."""
        if not self._is_over:
            with contextlib.suppress(OSError):  # reported when rows are sealed
                self._get_ready()
        self._stock(layout, lease)

    def _stock(self, layout: Layout, lease: Lease) -> None:
        with self._stocking:
            if not (self._spares or self._is_over):
                self._spares.append(self.make(layout, lease))

    def make(self, layout: Layout, lease: Lease, number: int = UNNUMBERED) -> Segment:
        """A spare segment, whose file no other segment had or will have.

        Whoever copies or links a live file at any time has rows of one segment only.

        Args:
            layout: of its image.
            lease: the name that its rows are under.
            number: the one that it will have, where that is known.
        """
        return Segment(layout, lease, partial(lease.image, self.name, number))

    def seal(self) -> bool:
        """Seal what is full, in order; False where the disk fails, and the user was told.

        Not to be called with the table's lock, but where nobody else ever seals.
        """
        me = threading.get_ident()
        if self._sealer == me:
            return True  # a handler in the middle of it: it is being done
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
        """Drop all rows: they are stored elsewhere now."""
        del self._line[:]

    def discard_images(self) -> None:
        """Take away the files of empty segments, for good."""
        with self._stocking:
            self._is_over = True
            while self._spares:
                self._spares.pop().image.discard()
        if (live := self.live) is not None:
            self.withdraw(live)

    def withdraw(self, live: Segment) -> None:
        """Take the live segment away, which has no rows, with its file."""
        self._line.remove(live)
        live.mark_withdrawn()
        live.lease.withdraw(self.name, live.number, live.image)

    def _seal_first(self, full: list[Segment | _UnsegmentedRows]) -> bool:
        """Seal the oldest segment, and in the same file those after it that are like it."""
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
        """Let what others have not sealed, who presumed the writer dead, stand before what comes."""
        for each in self._full:
            if each.rest_number is None and each.lease is not self.backend.lease:
                each.rest_number = next(self._numbers)

    def _get_ready(self) -> None:
        """Do what goes before sealing.

        Raises:
            OSError: that can't be done now.
        """
        if self._before_seal is not None:
            self._before_seal()

    def _rename(self, first: Segment | _UnsegmentedRows, rows: pa.RecordBatch) -> None:
        """Hold rows of a writer that others presumed dead under the name of now, but those they sealed.

        Raises:
            OSError: how many they are is not known yet.
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
        """Take the file of a sealed segment away, and have one for the next rows instead."""
        segment.mark_sealed()
        if self.backend.is_durable:
            segment.image.discard()
            if segment.image.is_mapped:
                self._stock(segment.layout, segment.lease)


def _nothing() -> None:
    """Nothing is left to sync."""
