"""Durability: temporary file, fsync, atomic rename, fsync of the folder."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

__all__ = [
    "make_folder",
    "publish",
    "replacing",
    "sync_file",
    "sync_folder",
    "temporary_of",
    "write_whole",
]


def temporary_of(path: Path) -> Path:
    """The temporary path to write ``path`` to before it is renamed."""
    return path.with_name(f".{path.name}.tmp")


def sync_file(descriptor: int) -> None:
    """Block until the file's contents are on the device."""
    os.fsync(descriptor)


def sync_folder(path: Path) -> None:
    """Block until the names in the folder are on the device."""
    _sync_path(path, os.O_RDONLY)


def _sync_path(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        sync_file(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Create a folder and its parents if they are missing, durably.

    Raises:
        OSError: it can't be created, or is not a folder.
    """
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)


def publish(temporary: Path, path: Path) -> None:
    """Rename a finished temporary file, replacing the target."""
    os.replace(temporary, path)  # noqa: PTH105 - the only rename in the library


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path to write to; on leaving without an error it is renamed to ``path``."""
    temporary = temporary_of(path)
    _make_way(temporary)
    try:
        yield temporary
        _sync_path(temporary, os.O_RDWR)
        publish(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _make_way(temporary: Path) -> None:
    """Remove a link or a pipe that is in the place of the temporary file."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(temporary.lstat().st_mode):
            temporary.unlink()


def write_whole(path: Path, data: bytes) -> None:
    """Write a small file durably; it appears whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)
