"""Work on a few items ahead of whoever takes the results, in threads, in order."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

__all__ = ["ahead"]

_THREADS: Final = min(8, os.cpu_count() or 1)

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def ahead(
    work: Callable[[_Item], _Result], items: Iterable[_Item], threads: int = _THREADS
) -> Iterator[_Result]:
    """The result for each item, in order; at most one more than there are threads wait.

    Of use where the work is reading and decoding, for which Python lets other threads go on. A
    forked child, which has none of the threads, does the rest of the work itself.
    """
    owner = os.getpid()
    readers: set[int] = set()
    pool = ThreadPoolExecutor(
        threads,
        thread_name_prefix="rigorous-recorder read",
        initializer=lambda: readers.add(threading.get_ident()),
    )

    def result(item: _Item, future: Future[_Result] | None) -> _Result:
        return work(item) if future is None or os.getpid() != owner else future.result()

    waiting: deque[tuple[_Item, Future[_Result] | None]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(work, item) if os.getpid() == owner else None))
            if len(waiting) > threads:
                yield result(*waiting.popleft())
        while waiting:
            yield result(*waiting.popleft())
    finally:
        if os.getpid() == owner:
            # Python may collect an iterator that nobody ended in one of its own threads.
            is_reader = threading.get_ident() in readers
            pool.shutdown(wait=not is_reader, cancel_futures=True)
