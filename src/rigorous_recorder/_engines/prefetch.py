"""Work on a few items ahead of whoever takes the results, in threads, in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from .._lazy_imports import futures

__all__ = ["ahead"]

_THREADS: Final = min(8, os.cpu_count() or 1)

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def ahead(work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """The result for each item, in order; at most one more than there are threads wait.

    Of use where the work is reading and decoding, for which Python lets other threads go on. Where
    none can be started, as at the end of Python, or none is left, as in a forked child, whoever
    takes the results does the work. Nobody waits for work of which the result is not taken: Python
    may end an iterator that was left in any thread, also in one that the work waits for.
    """
    owner = os.getpid()
    pool = _pool()

    def begin(item: _Item) -> futures.Future[_Result] | None:
        if pool is None or os.getpid() != owner:
            return None
        try:
            return pool.submit(work, item)
        except RuntimeError:  # Python's: it ends, or no more threads are to be had
            return None

    def result(item: _Item, future: futures.Future[_Result] | None) -> _Result:
        return work(item) if future is None or os.getpid() != owner else future.result()

    waiting: deque[tuple[_Item, futures.Future[_Result] | None]] = deque()
    try:
        for item in items:
            waiting.append((item, begin(item)))
            if len(waiting) > _THREADS:
                yield result(*waiting.popleft())
        while waiting:
            yield result(*waiting.popleft())
    finally:
        if pool is not None and os.getpid() == owner:
            pool.shutdown(wait=False, cancel_futures=True)


def _pool() -> futures.ThreadPoolExecutor | None:
    try:
        return futures.ThreadPoolExecutor(_THREADS, thread_name_prefix="rigorous-recorder read")
    except RuntimeError:  # Python ends: the module can't be loaded any more
        return None
