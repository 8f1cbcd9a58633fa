"""Finding collections below a folder, and how much room one takes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from .folder import Folder

__all__ = ["find_collections", "size_on_disk"]


def find_collections(folder: Path) -> list[Path]:
    """The collections at or below a folder, sorted.

    What is inside of a collection, hidden folders and links to folders are not looked into.

    Raises:
        NotADirectoryError, FileNotFoundError, PermissionError: ``folder`` can't be listed.
    """
    if Folder(folder).is_ours():
        return [folder]
    found = []
    with os.scandir(folder) as entries:
        below = [each.name for each in entries if each.is_dir(follow_symlinks=False)]
    for name in below:
        if not name.startswith("."):
            found += _found_below(folder / name)
    return sorted(found)


def _found_below(folder: Path) -> list[Path]:
    try:
        return find_collections(folder)
    except OSError:  # not ours to read, or gone meanwhile
        return []


def size_on_disk(folder: Folder) -> int:
    """Bytes of all files of a collection; 0 where there is none."""
    return sum(map(_size, folder.path.rglob("*")))


def _size(path: Path) -> int:
    try:
        found = path.lstat()
        return found.st_size if stat.S_ISREG(found.st_mode) else 0
    except FileNotFoundError:  # sealed or compacted away meanwhile
        return 0
