"""Writes the record log of LevelDB, with the header that W&B puts before it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final
from zlib import crc32

from .buffers import Files

__all__ = ["Log"]

_HEADER: Final = b":W&B\xe1\xbe\x00"
_BLOCK: Final = 32_768
_FRAGMENT: Final = 7
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


class Log:
    """Appends records to a file."""

    def __init__(self, files: Files, path: Path) -> None:
        self._files, self._path = files, path
        self._size = len(_HEADER)
        files.append(path, _HEADER)

    def append(self, record: bytes) -> None:
        """Append a record, in as many fragments as blocks need."""
        at, is_first = 0, True
        while is_first or at < len(record):
            room = _BLOCK - self._size % _BLOCK
            if room < _FRAGMENT:
                self._write(bytes(room))
                room = _BLOCK
            part = record[at : at + room - _FRAGMENT]
            at += len(part)
            is_last = at == len(record)
            kind = (_FULL if is_last else _FIRST) if is_first else (_LAST if is_last else _MIDDLE)
            framed = bytes([kind]) + part
            self._write(struct.pack("<IH", crc32(framed), len(part)) + framed)
            is_first = False

    def _write(self, data: bytes) -> None:
        self._files.append(self._path, data)
        self._size += len(data)
