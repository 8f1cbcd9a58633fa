"""The names in a folder, listed again only where they may have changed."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final, NamedTuple

from .._mounts import has_exact_times
from .folder import finished_in

__all__ = ["Listed"]

#: The clock by which Linux sets the times of files and folders; it can be some milliseconds late.
_CLOCK: Final = getattr(time, "CLOCK_REALTIME_COARSE", time.CLOCK_REALTIME)
#: Nanoseconds within which two changes can have the same time; more where times are whole seconds.
_TICK: Final = 100_000_000
_SECOND: Final = 1_000_000_000


#: What changes with every change of the names in a folder, though not within a tick: its device and
#: inode, and when it was modified and changed.
_Stamp = tuple[int, int, int, int]


class _Known(NamedTuple):
    """The names in a folder; without a stamp they may have changed since."""

    names: frozenset[str]
    stamp: _Stamp | None


class Listed:
    """The names in a folder, without unfinished files.

    On a local file system a folder with an unchanged modification time is not listed again, unless
    that is so recent that the next change can have the same one. On others, of which machines and
    layers may see changes late, it is listed each time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._text = str(path)
        self._known = _Known(frozenset(), None)
        self._is_timed: bool | None = None

    def names(self) -> frozenset[str]:
        """The names at one moment; the same object as before if they are the same."""
        known, stamp = self._known, self._stamp()
        if stamp is not None and known.stamp == stamp:
            return known.names
        now = time.clock_gettime_ns(_CLOCK)
        names = self._list()
        if stamp is None or not _is_past(stamp, now):
            stamp = None
        names = known.names if names == known.names else names
        self._known = _Known(names, stamp)
        return names

    def _stamp(self) -> _Stamp | None:
        """The stamp of the folder; None if it proves nothing."""
        try:
            found = os.stat(self._text)  # noqa: PTH116 - a Path takes twice the time
        except OSError:
            return None
        if self._is_timed is None:
            self._is_timed = has_exact_times(self._path)
        if not self._is_timed:
            return None
        return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns

    def _list(self) -> frozenset[str]:
        """The names that existed at the same time.

        A listing during a compaction can miss both the old and the new files; two equal listings in
        a row can't.
        """
        names = finished_in(self._text)
        while (again := finished_in(self._text)) != names:
            names = again
        return names


def _is_past(stamp: _Stamp, now: int) -> bool:
    """Whether each later change has another stamp."""
    latest = max(stamp[2:])
    return now - latest > (_TICK if latest % _SECOND else 2 * _SECOND)
