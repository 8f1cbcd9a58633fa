"""Checks of paths before they are opened: regular files are, links never.

A collection from another person can contain a link to another file, or a pipe that would block a
reader forever. So every file of a collection is opened after this check.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from ..errors import DamagedFileError

__all__ = ["check_folder", "check_regular"]

_KINDS: Final = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISREG, "a file"),
)
#: How to replace links by files, for tools that link to their own copies.
_WITHOUT_LINKS: Final = (
    "of git-annex: git annex unlock; of DVC: dvc config cache.type copy, then dvc checkout --relink"
)


def check_regular(path: str | Path) -> None:
    """Raise unless it is a regular file.

    Raises:
        FileNotFoundError: it does not exist.
        DamagedFileError: it is a link, a folder, a pipe, or a device, which is not opened or followed.
    """
    mode = os.lstat(path).st_mode
    if not stat.S_ISREG(mode):
        message = f"it is {_kind(mode)}, which is not opened; expected a file"
        if stat.S_ISLNK(mode):
            message += f" ({_WITHOUT_LINKS})"
        raise DamagedFileError(message)


def check_folder(path: Path) -> None:
    """Raise unless it is a folder, or does not exist.

    Raises:
        DamagedFileError: it is something else, or a link, which is not followed.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(mode):
        message = f"{path} is {_kind(mode)}, which is not opened; expected a folder"
        raise DamagedFileError(message)


def _kind(mode: int) -> str:
    return next((text for is_kind, text in _KINDS if is_kind(mode)), "a device")
