"""Which segments a writer has begun: what a copy of the folder has to have, to be complete.

A tool that copies a folder file by file lists `records/` and `live/` at different times. A segment
that is sealed in between is in neither of the two. So each writer notes the number of a segment, in a
small file, before the first row of the segment is acknowledged.
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
from .marks import checksum
from .path_checks import check_regular

__all__ = ["Begun", "Spans", "read_begun", "spans_of"]

Spans = dict[str, list[list[int]]]
"""For each table the numbers of segments, as the first and the last of each unbroken sequence."""

#: The file is written in place: what is written never becomes shorter.
_BLOCK: Final = 256


class Begun:
    """Keeps one writer's note of the segments that it has begun."""

    def __init__(self, folder: Folder, writer: str) -> None:
        self._path = folder.begun_path(writer)
        self._spans: Spans = {table: [] for table in TABLES}
        self._written = b""
        self._turn = threading.RLock()

    def note(self, table: str, number: int) -> None:
        """Note that a segment of a table is in a file that readers find.

        Where that can't be written now, a later note has it, too.
        """
        with self._turn:
            _add(self._spans[table], number)
            self._write_newest()

    def withdraw(self, table: str, number: int) -> None:
        """Note that the last segment of a table has no rows, and that its file is taken away."""
        with self._turn:
            spans = self._spans[table]
            if spans and spans[-1][1] == number:
                first, _ = spans.pop()
                if first < number:
                    spans.append([first, number - 1])
            self._write_newest()

    def _write_newest(self) -> None:
        with contextlib.suppress(OSError):
            # Not once: a signal handler that notes a segment may have come before the write.
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
    """Numbers as the first and the last of each unbroken sequence."""
    found: list[list[int]] = []
    for number in sorted(set(numbers)):
        _add(found, number)
    return found


def _encoded(spans: Spans) -> bytes:
    data = json.dumps({**spans, "checksum": checksum(spans)}).encode()
    return data.ljust(-(-len(data) // _BLOCK) * _BLOCK)


def read_begun(path: Path) -> Spans | None:
    """The segments that a writer has begun, by its note; None where that can't be read."""
    try:
        check_regular(path)
        metadata = json.loads(path.read_bytes())
        if metadata.pop("checksum") != checksum(metadata):
            message = f"{path} is not as it was written: its checksum is another"
            raise DamagedFileError(message)
        return {
            table: [[int(first), int(last)] for first, last in metadata[table]] for table in TABLES
        }
    except UNREADABLE as error:
        blame_file(error)
        return None
