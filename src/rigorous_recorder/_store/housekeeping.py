"""What happens to every store of this process: each second, at a fork, and at exit."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import weakref
from typing import Final, Protocol

from .._live.table import LiveTable
from ..errors import SaveError

__all__ = ["keep_house", "watch"]

_FLUSH_SECONDS: Final = 1.0
_FLUSHES_PER_SYNC: Final = 5


class _Kept(Protocol):
    records: LiveTable
    nodes: LiveTable

    def renew_after_fork(self) -> None:
        """Be usable in a forked child."""

    def flush(self) -> None:
        """Hand all rows to the operating system."""

    def sync(self) -> None:
        """Return when all rows survive a loss of power."""

    def close(self) -> None:
        """Save everything."""


class _House:
    """The stores of this process, and the thread that looks after them."""

    def __init__(self) -> None:
        self.stores: weakref.WeakSet[_Kept] = weakref.WeakSet()
        self._held: list[LiveTable] = []
        self.forget_thread()

    def forget_thread(self) -> None:
        self._starting = threading.Lock()
        self._leaving = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="rigorous-recorder", daemon=True
                )
                self._thread.start()

    def _work(self) -> None:
        flushes = 0
        while not self._leaving.wait(_FLUSH_SECONDS):
            flushes += 1
            for store in list(self.stores):
                if flushes % _FLUSHES_PER_SYNC:
                    store.flush()
                else:
                    store.sync()

    def before_fork(self) -> None:
        self._held = [table for store in self.stores for table in (store.nodes, store.records)]
        for table in self._held:
            table.lock.acquire()

    def after_fork_in_parent(self) -> None:
        for table in reversed(self._held):
            table.lock.release()
        self._held = []

    def after_fork_in_child(self) -> None:
        self._held = []
        self.forget_thread()
        for store in list(self.stores):
            store.renew_after_fork()

    def leave(self) -> None:
        """Save everything before the interpreter exits."""
        self._leaving.set()
        if self._thread is not None:
            self._thread.join()
        for store in list(self.stores):
            try:
                store.close()
            except SaveError as error:
                sys.stderr.write(f"rigorous_recorder: {error}\n")


_house: Final = _House()
watch: Final = _house.stores.add
keep_house: Final = _house.start

atexit.register(_house.leave)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_house.before_fork,
        after_in_parent=_house.after_fork_in_parent,
        after_in_child=_house.after_fork_in_child,
    )
