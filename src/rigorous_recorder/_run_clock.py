"""The start and end of a run, robust to changes of the system clock."""

from __future__ import annotations

import time
from typing import Final

__all__ = ["RunClock"]

#: If two clocks diverge by more seconds than this, one of them was set.
_SAME_CLOCK: Final = 1.0


def _steady_seconds() -> float:
    """A clock that is never set; if available, one that includes time asleep."""
    try:
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    except (AttributeError, OSError):
        return time.monotonic()


class RunClock:
    """The time of an attempt at an experiment.

    Args:
        start: when the experiment started, in seconds since the epoch; None for now.

    Attributes:
        start: when the experiment started.
        now: when this attempt started.
    """

    def __init__(self, start: float | None = None) -> None:
        self.now, self._steady = time.time(), _steady_seconds()
        self.start = self.now if start is None else start

    def end(self) -> dict[str, float]:
        """The attributes of an experiment that ends now: the time, and the duration."""
        elapsed = _steady_seconds() - self._steady
        end = time.time()
        if abs(end - self.now - elapsed) > _SAME_CLOCK:
            end = self.now + elapsed
        end = max(end, self.start + elapsed)
        return {"experiment_end_time": end, "experiment_duration": end - self.start}
