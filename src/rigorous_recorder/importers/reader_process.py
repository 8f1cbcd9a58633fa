"""A process that reads sources for an import: their names come on standard input, their events go to standard output.

A message is a list of events, and after the last of a source a ``Report``, or the error of a package
that is missing. It reads ahead of what the import takes, in bounded memory.
"""

from __future__ import annotations

import os
import pickle
import signal
from collections import deque
from collections.abc import Iterator
from threading import Condition, Thread
from typing import IO, Any, Final

from rigorous_recorder.errors import MissingPackageError

from .contract import Event, Report, Rows
from .formats import format_named
from .reading import Task, events_of, packed, receive, send

__all__ = ["main"]

#: So many bytes of events wait at most until the other process takes them.
_MOST_WAITING: Final = 32 << 20
#: So many events are a message, at most; of columns, so many rows.
_MOST_EVENTS: Final = 256
_MOST_ROWS: Final = 1 << 16


def main() -> None:
    """Read sources until there are no more."""
    taken, given = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a package prints is not a message
    signal.signal(signal.SIGTERM, _end)  # so that temporary files are removed
    waiting = _Waiting(given)
    waiting.add(pickle.dumps(True))
    while True:
        try:
            name, source, position = receive(taken)
        except EOFError:
            waiting.end()
            return
        for message in _messages(Task(format_named(name), source, position)):
            waiting.add(message)


def _end(_number: int, _frame: object) -> None:
    raise SystemExit


def _messages(task: Task) -> Iterator[bytes]:
    report = Report()
    try:
        for events in _in_parts(events_of(task, report)):
            yield packed(events)
    except MissingPackageError as error:
        yield pickle.dumps(error)
    else:
        yield pickle.dumps(report)


def _in_parts(events: Iterator[Event]) -> Iterator[list[Event]]:
    part: list[Event] = []
    rows = 0
    for event in events:
        part.append(event)
        rows += event.size if type(event) is Rows else 1
        if len(part) >= _MOST_EVENTS or rows >= _MOST_ROWS:
            yield part
            part, rows = [], 0
    if part:
        yield part


class _Waiting:
    """Messages that are read already, and are sent by a thread of its own."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._messages: deque[bytes | None] = deque()
        self._bytes = 0
        self._changed = Condition()
        self._thread = Thread(target=self._send, daemon=True)
        self._thread.start()

    def add(self, message: bytes) -> None:
        """Add a message, once there is room for it."""
        with self._changed:
            self._changed.wait_for(lambda: self._bytes < _MOST_WAITING)
            self._messages.append(message)
            self._bytes += len(message)
            self._changed.notify_all()

    def end(self) -> None:
        """Wait until all are sent."""
        with self._changed:
            self._messages.append(None)
            self._changed.notify_all()
        self._thread.join()

    def _send(self) -> None:
        while (message := self._next()) is not None:
            try:
                send(self._file, message)
            except OSError:
                os.kill(os.getpid(), signal.SIGTERM)  # the import has ended
                return
            with self._changed:
                self._bytes -= len(message)
                self._changed.notify_all()

    def _next(self) -> Any:
        with self._changed:
            self._changed.wait_for(lambda: self._messages)
            return self._messages.popleft()


if __name__ == "__main__":
    main()
