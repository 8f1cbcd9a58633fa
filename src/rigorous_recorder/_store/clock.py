"""The clock of writes: each time is later than all that this process has written or read."""

from __future__ import annotations

import threading
import time

__all__ = ["Clock"]


class Clock:
    """Gives each write a unique time, in microseconds since the epoch.

    The latest value of an attribute counts. So a value that is set after another one was read needs a
    later time, even if another machine's clock is ahead, or this one's was set back.
    """

    def __init__(self) -> None:
        #: The time of the last write, or a later one that was read.
        self.last = 0
        self.free_lock()

    def free_lock(self) -> None:
        """Release the lock in a forked child."""
        self._lock = threading.Lock()

    def observe(self, microseconds: int) -> None:
        """Give only later times from now on."""
        with self._lock:
            self.last = max(self.last, microseconds)

    def now(self) -> int:
        """A time later than all before."""
        now = time.time_ns() // 1000
        with self._lock:
            self.last = now = now if now > self.last else self.last + 1
        return now
