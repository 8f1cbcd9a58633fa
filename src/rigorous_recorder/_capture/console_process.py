"""The process that forwards the output of a training, and logs it as lines.

It outlives the training: what that wrote before it was killed is forwarded and logged. Forwarding is
done by a thread of its own, and never waits for the log.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import pickle
import queue
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple

from .._report import error_line, report
from .terminal import Line, Screen
from .window import follow_size

__all__ = ["main"]

_CHUNK: Final = 65_536
#: Bytes that wait to be logged; what comes beyond is forwarded only, and counted.
_LONGEST_QUEUE: Final = 64 * 1024 * 1024
#: Seconds after which lines without a newer change are looked at.
_TICK: Final = 0.1


class Written(NamedTuple):
    """Bytes that were written to a stream, and when."""

    stream: str
    data: bytes
    time: float


class _Log:
    """Logs lines to the recorders of runs, on a thread of its own."""

    def __init__(self, answer: Callable[[dict[str, Any]], None]) -> None:
        self._answer = answer
        self._tasks: queue.SimpleQueue[Written | Callable[[], None] | None] = queue.SimpleQueue()
        self._runs: dict[int, _Run] = {}
        self._waiting = self._dropped = 0
        self._thread = threading.Thread(target=self._work, name="rigorous-console-log")
        self._thread.start()

    def add(self, written: Written) -> None:
        if self._waiting > _LONGEST_QUEUE:
            self._dropped += len(written.data)
            return
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            note = f"\n[{dropped} bytes are not recorded: they came too fast]\n".encode()
            self._tasks.put(Written(written.stream, note, written.time))
        self._waiting += len(written.data)
        self._tasks.put(written)

    def begin(self, run: int, recorder: bytes) -> None:
        self._tasks.put(lambda: self._begin(run, recorder))

    def end(self, run: int) -> None:
        self._tasks.put(lambda: self._end(run))

    def close(self) -> None:
        self._tasks.put(None)
        self._thread.join()

    def _begin(self, run: int, recorder: bytes) -> None:
        self._runs[run] = _Run(recorder)
        self._answer({"begun": run})

    def _end(self, run: int) -> None:
        self._answer({"ended": run, "trouble": self._runs.pop(run).end()})

    def _work(self) -> None:
        while True:
            try:
                task = self._tasks.get(timeout=_TICK if self._runs else None)
            except queue.Empty:
                self._each(lambda run: run.settle())
                continue
            if task is None:
                break
            if isinstance(task, Written):
                self._waiting -= len(task.data)
                self._each(lambda run, task=task: run.add(task))  # type: ignore[misc]
            else:
                task()
        self._each(lambda run: run.end())

    def _each(self, do: Callable[[_Run], Any]) -> None:
        for run in self._runs.values():
            do(run)


class _Run:
    """The recorder of the lines of one run, and its screens."""

    def __init__(self, recorder: bytes) -> None:
        self._trouble: str | None = None
        self._recorder: Any = None
        self._screens: dict[str, Screen] = {}
        self._safely(lambda: setattr(self, "_recorder", pickle.loads(recorder)))  # noqa: S301 - ours

    def add(self, written: Written) -> None:
        screen = self._screens.setdefault(written.stream, Screen())
        self._log(written.stream, screen.feed(written.data, written.time))
        self.settle()

    def settle(self) -> None:
        now = time.time()
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


class _Channel(NamedTuple):
    """A stream: what is read is forwarded to the target, if there is one."""

    stream: str
    reader: int
    target: int | None

    def read(self) -> bytes:
        try:
            return os.read(self.reader, _CHUNK)
        except OSError:  # a terminal without writers
            return b""

    def forward(self, data: bytes) -> None:
        """Write everything; what the target refuses, such as a full disk, is only logged."""
        if self.target is None:
            return
        with suppress(OSError):
            while data:
                try:
                    data = data[os.write(self.target, data) :]
                except BlockingIOError:
                    select.select([], [self.target], [])


class _Forwarder:
    """Reads all streams, and the commands of the training, until no process can write to them."""

    def __init__(self, control: socket.socket, channels: list[_Channel]) -> None:
        self._control = control
        self._commands = b""
        self._channels = {each.reader: each for each in channels}
        self._poll = select.poll()
        for each in (control.fileno(), *self._channels):
            self._poll.register(each, select.POLLIN)
        self._log = _Log(self._answer)

    def run(self) -> None:
        is_connected = self._obey()  # the first run: all that was written is already its own
        while self._channels:
            follow_size(self._sizes())
            ready = dict(self._poll.poll(1000 * _TICK if self._sizes() else None))
            has_command = ready.pop(self._control.fileno(), 0)
            for each in ready:
                self._take(self._channels[each])
            if has_command and is_connected:
                is_connected = self._obey()
        self._log.close()

    def _sizes(self) -> list[tuple[int, int]]:
        """Terminals, and those that stand in for them."""
        return [
            (each.target, each.reader)
            for each in self._channels.values()
            if each.target is not None and os.isatty(each.reader)
        ]

    def _take(self, channel: _Channel) -> bool:
        data = channel.read()
        if data:
            channel.forward(data)
            self._log.add(Written(channel.stream, data, time.time()))
            return True
        self._poll.unregister(channel.reader)
        del self._channels[channel.reader]
        return False

    def _obey(self) -> bool:
        """Do what the training requests; False once it is gone."""
        try:
            data = self._control.recv(_CHUNK)
        except OSError:
            data = b""
        if not data:
            self._poll.unregister(self._control.fileno())
            return False
        *lines, self._commands = (self._commands + data).split(b"\n")
        for line in lines:
            command = json.loads(line)
            if not command.get("is_first"):
                self._drain()
            if "begin" in command:
                self._log.begin(command["begin"], base64.b64decode(command["recorder"]))
            else:
                self._log.end(command["end"])
        return True

    def _drain(self) -> None:
        """Take what was written before a command came."""
        for channel in list(self._channels.values()):
            for _ in range(2 * 1024 * 1024 // _CHUNK):
                poll = select.poll()
                poll.register(channel.reader, select.POLLIN)
                if not poll.poll(0) or not self._take(channel):
                    break

    def _answer(self, answer: dict[str, Any]) -> None:
        with suppress(OSError):
            self._control.sendall(json.dumps(answer).encode() + b"\n")


def main() -> None:
    """Forward and log until no process can write to the streams."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(each, signal.SIG_IGN)
    control, channels = json.loads(sys.argv[1])
    _Forwarder(socket.socket(fileno=control), [_Channel(*each) for each in channels]).run()


if __name__ == "__main__":
    main()
