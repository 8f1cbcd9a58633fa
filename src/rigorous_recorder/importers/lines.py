"""Lines of text files: whole ones, from an offset on, and what is in them as plain values."""

from __future__ import annotations

import csv as csv_files
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from .contract import Report

__all__ = ["cell", "csv_rows", "header", "json_rows", "lines", "table_rows"]

#: A line, or a row of CSV with line breaks in its cells, is not longer than this.
_MOST: Final = 1 << 26
_INT: Final = re.compile(r"-?(?:0|[1-9]\d{0,4299})")
_FLOAT: Final = re.compile(
    r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|inf|nan|Infinity|NaN)", re.ASCII
)
_WORDS: Final = {"True": True, "False": False}

Line = tuple[int, int, bytes]


def lines(path: Path, report: Report, offset: int = 0) -> Iterator[Line]:
    """The lines of a file from an offset on: offset, offset after it, and bytes without line break.

    A last line without an end has 0 as the offset after it: it may be written on.
    """
    with path.open("rb") as file:
        file.seek(offset)
        while line := file.readline(_MOST):
            after = offset + len(line)
            if line.endswith(b"\n"):
                yield offset, after, line.rstrip(b"\r\n")
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


def json_rows(path: Path, report: Report, offset: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of JSON lines, also with NaN and infinities, each with the offset after it.

    What is not an object is reported. A last line without an end is given only if it is whole, with
    offset 0.
    """
    for at, after, line in lines(path, report, offset):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            text = "lines that are not valid JSON: skipped" if after else "ends within a line"
            report.add(path, text, offset=at, once=not after)
            continue
        if isinstance(row, dict):
            yield after, row
        else:
            report.add(path, "lines that are no JSON objects: skipped", offset=at)


def csv_rows(
    path: Path, report: Report, *, separator: str = ",", offset: int = 0
) -> Iterator[tuple[int, int, list[str]]]:
    """The rows of a CSV file: offset, offset after it (0 if its end is missing), and cells as text."""
    start, held = offset, b""
    for at, after, line in lines(path, report, offset):
        start = start if held else at
        held = held + b"\n" + line if held else line
        if held.count(b'"') % 2 and after and len(held) < _MOST:
            continue  # a line break in quotes
        text = held.decode("utf-8-sig" if start == 0 else "utf-8", "replace")
        held = b""
        if not text:
            continue
        try:
            (cells,) = (
                csv_files.reader([text], delimiter=separator)
                if "\n" not in text
                else [next(csv_files.reader(text.splitlines(keepends=True), delimiter=separator))]
            )
        except (csv_files.Error, ValueError, StopIteration):
            report.add(path, "rows that are not valid CSV: skipped", offset=start)
            continue
        yield start, after, cells


def cell(text: str) -> Any:
    """What a cell has: an int, a float, a bool or text; None if it is empty."""
    if not text:
        return None
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return _WORDS.get(text, text)


def table_rows(  # noqa: PLR0913 - each is a property of one file
    file: Path,
    report: Report,
    *,
    separator: str = ",",
    start: int = 0,
    offset: int = 0,
    is_written: bool = False,
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
            yield after, {"cells": [cell(each) for each in cells]}
        else:
            found = zip(names, map(cell, cells), strict=True)
            yield after, {name: value for name, value in found if value is not None}


def header(file: Path, *, separator: str = ",", start: int = 0) -> list[str]:
    """The first row of a CSV file; empty if it has none."""
    for _, _, cells in csv_rows(file, Report(), separator=separator, offset=start):
        return cells
    return []
