"""Faults at every step: something happens at the n-th call that changes files, in any thread.

A step is the moment before or after a call that makes, writes, renames, deletes, maps or locks a
file, or makes a change last.
"""

from __future__ import annotations

import errno
import faulthandler
import fcntl
import mmap
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NoReturn

import pyarrow.parquet as pq
import pytest

__all__ = ["ENDLESS", "Board", "die", "every_step", "in_a_child", "no_space"]

#: More steps than anything has.
ENDLESS: Final = 1 << 40
_PATIENCE: Final = 60  # seconds
_MAKES: Final = os.O_CREAT | os.O_TRUNC
_CALLS: Final = [
    (os, "posix_fallocate"), (os, "pwrite"), (os, "pwritev"), (os, "ftruncate"), (os, "truncate"),
    (os, "replace"), (os, "rename"), (os, "link"), (os, "unlink"), (os, "mkdir"), (os, "utime"),
    (os, "fsync"), (os, "fdatasync"), (mmap, "mmap"), (fcntl, "flock"), (fcntl, "lockf"),
    (Path, "write_bytes"), (Path, "write_text"),
    (pq, "write_table"), (pq.ParquetWriter, "write_table"), (pq.ParquetWriter, "close"),
]  # fmt: skip


def no_space(*_: Any, **__: Any) -> NoReturn:
    """In place of a call that writes: the device is full."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def die() -> None:
    """As a process dies that the system kills."""
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def every_step(action: Callable[[str], None], *, of_thread: int | None = None) -> Iterator[None]:
    """Do something at each step, given its name; of all threads, or of one."""

    def watched(original: Callable[..., Any], name: str) -> Callable[..., Any]:
        def is_step(*args: Any) -> bool:
            is_due = of_thread is None or threading.get_ident() == of_thread
            return is_due and (name != "open" or bool(args[1] & _MAKES))

        def call(*args: Any, **named: Any) -> Any:
            if not is_step(*args):
                return original(*args, **named)
            action(f"before {name}")
            found = original(*args, **named)
            action(f"after {name}")
            return found

        return call

    with pytest.MonkeyPatch.context() as patch:
        for module, name in [(os, "open"), *_CALLS]:
            if hasattr(module, name):
                patch.setattr(module, name, watched(getattr(module, name), name))
        yield


class Board:
    """What a process writes on it is there after its death: what it logged, how far it got."""

    _NAME: Final = 64
    _NUMBERS: Final = 8
    _MOST: Final = 4096

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._memory = mmap.mmap(-1, self._NAME + 8 * self._NUMBERS + self._MOST)
        view = memoryview(self._memory)
        self._name = view[: self._NAME]
        self.numbers = view[self._NAME : self._NAME + 8 * self._NUMBERS].cast("q")
        #: For each record 0, or 1 (its push was called), or 2 (it returned).
        self.records = view[self._NAME + 8 * self._NUMBERS :]

    @property
    def last(self) -> str:
        """The last step that was counted."""
        return bytes(self._name).rstrip(b"\0").decode()

    @property
    def steps(self) -> int:
        """How many steps were counted."""
        return self.numbers[0]

    def count(self, name: str) -> int:
        """Note one more step; how many came before it."""
        with self._lock:
            self._name[:] = name.encode().ljust(self._NAME, b"\0")
            self.numbers[0] += 1
            return self.numbers[0] - 1

    def logged(self, least: int) -> list[int]:
        """The records that got so far."""
        return [i for i, state in enumerate(self.records) if state >= least]


def in_a_child(work: Callable[[], object]) -> int:
    """Do some work in a forked child, which then exits at once; gives its exit code."""
    child = os.fork()
    if not child:
        code = 1
        try:
            faulthandler.dump_traceback_later(_PATIENCE, exit=True, file=sys.__stderr__)
            work()
            code = 0
        except BaseException:  # noqa: BLE001 - a child must never come back to pytest
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
