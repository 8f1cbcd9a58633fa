"""A quick look for collections near a path that is none: it never takes long."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["collections_near"]

#: Levels that are looked at, folders on all of them together, and seconds for it all.
_LEVELS: Final = 4
_FOLDERS: Final = 2_000
_SECONDS: Final = 0.5


def collections_near(folder: Path) -> tuple[list[Path], bool]:
    """Collections at or a few levels below a folder, sorted, and whether that is all there are.

    As ``ExperimentCollection.find``, it looks into no collection, hidden folder or link.
    """
    end = time.monotonic() + _SECONDS
    found: list[Path] = []
    looked = 0
    level = [folder]
    for _ in range(_LEVELS):
        below: list[Path] = []
        for each in level:
            looked += 1
            if looked > _FOLDERS or time.monotonic() > end:
                return sorted(found), False
            with suppress(OSError):  # not ours to read, or gone meanwhile
                if (each / "collection.json").is_file():
                    found.append(each)
                else:
                    below += _folders_in(each)
        level = below
    return sorted(found), not level


def _folders_in(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return [
            folder / each.name
            for each in entries
            if not each.name.startswith(".") and each.is_dir(follow_symlinks=False)
        ]
