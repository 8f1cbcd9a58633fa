"""Running queries in a process of their own, which is killed where one takes too long."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator, Mapping
from threading import Event, Lock, Timer
from typing import Any, Final, NamedTuple

from ..errors import ArgumentError

__all__ = ["Query", "Running", "Workers"]

#: -P: no file of the working folder takes the place of a module.
_COMMAND: Final = (sys.executable, "-P", "-m", f"{__package__}.sql_worker")


class Query(NamedTuple):
    """What is run.

    Attributes:
        collections: the folders of collections, by name; several are queried together.
        query: a SELECT.
        format: ``arrow``, ``parquet``, ``csv`` or ``jsonl``.
        rows, bytes: where the answer is cut off; 0 for nowhere.
        seconds: after so long the query is ended.
    """

    collections: Mapping[str, str]
    query: str
    format: str
    rows: int
    bytes: int
    seconds: float


class Workers:
    """The processes of a page; one that is idle is used again."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._idle: list[subprocess.Popen[bytes]] = []

    def run(self, query: Query) -> Running:
        """Begin to run a query."""
        return Running(self, self._taken(), query)

    def _taken(self) -> subprocess.Popen[bytes]:
        with self._lock:
            while self._idle:
                if (found := self._idle.pop()).poll() is None:
                    return found
        return subprocess.Popen(  # noqa: S603 - this library's own module
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(os.environ),
            start_new_session=True,  # Ctrl-C is for the page, which ends it
        )

    def give_back(self, process: subprocess.Popen[bytes]) -> None:
        """Take a process that is idle again; one is enough."""
        with self._lock:
            if not self._idle:
                self._idle.append(process)
                return
        end(process)

    def close(self) -> None:
        """End all that are idle."""
        with self._lock:
            for process in self._idle:
                end(process)
            self._idle.clear()


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process, and free what it had here."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                continue  # what was not sent is not read any more


class Running:
    """A query that is running: its data, in parts, and then a summary."""

    def __init__(self, workers: Workers, process: subprocess.Popen[bytes], query: Query) -> None:
        self._workers, self._process, self._query = workers, process, query
        self._is_late = Event()
        self._lock = Lock()
        self._is_over = False
        self._timer = Timer(query.seconds, self._stop_late)
        self._timer.daemon = True
        self.summary: dict[str, Any] = {}

    def _stop_late(self) -> None:
        self._is_late.set()
        self.stop()

    def stop(self) -> None:
        """End it from another thread; reading its data then fails. Nothing if it has ended."""
        with self._lock:
            if not self._is_over:  # else the process can have another query already
                self._process.kill()

    def data(self) -> Generator[bytes]:
        """The parts of the answer.

        Raises:
            ArgumentError: the query is not valid, or was ended.
        """
        self._timer.start()
        is_done = False
        try:
            self._send()
            while True:
                kind, content = self._frame()
                if kind == b"d":
                    yield content
                    continue
                is_done = True
                if kind == b"e":
                    raise ArgumentError(content.decode("utf-8", "replace"))
                self.summary = json.loads(content)
                return
        finally:
            self._timer.cancel()
            with self._lock:
                self._is_over = True
            if is_done:
                self._workers.give_back(self._process)
            else:
                end(self._process)

    def _send(self) -> None:
        line = json.dumps(self._query._asdict()).encode() + b"\n"
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except OSError:
            raise self._ended() from None

    def _frame(self) -> tuple[bytes, bytes]:
        assert self._process.stdout is not None
        head = self._process.stdout.read(5)
        size = int.from_bytes(head[1:], "little")
        content = self._process.stdout.read(size)
        if len(head) < 5 or len(content) < size:
            raise self._ended()
        return head[:1], content

    def _ended(self) -> ArgumentError:
        if self._is_late.is_set():
            reason = f"it took more than {self._query.seconds:g} seconds"
        else:
            reason = "it was ended, or needed too much memory"
        return ArgumentError(f"the query has no answer: {reason}")
