"""The log of a console: lines of several runs, each with its recorder."""

from __future__ import annotations

import base64
import datetime as dt
import pickle
import queue
import time
from collections.abc import Callable
from typing import Any, Final

from .._report import error_line, report
from .console_process import Tasks, Written
from .terminal import Line, Screen

__all__ = ["log"]

#: Seconds after which lines without a newer change are looked at.
_TICK: Final = 0.1


def log(tasks: Tasks, answer: Callable[[dict[str, Any]], None]) -> None:
    """Log what comes, until the end of all; each command is answered when it is done."""
    runs: dict[int, _Run] = {}
    while True:
        try:
            task = tasks.next(
                _TICK if any(each.has_recent_lines for each in runs.values()) else None
            )
        except queue.Empty:
            for each in runs.values():
                each.settle(time.time())
            continue
        if task is None:
            break
        if isinstance(task, tuple):
            for each in runs.values():
                each.add(task)
        elif "begin" in task:
            runs[task["begin"]] = _Run(task["recorder"])
            answer({"begun": task["begin"]})
        else:
            answer({"ended": task["end"], "trouble": runs.pop(task["end"]).end()})
    for each in runs.values():
        each.end()


class _Run:
    """The recorder of the lines of one run, and its screens."""

    def __init__(self, recorder: str) -> None:
        self._trouble: str | None = None
        self._recorder: Any = None
        self._screens: dict[str, Screen] = {}
        self._safely(lambda: setattr(self, "_recorder", _recorder_in(recorder)))

    @property
    def has_recent_lines(self) -> bool:
        """Whether lines wait to be final."""
        return any(each.has_recent_lines for each in self._screens.values())

    def add(self, written: Written) -> None:
        stream, data, when = written
        screen = self._screens.setdefault(stream, Screen())
        self._log(stream, screen.feed(data, when))
        self.settle(when)  # not now: what comes next may have been written long ago

    def settle(self, now: float) -> None:
        for stream, screen in self._screens.items():
            self._log(stream, screen.settled(now))

    def end(self) -> str | None:
        """Log what is left, and store it for good; returns what went wrong."""
        for stream, screen in self._screens.items():
            self._log(stream, screen.end())
        if self._recorder is not None:
            self._safely(self._recorder.sync)
        return self._trouble

    def _log(self, stream: str, lines: list[Line]) -> None:
        if lines:
            self._safely(lambda: self._push(stream, lines))

    def _push(self, stream: str, lines: list[Line]) -> None:
        for each in lines:
            when = dt.datetime.fromtimestamp(each.time, dt.UTC)
            self._recorder.push(time=when, stream=stream, line=each.text)

    def _safely(self, do: Callable[[], Any]) -> None:
        if self._trouble is None:
            try:
                do()
            except Exception as error:  # noqa: BLE001 - the output is forwarded, whatever happens
                self._trouble = error_line(error)
                report(f"the console of the run is not recorded any more: {self._trouble}")


def _recorder_in(data: str) -> Any:
    return pickle.loads(base64.b64decode(data))  # noqa: S301 - written by the training itself
