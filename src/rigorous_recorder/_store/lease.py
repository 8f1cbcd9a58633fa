"""A name under which a process writes, as long as others can know that it lives: its lease."""

from __future__ import annotations

import errno
import time
from pathlib import Path
from typing import Final, Protocol

from .._arrow import pa
from .._live.backend import SegmentBatch
from .._live.backing import Image, MappedImage, MemoryImage, WriteBehindImage
from .._live.layout import Blank
from .encodings import Encodings
from .folder import Folder, LiveName, SealedName
from .footer import describe_file, segment_metadata
from .locks import FileLock
from .node_ids import NodeIds
from .seal import write_sealed
from .sealed_files import SealedFiles
from .started_segments import StartedSegments
from .watermark import SyncedRows, WatermarkWriter

__all__ = ["FolderLease"]

#: So long who seals waits for others who recover what it has.
_RECOVERY_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.02


class _Holder(Protocol):
    """Who holds leases: what it knows of the collection, and does for all of them."""

    folder: Folder
    encodings: dict[str, Encodings]
    is_mapped: bool

    @property
    def identity(self) -> str:
        """The id of the collection."""

    def look(self) -> FolderLease:
        """The lease under which rows go now."""

    def complain(self, error: Exception) -> None:
        """Tell the user, once, that data waits in memory."""


class FolderLease:
    """A writer's name, its lock while it lives, and its files.

    Args:
        lock: on the writer's lock file; None where none could be made yet.
        after: when the lease before it started: the rows of this one stand behind.
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

    # --- the lock ------------------------------------------------------------------------------

    def is_lost(self) -> bool:
        """Whether others presumed the writer dead: the lock file is another one, or gone.

        Raises:
            OSError: it can't be looked at.
        """
        if self.lock is None:
            return not self.hold()
        return not self.lock.is_in_place

    def hold(self) -> bool:
        """Hold the lock, again where it is lost; False where somebody else holds it.

        Raises:
            OSError: the file can't be made, or not be locked.
        """
        if self.lock is not None:
            if self.lock.is_in_place:
                return True
            self.lock.give_up()  # first: FUSE can have the new file for the one that is lost
        path = self._folder.lock_path(self.writer)
        held = FileLock.create(path) or FileLock.take(path)
        if held is not None:
            self.lock = held
            self.renew()
        return held is not None

    def renew(self) -> None:
        """Let others know what lock this writer holds by now.

        Raises:
            OSError: it can't be written.
        """
        if self.watermark is None:
            self.watermark = WatermarkWriter(self._folder, self.writer)
        else:
            self.watermark.write()

    def keep_watermark(self) -> None:
        """Write the watermark again where it is gone.

        Raises:
            OSError: it can't be written.
        """
        if self.watermark is None or not self.watermark.is_there:
            self.renew()

    def remember_synced(self, found: SyncedRows) -> None:
        """As ``record_synced``, with the next watermark."""
        if self.watermark is not None:
            self.watermark.remember(found)

    def record_synced(self, found: SyncedRows) -> None:
        """Write that so many rows of live files are on the device, and that the writer lives.

        Raises:
            OSError: it can't be written.
        """
        if self.watermark is not None:
            self.watermark.record(found)

    def forget(self) -> None:
        """Leave all files and the lock to the process that this one was forked of."""
        if self.lock is not None:
            self.lock.release()

    def end(self) -> None:
        """Take the live files away, then the lock: all rows are in sealed files."""
        if self.watermark is not None:
            self.watermark.end()
        if self.lock is not None:
            self._folder.remove_lives(self.writer)
            self.lock.remove()
            self.lock = self.watermark = None

    # --- files ---------------------------------------------------------------------------------

    def metadata(self, table: str) -> dict[bytes, bytes]:
        """What every file of that table has in its metadata."""
        return describe_file(
            table=table,
            collection=self._backend.identity,
            writer=self.writer,
            started=self.started,
        )

    def image(self, table: str, number: int, blank: Blank) -> Image:
        """An image with a file, or in memory where none can be made now."""
        kind = MappedImage if self._backend.is_mapped else WriteBehindImage
        try:
            return kind(self._live_path(table, number), blank)
        except OSError as error:
            self._backend.complain(error)
            return MemoryImage(blank)

    def publish(self, table: str, number: int, image: Image) -> None:
        """Let readers find an image under its segment's number."""
        image.publish(self._live_path(table, number))
        if self.watermark is not None:
            self.watermark.expect_names()
        if image.is_persistent:
            self._started_segments.record(table, number)

    def withdraw(self, table: str, number: int, image: Image) -> None:
        """Take the file of a segment without rows away."""
        self._started_segments.withdraw(table, number)
        image.discard()

    def seal(self, table: str, parts: list[SegmentBatch]) -> bool:
        """Write a sealed file; False where others presumed the writer dead by now.

        Raises:
            OSError: it can't be written now.
        """
        if self._backend.look() is not self:
            return False
        self._write(table, parts)
        # Others who came meanwhile may have written fewer rows in the place of these.
        return self._backend.look() is self

    def seal_first_rows(self, table: str, part: SegmentBatch) -> int:
        """Have the first rows of a segment sealed for good, once others presumed the writer dead.

        Returns:
            How many: those that the others have found, or all, where they sealed none.

        Raises:
            OSError: others are just sealing them, or the folder can't be written.
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
        """Hold the lock again: nobody else seals what is under this name then.

        Raises:
            OSError: somebody else holds it for long, or the folder can't be written.
        """
        patience = time.monotonic() + _RECOVERY_SECONDS
        while not self.hold():
            if time.monotonic() > patience:
                message = "another process is recovering it, and has not come to an end"
                raise OSError(errno.EBUSY, message, str(self._folder.lock_path(self.writer)))
            time.sleep(_LOOK_SECONDS)

    def _write(self, table: str, parts: list[SegmentBatch]) -> None:
        rows = pa.Table.from_batches([part.batch for part in parts])
        name = SealedName(self.writer, parts[0].number, parts[-1].number)
        segments = [segment_metadata(number, batch.num_rows) for number, batch in parts]
        path = self._folder.sealed_path(table, name)
        write_sealed(path, rows, segments, self._backend.encodings[table])
        for number, _ in parts:
            self._started_segments.record(table, number)

    def _live_path(self, table: str, number: int) -> Path:
        return self._folder.live_path(LiveName(self.writer, number, table))
