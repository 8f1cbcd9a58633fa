"""A writer's table: appending, reading back, syncing and sealing its rows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from .._arrow import pa
from .._report import DROPPED
from .._values.foreign import learn
from ..errors import BusyError, RigorousError, SaveError
from .backend import Backend, SegmentBatch, attempt
from .column import Column
from .exclusive import Exclusive
from .fields import Described, describe_unread
from .implementation import FastPath
from .row_cells import RowCells
from .segment import Segment, SyncedState
from .segments import Segments
from .table import LiveTable

__all__ = ["LiveCells", "TableWriter"]

#: This fraction of a segment's rows is enough to seal it with full ones at an experiment's end.
_MUCH: Final = 4


class LiveCells(NamedTuple):
    """The rows of a segment that is filled: its number, the metadata of its files, and its cells."""

    number: int
    metadata: dict[bytes, bytes]
    cells: RowCells


class TableWriter:
    """One table (records or nodes) of one writer.

    Safe to use from many threads, and from signal handlers. ``append`` is the path of every record
    that the ``fast_path`` does not accept.

    Args:
        name: the name of the table.
        backend: where its rows go.
        check_new: raises for a row with one of these columns, which no row had before.
        reserved: the keys for which it does.
        before_seal: what goes before any of its rows is sealed; raises OSError where it can't be done.
    """

    def __init__(
        self,
        name: str,
        backend: Backend,
        *,
        check_new: Callable[[Sequence[Column]], None] | None = None,
        reserved: frozenset[str] = frozenset(),
        before_seal: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self._backend = backend
        self._check_new = check_new
        self._reserved = reserved
        self._before_seal = before_seal
        #: Where rows that fit are written at once; closed while anything else happens to the table.
        self.fast_path = FastPath()
        self.start_anew()

    def start_anew(self) -> None:
        """Reset to an empty table with free locks: for a new writer, or after a fork."""
        self.fast_path.buffers = None
        self._segments = Segments(self.name, self._backend, self._before_seal)
        self._live = LiveTable(self._segments, self.fast_path, self._check_new, self._reserved)
        self._exclusive = Exclusive(self._live)

    def forget_rows(self) -> None:
        """Drop all rows: they are stored elsewhere."""
        with self.lock:
            self.close_fast_path()
            self._segments.forget()
            self._segments.take_number()  # or the version could repeat with the next rows

    def free_lock(self) -> None:
        """Release the locks in a forked child, for tables that are only in memory."""
        self._exclusive.free_lock()
        self._segments.free_lock()

    @property
    def lock(self) -> threading.RLock:
        """Excludes changes by other threads."""
        return self._exclusive.lock

    def close_fast_path(self) -> None:
        """Allow rows to be written only under the table's lock, until after the next one."""
        self._live.close_fast_path()

    def append(self, node: int, fields: dict[Any, Any]) -> None:
        """Add a row. When this returns, the row survives the death of the process.

        Raises:
            KeyNotTextError, UnsupportedTypeError, UnsupportedValueError: nothing was added.
        """
        if self.fast_path.is_atomic:
            is_done = self.fast_path.append(node, fields)
        else:
            is_done = self._exclusive.append(node, fields)
        if not is_done:
            row = describe_unread(fields)  # without the lock: values can run arbitrary code
            if self._live.is_ending:
                self._append_at_end(node, row)
                return
            self._append_carefully(node, row)
            learn(fields.values())
        if self._segments.has_new_full:
            self._segments.seal_if_urgent()

    def _append_carefully(self, node: int, row: Described) -> None:
        self._exclusive.run(partial(self._live.append, node, row))

    def _append_at_end(self, node: int, row: Described) -> None:
        """Flush a row to the operating system at once; if that fails it is dropped, and counted."""
        try:
            self._append_carefully(node, row)
            self.flush()
            is_lost = bool(self._segments.loose_rows)
        except RigorousError:
            raise
        except Exception:  # noqa: BLE001 - anything can fail during interpreter shutdown
            is_lost = True
        if is_lost:
            self._segments.forget()
            DROPPED.add(1)

    def append_columns(self, nodes: pa.Array, columns: Mapping[Column, pa.Array]) -> None:
        """Add many rows at once, as columns of the sealed types.

        Raises:
            ClosedError: the collection was closed.
        """
        self._exclusive.run(partial(self._live.extend, nodes, columns))
        if self._segments.has_new_full:
            self._segments.seal_if_urgent()

    def parts(self) -> list[SegmentBatch]:
        """The rows that are in no sealed file yet, in order."""
        with self.lock:
            while self._segments.has_pending:  # a handler may push in the middle of a fetch
                self._segments.resolve_pending()
            if not self.is_changing:
                self._live.finish_interrupted()
            parts = self._segments.full_parts()
            if (live := self._segments.live) is not None and live.rows:
                parts.append(SegmentBatch(live.number, live.batch(copy=True)))
            return parts

    def live_cells(self) -> LiveCells | None:
        """The rows of the segment that is filled, to read single ones; None if that is not possible.

        Values that are still on a device can't be read alone.
        """
        live = self._segments.live
        if live is None or live.has_pending:
            return None
        return LiveCells(live.number, live.layout.metadata, live.row_cells)

    @property
    def version(self) -> tuple[int, int]:
        """Changes with every row: the segment's number, and its number of rows."""
        live = self._segments.live
        return self._segments.next_number, 0 if live is None else live.rows

    def flush(self) -> None:
        """Flush all rows to the operating system, if the file is not mapped."""
        self._exclusive.run(self._flush)

    def _flush(self) -> None:
        self._live.finish_interrupted()
        self._segments.flush()

    def sync(self) -> dict[int, int] | None:
        """Block until all rows survive a power loss, or wait in memory with a warning to the user.

        Returns:
            How many rows of each unsealed segment are synced. None if nothing was done, because a
            signal handler called it in the middle of a change.
        """
        if self.is_changing:
            return None
        self._segments.resolve_pending()
        self._exclusive.run(self._live.leave_lost_name)
        while True:
            self._segments.seal()  # full segments; if that fails, they are synced unsealed
            unsynced = self._exclusive.run(self._unsynced)
            are_done = [self._sync(each) for segments in unsynced or () for each in segments]
            if all(are_done):
                return self._segments.synced()

    def _unsynced(self) -> list[Segment]:
        self._live.finish_interrupted()
        self._live.republish()
        return self._segments.unsynced()  # for rows that are only in memory a warning was issued

    def _sync(self, segment: Segment) -> bool:
        """Sync one segment; False if its rows moved to another file meanwhile."""
        started = self._exclusive.run(partial(self._segments.start_sync, segment))
        # Without the table's lock, since the device may be slow; not from a signal handler in the
        # middle of a change, which must be able to continue.
        return not (started and started[0]) or self._end_sync(segment, *started[0])

    def _end_sync(self, segment: Segment, synced: SyncedState, sync: Callable[[], None]) -> bool:
        if attempt(self._backend, sync) is None:
            return True
        with self.lock:
            if self._segments.has(segment):
                segment.mark_synced(synced)
                return True
            return self._segments.is_on_device(segment.number, synced.rows)

    def rows_at_risk(self) -> int:
        """The number of rows that would be lost with the process, after an attempt to flush them.

        They are counted after an attempt to seal full segments.
        """
        found = self._exclusive.run(self._flush_and_count)
        if found and found[0]:  # a value can come from a device in the middle of the first look,
            self._segments.seal()  # or the rows wait for it that others may have sealed
            found = self._exclusive.run(self._flush_and_count)
        return (
            found[0] if found else self._segments.loose_rows
        )  # a handler in the middle of a change

    def _flush_and_count(self) -> int:
        self._live.finish_interrupted()
        self._live.republish()
        self.close_fast_path()  # no rows between the flush and the count
        self._segments.flush()
        return self._segments.loose_rows

    def hand_over_much(self) -> None:
        """Let the current rows be sealed by the next ``sync``, together with full segments.

        Only if they fill much of a segment: then it takes little longer than syncing, and saves sealing
        them in a separate file later.
        """
        self._exclusive.run(self._hand_over_much)

    def _hand_over_much(self) -> None:
        live = self._segments.live
        if live is None or not self._segments.full_rows:
            return
        if live.rows >= live.layout.capacity // _MUCH:
            self._live.hand_over()

    def seal(self) -> bool:
        """Seal the current rows; False if that fails now, without losing any."""
        self._exclusive.run(self._live.hand_over)
        return self._segments.seal()

    def require_sealed(self) -> None:
        """Seal the current rows.

        Raises:
            SaveError: that fails now; the rows stay where they are.
        """
        is_done = self.seal() or self.seal()  # a second attempt, after a temporary failure
        self.require_saved()
        if not is_done and self.cannot_seal:
            message = (
                f"{self._segments.full_rows:,} rows of {self.name} could not be sealed:"
                f" {self._backend.trouble}. They are in live files, which the next opening of the"
                " collection recovers. Make the folder writable again, then call save()"
            )
            raise SaveError(message)

    def close(self) -> None:
        """Seal all rows and remove the live file.

        Raises:
            SaveError: some can't be sealed; they stay where they are.
            BusyError: a signal handler calls for it in the middle of another change.
        """
        is_closed = False
        while not is_closed:
            self.require_sealed()
            closed = self._exclusive.run(self._discard_images)
            if closed is None:
                self.require_quiet()
            is_closed = closed == (True,)

    def is_left(self) -> bool:
        """Remove the live file during interpreter exit; False if there are rows in it."""
        self._live.is_ending = self._exclusive.run(self._discard_images) == (True,)
        return self._live.is_ending

    def _discard_images(self) -> bool:
        """Remove the files of empty segments; False if rows were logged meanwhile."""
        self.close_fast_path()
        self._live.finish_interrupted()
        live = self._segments.live
        if self._segments.full_rows or (live is not None and live.rows):
            return False
        self._segments.discard_images()
        return True

    def require_saved(self) -> None:
        """Raise unless all rows are in files.

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
        """Whether the last attempt to seal full segments failed."""
        return self._segments.has_failed

    @property
    def is_changing(self) -> bool:
        """Whether this thread is in the middle of a change, as a signal handler can be."""
        return self._exclusive.is_changing

    def require_quiet(self) -> None:
        """Raise if this thread is in the middle of a change.

        Raises:
            BusyError: it is: a signal handler calls for it.
        """
        if self.is_changing:
            message = (
                "the collection is being written to, and can't be closed in the middle of that"
            )
            raise BusyError(message)
