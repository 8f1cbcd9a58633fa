"""Sees by sizes and times alone which files below some paths were written, and whether there are others."""

from __future__ import annotations

import os
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any

__all__ = ["Watch"]

#: The number, size and time of a file or folder; None if it is not there.
_Mark = tuple[int, int, int] | None


class Watch:
    """The files and folders at and below some paths, as they were when ``look`` last saw them."""

    def __init__(self, paths: Iterable[str | PathLike[str]]) -> None:
        self._paths = [str(Path(path).expanduser().absolute()) for path in paths]
        self._folders: dict[str, _Mark] = {}
        self._files: dict[str, _Mark] = {}

    def add(self, files: Iterable[str]) -> None:
        """Look at these files, too; they may not be there yet."""
        for path in files:
            if path not in self._files:
                self._files[path] = _mark(path)

    def look(self) -> set[str] | None:
        """The files that were written since the last call; None if there may be other files, too."""
        if not self._files or any(_mark(path) != mark for path, mark in self._folders.items()):
            self._list()
            return None
        written = {}
        for path, mark in self._files.items():
            if (now := _mark(path)) != mark:
                written[path] = now
        self._files.update(written)
        return set(written)

    def _list(self) -> None:
        """Note all that is there; folders first, so that a file that is added meanwhile is seen later."""
        self._folders, self._files = {}, {}
        for path in self._paths:
            self._files[path] = None
            for folder, _, names in os.walk(path):
                self._folders[folder] = _mark(folder)
                self._files.update(dict.fromkeys(f"{folder}/{name}" for name in names))
        for path in self._files:
            self._files[path] = _mark(path)


def _mark(path: str) -> _Mark:
    try:
        found: Any = os.stat(path)  # noqa: PTH116 - fast
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
