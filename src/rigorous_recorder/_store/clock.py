"""The time of writes: later than all that this process wrote to a store, or read of it, before."""

from __future__ import annotations

import threading
import time

__all__ = ["Clock"]


class Clock:
    """Gives each write a time of its own, in microseconds since the epoch.

    The latest value of an attribute counts. So a value that is set after another one was seen has to
    be the later one, also where another machine's clock is ahead, or this one's went back.
    """

    def __init__(self) -> None:
        #: The time of the last write, or a later one that was read.
        self.last = 0
        self.free_lock()

    def free_lock(self) -> None:
        """Let nobody hold the lock: in a forked child."""
        self._lock = threading.Lock()

    def observe(self, microseconds: int) -> None:
        """Be later than this from now on."""
        with self._lock:
            self.last = max(self.last, microseconds)

    def now(self) -> int:
        """A time that is later than all before."""
        now = time.time_ns() // 1000
        with self._lock:
            self.last = now = now if now > self.last else self.last + 1
        return now
