"""Sync watermarks: the boot of a writer's machine, its lock, and how far its live files are synced.

Live files are in the operating system's hands, and outlive their process. A machine crash can leave
any mix of older and newer bytes, except for synced ones. So after a reboot, only those rows of a live
file are used that the watermark lists.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import threading
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from .._durable import sync_file, sync_folder, write_whole
from .._mounts import LockDomain, is_local, lock_domain
from .._once import remembered
from ..errors import DamagedFileError
from .corruption import UNREADABLE, blame_file
from .folder import FEATURES, TABLES, Folder
from .path_checks import check_regular

__all__ = [
    "SyncedRows",
    "Watermark",
    "WatermarkWriter",
    "checksum",
    "is_readable",
    "read_watermark",
    "this_boot",
]

#: The size of a slot: a file has two of them, of which the older one is overwritten.
_SLOT: Final = 4_096
#: How many seconds a sync waits for another thread's watermark. A signal handler can interrupt that
#: thread, and wait for a table that the sync seals.
_PATIENCE_SECONDS: Final = 20.0
_BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"

SyncedRows = Mapping[str, Mapping[int, int]]
"""For each table, the number of synced rows of each segment."""


@remembered(1)
def this_boot() -> str:
    """A unique id of this boot of this machine; empty if the system has none."""
    try:
        return Path(_BOOT_ID).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


class Watermark(NamedTuple):
    """The contents of a watermark.

    Attributes:
        boot: the boot of the machine that the writer runs, or ran, on.
        domain: how it sees its lock file; None if that can't be read.
        is_local: whether no other machine can write to the folder.
        synced: how far its live files are synced.
        started: when it started, in microseconds since the epoch; 0 if that is not recorded.
        features: the additions to the format that it knows.
    """

    boot: str
    is_local: bool
    synced: SyncedRows
    domain: LockDomain | None = None
    started: int = 0
    features: Collection[str] = ()

    def is_cut_short(self) -> bool:
        """Whether the machine crashed since: then only synced rows can be trusted."""
        now = this_boot()
        return self.is_local and bool(self.boot and now) and self.boot != now

    def rows(self, table: str, number: int) -> int:
        """The number of synced rows of a segment."""
        return self.synced.get(table, {}).get(number, 0)


def read_watermark(folder: Folder, writer: str) -> Watermark | None:
    """The watermark of a writer; None if it has none that can be read."""
    try:
        return _watermark(folder.watermark_path(writer))
    except UNREADABLE as error:
        blame_file(error)
        return None


def _watermark(path: Path) -> Watermark:
    check_regular(path)
    data = path.read_bytes()
    half = len(data) // 2
    slots = [metadata for each in (data, data[:half], data[half:]) if (metadata := _checked(each))]
    if not slots:
        message = f"{path} is damaged: its checksum does not match"
        raise DamagedFileError(message)
    metadata = max(slots, key=lambda each: _count(each.get("count", 0)))
    synced = {
        table: {int(number): _count(rows) for number, rows in metadata["synced"][table].items()}
        for table in TABLES
    }
    return Watermark(
        str(metadata["boot"]),
        metadata["is_local"] is True,
        synced,
        _domain(metadata.get("lock")),
        _count(metadata.get("started", 0)),
        list(map(str, metadata.get("features", ()))),
    )


def _checked(data: bytes) -> dict[str, Any] | None:
    """The contents of a slot; None if it was not written completely."""
    try:
        metadata: dict[str, Any] = json.loads(data)
        return metadata if metadata.pop("checksum") == checksum(metadata) else None
    except UNREADABLE as error:
        blame_file(error)
        return None


def _domain(metadata: Any) -> LockDomain | None:
    try:
        return LockDomain(**metadata)
    except TypeError:
        return None


def checksum(metadata: Mapping[str, Any]) -> str:
    """The ``checksum`` of a slot with these contents: a CRC-32."""
    return f"{zlib.crc32(json.dumps(metadata, sort_keys=True).encode()):08x}"


def _count(rows: Any) -> int:
    if type(rows) is int and rows >= 0:
        return rows
    message = f"{rows!r} is not a valid number of rows"
    raise ValueError(message)


def is_readable(folder: Folder, writer: str) -> bool:
    """Whether a writer's watermark is intact, or does not exist."""
    return (
        not os.path.lexists(folder.watermark_path(writer))
        or read_watermark(folder, writer) is not None
    )


class WatermarkWriter:
    """Writes a writer's watermark.

    Args:
        started: when the writer started, in microseconds since the epoch.

    Raises:
        OSError: it can't be written.
    """

    def __init__(self, folder: Folder, writer: str, started: int) -> None:
        self._started = started
        self._path = folder.watermark_path(writer)
        self._lock_path = folder.lock_path(writer)
        self._is_local = is_local(folder.live)
        self._synced: dict[str, dict[int, int]] = {table: {} for table in TABLES}
        self._written: SyncedRows | None = None
        self._domain: dict[str, Any] | None = None
        self._count = self._slot = 0
        self._has_new_names = False
        self._turn = threading.Lock()
        self._turn_of = 0
        self._is_over = False
        self.write()
        self._has_new_names = True  # of files that may exist already

    def end(self) -> None:
        """Stop writing, because the file is about to be removed."""
        with self._alone():
            self._is_over = True

    @property
    def is_there(self) -> bool:
        """Whether the file still exists."""
        return self._path.exists()

    def write(self) -> None:
        """Write the file again; it is durable on return.

        Raises:
            OSError: it can't be written.
        """
        with self._alone():
            self._domain = self._lock()
            self._write()

    def expect_names(self) -> None:
        """Have new names of this writer's files synced before the next watermark."""
        self._has_new_names = True

    def remember(self, found: SyncedRows) -> None:
        """Add synced rows to the next watermark that is written."""
        if self._turn_of == threading.get_ident():
            return  # interrupted by a signal handler; the next sync adds them again
        with self._alone():
            self._merge(found)

    def record(self, found: SyncedRows) -> None:
        """Write a watermark with these synced rows, and those remembered before.

        Raises:
            OSError: it can't be written, or another thread writes one for long; the previous one
                stays valid.
        """
        if self._is_over:
            return
        with suppress(FileNotFoundError):  # it is created again at the next check of the lock
            # The heartbeat for others that don't see this writer's lock.
            os.utime(self._lock_path, follow_symlinks=os.utime not in os.supports_follow_symlinks)
        if not self._is_local:
            return
        if self._turn_of == threading.get_ident():
            return  # a signal handler in the middle of a write, which continues
        with self._alone(patience=_PATIENCE_SECONDS):
            self._merge(found)
            if not self._is_over and self._synced != self._written:
                self._write()

    @contextmanager
    def _alone(self, *, patience: float = -1) -> Iterator[None]:
        """Exclude other threads, which would use the same temporary file.

        Args:
            patience: how many seconds to wait for them; without a limit by default.

        Raises:
            OSError: another thread took longer.
        """
        me = threading.get_ident()
        if self._turn_of == me:
            yield
            return
        if not self._turn.acquire(timeout=patience):
            message = "another thread is writing this file, and has not finished"
            raise OSError(errno.EBUSY, message, str(self._path))
        try:
            self._turn_of = me
            yield
        finally:
            self._turn_of = 0
            self._turn.release()

    def _write(self) -> None:
        synced = self._synced
        if self._has_new_names:
            self._sync_names()
        self._count += 1
        metadata = {
            "boot": this_boot(),
            "count": self._count,
            "features": sorted(FEATURES),
            "is_local": self._is_local,
            "lock": self._domain,
            "started": self._started,
            # As text, as in JSON: the checksum depends on the order of keys as text.
            "synced": {t: {str(n): rows for n, rows in of.items()} for t, of in synced.items()},
        }
        data = json.dumps({**metadata, "checksum": checksum(metadata)}).encode()
        if not (len(data) < _SLOT and self._is_local and self._is_written_in_place(data)):
            write_whole(self._path, data.ljust(_SLOT) + b" " * max(_SLOT, len(data)))
            self._slot = 0
        self._written = synced

    def _sync_names(self) -> None:
        self._has_new_names = False  # first: a name that appears meanwhile waits for the next time
        try:
            sync_folder(self._path.parent)
        except BaseException:
            self._has_new_names = True
            raise

    def _is_written_in_place(self, data: bytes) -> bool:
        """Try to overwrite the older of the two slots; a torn write leaves the newer one intact.

        A file with a second name belongs to a copy as well, and is not changed.
        """
        if self._written is None:
            return False
        try:
            descriptor = os.open(self._path, os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0))
        except OSError:
            return False
        try:
            found = os.fstat(descriptor)
            if not (
                stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_size == 2 * _SLOT
            ):
                return False
            slot = 1 - self._slot
            if os.pwrite(descriptor, data.ljust(_SLOT), slot * _SLOT) != _SLOT:
                return False
            sync_file(descriptor)
            self._slot = slot
        finally:
            os.close(descriptor)
        return True

    def _lock(self) -> dict[str, Any] | None:
        with suppress(FileNotFoundError):  # it is about to be created again
            return lock_domain(self._lock_path)._asdict()
        return None

    def _merge(self, found: SyncedRows) -> None:
        self._synced = {t: _newer(self._synced[t], found.get(t, {})) for t in TABLES}


def _newer(before: Mapping[int, int], found: Mapping[int, int]) -> dict[int, int]:
    """The larger number of rows per segment, without segments older than all found: those are sealed."""
    if not found:
        return dict(before)
    first = min(found)
    rest = {number: rows for number, rows in before.items() if number >= first}
    return {**found, **{n: max(rows, found.get(n, 0)) for n, rows in rest.items()}}
