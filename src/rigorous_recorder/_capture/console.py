"""What a run writes to standard output and standard error, by whatever code, as records.

File descriptors 1 and 2 become those of pipes, or of terminals where they were terminals. A process
of its own reads them, forwards all bytes at once, and logs the lines, so that nothing is lost if this
process is killed.
"""

from __future__ import annotations

import atexit
import base64
import ctypes
import fcntl
import itertools
import json
import os
import pickle
import select
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import Any, Final

from .._report import report
from .window import new_terminal

__all__ = ["Recording", "recording"]

_STREAMS: Final = {1: "stdout", 2: "stderr"}
_C_STDOUT: Final = "__stdoutp" if sys.platform == "darwin" else "stdout"
#: Bytes that can wait to be forwarded, where the system allows it.
_CAPACITY: Final = 1024 * 1024
#: Seconds to wait until lines are stored.
_PATIENCE: Final = 60.0


class Recording:
    """Records the console for one run, until it is closed."""

    def __init__(self, redirection: _Redirection, run: int) -> None:
        self._redirection, self._run = redirection, run

    def close(self) -> None:
        """Wait until all that was written is stored. A second call does nothing."""
        self._redirection.end(self._run)


class _Stream:
    """A file descriptor, and what takes its place."""

    def __init__(self, number: int) -> None:
        self.number, self.name = number, _STREAMS[number]
        #: Never 0, 1 or 2, and closed in programs that this process starts.
        self.saved = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3)
        self.reader, self._writer = new_terminal(number) if os.isatty(number) else _pipe()
        self._identity = _identity(self._writer)

    def redirect(self) -> None:
        _flush(self.number)
        os.dup2(self._writer, self.number)
        os.close(self._writer)

    def restore(self) -> None:
        """Give the file descriptor back, unless somebody else has changed it."""
        _flush(self.number)
        with suppress(OSError):
            if _identity(self.number) == self._identity:
                os.dup2(self.saved, self.number)

    def pump(self) -> None:
        """Forward what no other process forwards any more."""
        with suppress(OSError):
            while data := os.read(self.reader, 65_536):
                while data:
                    data = data[os.write(self.saved, data) :]

    def close(self) -> None:
        os.close(self.saved)
        os.close(self.reader)


class _Redirection:
    """The redirected streams of this process, for one or several runs at once."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._numbers = itertools.count(1)
        self._runs: set[int] = set()
        self._answers: dict[int, dict[str, Any]] = {}
        self._received = b""
        self._streams = [_Stream(number) for number in _STREAMS if _is_open(number)]
        self._control, theirs = socket.socketpair()
        self.helper = self._started(theirs)
        theirs.close()
        for each in self._streams:
            each.redirect()
        self._watcher = threading.Thread(target=self._watch, name="rigorous-console", daemon=True)
        self._watcher.start()

    def _started(self, theirs: socket.socket) -> subprocess.Popen[bytes]:
        channels = [(each.name, each.reader, each.saved) for each in self._streams]
        passed = [
            theirs.fileno(),
            *(n for each in self._streams for n in (each.reader, each.saved)),
        ]
        # A session of its own: Ctrl-C, and a kill of the whole group, are not for it.
        return subprocess.Popen(  # noqa: S603 - Python itself
            [
                *(sys.executable, "-P", "-m", f"{__package__}.console_process"),
                json.dumps([theirs.fileno(), channels]),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=passed,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,
        )

    @property
    def is_usable(self) -> bool:
        return self._process == os.getpid() and bool(self._runs)

    def begin(self, recorder: object) -> Recording:
        """Log to a recorder from now on."""
        run, is_first = next(self._numbers), not self._runs
        self._runs.add(run)
        for each in self._streams:
            _flush(each.number)
        data = base64.b64encode(pickle.dumps(recorder)).decode()
        self._send({"begin": run, "recorder": data, "is_first": is_first})
        if not is_first:  # else all that comes is this run's
            self._wait(run, "begun")
        return Recording(self, run)

    def end(self, run: int) -> None:
        if self._process != os.getpid() or run not in self._runs:
            return
        self._runs.discard(run)
        for each in self._streams:
            _flush(each.number) if self._runs else each.restore()
        self._send({"end": run})
        answer = self._wait(run, "ended")
        if not self._runs:
            self._control.shutdown(socket.SHUT_RDWR)
        if answer is None:
            report("lines of the console may be missing: the process that records them is gone")

    def _send(self, command: dict[str, Any]) -> None:
        with suppress(OSError):
            self._control.sendall(json.dumps(command).encode() + b"\n")

    def _wait(self, run: int, what: str) -> dict[str, Any] | None:
        """Wait for an answer of the process; None if it is gone, or takes too long."""
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            answer = self._answers.get(run)
            if answer is not None and what in answer:
                return answer
            if not select.select([self._control], [], [], 0.05)[0]:
                continue
            with suppress(OSError):
                data = self._control.recv(65_536)
                if not data:
                    return None
                *lines, self._received = (self._received + data).split(b"\n")
                for each in map(json.loads, lines):
                    self._answers[each.get("begun") or each["ended"]] = each
        return None

    def _watch(self) -> None:
        """Take over if the process that forwards is killed."""
        poll = select.poll()
        poll.register(self._control.fileno(), 0)
        poll.poll()
        if not self._runs:
            return
        for each in self._streams:
            each.restore()
        report("the console of the run is not recorded any more: its process was ended")
        for each in self._streams:
            threading.Thread(target=each.pump, daemon=True).start()


_CURRENT: list[_Redirection] = []


def recording(recorder: object) -> Recording:
    """Log each line of the console to a recorder, as ``time``, ``stream`` and ``line``.

    Raises:
        OSError: the streams can't be redirected.
    """
    if not _CURRENT or not _CURRENT[-1].is_usable:
        _CURRENT[:] = [_Redirection()]
    return _CURRENT[-1].begin(recorder)


def _end_all() -> None:
    for each in _CURRENT:
        for run in list(each._runs):
            each.end(run)


atexit.register(_end_all)


def _pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with suppress(OSError):
            fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _CAPACITY)
    return reader, writer


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _identity(number: int) -> tuple[int, int, int]:
    found = os.fstat(number)
    return found.st_dev, found.st_ino, found.st_rdev


def _flush(number: int) -> None:
    """Write what Python and C hold back."""
    with suppress(Exception):
        getattr(sys, _STREAMS[number]).flush()
    if number == 1:  # C does not hold back standard error
        with suppress(Exception):
            library = ctypes.CDLL(None)
            library.fflush(ctypes.c_void_p.in_dll(library, _C_STDOUT))
