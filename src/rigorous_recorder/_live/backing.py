"""The memory of an image: a mapped file, memory with write-behind, or memory only."""

from __future__ import annotations

import contextlib
import errno
import itertools
import mmap
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from .._durable import publish, sync_file, temporary_of
from .layout import Blank

__all__ = ["Image", "MappedImage", "MemoryImage", "WriteBehindImage"]

_ZEROS: Final = memoryview(bytes(1 << 18))
_MOST_VIEWS: Final = 1_000  # the operating system accepts 1,024 at once
_count = itertools.count()  # makes temporary names unique in this process


class Image(Protocol):
    """The bytes of a live table, writable in place."""

    view: memoryview
    #: Whether written data reaches the operating system at once, without a flush.
    is_mapped: bool

    @property
    def is_there(self) -> bool:
        """Whether the image's file exists, under any name."""

    @property
    def is_persistent(self) -> bool:
        """Whether flushed data outlives the process, and readers find it."""

    def publish(self, path: Path) -> None:
        """Make the image visible to readers under a name, replacing another file."""

    def flush(self, ranges: list[tuple[int, int]]) -> None:
        """Pass the bytes of these ranges (start, stop), in order, to the operating system."""

    def syncing(self) -> Callable[[], None]:
        """A function to call without locks, which makes all flushed data survive a power loss."""

    def discard(self) -> None:
        """Remove the image's file: its rows are stored elsewhere."""


class MemoryImage:
    """Bytes that only this process sees: without a collection, or while the disk is full."""

    is_there = False
    is_persistent = False
    is_mapped = False

    def __init__(self, blank: Blank) -> None:
        self.view = _in_memory(blank)

    def publish(self, path: Path) -> None:
        """Nothing to do: there is no file."""

    def flush(self, ranges: list[tuple[int, int]]) -> None:
        """Nothing to do: there is no file."""

    def syncing(self) -> Callable[[], None]:
        """Nothing to do: there is no file."""
        return lambda: None

    def discard(self) -> None:
        """Nothing to do: there is no file."""


class _Descriptor:
    """An open file that knows when it is closed, after which its number can be reused.

    Users hold a reference: it closes with the last one, as when an image is discarded in the middle of
    a flush, replaced, or dropped in a forked child, or when a sync is interrupted.
    """

    def __init__(self, number: int | None) -> None:
        self._number = number

    @property
    def number(self) -> int:
        """The file descriptor.

        Raises:
            OSError: it is closed.
        """
        if self._number is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._number

    def __del__(self) -> None:
        if self._number is not None:
            os.close(self._number)


class _FileImage:
    """Common base of images with a file, which is created under a temporary name, then published."""

    def __init__(self, path: Path) -> None:
        self._hidden = self._path = temporary_of(path.with_name(f"{path.name}.{next(_count)}"))
        self._file = _Descriptor(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666))

    @property
    def is_there(self) -> bool:
        """Whether the file still exists."""
        try:
            return self._is_at(self._path)
        except OSError:
            return False

    @property
    def is_persistent(self) -> bool:
        """Whether flushed data outlives the process, and readers find it."""
        return self._path != self._hidden and self.is_there

    def publish(self, path: Path) -> None:
        """Make the image visible to readers under a name, replacing another file."""
        if self._path != path and not self._is_at(path):
            publish(self._path, path)
        self._path = path

    def _is_at(self, path: Path) -> bool:
        """Whether the image has this name already, as after an interrupted rename."""
        file = self._file
        try:
            return os.path.samestat(os.fstat(file.number), path.stat())
        except FileNotFoundError:
            return False

    def syncing(self) -> Callable[[], None]:
        """A function to call without locks, which makes all flushed data survive a power loss.

        Raises:
            OSError: the file is gone from its folder; or, on calling, it can't be written.
        """
        file = self._file  # keeps it open until synced, even if it is discarded meanwhile
        if not self.is_there:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self._path))
        return partial(_sync, file)

    def discard(self) -> None:
        """Remove the image's file: its rows are stored elsewhere."""
        with contextlib.suppress(OSError):
            if self._is_at(self._path):  # not a file that replaced it
                self._path.unlink(missing_ok=True)
        self._file = _Descriptor(None)


class MappedImage(_FileImage):
    """A file mapped into memory: written data reaches the operating system at once.

    Raises:
        OSError: space can't be reserved, or the file can't be created or mapped.
    """

    is_mapped = True

    def __init__(self, path: Path, blank: Blank) -> None:
        super().__init__(path)
        try:
            os.posix_fallocate(self._file.number, 0, blank.size)
            # Written pages are mapped faster than those that are only reserved.
            _write_zeros(self._file.number, blank.size)
            for start, piece in blank.pieces:
                _write_at(self._file.number, memoryview(piece), start)
            self._map = mmap.mmap(self._file.number, blank.size)
        except BaseException:
            self.discard()
            raise
        self.view = memoryview(self._map)

    def flush(self, ranges: list[tuple[int, int]]) -> None:
        """Nothing to do: the mapping is the file."""


class WriteBehindImage(_FileImage):
    """Bytes in memory that are written to a file every second, where mapping is not safe.

    Raises:
        OSError: the file can't be created or written.
    """

    is_mapped = False

    def __init__(self, path: Path, blank: Blank) -> None:
        super().__init__(path)
        self.view = _in_memory(blank)
        try:
            _write_at(self._file.number, self.view, 0)
        except BaseException:
            self.discard()
            raise

    def flush(self, ranges: list[tuple[int, int]]) -> None:
        """Write the bytes of these ranges (start, stop) to the file, in order."""
        file = self._file  # keeps it open until the end, even if it is discarded meanwhile
        for start, stop in ranges:
            _write_at(file.number, self.view[start:stop], start)


def _in_memory(blank: Blank) -> memoryview:
    data = bytearray(blank.size)
    for start, piece in blank.pieces:
        data[start : start + len(piece)] = piece
    return memoryview(data)


def _sync(file: _Descriptor) -> None:
    sync_file(file.number)


def _write_at(descriptor: int, data: memoryview, start: int) -> None:
    done = 0
    while done < len(data):
        done += os.pwrite(descriptor, data[done:], start + done)


def _write_zeros(descriptor: int, size: int) -> None:
    """Write zeros with few system calls: each releases the GIL and waits for it afterwards."""
    done = 0
    while done < size:
        whole, rest = divmod(size - done, len(_ZEROS))
        views = [_ZEROS] * min(whole, _MOST_VIEWS) + [_ZEROS[:rest]] * (whole <= _MOST_VIEWS)
        done += os.pwritev(descriptor, views, done)
