"""Leases: the name under which a process writes, as long as others see that it is alive."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from .._arrow import pa
from .._live.backend import SegmentBatch
from .._live.backing import Image, MappedImage, MemoryImage, WriteBehindImage
from .._live.layout import Blank
from .encodings import Encodings
from .folder import TABLES, Folder, LiveName, SealedName
from .footer import describe_file, segment_metadata
from .locks import FileLock
from .node_ids import NodeIds
from .own_files import OwnFile, OwnFiles
from .seal import write_sealed
from .sealed_files import SealedFiles
from .started_segments import StartedSegments
from .watermark import SyncedRows, WatermarkWriter

__all__ = ["FolderLease"]

#: How many seconds sealing waits for others that recover the same rows.
_RECOVERY_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.02


class _Holder(Protocol):
    """The holder of leases: what all of its leases share."""

    folder: Folder
    encodings: dict[str, Encodings]
    is_mapped: bool

    @property
    def identity(self) -> str:
        """The id of the collection."""

    def look(self) -> FolderLease:
        """The current lease."""

    def complain(self, error: Exception) -> None:
        """Warn the user, once, that data waits in memory."""

    def schedule(self, job: Callable[[], object]) -> None:
        """Run a job soon, on another thread."""


class FolderLease:
    """A writer's name, its lock while it is alive, and its files.

    Args:
        lock: on the writer's lock file; None if it could not be created yet.
        after: the start of the previous lease, whose rows come before those of this one.
    """

    def __init__(self, backend: _Holder, number: int, lock: FileLock | None, after: int) -> None:
        self.writer = f"{number:08x}"
        self.ids = NodeIds(number)
        self.watermark: WatermarkWriter | None = None
        self.lock = lock
        self._backend = backend
        self._folder = backend.folder
        self.started = max(time.time_ns() // 1000, after + 1)
        self._started_segments = StartedSegments(self._folder, self.writer)
        self._own_files = {t: OwnFiles(self._folder, t, self._is_in_place) for t in TABLES}

    # --- the lock ------------------------------------------------------------------------------

    def is_lost(self) -> bool:
        """Whether others presumed the writer dead: the lock file was replaced or removed.

        Raises:
            OSError: it can't be checked.
        """
        if self.lock is None:
            return not self.hold()
        return not self.lock.is_in_place

    def _is_in_place(self) -> bool:
        """Like not ``is_lost``, but without taking the lock."""
        return self.lock is not None and self.lock.is_in_place

    def hold(self) -> bool:
        """Hold the lock, taking it again if it was lost; False if another process holds it.

        Raises:
            OSError: the file can't be created or locked.
        """
        if self.lock is not None:
            if self.lock.is_in_place:
                return True
            self.lock.give_up()  # first: FUSE can mistake the new file for the lost one
        path = self._folder.lock_path(self.writer)
        held = FileLock.create(path) or FileLock.take(path)
        if held is not None:
            self.lock = held
            self.renew()
        return held is not None

    def renew(self) -> None:
        """Record the lock that this writer holds now, for others.

        Raises:
            OSError: it can't be written.
        """
        if self.watermark is None:
            self.watermark = WatermarkWriter(self._folder, self.writer, self.started)
        else:
            self.watermark.write()

    def keep_watermark(self) -> None:
        """Write the watermark again if it is gone.

        Raises:
            OSError: it can't be written.
        """
        if self.watermark is None or not self.watermark.is_there:
            self.renew()

    def remember_synced(self, found: SyncedRows) -> None:
        """Like ``record_synced``, but with the next watermark."""
        if self.watermark is not None:
            self.watermark.remember(found)

    def record_synced(self, found: SyncedRows) -> None:
        """Record that live files are synced up to these rows, and renew the heartbeat.

        Raises:
            OSError: it can't be written.
        """
        if self.watermark is not None:
            self.watermark.record(found)

    def forget(self) -> None:
        """Leave all files and the lock to the parent process after a fork."""
        if self.lock is not None:
            self.lock.release()

    def end(self) -> None:
        """Remove the live files, then the lock: all rows are in sealed files."""
        for files in self._own_files.values():
            files.end()
        if self.watermark is not None:
            self.watermark.end()
        if self.lock is not None:
            self._folder.remove_lives(self.writer)
            self.lock.remove()
            self.lock = self.watermark = None

    # --- files ---------------------------------------------------------------------------------

    def metadata(self, table: str) -> dict[bytes, bytes]:
        """The metadata of all files of a table."""
        return describe_file(
            table=table,
            collection=self._backend.identity,
            writer=self.writer,
            started=self.started,
        )

    def image(self, table: str, number: int, blank: Blank) -> Image:
        """A file-backed image, or one in memory if no file can be created now."""
        kind = MappedImage if self._backend.is_mapped else WriteBehindImage
        try:
            return kind(self._live_path(table, number), blank)
        except OSError as error:
            self._backend.complain(error)
            return MemoryImage(blank)

    def publish(self, table: str, number: int, image: Image) -> None:
        """Make an image visible to readers under its segment's number."""
        image.publish(self._live_path(table, number))
        if self.watermark is not None:
            self.watermark.expect_names()
        if image.is_persistent:
            self._started_segments.record(table, number)

    def withdraw(self, table: str, number: int, image: Image) -> None:
        """Remove the file of a segment without rows."""
        self._started_segments.withdraw(table, number)
        image.discard()

    def seal(self, table: str, parts: list[SegmentBatch]) -> bool:
        """Write a sealed file; False if others presumed the writer dead.

        Raises:
            OSError: it can't be written now.
        """
        if not self._is_current():
            return False
        file = self._write(table, parts)
        # Others may meanwhile have written a file with fewer rows under this name.
        if not self._is_current():
            return False
        if (files := self._own_files[table]).add(file):
            self._backend.schedule(files.merge)
        return True

    def _is_current(self) -> bool:
        """Whether rows can still be sealed under this name.

        Raises:
            OSError: that can't be checked, or another thread is changing the name for long.
        """
        patience = time.monotonic() + _RECOVERY_SECONDS
        while self._backend.look() is self:
            if not self.is_lost():
                return True
            if time.monotonic() > patience:  # a signal handler has interrupted it, and waits
                message = "another thread is changing the name of the writer, and has not finished"
                raise OSError(errno.EBUSY, message, str(self._folder.live))
            time.sleep(_LOOK_SECONDS)
        return False

    def seal_first_rows(self, table: str, part: SegmentBatch) -> int:
        """Have the first rows of a segment sealed after others presumed the writer dead.

        Returns:
            Their number: those that the others found, or all rows if they sealed none.

        Raises:
            OSError: others are sealing them right now, or the folder can't be written.
        """
        while True:
            self._wait_for_lock()
            files = SealedFiles(self._folder, table)
            rows = files.rows_of(self.writer, part.number)
            if rows is not None:
                return rows
            if part.number <= files.last_number(self.writer):
                return 0  # a file of this name could be hidden by a merged one
            self._write(table, [part])

    def _wait_for_lock(self) -> None:
        """Hold the lock again, so that no other process seals rows under this name.

        Raises:
            OSError: another process holds it for long, or the folder can't be written.
        """
        patience = time.monotonic() + _RECOVERY_SECONDS
        while not self.hold():
            if time.monotonic() > patience:
                message = "another process is recovering it, and has not finished"
                raise OSError(errno.EBUSY, message, str(self._folder.lock_path(self.writer)))
            time.sleep(_LOOK_SECONDS)

    def _write(self, table: str, parts: list[SegmentBatch]) -> OwnFile:
        rows = pa.Table.from_batches([part.batch for part in parts])
        name = SealedName(self.writer, parts[0].number, parts[-1].number)
        segments = [segment_metadata(number, batch.num_rows) for number, batch in parts]
        path = self._folder.sealed_path(table, name)
        keys = write_sealed(path, rows, segments, self._backend.encodings[table])
        for number, _ in parts:
            self._started_segments.record(table, number)
        return OwnFile(name, rows.num_rows, rows.nbytes, keys)

    def _live_path(self, table: str, number: int) -> Path:
        return self._folder.live_path(LiveName(self.writer, number, table))
