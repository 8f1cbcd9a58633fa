"""The process that forwards the output of a training, and logs it as lines.

It outlives the training: what that wrote before it was killed is forwarded and logged. Forwarding
never waits for the log, and starts before the modules of the log are loaded; so this file is run by
its path, and imports nothing of the package.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import queue
import select
import signal
import socket
import sys
import termios
import threading
import time
from contextlib import suppress
from typing import Any, Final, NamedTuple

__all__ = ["CAPACITY", "Tasks", "Written", "follow_size", "is_ready", "main", "modes_of"]

_CHUNK: Final = 65_536
#: Bytes of a stream that can wait in the system.
CAPACITY: Final = 1024 * 1024
#: Bytes that wait to be logged; what comes beyond is forwarded only, and counted.
_LONGEST_QUEUE: Final = 64 * 1024 * 1024
#: Milliseconds after which the size and modes of a terminal are read again.
_TICK: Final = 250

Written = tuple[str, bytes, float]
"""The name of a stream, bytes that were written to it, and when."""


class Tasks:
    """What is to be logged, in order: bytes, and commands of the training."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Written | dict[str, Any] | None] = queue.SimpleQueue()
        #: Bytes, each counted by one thread only.
        self._added = self._taken = self._dropped = 0

    def add(self, written: Written) -> None:
        """Add bytes, unless too many wait already."""
        stream, data, now = written
        if self._added - self._taken > _LONGEST_QUEUE:
            self._dropped += len(data)
            return
        if self._dropped:
            note = f"\n[{self._dropped} bytes came too fast, and are not recorded]\n".encode()
            data, self._dropped = note + data, 0
        self._added += len(data)
        self._queue.put((stream, data, now))

    def tell(self, command: dict[str, Any] | None) -> None:
        """Add a command; None is the end of all."""
        self._queue.put(command)

    def next(self, seconds: float | None) -> Written | dict[str, Any] | None:
        """Take the first one.

        Raises:
            queue.Empty: there was none for so many seconds.
        """
        task = self._queue.get(timeout=seconds)
        if isinstance(task, tuple):
            self._taken += len(task[1])
        return task


class _Channel(NamedTuple):
    """A stream: what is read is forwarded to the target, if there is one.

    Of a terminal the modes at the start are known.
    """

    stream: str
    reader: int
    target: int | None
    modes: list[Any] | None

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
                    is_ready(self.target, select.POLLOUT, None)


class _Terminal:
    """One in place of another: it takes over its size, and passes changes of modes on to it."""

    def __init__(self, target: int, number: int, modes: list[Any]) -> None:
        self._target, self._number, self._modes = target, number, modes

    def follow(self) -> None:
        """Look for changes."""
        follow_size(self._target, self._number)
        with suppress(termios.error):  # a terminal that is gone
            modes = modes_of(self._number)
            if modes != self._modes:  # set by a pager, an editor, curses
                self._modes, before = modes, self._modes
                _change_modes(self._target, before, modes)


class _Without:
    """Finds no package of some names, though it is installed.

    pyarrow imports numpy and pandas where they are, which takes three times as long as all that the
    log needs, and more memory.
    """

    def __init__(self, names: set[str]) -> None:
        self._names = names

    def find_spec(self, name: str, *_: object) -> None:
        """Raise for these names; the other finders look for the rest."""
        if name in self._names:
            message = f"{name} is not loaded in this process"
            raise ModuleNotFoundError(message, name=name)


class _Forwarder:
    """Reads all streams, and the commands of the training, until no process can write to them."""

    def __init__(self, package: str, control: socket.socket, channels: list[_Channel]) -> None:
        self._package, self._control = package, control
        self._commands = b""
        self._channels = {each.reader: each for each in channels}
        self._terminals = [
            _Terminal(each.target, each.reader, each.modes)
            for each in channels
            if each.target is not None and each.modes is not None
        ]
        self._poll = select.poll()
        for each in (control.fileno(), *self._channels):
            self._poll.register(each, select.POLLIN)
        self._tasks = Tasks()

    def run(self) -> None:
        thread = threading.Thread(target=self._log)
        thread.start()
        is_connected = self._obey()  # the first run: all that was written is already its own
        while self._channels:
            ready = dict(self._poll.poll(_TICK if self._terminals else None))
            for terminal in self._terminals:
                terminal.follow()
            has_command = ready.pop(self._control.fileno(), 0)
            for each in ready:
                self._take(self._channels[each])
            if has_command and is_connected:
                is_connected = self._obey()
        self._tasks.tell(None)
        thread.join()

    def _log(self) -> None:
        sys.meta_path.insert(0, _Without({"numpy", "pandas"}))
        importlib.import_module(f"{self._package}.console_log").log(self._tasks, self._answer)

    def _take(self, channel: _Channel) -> bool:
        data = channel.read()
        if data:
            channel.forward(data)
            self._tasks.add((channel.stream, data, time.time()))
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
        for command in map(json.loads, lines):
            if not command.get("is_first"):
                self._drain()
            self._tasks.tell(command)
        return True

    def _drain(self) -> None:
        """Take what was written before a command came."""
        for channel in list(self._channels.values()):
            for _ in range(CAPACITY // _CHUNK + 1):
                if not is_ready(channel.reader, select.POLLIN, 0) or not self._take(channel):
                    break

    def _answer(self, answer: dict[str, Any]) -> None:
        with suppress(OSError):
            self._control.sendall(json.dumps({**answer, "process": os.getpid()}).encode() + b"\n")


def is_ready(number: int, event: int, milliseconds: float | None) -> bool:
    """Wait until a file descriptor can be read or written; for ever if the time is None."""
    poll = select.poll()  # of each call: no two threads can use one
    poll.register(number, event)
    return bool(poll.poll(milliseconds))


def follow_size(target: int, follower: int) -> None:
    """Give a terminal the size of another."""
    with suppress(OSError):
        size = fcntl.ioctl(target, termios.TIOCGWINSZ, bytes(8))
        if size != fcntl.ioctl(follower, termios.TIOCGWINSZ, bytes(8)):
            fcntl.ioctl(follower, termios.TIOCSWINSZ, size)


def modes_of(number: int) -> list[Any]:
    """The modes of a terminal, as numbers."""
    *modes, characters = termios.tcgetattr(number)
    return [*modes, [each if isinstance(each, int) else each[0] for each in characters]]


def _change_modes(target: int, before: list[Any], after: list[Any]) -> None:
    """Change those modes of a terminal, and its special characters, that another has changed."""
    *flags, _, _, characters = modes_of(target)
    flags = [
        own & ~(old ^ new) | new & (old ^ new)
        for own, old, new in zip(flags, before, after, strict=False)
    ]
    for n, (old, new) in enumerate(zip(before[-1], after[-1], strict=True)):
        if old != new:
            characters[n] = new
    termios.tcsetattr(target, termios.TCSANOW, [*flags, *after[4:6], characters])


def main() -> None:
    """Forward and log until no process can write to the streams.

    It is no child of the training, which may wait for all of its children, or kill them.
    """
    if os.fork():
        os._exit(0)
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(each, signal.SIG_IGN)
    sys.setswitchinterval(0.0002)  # forwarding does not wait for the log
    package, control, channels = json.loads(sys.argv[1])
    _Forwarder(package, socket.socket(fileno=control), [_Channel(*each) for each in channels]).run()


if __name__ == "__main__":
    main()
