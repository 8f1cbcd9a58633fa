"""The segments that each writer has started, so that an incomplete copy can be detected.

Tools that copy a folder file by file list `records/` and `live/` at different times. A segment that
is sealed in between is missing from both listings. So each writer records the number of a segment in
a small file before it acknowledges the segment's first row.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ..errors import DamagedFileError
from .corruption import UNREADABLE, blame_file
from .folder import TABLES, Folder
from .path_checks import check_regular
from .watermark import checksum

__all__ = ["Spans", "StartedSegments", "read_started", "spans_of"]

Spans = dict[str, list[list[int]]]
"""For each table the numbers of segments, as first and last number of each contiguous range."""

#: The file is overwritten in place, so it never becomes shorter.
_BLOCK: Final = 256


class StartedSegments:
    """The record of the segments that a writer has started."""

    def __init__(self, folder: Folder, writer: str) -> None:
        self._path = folder.started_path(writer)
        self._spans: Spans = {table: [] for table in TABLES}
        self._written = b""
        self._turn = threading.RLock()

    def record(self, table: str, number: int) -> None:
        """Record that a segment of a table is in a file that readers find.

        If it can't be written now, a later call writes it, too.
        """
        with self._turn:
            _add(self._spans[table], number)
            self._write_newest()

    def withdraw(self, table: str, number: int) -> None:
        """Record that the last segment of a table has no rows, and that its file is removed."""
        with self._turn:
            spans = self._spans[table]
            if spans and spans[-1][1] == number:
                first, _ = spans.pop()
                if first < number:
                    spans.append([first, number - 1])
            self._write_newest()

    def _write_newest(self) -> None:
        with contextlib.suppress(OSError):
            # In a loop, because a signal handler may record a segment before the write.
            while (data := _encoded(self._spans).ljust(len(self._written))) != self._written:
                self._write(data)

    def _write(self, data: bytes) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o666)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)
        self._written = data


def _add(spans: list[list[int]], number: int) -> None:
    if not spans or number > spans[-1][1] + 1:
        spans.append([number, number])
    elif number == spans[-1][1] + 1:
        spans[-1][1] = number
    elif all(not first <= number <= last for first, last in spans):  # one that waited for others
        found = sorted([*spans, [number, number]])
        del spans[:]
        for first, last in found:
            _add(spans, first)
            spans[-1][1] = last


def spans_of(numbers: Iterable[int]) -> list[list[int]]:
    """Numbers as first and last number of each contiguous range."""
    found: list[list[int]] = []
    for number in sorted(set(numbers)):
        _add(found, number)
    return found


def _encoded(spans: Spans) -> bytes:
    data = json.dumps({**spans, "checksum": checksum(spans)}).encode()
    return data.ljust(-(-len(data) // _BLOCK) * _BLOCK)


def read_started(path: Path) -> Spans | None:
    """The segments that a writer has started, by its record; None if it can't be read."""
    try:
        check_regular(path)
        metadata = json.loads(path.read_bytes())
        if metadata.pop("checksum") != checksum(metadata):
            message = f"{path} is damaged: its checksum does not match"
            raise DamagedFileError(message)
        return {
            table: [[int(first), int(last)] for first, last in metadata[table]] for table in TABLES
        }
    except UNREADABLE as error:
        blame_file(error)
        return None
