"""Reads the record log of LevelDB, with the headers that W&B and SwanLab put before it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from .contract import Report

__all__ = ["HEADER_BYTES", "is_log", "records"]

HEADER_BYTES: Final = 7
#: Where the version is, which is the last byte of the header.
_VERSION: Final = 6
_BLOCK: Final = 32_768
_FRAGMENT: Final = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
#: A record is not longer than this.
_MOST_BYTES: Final = 1 << 28


def is_log(path: Path, magic: bytes) -> bool:
    """Whether a file begins as such a log, of any version; empty ones do: their header is not written yet."""
    try:
        with path.open("rb") as file:
            return magic[:_VERSION].startswith(file.read(_VERSION))
    except OSError:
        return False


def records(
    path: Path, header: bytes, report: Report, start: int | None = None
) -> Iterator[tuple[bytes, int]]:
    """Each whole record, and the offset behind it, from which it can be read on.

    A record with a wrong checksum, and what follows it in its block of 32 KiB, is left out. A last
    record that is not whole is left out too, since it may be still being written.

    Args:
        header: the first bytes of the file, the last of which is the version.
        start: an offset that was given before; None for the beginning.

    Raises:
        OSError: the file can't be read.
    """
    with path.open("rb") as file:
        if not _check_header(path, file.read(HEADER_BYTES), header, report):
            return
        reader = _Reader(path, file, report, max(start or HEADER_BYTES, HEADER_BYTES))
        yield from reader.records()


def _check_header(path: Path, found: bytes, header: bytes, report: Report) -> bool:
    if found == header:
        return True
    if len(found) < HEADER_BYTES and header.startswith(found):
        report.add(path, "is empty: nothing was written before the run was killed")
        return False
    if found[:_VERSION] != header[:_VERSION]:
        report.add(path, "does not begin as such a file: not taken", offset=0)
        return False
    report.add(path, "has a newer version: what is known of it is taken", offset=_VERSION)
    return True


class _Reader:
    """Fragments of blocks, put together to records."""

    def __init__(self, path: Path, file: Any, report: Report, start: int) -> None:
        self._path, self._file, self._report, self._start = path, file, report, start
        self._parts: list[bytes] = []
        self._size = 0
        #: Where the record that is being put together begins.
        self._began = start

    def records(self) -> Iterator[tuple[bytes, int]]:
        base = self._start - self._start % _BLOCK
        at = self._start - base
        while True:
            self._file.seek(base)
            block = self._file.read(_BLOCK)
            yield from self._block(block, base, at)
            if len(block) < _BLOCK:
                break
            base, at = base + _BLOCK, 0
        if self._parts:
            self._add("ends within a record, which is left out", self._began)

    def _block(self, block: bytes, base: int, at: int) -> Iterator[tuple[bytes, int]]:
        end, unpack = len(block), _FRAGMENT.unpack_from
        while at + 7 <= end:
            checksum, size, kind = unpack(block, at)
            stop = at + 7 + size
            if stop > end or crc32(block[at + 6 : stop]) != checksum:
                self._damaged(block, base, at, stop)
                return
            if kind == _FULL and not self._parts:
                yield block[at + 7 : stop], base + stop
            elif (whole := self._fragment(kind, block[at + 7 : stop], base + at)) is not None:
                yield whole, base + stop
            at = stop
        if end < _BLOCK and at < end and not self._parts:
            self._add("ends within a record, which is left out", base + at)

    def _damaged(self, block: bytes, base: int, at: int, stop: int) -> None:
        """Report a fragment that is not whole; the record that it belongs to is lost with it."""
        if stop > len(block) and len(block) < _BLOCK:
            if not self._parts:
                self._add("ends within a record, which is left out", base + at)
            return
        if any(block[at:]):
            self._add("wrong checksum: the rest of this block of 32 KiB is left out", base + at)
        self._drop()

    def _fragment(self, kind: int, data: bytes, offset: int) -> bytes | None:
        """The record that a fragment completes, if it does."""
        if kind in {_FULL, _FIRST}:
            if self._parts:
                self._add("a record without its end is left out", self._began)
            self._drop()
            if kind == _FULL:
                return data
            self._began = offset
        elif kind not in {_MIDDLE, _LAST}:
            self._add("fragments of an unknown kind are left out", offset)
            return None
        elif not self._parts:
            self._add("a record without its beginning is left out", offset)
            return None
        return self._append(kind, data)

    def _append(self, kind: int, data: bytes) -> bytes | None:
        self._parts.append(data)
        self._size += len(data)
        if self._size > _MOST_BYTES:
            self._add(f"records of more than {_MOST_BYTES:,} bytes are left out", self._began)
            self._drop()
        elif kind == _LAST:
            whole = b"".join(self._parts)
            self._drop()
            return whole
        return None

    def _drop(self) -> None:
        self._parts.clear()
        self._size = 0

    def _add(self, text: str, offset: int) -> None:
        self._report.add(self._path, text, offset=offset)
