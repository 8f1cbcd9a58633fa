"""Exclusive changes of a table, including those requested in the middle of another one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from .implementation import FastPath

__all__ = ["Exclusive"]

_T = TypeVar("_T")


class _Guarded(Protocol):
    """What is changed exclusively; between changes rows are written without the lock."""

    #: Closed while anything else happens.
    fast_path: FastPath

    def reopen_fast_path(self) -> None:
        """Allow rows to be written without one, unless a change was left incomplete."""


class Exclusive:
    """Makes one change at a time to a table.

    A thread waits for another thread's change. In the middle of its own change it can't wait: what a
    signal handler, a finalizer or a value's own code requests there is carried out right after that
    change, in the order of the requests, and no row overtakes it.

    Args:
        guarded: what is changed.
    """

    def __init__(self, guarded: _Guarded) -> None:
        self._guarded = guarded
        self._fast_path = guarded.fast_path
        self._is_busy = False
        self._deferred: list[Callable[[], object]] = []
        self.free_lock()

    def free_lock(self) -> None:
        """Release the lock in a forked child."""
        #: Held during each change; it excludes changes by other threads.
        self.lock = threading.RLock()

    @property
    def is_changing(self) -> bool:
        """Whether this thread is in the middle of a change, as a signal handler can be."""
        with self.lock:
            return self._is_busy

    def run(self, change: Callable[[], _T]) -> tuple[_T] | None:
        """Make a change.

        Returns:
            Its result, in a tuple; None in the middle of another change, after which it is made.
        """
        with self.lock:
            if self._is_busy:
                self._fast_path.buffers = None  # or a later row of this thread would overtake it
                self._deferred.append(change)
                return None
            try:
                try:
                    self._is_busy = True
                    return (change(),)
                finally:
                    self._end()
            finally:  # an exception from outside can come before _end does anything
                self._is_busy = False

    def append(self, node: int, fields: dict[Any, Any]) -> bool:
        """Append a row to the fast path; False if that can't be done at once.

        Like ``run``, but inlined: without native code every record takes this path.
        """
        with self.lock:
            if self._is_busy:
                return False
            try:
                try:
                    self._is_busy = True
                    return self._fast_path.append(node, fields)
                finally:
                    self._end()
            finally:
                self._is_busy = False

    def _end(self) -> None:
        """End a change, after carrying out those requested in the middle of it."""
        while True:
            try:
                if self._deferred or self._fast_path.buffers is None:
                    self._run_deferred()
                    self._guarded.reopen_fast_path()  # last: rows don't overtake deferred changes
                    self._run_deferred()
            finally:
                self._is_busy = False
            if not self._deferred:  # a handler can run between the two lines above, too
                return
            self._is_busy = True

    def _run_deferred(self) -> None:
        while self._deferred:
            self._deferred.pop(0)()
