"""What a run uses of its machine while it runs: processor, memory, disk, network and GPUs."""

from __future__ import annotations

import datetime as dt
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from .._lazy import lazy_module
from .._report import error_line, report
from .cgroup import memory_limit
from .gpus import gpus

psutil: Any = lazy_module("psutil", install="rigorous-recorder[system]")

__all__ = ["INTERVAL", "SystemMonitor", "require_psutil"]

#: Seconds between two records.
INTERVAL: Final = 10.0
#: No more than this part of a core is used: a sample that takes long is followed by a longer pause.
_SHARE: Final = 0.002
#: Seconds to wait for the last record.
_PATIENCE: Final = 5.0
_MEGABYTE: Final = 1024 * 1024

#: What one source of metrics gives; it may raise.
_Read = Callable[[], Mapping[str, float]]


def require_psutil() -> None:
    """Import psutil.

    Raises:
        MissingPackageError: it is not installed.
    """
    _ = psutil.Process


class SystemMonitor:
    """Logs a record of metrics every ten seconds, from a thread of its own, and a last one at the end.

    Percentages of processors are between 0 and 100 for the whole machine, and 100 for each busy core
    for the process with all that it started. What was read, written, sent and received counts from
    the start of the run. A source that fails is reported and left out from then on.

    Args:
        push: logs a record.
        folder: of which disk to tell.
        interval: seconds between two records.
    """

    def __init__(
        self, push: Callable[[Mapping[str, Any]], Any], folder: Path, interval: float = INTERVAL
    ) -> None:
        self._push = push
        self._interval = interval
        self._process = os.getpid()
        sources: dict[str, Callable[[], _Read]] = {
            "processors": _processors,
            "memory": lambda: _memory,
            "the disk": lambda: lambda: _disk(folder),
            "disks": lambda: _since(_disk_traffic()),
            "the network": lambda: _since(_network_traffic()),
            "processes": lambda: _Processes().read,
            "the container": _container,
        }
        self._sources: dict[str, _Read] = dict(self._begun(sources)) | gpus()
        # Held until the end. Releasing waits for nothing: a signal handler may end the run in the
        # middle of its end.
        self._running = threading.Lock()
        self._running.acquire()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="rigorous-system", daemon=True)
        self._thread.start()

    def _begun(self, sources: Mapping[str, Callable[[], _Read]]) -> Iterator[tuple[str, _Read]]:
        for name, begin in sources.items():
            try:
                yield name, begin()
            except Exception as error:  # noqa: BLE001 - the others are read
                report(f"metrics of {name} are not recorded: {error_line(error)}")

    def _run(self) -> None:
        pause = self._interval
        while not self._running.acquire(timeout=pause):
            before = time.thread_time()
            if not self._safely_sample():
                return
            pause = max(self._interval, (time.thread_time() - before) / _SHARE)
        self._safely_sample()

    def _safely_sample(self) -> bool:
        try:
            self.sample()
        except Exception as error:  # noqa: BLE001 - the run goes on without them
            report(f"metrics of the system are not recorded any more: {error_line(error)}")
            return False
        return True

    def sample(self) -> None:
        """Log a record now."""
        found: dict[str, Any] = {"time": dt.datetime.now(dt.UTC)}
        for name, read in list(self._sources.items()):
            try:
                found |= read()
            except Exception as error:  # noqa: BLE001 - such as a driver that is gone
                self._sources.pop(name, None)
                report(f"metrics of {name} are not recorded any more: {error_line(error)}")
        self._push(found)

    def close(self) -> None:
        """Let the thread log a last record, and end; wait for it, but not for a driver that hangs.

        A second call does nothing.
        """
        if os.getpid() != self._process:
            return  # a forked child, which has no such thread
        was_closed, self._is_closed = self._is_closed, True
        if was_closed:
            return
        self._running.release()
        self._thread.join(_PATIENCE)
        if self._thread.is_alive():
            report("the last metrics of the system are not recorded: reading them takes too long")


def _processors() -> _Read:
    before = psutil.cpu_times()

    def read() -> dict[str, float]:
        nonlocal before
        now = psutil.cpu_times()
        total = sum(now) - sum(before)
        idle = sum(getattr(now, n, 0) - getattr(before, n, 0) for n in ("idle", "iowait"))
        before = now
        busy = 100 * (1 - idle / total) if total > 0 else 0.0
        return {"cpu/percent": round(min(max(busy, 0.0), 100.0), 2)}

    return read


def _memory() -> dict[str, float]:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    return {
        "memory/percent": memory.percent,
        "memory/available_mb": memory.available // _MEGABYTE,
        "memory/swap_mb": swap.used // _MEGABYTE,
    }


def _container() -> _Read:
    """The memory of the container or job, if it has a limit: at this, and not at the machine's, it is killed."""
    limit = memory_limit()
    if limit is None or limit.bytes >= psutil.virtual_memory().total:
        return dict

    def read() -> dict[str, float]:
        used = limit.used()
        return {
            "container/memory_mb": used // _MEGABYTE,
            "container/memory_percent": round(100 * used / limit.bytes, 2),
        }

    return read


def _disk(folder: Path) -> dict[str, float]:
    usage = psutil.disk_usage(str(folder))
    return {"disk/percent": usage.percent, "disk/free_mb": usage.free // _MEGABYTE}


def _disk_traffic() -> Callable[[], dict[str, int]]:
    def read() -> dict[str, int]:
        found = psutil.disk_io_counters()
        if found is None:  # as in containers
            return {}
        return {"disk/read_mb": found.read_bytes, "disk/written_mb": found.write_bytes}

    return read


def _network_traffic() -> Callable[[], dict[str, int]]:
    def read() -> dict[str, int]:
        found = psutil.net_io_counters()
        if found is None:
            return {}
        return {"network/sent_mb": found.bytes_sent, "network/received_mb": found.bytes_recv}

    return read


def _since(read: Callable[[], dict[str, int]]) -> _Read:
    """Megabytes since now of counters in bytes."""
    start = read()
    return lambda: {
        key: round((value - start.get(key, value)) / _MEGABYTE, 3) for key, value in read().items()
    }


class _Processes:
    """The process and all that it started, as they are at each sample."""

    def __init__(self) -> None:
        self._used: dict[tuple[int, float], float] = {}
        self._time = time.monotonic()
        self.read()

    def read(self) -> dict[str, float]:
        """Their number, threads, memory, and the processors' time since the last call."""
        used, memory, threads = {}, 0, 0
        for process in self._all():
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    identity = process.pid, process.create_time()
                    used[identity] = times.user + times.system
                    memory += process.memory_info().rss
                    threads += process.num_threads()
            except psutil.Error:
                continue  # it has ended meanwhile
        now = time.monotonic()
        spent = sum(seconds - self._used.get(each, 0.0) for each, seconds in used.items())
        percent = 100 * max(spent, 0.0) / max(now - self._time, 1e-3)
        self._used, self._time = used, now
        return {
            "process/cpu_percent": round(percent, 2),
            "process/memory_mb": memory // _MEGABYTE,
            "process/threads": threads,
            "process/count": len(used),
        }

    @staticmethod
    def _all() -> list[Any]:
        own = psutil.Process()
        try:
            return [own, *own.children(recursive=True)]
        except psutil.Error:
            return [own]
