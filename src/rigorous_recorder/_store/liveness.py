"""Who lives: a writer holds a lock, and renews a heartbeat for those who may not see its lock.

The heartbeat is the time of the lock file. It counts for whoever comes by another mount (FUSE, an
overlay and the layer below), from another machine, or where there are no locks. A process id says
nothing of a process on another machine, or in another container. So it is never asked for.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import Final

from .._mounts import lock_domain, locks_meet
from .folder import Folder, LiveName
from .locks import FileLock, are_supported, is_held
from .marks import read_watermark, this_boot

__all__ = ["is_alive", "lock_if_dead", "trusted_rows"]

#: A writer whose lock may not be seen here is presumed dead when its heartbeat is so old. It renews
#: it at each background sync, every five seconds.
SILENCE_SECONDS: Final = 120.0
#: Only after so long is sealed what one on another machine left: a file server can be away for a
#: while, and whoever waited for it goes on. Until then it is read as it is.
DEATH_SECONDS: Final = 24 * 3600.0


def is_alive(folder: Folder, writer: str) -> bool:
    """Whether the process of a writer lives, as far as can be known."""
    return is_held(folder.lock_path(writer)) or _had_heartbeat(folder, writer)


def lock_if_dead(folder: Folder, writer: str) -> FileLock | None:
    """The lock of a writer that is dead; None where it lives, or somebody else has the lock.

    One that lives all the same finds it gone, and goes on under another name, whatever becomes of
    this process.

    Raises:
        OSError: the lock can't be opened, or nobody knows whether it lives.
    """
    lock = FileLock.take(folder.lock_path(writer))
    if lock is None:
        return None
    try:
        lives = _had_heartbeat(folder, writer, elsewhere=DEATH_SECONDS)
        if not lives:
            lock.replace_file()
    except BaseException:
        lock.release()  # or nobody has it as long as this process lives
        raise
    if lives:
        lock.release()
        return None
    return lock


def trusted_rows(folder: Folder, name: LiveName) -> int | None:
    """How many rows of another writer's live file can be trusted; None for all of them."""
    mark = read_watermark(folder, name.writer)
    if mark is None or not mark.is_cut_short() or is_alive(folder, name.writer):
        return None
    return mark.rows(name.table, name.number)


def _had_heartbeat(folder: Folder, writer: str, *, elsewhere: float = SILENCE_SECONDS) -> bool:
    """Whether a writer whose lock may not be seen here has renewed its heartbeat lately.

    Args:
        elsewhere: how many seconds ago at most, of one on another machine.
    """
    path = folder.lock_path(writer)
    try:
        mark = read_watermark(folder, writer)
        is_here = mark is None or mark.boot == this_boot()
        if (
            mark is not None
            and mark.domain is not None
            and are_supported(path)
            and locks_meet(mark.domain, lock_domain(path), is_same_kernel=is_here)
        ):
            return False
        heard = path.stat().st_mtime
    except FileNotFoundError:
        return False
    return _now(folder) - heard < (SILENCE_SECONDS if is_here else elsewhere)


def _now(folder: Folder) -> float:
    """The time by the clock that the times of the folder's files are of."""
    if folder.is_read_only:  # a probe would be a file in it
        return time.time()
    probe = folder.live / f".{os.urandom(16).hex()}.tmp"
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:  # not ours to write to
        return time.time()
    finally:
        with contextlib.suppress(OSError):
            os.unlink(probe)  # noqa: PTH108 - as elsewhere, spelled as the system's
