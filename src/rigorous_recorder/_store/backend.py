"""Where a writer's rows go: its own files in the folder of a collection."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from .._arrow import pa
from .._live.backend import Behind, SegmentBatch
from .._live.backing import Image, MappedImage, MemoryImage, WriteBehindImage
from .._live.layout import Blank
from .._mounts import is_safe_to_map
from .._report import warn_or_report
from ..errors import ClosedError, StorageWarning
from .background import later, start_background
from .begun import Begun
from .encodings import Encodings
from .folder import RECORDS, TABLES, Folder, LiveName, SealedName
from .footer import describe_file, segment_metadata
from .locks import FileLock
from .marks import SyncedRows, WatermarkWriter
from .node_ids import WRITER_BITS, NodeIds
from .seal import load, write_sealed
from .sealed_files import SealedFiles, is_used

__all__ = ["FolderBackend"]

#: So long who seals waits for others who recover what it has.
_RECOVERY_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.02


def _random_writer() -> int:
    """A number of 32 bits that is not 0, which stands for no writer."""
    return int.from_bytes(os.urandom(WRITER_BITS // 8)) or _random_writer()


class FolderBackend:
    """One writer of a collection: a name of its own, a lock while it lives, its own files."""

    is_durable = True

    def __init__(
        self, folder: Folder, identity: str, *, before_records: Callable[[], None]
    ) -> None:
        self.folder = folder
        self._before_records = before_records
        self._identity = identity
        self._closed = False
        #: Whether no more rows are taken: the collection is just being closed.
        self.refuses = False
        #: Whether the interpreter exits: each row is handed to the system, without a word.
        self.is_ending = False
        self.forget()

    def forget(self) -> None:
        """Be no writer yet: at the start, and in a forked child (the parent keeps its files)."""
        if (lock := getattr(self, "_lock_file", None)) is not None:
            lock.release()
        #: Of the writer that this is or is about to be, also where that is interrupted; 0 is none.
        self._number = 0
        self._lock_file: FileLock | None = None
        self._watermark: WatermarkWriter | None = None
        self._begun: Begun | None = None
        #: Whether others may have sealed rows that are in live files of this writer.
        self._was_presumed_dead = False
        #: Whether what is in live files is to be sealed soon: others may have taken their names away.
        self.has_lost_names = False
        self._encodings = {table: Encodings() for table in TABLES}
        self._starting = threading.RLock()
        #: Held by who looks for the lock, and takes it again: two of them would wait for each other.
        self._locking = threading.RLock()
        self.writer = ""
        #: Whether all is done that is to be done when there is a writer.
        self._is_ready = False
        #: Whether live rows are in mapped files, which outlive the process without a flush.
        self.is_mapped = True
        self.trouble = ""
        self._warned = False

    @property
    def identity(self) -> str:
        """The id of the collection."""
        return self._identity

    @property
    def is_closed(self) -> bool:
        """Whether this process stopped writing, for good."""
        return self._closed

    @property
    def is_open(self) -> bool:
        """Whether this process writes to the collection."""
        return bool(self.writer) and not self._closed

    def open(self) -> None:
        """Become a writer, where this is not one yet.

        Raises:
            ClosedError: the collection was closed.
            ReadOnlyError: it was opened read-only.
        """
        self.folder.require_writable()
        if self._closed or self.refuses:
            message = (
                f"the collection {self.folder.path} is closed; open it again with"
                " ExperimentCollection(...)"
            )
            raise ClosedError(message)
        if not self._is_ready:
            with self._starting:
                if not self.writer:
                    self._become_writer()
                if not self._is_ready:  # also where Ctrl-C came in the middle of this
                    start_background()
                    self._is_ready = True

    def _become_writer(self) -> None:
        if not self.is_ending:  # nothing can be imported any more when modules are taken down
            load()
        try:
            while self._lock_file is None:
                number = _random_writer()
                lock = self._claim(f"{number:08x}")
                if self._lock_file is None:
                    self._number, self._lock_file = number, lock
                elif lock is not None:
                    lock.remove()
            watermark = WatermarkWriter(self.folder, f"{self._number:08x}")
            self._watermark = self._watermark or watermark
        except OSError as error:
            self._number = self._number or _random_writer()
            self.complain(error)
        ids, started = NodeIds(self._number), time.time_ns() // 1000
        is_mapped = is_safe_to_map(self.folder.live)
        if self.writer:  # a signal handler logged in the middle of this, and has made its nodes
            return
        self.ids, self._started, self.is_mapped = ids, started, is_mapped
        self._begun = Begun(self.folder, f"{self._number:08x}")
        self.writer = f"{self._number:08x}"

    def _claim(self, writer: str) -> FileLock | None:
        self.folder.create(self._identity)
        self._identity = self.folder.info()["id"]  # of whoever made the folder first
        lock = FileLock.create(self.folder.lock_path(writer))
        if lock is not None and is_used(self.folder, writer):
            lock.remove()
            return None
        return lock

    def metadata(self, table: str) -> dict[bytes, bytes]:
        """What every file of that table has in its metadata."""
        return describe_file(
            table=table, collection=self._identity, writer=self.writer, started=self._started
        )

    def image(self, table: str, number: int, blank: Blank) -> Image:
        """An image with a file, or in memory where none can be made now."""
        path = self._live_path(table, number)
        try:
            self._be_there()
            return (MappedImage if self.is_mapped else WriteBehindImage)(path, blank)
        except OSError as error:
            self.complain(error)
            return MemoryImage(blank)

    def publish(self, table: str, number: int, image: Image) -> None:
        """Let readers find an image under its segment's number."""
        with self._despite_stale_names():
            image.publish(self._live_path(table, number))
        if self._watermark is not None:
            self._watermark.expect_names()
        if image.is_persistent:
            self._record_begun(table, number)

    def withdraw(self, table: str, number: int, image: Image) -> None:
        """Take the file of a segment without rows away."""
        if self._begun is not None:
            self._begun.withdraw(table, number)
        image.discard()

    def _record_begun(self, table: str, number: int) -> None:
        if self._begun is not None:
            self._begun.note(table, number)

    def prepare(self, table: str) -> None:
        """Do ahead what sealing rows of that table would wait for, if it can be done now."""
        if table == RECORDS:
            with contextlib.suppress(OSError):  # told when rows are sealed
                self._before_records()

    def seal(self, table: str, parts: list[SegmentBatch]) -> None:
        """Write a sealed file.

        Raises:
            OSError: it can't be written now.
        """
        self._write(table, parts)

    def seal_rest(self, table: str, part: SegmentBatch, behind: Behind) -> None:
        """Write a sealed file of rows that others left, under this number or a higher one.

        Raises:
            OSError: it can't be written now.
        """
        number = max(part.number, SealedFiles(self.folder, table).last_number(self.writer) + 1)
        self._write(table, [part._replace(number=number)], behind)

    def _write(self, table: str, parts: list[SegmentBatch], behind: Behind | None = None) -> None:
        self._be_there()
        if table == RECORDS:
            self._before_records()
        else:  # an end of an experiment among them lasts no longer than the records before it
            self.record_synced({})
        name = SealedName(self.writer, parts[0].number, parts[-1].number)
        rows = pa.Table.from_batches([part.batch for part in parts])
        segments = [segment_metadata(n, batch.num_rows, behind=behind) for n, batch in parts]
        path = self.folder.sealed_path(table, name)
        write_sealed(path, rows, segments, self._encodings[table])
        for number, _ in parts:
            self._record_begun(table, number)

    def is_presumed_dead(self) -> bool:
        """Whether the lock is lost since the last look, as to others that recovered; it is held again.

        A lease on a file server may have ended, or the folder may be another one by now.
        """
        with self._locking:
            return self._is_lock_lost()

    def _is_lock_lost(self) -> bool:
        lost, path = self._lock_file, self.folder.lock_path(self.writer)
        try:
            if lost is not None:
                if lost.is_in_place:
                    return False
                lost.give_up()  # first: FUSE can have the new file for the one that is lost
            held = FileLock.create(path) or FileLock.take(path)
        except OSError as error:
            self.complain(error)
            return False
        if held is not None:
            self._lock_file = held
            self._renew_watermark()
        if lost is not None:
            self._was_presumed_dead = self.has_lost_names = True
        return lost is not None

    def _renew_watermark(self) -> None:
        """Let others know what lock this writer holds by now."""
        try:
            if self._watermark is not None:
                with self._despite_stale_names():
                    self._watermark.write()
        except OSError as error:
            self.complain(error)

    @contextlib.contextmanager
    def _despite_stale_names(self) -> Iterator[None]:
        """Go on where a name can't be had any more, as what is under it will be sealed under others.

        An overlay has no other file for the name of one that was taken away in the layer below.
        """
        try:
            yield
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
            self.has_lost_names = True

    def was_recovered(self) -> bool:
        """Whether others took this writer for dead, and may have sealed rows of it.

        Raises:
            OSError: the folder can't be written, or they are still at it.
        """
        self._be_there()
        patience = time.monotonic() + _RECOVERY_SECONDS
        while self.is_presumed_dead():
            if time.monotonic() > patience:
                message = "another process is recovering it, and has not come to an end"
                raise OSError(errno.EBUSY, message, str(self.folder.lock_path(self.writer)))
            time.sleep(_LOOK_SECONDS)
        return self._was_presumed_dead

    def sealed_rows(self, table: str, number: int) -> int | None:
        """How many rows of a segment are sealed; None where it can be sealed under its number.

        A file with a higher number may become one with others, whose range then has this one.
        """
        files = SealedFiles(self.folder, table)
        rows = files.rows_of(self.writer, number)
        return 0 if rows is None and number <= files.last_number(self.writer) else rows

    def later(self, job: Callable[[], object]) -> None:
        """Have a job done soon, off the caller's thread."""
        later(job)

    def remember_synced(self, found: SyncedRows) -> None:
        """As ``record_synced``, with the next note."""
        if self._watermark is not None:
            self._watermark.remember(found)

    def record_synced(self, found: SyncedRows) -> None:
        """Note that so many rows of live files are on the device; return when this is, too."""
        try:
            if self._watermark is not None:
                with self._despite_stale_names():
                    self._watermark.note(found)
        except OSError as error:
            self.complain(error)

    def complain(self, error: Exception) -> None:
        """Tell the user, once, that data waits in memory; never stop the training for it."""
        self.trouble = str(error) or type(error).__name__
        if isinstance(error, OSError) and error.errno == errno.EFBIG:
            self.trouble += " (a limit of this process: raise it with ulimit -f)"
        if self._warned or self.is_ending:
            return
        self._warned = True
        message = (
            f"{self.folder.path} can't be written now ({self.trouble}). Logging goes on: what is in no file"
            " yet waits in memory and is tried again; keep the process alive until it is saved"
        )
        warn_or_report(message, StorageWarning, stacklevel=2)

    def settle(self) -> None:
        """All data is saved: the next trouble is worth a warning of its own."""
        self._warned = False

    def close(self) -> None:
        """Stop being a writer, for good; all rows are in sealed files."""
        self._closed = True
        self._end_writer()

    def leave(self) -> None:
        """Stop being this writer: who logs after it, as the interpreter exits, is another one."""
        self._end_writer()
        self.forget()

    def _end_writer(self) -> None:
        if self._watermark is not None:
            self._watermark.end()
        if self._lock_file is not None:
            self.folder.remove_lives(self.writer)
            self._lock_file.remove()
            self._lock_file = self._watermark = None

    def _be_there(self) -> None:
        """Make the folder again where it is gone, and hold its lock, unless all is over."""
        if self._closed:
            return
        self.folder.create(self._identity)
        self.is_presumed_dead()
        if self._watermark is None:
            self._watermark = WatermarkWriter(self.folder, self.writer)
        elif not self._watermark.is_there:
            self._renew_watermark()

    def _live_path(self, table: str, number: int) -> Path:
        return self.folder.live_path(LiveName(self.writer, number, table))
