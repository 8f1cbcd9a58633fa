"""Verification: every file of a collection is read to its end, and what is wrong is listed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..errors import DamagedFileError, NewerFormatError, NotACollectionError
from .folder import TABLES, Folder, LiveName
from .fragments import UNREADABLE, open_parquet, read_live
from .recover import trusted_rows
from .sealed_files import SealedFiles, open_sealed

__all__ = ["Problem", "verify"]


class Problem(NamedTuple):
    """A file that is not as it was written."""

    path: Path
    reason: str


def verify(folder: Folder) -> list[Problem]:
    """Read every file of a collection to its end, checksums included.

    Returns:
        What is damaged; empty where all is well. Nothing is changed.
    """
    return [problem for problem in _problems(folder) if problem is not None]


def _problems(folder: Folder) -> Iterator[Problem | None]:
    try:
        if not folder.exists():
            return
    except (NotACollectionError, NewerFormatError) as error:
        yield Problem(folder.info_path, str(error))
    for table in TABLES:
        files = SealedFiles(folder, table)
        for name in folder.all_sealed(table):
            yield _sealed_problem(files, files.path(name))
        for live in folder.lives(table):
            if not files.listing().has(live.writer, live.number):
                yield _live_problem(folder, live)


def _sealed_problem(files: SealedFiles, path: Path) -> Problem | None:
    try:
        sealed = open_sealed(path, files.successor)
        with open_parquet(path) as file:
            rows = sum(file.read_row_group(group).num_rows for group in range(file.num_row_groups))
    except FileNotFoundError:
        return None  # compacted away meanwhile
    except UNREADABLE as error:
        return Problem(path, str(error))
    promised = sum(each.rows for each in sealed.segments)
    if rows != promised:
        return Problem(path, f"has {rows} rows, and was written with {promised}")
    return None


def _live_problem(folder: Folder, name: LiveName) -> Problem | None:
    path = folder.live_path(name)
    try:
        read_live(path, name.number, trusted_rows(folder, name))
    except DamagedFileError as error:
        return Problem(path, str(error))
    return None
