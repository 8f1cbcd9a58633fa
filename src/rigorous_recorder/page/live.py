"""What is new: one look at the collections for all browsers that wait."""

from __future__ import annotations

import asyncio
import time
import zlib
from base64 import b64encode
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import suppress
from threading import Event
from typing import Any, Final

from starlette.concurrency import run_in_threadpool

from ..errors import RigorousError
from .chart_request import ChartRequest
from .charts import tails
from .runs import state_of
from .workspace import Workspace

__all__ = ["Watcher", "compressed", "events"]

_INTERVAL: Final = 0.5
#: Looking uses at most this fraction of a core, however large the collections are.
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
        until = self._looked + self._pause  # the same for all browsers, which share the next look
        while not self._ends.is_set() and (rest := until - time.monotonic()) > 0:  # noqa: ASYNC110 - another thread sets it
            await asyncio.sleep(min(rest, _INTERVAL))

    async def counts(self) -> tuple[int, int]:
        """Two numbers, which change with rows and with runs."""
        async with self._lock:
            start = time.monotonic()
            if start - self._looked >= self._pause:
                state, used = await run_in_threadpool(_look, self._workspace)
                self._looked = time.monotonic()
                self._pause = max(_INTERVAL, _SHARE * used)
                for at in (0, 1):
                    self._counts[at] += state[at] != self._state[at]
                self._state = state
            return self._counts[0], self._counts[1]


def _look(workspace: Workspace) -> tuple[Any, float]:
    """The state of a workspace, and the processor time that it took."""
    start = time.thread_time()
    return state_of(workspace), time.thread_time() - start


async def events(
    workspace: Workspace, watcher: Watcher, request: ChartRequest | None
) -> AsyncIterator[bytes]:
    """Server-sent events: two numbers, which change with rows and with runs, and new points.

    Args:
        request: the charts whose points since its cursors are sent, as ``charts.tails`` has them,
            in base64; None for none.
    """
    yield b"retry: 1000\n\n"
    async for counts in watcher.changes():
        if counts is None:
            yield b": nothing new\n\n"
            continue
        message = b""
        if request is not None:
            with suppress(
                RigorousError, OSError
            ):  # the page requests what there is, and has the reason
                message, request = await run_in_threadpool(tails, workspace, request)
        yield b"data: %d %d %b\n\n" % (*counts, b64encode(message))


async def compressed(parts: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Parts of a stream as gzip, which can be read at once, but share what they have in common."""
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    async for part in parts:
        yield packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH)
