"""Reads members of zip files in memory, within bounds: nothing is unpacked onto a disk."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from .contract import Report

__all__ = ["has_members", "json_lines", "member", "opened_zip"]

_MOST: Final = 1 << 28
_MOST_LINE: Final = 1 << 26
_ERRORS: Final = (
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
    NotImplementedError,
    EOFError,
    RuntimeError,
    OSError,
)


def has_members(path: Path, *names: str) -> bool:
    """Whether a file is a zip file with these members."""
    try:
        with zipfile.ZipFile(path) as found:
            return set(names) <= set(found.namelist())
    except _ERRORS:
        return False


@contextmanager
def opened_zip(path: Path, report: Report) -> Iterator[zipfile.ZipFile | None]:
    """A zip file; None, which is reported, if it can't be read."""
    try:
        found = zipfile.ZipFile(path)
    except _ERRORS:
        report.add(path, "is not a valid zip file: not taken")
        yield None
        return
    with found:
        yield found


def member(archive: zipfile.ZipFile, name: str, path: Path, report: Report) -> bytes | None:
    """The bytes of a member; None, which is reported, if it is missing, damaged or too large."""
    try:
        with archive.open(name) as file:
            data = file.read(_MOST + 1)
    except KeyError:
        return None
    except _ERRORS:
        report.add(path, "members that are damaged: not taken")
        return None
    if len(data) > _MOST:
        report.add(path, f"members of more than {_MOST:,} bytes: not taken")
        return None
    return data


def json_lines(archive: zipfile.ZipFile, name: str, path: Path, report: Report) -> Iterator[Any]:
    """The values of a member with one JSON text a line, as far as it can be read."""
    try:
        with archive.open(name) as file:
            while line := file.readline(_MOST_LINE):
                if line.strip():
                    yield from _parsed(line, path, report)
    except KeyError:
        return
    except _ERRORS:
        report.add(path, "members that are damaged: not read further")


def _parsed(line: bytes, path: Path, report: Report) -> Iterator[Any]:
    try:
        yield json.loads(line)
    except (ValueError, RecursionError):
        report.add(path, "lines that are not valid JSON: left out")
