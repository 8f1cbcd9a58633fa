"""Background work for all stores of this process: every second, at forks, and at exit."""

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

from .._arrow import without_pandas
from .._live.table_writer import TableWriter
from .._report import error_line, report

__all__ = ["LOCKS", "flush_all", "holding", "schedule", "start_background", "sync_all", "watch"]

_FLUSH_SECONDS: Final = 1.0
_FLUSHES_PER_SYNC: Final = 5


class _BackgroundStore(Protocol):
    @property
    def records(self) -> TableWriter:
        """The table of records."""

    @property
    def nodes(self) -> TableWriter:
        """The table of nodes."""

    def renew_after_fork(self) -> None:
        """Prepare for use in a forked child."""

    def flush(self) -> None:
        """Flush all rows to the operating system."""

    def sync(self) -> None:
        """Block until all rows survive a power loss."""

    def end(self) -> None:
        """Save everything because the interpreter exits."""


class _Locks:
    """Locks of this process; a forked child gets new ones, so access them by name each time."""

    #: Held while a recorder's place is set, or a write is shown; never held while waiting for others.
    settling: threading.RLock


LOCKS: Final = _Locks()


class _Background:
    """The stores of this process, and the thread that maintains them."""

    def __init__(self) -> None:
        self._stores: weakref.WeakSet[_BackgroundStore] = weakref.WeakSet()
        self._held: list[TableWriter] = []
        self._begin()

    def _begin(self) -> None:
        #: Held while taking the locks of several tables, so that no two threads deadlock.
        self.several = threading.RLock()
        LOCKS.settling = threading.RLock()
        self._listing = threading.Lock()
        self._starting = threading.Lock()
        self._starter = 0
        self._leaving = threading.Event()
        self._threads: list[threading.Thread] = []
        self._jobs: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()

    def watch(self, store: _BackgroundStore) -> None:
        with self._listing:
            self._stores.add(store)

    def stores(self) -> list[_BackgroundStore]:
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
            return  # no thread can start at exit; or a signal handler interrupts the start
        with self._starting:
            try:
                self._starter = me
                self._start()
            finally:
                self._starter = 0

    def _start(self) -> None:
        if not self._threads:
            _at_end_of_worker(self.leave)
        for work in (self._maintain, self._seal)[len(self._threads) :]:  # the rest, after Ctrl-C
            name = f"rigorous-recorder {work.__name__.strip('_')}"
            thread = threading.Thread(target=work, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def schedule(self, job: Callable[[], object]) -> None:
        """Run a job soon on a background thread; not at all if there is none (any more).

        So a job must be optional: others do it if needed.
        """
        if self._threads and not self._leaving.is_set():
            self._jobs.put(job)

    def _seal(self) -> None:
        while (job := self._jobs.get()) is not None:
            _alone(job)
            del job  # and the store that it refers to

    def _maintain(self) -> None:
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
        with without_pandas():
            for store in self.stores():
                _alone(store.end)


def _alone(task: Callable[[], object]) -> None:
    """Run a task for one store; a failure is reported, and does not affect other stores."""
    try:
        task()
    except Exception as error:  # noqa: BLE001 - the next store must not be affected
        report(f"rigorous_recorder: {error_line(error)}")


def _at_end_of_worker(leave: Callable[[], None]) -> None:
    """Forked workers of multiprocessing skip Python's exit handlers, but run finalizers."""
    process = sys.modules.get("multiprocessing.process")
    util = sys.modules.get("multiprocessing.util")
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(None, leave, exitpriority=-1)


_background: Final = _Background()
watch: Final = _background.watch
start_background: Final = _background.start
flush_all: Final = _background.flush_all
sync_all: Final = _background.sync_all
schedule: Final = _background.schedule


@contextlib.contextmanager
def holding(*tables: TableWriter) -> Iterator[None]:
    """Hold the locks of several tables at once, so that no rows are added."""
    with _background.several, contextlib.ExitStack() as locks:
        for table in tables:
            locks.enter_context(table.lock)
            table.close_fast_path()
        yield


atexit.register(_background.leave)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_background.before_fork,
        after_in_parent=_background.after_fork_in_parent,
        after_in_child=_background.after_fork_in_child,
    )
