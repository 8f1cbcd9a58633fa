"""What is new: one look at the collections for all browsers that wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from threading import Event
from typing import Any, Final

from starlette.concurrency import run_in_threadpool

from .runs import state_of
from .workspace import Workspace

__all__ = ["Watcher"]

_INTERVAL: Final = 0.5
#: Looking uses at most this fraction of the time, however large the collections are.
_SHARE: Final = 20
#: How often a browser that has left is noticed, where nothing is new.
_KEEP_ALIVE: Final = 15.0


class Watcher:
    """Counts the changes of a workspace, while any browser waits for them.

    Args:
        ends: set once the server ends, and with it all waiting.
    """

    def __init__(self, workspace: Workspace, ends: Event) -> None:
        self._workspace, self._ends = workspace, ends
        self._state: tuple[Any, Any] = (None, None)
        #: Counts of changes of rows and of runs; others after a restart.
        self._counts = [int(time.time() * 1_000)] * 2
        self._looked, self._pause = 0.0, _INTERVAL
        self._lock = asyncio.Lock()

    async def changes(self) -> AsyncIterator[tuple[int, int] | None]:
        """Two numbers, now and whenever rows or runs have changed; None now and then."""
        last, sent = None, time.monotonic()
        while not self._ends.is_set():
            found = await self.counts()
            if found != last:
                last, sent = found, time.monotonic()
                yield found
            elif time.monotonic() - sent > _KEEP_ALIVE:
                sent = time.monotonic()
                yield None
            await self._wait()

    async def _wait(self) -> None:
        until = time.monotonic() + self._pause
        while not self._ends.is_set() and (rest := until - time.monotonic()) > 0:  # noqa: ASYNC110 - another thread sets it
            await asyncio.sleep(min(rest, _INTERVAL))

    async def counts(self) -> tuple[int, int]:
        """Two numbers, which change with rows and with runs."""
        async with self._lock:
            start = time.monotonic()
            if start - self._looked >= self._pause:
                state = await run_in_threadpool(state_of, self._workspace)
                self._looked = time.monotonic()
                self._pause = max(_INTERVAL, _SHARE * (self._looked - start))
                for at in (0, 1):
                    self._counts[at] += state[at] != self._state[at]
                self._state = state
            return self._counts[0], self._counts[1]
