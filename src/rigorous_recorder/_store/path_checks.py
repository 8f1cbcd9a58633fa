"""What is found in a collection's folder is looked at before it is opened: files are, links never.

Whoever sends a collection can put a link to another file in it, or a pipe on which a reader waits
for ever. So every file of a collection is opened behind this check.
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
#: What those do whose files were put in place by a tool that links to its own copies.
_WITHOUT_LINKS: Final = (
    "of git-annex: git annex unlock; of DVC: dvc config cache.type copy, then dvc checkout --relink"
)


def check_regular(path: str | Path) -> None:
    """Pass over a file.

    Raises:
        FileNotFoundError: nothing is there.
        DamagedFileError: it is a link, a folder, a pipe, a device: not opened, not followed.
    """
    mode = os.lstat(path).st_mode
    if not stat.S_ISREG(mode):
        message = f"it is {_kind(mode)}, which is not opened; expected a file"
        if stat.S_ISLNK(mode):
            message += f" ({_WITHOUT_LINKS})"
        raise DamagedFileError(message)


def check_folder(path: Path) -> None:
    """Pass over a folder, or nothing.

    Raises:
        DamagedFileError: something else is there, or a link, which is not followed.
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
