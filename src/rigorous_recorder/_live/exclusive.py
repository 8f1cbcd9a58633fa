"""One change of a table at a time, also where another is called for in the middle of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

__all__ = ["Exclusive"]

_T = TypeVar("_T")
_P = ParamSpec("_P")


class _Guarded(Protocol):
    """What one change at a time is made to; between changes rows are written without the lock."""

    def close_fast_path(self) -> None:
        """Let no row be written but in a change."""

    def reopen_fast_path(self) -> None:
        """Let rows be written without one, where a change left nothing half done."""


class Exclusive:
    """Makes one change at a time to a table.

    A thread waits for the change that another one makes. In the middle of a change of its own it
    can't: what a signal handler, a finalizer or a value's own code calls for there is made right
    after that change, in the order in which it was called for, and no row overtakes it.

    Args:
        guarded: what is changed.
    """

    def __init__(self, guarded: _Guarded) -> None:
        self._guarded = guarded
        self._is_busy = False
        self._deferred: list[Callable[[], object]] = []
        self.free_lock()

    def free_lock(self) -> None:
        """Let nobody hold the lock: in a forked child."""
        #: Held during each change; whoever holds it keeps all other threads from changes.
        self.lock = threading.RLock()

    @property
    def is_changing(self) -> bool:
        """Whether this thread is in the middle of a change, as a signal handler can be."""
        with self.lock:
            return self._is_busy

    def run(self, change: Callable[[], _T]) -> tuple[_T] | None:
        """Make a change.

        Returns:
            What it gives, in a tuple; None in the middle of another change: it is made after that.
        """
        with self.lock:
            if self._is_busy:
                self._guarded.close_fast_path()  # or a later row of this thread would overtake it
                self._deferred.append(change)
                return None
            return (self._run(change),)

    def try_now(self, change: Callable[_P, bool], *args: _P.args, **named: _P.kwargs) -> bool:
        """Make a change that has another way; False where it does not succeed, or can't be made now."""
        with self.lock:
            return not self._is_busy and self._run(change, *args, **named)

    def _run(self, change: Callable[_P, _T], *args: _P.args, **named: _P.kwargs) -> _T:
        try:
            try:
                self._is_busy = True
                return change(*args, **named)
            finally:
                self._end()
        finally:  # an exception from outside can come before _end does anything
            self._is_busy = False

    def _end(self) -> None:
        """End a change, after those that were called for in the middle of it."""
        while True:
            try:
                self._run_deferred()
                self._guarded.reopen_fast_path()  # last: rows don't overtake deferred changes
                self._run_deferred()
            finally:
                self._is_busy = False
            if not self._deferred:  # a handler can come between the two lines above, too
                return
            self._is_busy = True

    def _run_deferred(self) -> None:
        while self._deferred:
            self._deferred.pop(0)()
