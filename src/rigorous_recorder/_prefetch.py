"""Prefetching: work on the next items in threads, with results in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Final, TypeVar

from ._lazy_imports import futures

__all__ = ["ALL_CORES", "ahead"]

ALL_CORES: Final = os.cpu_count() or 1
#: As many as help where the consumer works, too.
_THREADS: Final = min(8, ALL_CORES)

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def ahead(
    work: Callable[[_Item], _Result], items: Iterable[_Item], *, threads: int = _THREADS
) -> Iterator[_Result]:
    """The result for each item, in order, computed ahead in threads.

    At most one more result than there are threads waits. This helps where the work is reading and
    decoding, which release the GIL. If no thread can be started, as at interpreter shutdown or in a
    forked child, the consumer does the work. Nothing waits for work whose result is never taken:
    Python may finalize an abandoned iterator in any thread, even in one that the work waits for.
    """
    owner = os.getpid()
    is_single = isinstance(items, Sized) and len(items) < 2  # then a thread only takes time
    pool = None if is_single else _pool(threads)

    def begin(item: _Item) -> futures.Future[_Result] | None:
        if pool is None or os.getpid() != owner:
            return None
        try:
            return pool.submit(work, item)
        except RuntimeError:  # Python is shutting down, or the limit of threads is reached
            return None

    def result(item: _Item, future: futures.Future[_Result] | None) -> _Result:
        return work(item) if future is None or os.getpid() != owner else future.result()

    waiting: deque[tuple[_Item, futures.Future[_Result] | None]] = deque()
    try:
        for item in items:
            waiting.append((item, begin(item)))
            if len(waiting) > threads:
                yield result(*waiting.popleft())
        while waiting:
            yield result(*waiting.popleft())
    finally:
        if pool is not None and os.getpid() == owner:
            pool.shutdown(wait=False, cancel_futures=True)


def _pool(threads: int) -> futures.ThreadPoolExecutor | None:
    try:
        return futures.ThreadPoolExecutor(threads, thread_name_prefix="rigorous-recorder read")
    except RuntimeError:  # Python ends: the module can't be loaded any more
        return None
