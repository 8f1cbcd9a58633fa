"""Liveness: a writer holds a lock, and renews a heartbeat for readers that may not see its lock.

The heartbeat is the modification time of the lock file. It matters for readers on another mount (FUSE,
an overlay and the layer below) or machine, or without support for locks. Process ids are not used,
since they mean nothing on another machine or in another container.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import Final

from .._mounts import lock_domain, locks_meet
from .folder import Folder, LiveName
from .locks import FileLock, are_supported, is_held
from .watermark import read_watermark, this_boot

__all__ = ["is_alive", "lock_if_dead", "trusted_rows"]

#: A writer whose lock may be invisible here is presumed dead if its heartbeat is this old. It is
#: renewed at each background sync, every five seconds.
SILENCE_SECONDS: Final = 120.0
#: The rows of a writer on another machine are sealed only after this time: a file server can be away
#: for a while, and its clients then continue. Until then they are read in place.
DEATH_SECONDS: Final = 24 * 3600.0


def is_alive(folder: Folder, writer: str) -> bool:
    """Whether the process of a writer is alive, as far as can be known."""
    return is_held(folder.lock_path(writer)) or _had_heartbeat(folder, writer)


def lock_if_dead(folder: Folder, writer: str) -> FileLock | None:
    """Lock a dead writer; None if it is alive, or another process has the lock.

    A writer that is alive after all finds its lock gone, and continues under another name, even if
    this process dies.

    Raises:
        OSError: the lock can't be opened, or it is unknown whether the writer is alive.
    """
    lock = FileLock.take(folder.lock_path(writer))
    if lock is None:
        return None
    try:
        lives = _had_heartbeat(folder, writer, elsewhere=DEATH_SECONDS)
        if not lives:
            lock.replace_file()
    except BaseException:
        lock.release()  # or it would be held as long as this process is alive
        raise
    if lives:
        lock.release()
        return None
    return lock


def trusted_rows(folder: Folder, name: LiveName) -> int | None:
    """How many rows of another writer's live file can be trusted; None for all of them."""
    watermark = read_watermark(folder, name.writer)
    if watermark is None or not watermark.is_cut_short() or is_alive(folder, name.writer):
        return None
    return watermark.rows(name.table, name.number)


def _had_heartbeat(folder: Folder, writer: str, *, elsewhere: float = SILENCE_SECONDS) -> bool:
    """Whether a writer whose lock may be invisible here has renewed its heartbeat recently.

    Args:
        elsewhere: the maximum age in seconds for a writer on another machine.
    """
    path = folder.lock_path(writer)
    try:
        watermark = read_watermark(folder, writer)
        is_here = watermark is None or watermark.boot == this_boot()
        if (
            watermark is not None
            and watermark.domain is not None
            and are_supported(path)
            and locks_meet(watermark.domain, lock_domain(path), is_same_kernel=is_here)
        ):
            return False
        last_beat = path.stat().st_mtime
    except FileNotFoundError:
        return False
    return _now(folder) - last_beat < (SILENCE_SECONDS if is_here else elsewhere)


def _now(folder: Folder) -> float:
    """The current time by the clock that sets modification times in the folder."""
    if folder.is_read_only:  # no probe file can be created
        return time.time()
    probe = folder.live / f".{os.urandom(16).hex()}.tmp"
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:  # no permission to write
        return time.time()
    finally:
        with contextlib.suppress(OSError):
            os.unlink(probe)  # noqa: PTH108 - faster than a Path
