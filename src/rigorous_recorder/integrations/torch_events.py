"""PyTorch alone: events of ``torch.monitor``, and profiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from rigorous_recorder import Recorder, Run

from .guest import guest, push
from .requirement import required
from .target import run_or_recorder

with required("torch>=2.1"):
    from torch import monitor

__all__ = ["log_monitor", "log_profile"]

_MICROSECOND: Final = 1e-6


@contextmanager
def log_monitor(recorder: Recorder | Run) -> Iterator[None]:
    """Log events of ``torch.monitor`` while the block runs: ``event``, ``event_time``, its data."""
    target = run_or_recorder(recorder)

    @guest
    def log(event: Any) -> None:
        place = {"event": event.name, "event_time": event.timestamp.timestamp()}
        push(target, {**event.data, **place})

    handle = monitor.register_event_handler(log)
    try:
        yield
    finally:
        monitor.unregister_event_handler(handle)


def log_profile(recorder: Recorder | Run, *, most: int = 100) -> Callable[[Any], None]:
    """A handler for ``torch.profiler.profile(on_trace_ready=...)`` that logs a summary.

    Each trace is a child with ``profile`` (0, 1, ...), whose records are the operators that took
    longest by themselves: ``operator``, ``calls``, and in seconds ``cpu_time``, ``self_cpu_time``,
    ``device_time`` and ``self_device_time``.
    """
    target, traces = run_or_recorder(recorder), list[Recorder]()

    @guest
    def log(profile: Any) -> None:
        traces.append(target.child(profile=len(traces)))
        rows = [_row(each) for each in profile.key_averages()]
        rows.sort(key=lambda row: row["self_cpu_time"] + row["self_device_time"], reverse=True)
        for row in rows[:most]:
            traces[-1].push(row)

    return log


def _row(average: Any) -> dict[str, Any]:
    times = {
        "cpu_time": average.cpu_time_total,
        "self_cpu_time": average.self_cpu_time_total,
        "device_time": average.device_time_total,
        "self_device_time": average.self_device_time_total,
    }
    seconds = {name: time * _MICROSECOND for name, time in times.items()}
    return {"operator": average.key, "calls": average.count, **seconds}
