"""What happens at one of the places where Python lets signal handlers run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["at_call", "interrupt"]


@contextmanager
def at_call(number: int, action: Callable[[], None]) -> Iterator[list[int]]:
    """Do something at one of the calls that are made meanwhile; how many there were is given."""
    calls = [0]

    def profile(_frame: FrameType, event: str, _argument: object) -> None:
        if event in {"call", "c_return"}:
            calls[0] += 1
            if calls[0] == number + 1:
                sys.setprofile(None)
                action()

    sys.setprofile(profile)
    try:
        yield calls
    finally:
        sys.setprofile(None)


def interrupt() -> None:
    """As Ctrl-C."""
    raise KeyboardInterrupt
