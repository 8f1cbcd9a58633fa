"""One folder by several paths: FUSE, an overlay and the layer below, bind mounts, links."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

__all__ = ["ON_ONE_DEVICE", "view"]

_PATIENCE: Final = 20  # seconds

#: Paths by which all see each other's locks.
ON_ONE_DEVICE: Final = {"below", "bind", "link"}


def view(name: str, below: Path, stack: ExitStack) -> Path:
    """A path that leads to the folder ``below``; what it needs is unmounted with ``stack``.

    Args:
        name: ``below`` itself, ``link``, ``bind``, ``merged`` (an overlay whose upper layer it is), or
            with bindfs ``cached``, ``other`` (the same again) and ``direct`` (without a cache).
    """
    path = below.with_name(name)
    if path.exists():
        return path
    if name == "link":
        path.symlink_to(below)
        return path
    path.mkdir()
    match name:
        case "bind":
            command = ["mount", "--bind", below, path]
        case "merged":
            lower, work = below.with_name("lower"), below.with_name("work")
            lower.mkdir()
            work.mkdir()
            layers = f"lowerdir={lower},upperdir={below},workdir={work}"
            command = ["mount", "-t", "overlay", "overlay", "-o", layers, path]
        case "cached" | "other":
            command = ["bindfs", below, path]
        case "direct":
            command = ["bindfs", "-o", "direct_io", below, path]
    _mount([str(each) for each in command], path, stack)
    return path


def _mount(command: list[str], path: Path, stack: ExitStack) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"NO {command[0]} HERE, foreign mounts are not tested")
    tried = subprocess.run(command, capture_output=True, check=False, text=True, timeout=_PATIENCE)
    if tried.returncode:
        pytest.skip(f"CAN'T MOUNT HERE, foreign mounts are not tested: {tried.stderr}")
    stack.callback(_unmount, path)


def _unmount(path: Path) -> None:
    """Unmount it now, or as soon as nobody uses it any more."""
    for command in (["umount", path], ["fusermount", "-uz", path], ["umount", "-l", path]):
        if shutil.which(str(command[0])) is not None:
            done = subprocess.run(command, capture_output=True, check=False, timeout=_PATIENCE)
            if not done.returncode:
                return
