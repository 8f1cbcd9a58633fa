"""The folder backend: a writer's own files in the folder of a collection."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Callable

from .._mounts import is_safe_to_map
from .._report import warn_or_report
from ..errors import ClosedError, StorageWarning
from .background import schedule, start_background, sync_all
from .encodings import Encodings
from .features import Feature
from .folder import SPARSE, TABLES, Folder
from .lease import FolderLease
from .locks import FileLock
from .node_ids import WRITER_BITS, NodeIds
from .own_files import load as load_merging
from .seal import load
from .sealed_files import is_used
from .watermark import SyncedRows

__all__ = ["FolderBackend"]


def _random_writer() -> int:
    """A random nonzero 32-bit number; 0 means no writer."""
    return int.from_bytes(os.urandom(WRITER_BITS // 8)) or _random_writer()


class FolderBackend:
    """One writer of a collection: with its own name, a lock while it is alive, and its own files."""

    is_durable = True

    def __init__(self, folder: Folder, identity: str) -> None:
        self.folder = folder
        self._identity = identity
        self._closed = False
        #: Whether no more rows are accepted, because the collection is being closed.
        self.refuses = False
        #: Whether the interpreter exits: each row is flushed to the system, and errors are silent.
        self.is_ending = False
        #: The names that this writer has, oldest first; rows go under the last one.
        self._leases: list[FolderLease] = []
        #: The lease that is taken next; it stays where that is interrupted.
        self._next: FolderLease | None = None
        self.forget()

    def forget(self) -> None:
        """Be no writer yet: at the start, and in a forked child (the parent keeps its files)."""
        for lease in self._all_leases:
            lease.forget()
        self._leases, self._next = [], None
        self.encodings = {table: Encodings() for table in TABLES}
        self._sparse = Feature(self.folder, SPARSE)
        self._starting = threading.RLock()
        #: Held while the lock is checked and another lease taken: two threads would take one each.
        self._looking = threading.RLock()
        #: Whether the setup after becoming a writer is complete.
        self._is_ready = False
        #: Whether live rows are in mapped files, which survive the process without a flush.
        self.is_mapped = True
        self.trouble = ""
        self._warned = False

    @property
    def identity(self) -> str:
        """The id of the collection."""
        return self._identity

    @property
    def is_closed(self) -> bool:
        """Whether this process has stopped writing, for good."""
        return self._closed

    @property
    def is_open(self) -> bool:
        """Whether this process is a writer of the collection."""
        return bool(self._leases) and not self._closed

    @property
    def lease(self) -> FolderLease:
        """The current lease."""
        return self._leases[-1]

    @property
    def _all_leases(self) -> list[FolderLease]:
        return [*self._leases, *filter(None, [self._next])]

    @property
    def ids(self) -> NodeIds:
        """Ids of new nodes."""
        return self.lease.ids

    @property
    def writer(self) -> str:
        """The current name; empty as long as there is none."""
        return self.lease.writer if self._leases else ""

    @property
    def names(self) -> list[str]:
        """All names under which this process has written."""
        return [lease.writer for lease in self._leases]

    def open(self) -> None:
        """Become a writer, if this is not one yet.

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
                if not self._leases:
                    self._become_writer()
                if not self._is_ready:  # also if Ctrl-C interrupted the setup
                    start_background()
                    self._is_ready = True

    def _become_writer(self) -> None:
        if not self.is_ending:  # modules can't be imported during interpreter shutdown
            load()
            load_merging()
        lease = self._new_lease()
        is_mapped = is_safe_to_map(self.folder.live)
        if not self._leases:  # otherwise a signal handler has logged meanwhile
            self.is_mapped = is_mapped
            self._take(lease)

    def _new_lease(self) -> FolderLease:
        if self._next in self._leases:  # interrupted when it was taken
            self._next = None
        after = self.lease.started if self._leases else 0
        try:
            while (lease := self._next) is None:
                number = _random_writer()
                if (lock := self._claim(f"{number:08x}")) is None:
                    continue
                if self._next is None:
                    self._next = FolderLease(self, number, lock, after)
                else:
                    lock.remove()
            lease.renew()
        except OSError as error:
            lease = self._next = self._next or FolderLease(self, _random_writer(), None, after)
            self.complain(error)
        return lease

    def _take(self, lease: FolderLease) -> None:
        self._leases.append(lease)
        self._next = None

    def _claim(self, writer: str) -> FileLock | None:
        self.folder.create(self._identity)
        self._identity = self.folder.info()["id"]  # set by the process that created the folder
        lock = FileLock.create(self.folder.lock_path(writer))
        if lock is not None and is_used(self.folder, writer):
            lock.remove()
            return None
        return lock

    def look(self) -> FolderLease:
        """The current lease; a new one if others presumed the writer dead.

        A lease on a file server may have expired, or the folder may have been replaced. Others may
        then seal rows under the old name; new rows get a new one.

        It never waits: while another thread looks, the lease is the one that it is looking at. A
        signal handler can interrupt whoever looks, and wait for a lock that the caller holds.

        Raises:
            OSError: the folder can't be created again, or the locks can't be checked.
        """
        if not self._closed:
            self.folder.create(self._identity)
            if self._looking.acquire(blocking=False):
                try:
                    self._look()
                finally:
                    self._looking.release()
        return self.lease

    def _look(self) -> None:
        for lease in self._leases[:-1]:
            with contextlib.suppress(OSError):  # others are recovering it right now
                lease.hold()
        if self.lease.is_lost():
            self._change_name()
        self.lease.keep_watermark()

    def is_still(self, writer: str) -> bool:
        """Whether this process writes under this name, or can't know at present."""
        try:
            return self.look().writer == writer
        except OSError as error:
            self.complain(error)
            return True

    def _change_name(self) -> None:
        lost, lease = self.lease, self._new_lease()
        if lease.is_lost():
            message = "its file system has another file under the name of one that was just created"
            raise OSError(errno.ESTALE, message, str(self.folder.live))
        if self.lease is lost:  # otherwise a signal handler has logged meanwhile
            self._take(lease)
        schedule(sync_all)  # attributes go under the new name, which records have by now

    def allows_sparse(self) -> bool:
        """Whether rows may have sparse columns: not as long as an older version may read them.

        If they may, the collection lists the feature, so ask only for rows that need it.

        Raises:
            OSError: the folder can't be read or written.
        """
        return self._sparse.is_usable(self.names)

    def schedule(self, job: Callable[[], object]) -> None:
        """Run a job soon, on another thread."""
        schedule(job)

    def remember_synced(self, found: SyncedRows) -> None:
        """Like ``record_synced``, but written together with the next record."""
        self.lease.remember_synced(found)

    def record_synced(self, found: SyncedRows) -> None:
        """Record that live files are synced up to these rows; durable on return."""
        try:
            for lease in self._leases[:-1]:
                with contextlib.suppress(OSError):
                    lease.record_synced({})
            self.lease.record_synced(found)
        except OSError as error:
            self.complain(error)

    def complain(self, error: Exception) -> None:
        """Warn the user, once, that data waits in memory; never interrupt the program for it."""
        self.trouble = str(error) or type(error).__name__
        if isinstance(error, OSError) and error.errno == errno.EFBIG:
            self.trouble += " (a limit of this process: raise it with ulimit -f)"
        if self._warned or self.is_ending:
            return
        self._warned = True
        message = (
            f"{self.folder.path} can't be written now ({self.trouble}). Logging continues: what is in no"
            " file yet waits in memory and is retried; keep the process alive until it is saved"
        )
        warn_or_report(message, StorageWarning, stacklevel=2)

    def clear_trouble(self) -> None:
        """All data is saved: a later failure gets its own warning."""
        self._warned = False

    def close(self) -> None:
        """Stop being a writer, for good; all rows are in sealed files."""
        self._closed = True
        self._end_writer()

    def leave(self) -> None:
        """Stop being this writer; rows logged later, during exit, belong to a new one."""
        self._end_writer()
        self.forget()

    def _end_writer(self) -> None:
        for lease in self._all_leases:
            lease.end()
