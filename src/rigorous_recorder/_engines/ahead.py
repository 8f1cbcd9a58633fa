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


def ahead(work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """The result for each item, in order; at most one more than there are threads wait.

    Of use where the work is reading and decoding, for which Python lets other threads go on.
    """
    waiting: deque[Future[_Result]] = deque()
    readers: set[int] = set()
    threads = ThreadPoolExecutor(
        _THREADS,
        thread_name_prefix="rigorous-recorder read",
        initializer=lambda: readers.add(threading.get_ident()),
    )
    try:
        for item in items:
            waiting.append(threads.submit(work, item))
            if len(waiting) > _THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        # Python may collect an iterator that nobody ended in one of its own threads.
        is_reader = threading.get_ident() in readers
        threads.shutdown(wait=not is_reader, cancel_futures=True)
