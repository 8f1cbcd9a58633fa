"""What happens to every store of this process: each second, at a fork, and at exit."""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from .._live.table_writer import TableWriter
from .._report import error_line, report

__all__ = ["LOCKS", "flush_all", "holding", "schedule", "start_background", "sync_all", "watch"]

_FLUSH_SECONDS: Final = 1.0
_FLUSHES_PER_SYNC: Final = 5


class _Kept(Protocol):
    @property
    def records(self) -> TableWriter:
        """The table of records."""

    @property
    def nodes(self) -> TableWriter:
        """The table of nodes."""

    def renew_after_fork(self) -> None:
        """Be usable in a forked child."""

    def flush(self) -> None:
        """Hand all rows to the operating system."""

    def sync(self) -> None:
        """Return when all rows survive a loss of power."""

    def end(self) -> None:
        """Save everything: the interpreter exits."""


class _Locks:
    """Locks of this process, each another one in a forked child: take them by name each time."""

    #: Held by who gives a recorder its place, or shows what was written; no other is waited for in it.
    settling: threading.RLock


LOCKS: Final = _Locks()


class _House:
    """The stores of this process, and the thread that looks after them."""

    def __init__(self) -> None:
        self._stores: weakref.WeakSet[_Kept] = weakref.WeakSet()
        self._held: list[TableWriter] = []
        self._begin()

    def _begin(self) -> None:
        #: Held by whoever needs the locks of several tables, so that no two wait for each other.
        self.several = threading.RLock()
        LOCKS.settling = threading.RLock()
        self._listing = threading.Lock()
        self._starting = threading.Lock()
        self._starter = 0
        self._leaving = threading.Event()
        self._threads: list[threading.Thread] = []
        self._jobs: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()

    def watch(self, store: _Kept) -> None:
        with self._listing:
            self._stores.add(store)

    def stores(self) -> list[_Kept]:
        with self._listing:
            return list(self._stores)

    def flush_all(self) -> None:
        for store in self.stores():
            store.flush()

    def sync_all(self) -> None:
        for store in self.stores():
            _alone(store.sync)

    def start(self) -> None:
        me = threading.get_ident()
        if self._leaving.is_set() or self._starter == me:
            return  # no thread begins at exit; a signal handler in the middle of it: it is being done
        with self._starting:
            try:
                self._starter = me
                self._start()
            finally:
                self._starter = 0

    def _start(self) -> None:
        if not self._threads:
            _at_end_of_worker(self.leave)
        for work in (self._keep, self._seal)[len(self._threads) :]:  # the rest, after Ctrl-C
            name = f"rigorous-recorder {work.__name__.strip('_')}"
            thread = threading.Thread(target=work, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def schedule(self, job: Callable[[], object]) -> None:
        """Do a job soon on a thread of its own; not at all where there is none (any more).

        So a job is what somebody else does as well, if need be.
        """
        if self._threads and not self._leaving.is_set():
            self._jobs.put(job)

    def _seal(self) -> None:
        while (job := self._jobs.get()) is not None:
            _alone(job)
            del job  # and what it belongs to

    def _keep(self) -> None:
        flushes = 0
        while not self._leaving.wait(_FLUSH_SECONDS):
            flushes += 1
            for store in self.stores():
                _alone(store.flush if flushes % _FLUSHES_PER_SYNC else store.sync)
                del store  # else it lives until the next time

    def before_fork(self) -> None:
        self.several.acquire()
        self._held = [table for store in self.stores() for table in (store.nodes, store.records)]
        for table in self._held:
            table.lock.acquire()

    def after_fork_in_parent(self) -> None:
        for table in reversed(self._held):
            table.lock.release()
        self._held = []
        self.several.release()

    def after_fork_in_child(self) -> None:
        self._held = []
        self._begin()
        for store in self.stores():
            store.renew_after_fork()

    def leave(self) -> None:
        """Save everything before the interpreter exits."""
        self._leaving.set()
        self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        for store in self.stores():
            _alone(store.end)


def _alone(task: Callable[[], object]) -> None:
    """Do what is due for one store; its trouble is reported, and stops nothing for the others."""
    try:
        task()
    except Exception as error:  # noqa: BLE001 - whatever it is, the next store is due
        report(f"rigorous_recorder: {error_line(error)}")


def _at_end_of_worker(leave: Callable[[], None]) -> None:
    """A forked worker of multiprocessing ends without Python's exit, after finalizers of its own."""
    process = sys.modules.get("multiprocessing.process")
    util = sys.modules.get("multiprocessing.util")
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(None, leave, exitpriority=-1)


_house: Final = _House()
watch: Final = _house.watch
start_background: Final = _house.start
flush_all: Final = _house.flush_all
sync_all: Final = _house.sync_all
schedule: Final = _house.schedule


@contextlib.contextmanager
def holding(*tables: TableWriter) -> Iterator[None]:
    """Hold the locks of several tables at once; no row is added to them meanwhile."""
    with _house.several, contextlib.ExitStack() as locks:
        for table in tables:
            locks.enter_context(table.lock)
            table.close_fast_path()
        yield


atexit.register(_house.leave)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_house.before_fork,
        after_in_parent=_house.after_fork_in_parent,
        after_in_child=_house.after_fork_in_child,
    )
