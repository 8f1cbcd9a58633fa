"""Lines of text files: whole ones, from an offset on, and what is in them as plain values."""

from __future__ import annotations

import csv as csv_files
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

from .contract import Report

__all__ = [
    "cell",
    "csv_rows",
    "distinct",
    "header",
    "json_rows",
    "json_values",
    "lines",
    "table_rows",
]

#: A line, or a row of CSV with line breaks in its cells, is not longer than this.
_MOST: Final = 1 << 26
#: Digits with a zero before them are a name, such as 007, and -0 is what C writes for the float.
_INT: Final = re.compile(r"0|-?[1-9]\d{0,4299}", re.ASCII)
_NAME: Final = re.compile(r"[+-]?0\d+", re.ASCII)
_FLOAT: Final = re.compile(
    r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|inf|nan|Infinity|NaN)", re.ASCII
)
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_WORDS: Final[Mapping[str, bool]] = {"True": True, "False": False}

Line = tuple[int, int, bytes]


def lines(path: Path, report: Report, offset: int = 0) -> Iterator[Line]:
    """The lines of a file from an offset on: offset, offset after it, and bytes without line break.

    A last line without an end has 0 as the offset after it: it may be written on.
    """
    for at, after, line in _whole_lines(path, report, offset):
        yield at, after, line.rstrip(b"\r\n") if after else line


def _whole_lines(path: Path, report: Report, offset: int) -> Iterator[Line]:
    """The same, with the line breaks."""
    with path.open("rb") as file:
        file.seek(offset)
        while line := file.readline(_MOST):
            after = offset + len(line)
            if line.endswith(b"\n"):
                yield offset, after, line
            elif len(line) < _MOST:
                yield offset, 0, line
                return
            else:
                report.add(path, "lines that are too long: skipped", offset=offset)
                after = _end_of_line(file)
            offset = after


def _end_of_line(file: BinaryIO) -> int:
    while (more := file.readline(_MOST)) and not more.endswith(b"\n"):
        pass
    return file.tell()


def json_values(path: Path, report: Report, offset: int = 0) -> Iterator[tuple[Line, Any]]:
    """The values of JSON lines, also NaN and infinities, each with its line.

    What is not valid is reported. A last line without an end is given only if it is whole.
    """
    for line in lines(path, report, offset):
        at, after, data = line
        if not data.strip():
            continue
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            text = "lines that are not valid JSON: skipped" if after else "ends within a line"
            report.add(path, text, offset=at, once=not after)
        else:
            yield line, value


def json_rows(path: Path, report: Report, offset: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of JSON lines, each with the offset after it; other values are reported.

    The offset is 0 after a last line without an end.
    """
    for (at, after, _), row in json_values(path, report, offset):
        if isinstance(row, dict):
            yield after, row
        else:
            report.add(path, "lines that are no JSON objects: skipped", offset=at)


def csv_rows(
    path: Path, report: Report, *, separator: str = ",", offset: int = 0
) -> Iterator[tuple[int, int, list[str]]]:
    """The rows of a CSV file: offset, offset after it (0 if its end is missing), and cells as text.

    A last row that ends within quotes is reported, and not given: it may be written on.
    """
    text = _Text(path, report, offset)
    rows = csv_files.reader(text, delimiter=separator)
    before = csv_files.field_size_limit(_MOST)
    try:
        while True:
            start = text.after
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv_files.Error:
                report.add(path, "rows that are not valid CSV: skipped", offset=start)
                continue
            if text.is_at_end:
                report.add(path, "ends within quotes", offset=start, once=True)
                return
            if cells:
                yield start, text.after if text.is_whole else 0, cells
    finally:
        csv_files.field_size_limit(before)


class _Text:
    """The lines of a file as text, and how far they were taken."""

    def __init__(self, path: Path, report: Report, offset: int) -> None:
        self._path, self._report = path, report
        self._lines = _whole_lines(path, report, offset)
        #: The offset after the last line that was taken.
        self.after = offset
        #: Whether that has a line break.
        self.is_whole = True
        #: Whether there were no more lines when the next one was taken.
        self.is_at_end = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        found = next(self._lines, None)
        if found is None:
            self.is_at_end = True
            raise StopIteration
        at, after, line = found
        if at == 0 and line.startswith(_UTF_16):
            self._report.add(self._path, "is UTF-16, not UTF-8: not taken")
            raise StopIteration
        self.is_whole, self.after = after > 0, at + len(line)
        try:
            return line.decode("utf-8-sig" if at == 0 else "utf-8")
        except UnicodeDecodeError:
            text = "rows that are not valid UTF-8: with U+FFFD instead of such bytes"
            self._report.add(self._path, text, offset=at)
            return line.decode("utf-8", "replace")


def cell(text: str, words: Mapping[str, bool] = _WORDS) -> Any:
    """What a cell has: an int, a float, a bool (one of ``words``) or text; None if it is empty."""
    if not text:
        return None
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and not _NAME.fullmatch(text):
        return float(text)
    return words.get(text, text)


def table_rows(  # noqa: PLR0913 - each is a property of one file
    file: Path,
    report: Report,
    *,
    separator: str = ",",
    start: int = 0,
    offset: int = 0,
    is_written: bool = False,
    words: Mapping[str, bool] = _WORDS,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a CSV file with a header at ``start``, without empty cells, and the offset after each.

    A last row without an end, which has 0, is given only if it has all cells and is not being written.
    """
    names = header(file, separator=separator, start=start)
    rows = csv_rows(file, report, separator=separator, offset=max(offset, start))
    if offset <= start:
        next(rows, None)
    for at, after, cells in rows:
        if not after and (is_written or len(cells) < len(names)):
            report.add(file, "ends within a line", offset=at, once=True)
        elif len(cells) != len(names):
            text = "rows with another number of cells than the header: as a list, by the key cells"
            report.add(file, text, offset=at)
            yield after, {"cells": [cell(each, words) for each in cells]}
        else:
            found = zip(names, (cell(each, words) for each in cells), strict=True)
            yield after, {name: value for name, value in found if value is not None}


def header(file: Path, *, separator: str = ",", start: int = 0) -> list[str]:
    """The first row of a CSV file, in which names that are there again get a number; empty if it has none."""
    for _, _, cells in csv_rows(file, Report(), separator=separator, offset=start):
        return distinct(cells)
    return []


def distinct(names: list[str]) -> list[str]:
    """Names of columns, in which those that are there again get a number."""
    found: dict[str, None] = {}
    taken, numbers = set(names), dict.fromkeys(names, 1)
    for name in names:
        new = name
        while new in found or (new is not name and new in taken):
            numbers[name] += 1
            new = f"{name} ({numbers[name]})"
        found[new] = None
    return list(found)
