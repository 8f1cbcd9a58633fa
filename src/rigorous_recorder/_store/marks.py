"""Marks: in which boot of which machine a writer runs, what lock it holds, and how far it is synced.

What is in a live file is in the system's hands, and outlives its process. A machine that goes down
leaves of each of its bytes an older or a newer one, unless it was synced. So where a machine was
started anew, those rows of a live file are taken that the mark tells of, and no others.
"""

from __future__ import annotations

import json
import os
import stat
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from .._durable import sync_file, sync_folder, write_whole
from .._mounts import LockDomain, is_local, lock_domain
from .._once import remembered
from ..errors import DamagedFileError
from .corruption import UNREADABLE, blame_file
from .folder import TABLES, Folder
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

#: Room for one mark: a file has two of them, of which the older is written over.
_SLOT: Final = 4_096
_BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"

SyncedRows = Mapping[str, Mapping[int, int]]
"""For each table, how many rows of which segments are on the device."""


@remembered(1)
def this_boot() -> str:
    """What this start of this machine has to itself; empty where the system does not tell."""
    try:
        return Path(_BOOT_ID).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


class Watermark(NamedTuple):
    """What a writer noted.

    Attributes:
        boot: that of the machine that it runs, or ran, on.
        domain: what it sees of the file that it holds a lock on; None where that can't be read.
        is_local: whether no other machine can write to the folder.
        synced: how far its live files are on the device.
    """

    boot: str
    is_local: bool
    synced: SyncedRows
    domain: LockDomain | None = None

    def is_cut_short(self) -> bool:
        """Whether the machine went down since: then only what was synced can be trusted."""
        now = this_boot()
        return self.is_local and bool(self.boot and now) and self.boot != now

    def rows(self, table: str, number: int) -> int:
        """How many rows of a segment are on the device."""
        return self.synced.get(table, {}).get(number, 0)


def read_watermark(folder: Folder, writer: str) -> Watermark | None:
    """The mark of a writer; None where it has none that can be read."""
    try:
        return _mark(folder.watermark_path(writer))
    except UNREADABLE as error:
        blame_file(error)
        return None


def _mark(path: Path) -> Watermark:
    check_regular(path)
    data = path.read_bytes()
    half = len(data) // 2
    slots = [metadata for each in (data, data[:half], data[half:]) if (metadata := _checked(each))]
    if not slots:
        message = f"{path} is not as it was written: its checksum is another"
        raise DamagedFileError(message)
    metadata = max(slots, key=lambda each: _count(each.get("count", 0)))
    synced = {
        table: {int(number): _count(rows) for number, rows in metadata["synced"][table].items()}
        for table in TABLES
    }
    return Watermark(
        str(metadata["boot"]), metadata["is_local"] is True, synced, _domain(metadata.get("lock"))
    )


def _checked(data: bytes) -> dict[str, Any] | None:
    """What was written whole; None where that is not so."""
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
    """What a mark that says this has as ``checksum``: a CRC-32."""
    return f"{zlib.crc32(json.dumps(metadata, sort_keys=True).encode()):08x}"


def _count(rows: Any) -> int:
    if type(rows) is int and rows >= 0:
        return rows
    message = f"{rows!r} is not a valid number of rows"
    raise ValueError(message)


def is_readable(folder: Folder, writer: str) -> bool:
    """Whether a writer's mark is as it was written, or there is none."""
    return (
        not os.path.lexists(folder.watermark_path(writer))
        or read_watermark(folder, writer) is not None
    )


class WatermarkWriter:
    """Keeps one writer's mark.

    Raises:
        OSError: it can't be written.
    """

    def __init__(self, folder: Folder, writer: str) -> None:
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
        self._has_new_names = True  # of files that may be there already

    def end(self) -> None:
        """Write no more, whatever else is noted: the file is about to be taken away."""
        with self._alone():
            self._is_over = True

    @property
    def is_there(self) -> bool:
        """Whether nobody took the mark away."""
        return self._path.exists()

    def write(self) -> None:
        """Write the mark anew; it is on the device when this returns.

        Raises:
            OSError: it can't be written.
        """
        with self._alone():
            self._domain = self._lock()
            self._write()

    def expect_names(self) -> None:
        """Files of this writer have new names, which are to be on the device before the next mark."""
        self._has_new_names = True

    def remember(self, found: SyncedRows) -> None:
        """Remember that so many rows are on the device; the next mark that is written has it."""
        if self._turn_of == threading.get_ident():
            return  # a signal handler in the middle of it: the next sync finds it out anew
        with self._alone():
            self._merge(found)

    def note(self, found: SyncedRows) -> None:
        """Write that so many rows are on the device, and what was remembered before.

        Raises:
            OSError: it can't be written; the mark that was there still is.
        """
        if self._is_over:
            return
        with suppress(FileNotFoundError):  # it is made again at the next look for the lock
            # Lets those know that this writer lives who don't see its lock.
            os.utime(self._lock_path, follow_symlinks=os.utime not in os.supports_follow_symlinks)
        if not self._is_local:
            return
        if self._turn_of == threading.get_ident():
            return  # a signal handler in the middle of it: it is being done
        with self._alone():
            self._merge(found)
            if not self._is_over and self._synced != self._written:
                self._write()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let no other thread write meanwhile: its file would have the same temporary name."""
        me = threading.get_ident()
        if self._turn_of == me:
            yield
            return
        with self._turn:
            try:
                self._turn_of = me
                yield
            finally:
                self._turn_of = 0

    def _write(self) -> None:
        synced = self._synced
        if self._has_new_names:
            self._sync_names()
        self._count += 1
        metadata = {
            "boot": this_boot(),
            "count": self._count,
            "is_local": self._is_local,
            "lock": self._domain,
            # As text, as JSON has them: the checksum is of keys in the order of their text.
            "synced": {t: {str(n): rows for n, rows in of.items()} for t, of in synced.items()},
        }
        data = json.dumps({**metadata, "checksum": checksum(metadata)}).encode()
        if not (len(data) < _SLOT and self._is_local and self._is_written_in_place(data)):
            write_whole(self._path, data.ljust(_SLOT) + b" " * max(_SLOT, len(data)))
            self._slot = 0
        self._written = synced

    def _sync_names(self) -> None:
        self._has_new_names = False  # before: one that comes meanwhile waits for the next time
        try:
            sync_folder(self._path.parent)
        except BaseException:
            self._has_new_names = True
            raise

    def _is_written_in_place(self, data: bytes) -> bool:
        """Try to replace the older of the two marks in the file: a torn one leaves the newer as it is.

        A file with another name besides is a copy's as well, and stays as it is.
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
        with suppress(FileNotFoundError):  # it is about to be made again
            return lock_domain(self._lock_path)._asdict()
        return None

    def _merge(self, found: SyncedRows) -> None:
        self._synced = {t: _newer(self._synced[t], found.get(t, {})) for t in TABLES}


def _newer(before: Mapping[int, int], found: Mapping[int, int]) -> dict[int, int]:
    """Both, the larger of each, without what was sealed since: segments older than all found."""
    if not found:
        return dict(before)
    first = min(found)
    kept = {number: rows for number, rows in before.items() if number >= first}
    return {**found, **{n: max(rows, found.get(n, 0)) for n, rows in kept.items()}}
