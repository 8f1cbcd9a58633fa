"""Processes that read sources at once; their events are taken in the order of the sources."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from signal import Signals
from types import TracebackType
from typing import Any, Final, Self

from rigorous_recorder.errors import MissingPackageError

from .contract import Event, Report
from .reading import Task, events_of, receive, send

__all__ = ["ReaderDiedError", "Readers"]

#: -P: no file of the working folder takes the place of a module.
_COMMAND: Final = (sys.executable, "-P", "-m", f"{__package__}.reader_process")
#: How many seconds a process has to remove its temporary files.
_GRACE: Final = 2.0


class ReaderDiedError(Exception):
    """The process that read a source has ended; what it gave before is valid."""


class Readers:
    """Reads sources in a number of processes, each of them ahead of what is taken, in bounded memory.

    Args:
        tasks: the sources, in the order in which their events are taken.
        jobs: how many processes; with 1, sources are read in this one, when their events are taken.
    """

    def __init__(self, tasks: Iterable[Task], jobs: int) -> None:
        self._waiting = deque(tasks)
        #: The processes of the next sources, in order.
        self._reading: deque[_Reader] = deque()
        self._jobs = jobs if jobs > 1 else 0

    def __enter__(self) -> Self:
        for _ in range(self._jobs):
            self._begin(None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for reader in self._reading:
            reader.process.terminate()
        for reader in self._reading:
            reader.end()

    def _begin(self, reader: _Reader | None) -> None:
        """Give the next source to a process, or to a new one."""
        if not self._waiting:
            if reader is not None:
                reader.end()
            return
        with suppress(OSError):  # no more processes: the others read it, or this one
            reader = reader or _Reader()
        if reader is not None:
            self._reading.append(reader)
            reader.read(self._waiting.popleft())

    def events(self, task: Task, report: Report) -> Iterator[Event]:
        """The events of the next source, which is this one.

        Raises:
            ReaderDiedError: its process has ended before it was read.
            MissingPackageError: a package that its format needs is not installed.
        """
        if not self._reading:
            with suppress(IndexError):
                self._waiting.popleft()
            yield from events_of(task, report)
            return
        reader = self._reading[0]
        is_read = yield from reader.events(report)
        self._reading.popleft()
        if is_read:
            self._begin(reader)
            return
        reason = reader.reason()
        if reader.has_begun:
            self._begin(None)
            raise ReaderDiedError(reason)
        yield from events_of(task, report)


class _Reader:
    """A process that reads one source after another."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - this library's own module
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the import, which ends it
        )
        #: Whether it could be started at all, with this library in it.
        self.has_begun = False

    def read(self, task: Task) -> None:
        """Begin to read a source; the one before has been read."""
        assert self.process.stdin is not None
        wanted = task.format.name, task.source, task.position
        with suppress(OSError):  # it has ended, which is found when its events are taken
            send(self.process.stdin, pickle.dumps(wanted))

    def events(self, report: Report) -> Generator[Event, None, bool]:
        """The events of its source; returns whether those are all, and the process has not ended before.

        Raises:
            MissingPackageError: a package that its format needs is not installed.
        """
        while True:
            message = self._next()
            if isinstance(message, list):
                yield from message
            elif isinstance(message, Report):
                report.merge(message)
                return True
            elif isinstance(message, MissingPackageError):
                raise message
            else:
                return False

    def _next(self) -> Any:
        """The next message; None if the process has ended."""
        assert self.process.stdout is not None
        try:
            if not self.has_begun:
                self.has_begun = receive(self.process.stdout)
            return receive(self.process.stdout)
        except (EOFError, OSError):
            return None

    def end(self) -> None:
        """End the process, and free what it had here."""
        self.process.terminate()
        try:
            self.process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with suppress(OSError):  # what was not sent is not read any more
                pipe.close()

    def reason(self) -> str:
        """How the process ended by itself."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_GRACE)
        self.end()
        code = self.process.returncode
        return f"signal {Signals(-code).name}" if code < 0 else f"exit code {code}"
