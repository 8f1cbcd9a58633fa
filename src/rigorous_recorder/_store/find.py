"""Finding collections below a folder, and their sizes on disk."""

from __future__ import annotations

import math
import os
import stat
import time
from pathlib import Path

from .folder import Folder

__all__ = ["find_collections", "search", "size_on_disk"]


def find_collections(folder: Path) -> list[Path]:
    """The collections at or below a folder, sorted.

    Collections, hidden folders and links to folders are not searched.

    Raises:
        NotADirectoryError, FileNotFoundError, PermissionError: ``folder`` can't be listed.
    """
    with os.scandir(folder):
        return search(folder)[0]


def search(
    folder: Path, *, levels: float = math.inf, folders: float = math.inf, seconds: float = math.inf
) -> tuple[list[Path], bool]:
    """As ``find_collections``, within limits, and whether these are all collections.

    Args:
        levels: how many levels of folders are searched.
        folders: how many folders are looked at.
        seconds: how long it may take, about.
    """
    end = time.monotonic() + seconds
    found: list[Path] = []
    level, looked, depth = [folder], 0, 0
    while level and depth < levels:
        below: list[Path] = []
        for each in level:
            looked += 1
            if looked > folders or time.monotonic() > end:
                return sorted(found), False
            if Folder(each).is_ours():
                found.append(each)
            else:
                below += _folders_in(each)
        level, depth = below, depth + 1
    return sorted(found), not level


def _folders_in(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = [each.name for each in entries if each.is_dir(follow_symlinks=False)]
    except OSError:  # no permission, or removed since
        return []
    return [folder / name for name in names if not name.startswith(".")]


def size_on_disk(folder: Folder) -> int:
    """The size of all files of a collection in bytes; 0 if there is none."""
    return sum(map(_size, folder.path.rglob("*")))


def _size(path: Path) -> int:
    try:
        found = path.lstat()
        return found.st_size if stat.S_ISREG(found.st_mode) else 0
    except FileNotFoundError:  # sealed or compacted away meanwhile
        return 0
