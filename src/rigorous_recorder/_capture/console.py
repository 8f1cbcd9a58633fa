"""What a run writes to standard output and standard error, by whatever code, as records.

A process of its own reads what takes the place of the streams, forwards all bytes at once, and logs
the lines, so that nothing is lost if this process is killed.
"""

from __future__ import annotations

import atexit
import base64
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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from .._report import report
from . import console_process
from .console_process import is_ready
from .streams import InOrder, Redirected, streams

__all__ = ["Recording", "recording"]

#: Seconds to wait until lines are stored.
_PATIENCE: Final = 60.0
_LAST_STANDARD: Final = 2
#: The pools that pyarrow has by default keep 4 MB.
_ENVIRONMENT: Final = {"ARROW_DEFAULT_MEMORY_POOL": "system"}


class Recording:
    """Records the console for one run, until it is closed."""

    def __init__(self, redirection: _Redirection, run: int) -> None:
        self._redirection, self._run = redirection, run

    def close(self) -> None:
        """Wait until all that was written is stored. A second call does nothing."""
        self._redirection.end(self._run)


class _Redirection:
    """The redirected streams of this process, for one or several runs at once."""

    def __init__(self) -> None:
        if getattr(sys, "frozen", False):  # the executable is the program itself, not Python
            message = "a program that is frozen into one file has no Python to start a process with"
            raise OSError(message)
        self._process = os.getpid()
        self._numbers = itertools.count(1)
        self._runs: set[int] = set()
        self._ending: set[int] = set()
        self._was_killed = False
        self._answers: dict[int, dict[str, Any]] = {}
        self._received = b""
        self._reading = threading.Lock()
        with _standard_numbers_in_use():
            self._streams = streams()
            self._control, theirs = socket.socketpair()
            with theirs:
                self._starter = self._started(theirs.fileno())
        self._order = InOrder(
            _with_one_target([e for e in self._streams if isinstance(e, Redirected)])
        )
        for each in self._streams:
            each.redirect()
        threading.Thread(target=self._watch, name="rigorous-console", daemon=True).start()

    def _started(self, control: int) -> subprocess.Popen[bytes]:
        channels = [(each.name, each.reader, each.saved, each.modes) for each in self._streams]
        given = [__package__, control, channels]
        # A session of its own: Ctrl-C, and a kill of the whole group, are not for it. -P: no file of
        # its folder takes the place of a module.
        return subprocess.Popen(  # noqa: S603 - Python itself
            [sys.executable, "-P", console_process.__file__, json.dumps(given)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[n for n in (control, *sum(((r, t) for _, r, t, _ in channels), ())) if n],
            env={
                **os.environ,
                **_ENVIRONMENT,
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            },
            start_new_session=True,
        )

    @property
    def runs(self) -> set[int]:
        """Those that use it; it has ended once there are none."""
        return self._runs

    def new_run(self) -> int:
        """The number of a run that uses it from now on."""
        run = next(self._numbers)
        self._runs.add(run)
        return run

    def begin(self, run: int, recorder: object) -> Recording:
        """Log to a recorder from now on."""
        is_first = run == 1
        for each in self._streams:
            each.flush()
        data = base64.b64encode(pickle.dumps(recorder)).decode()
        self._send({"begin": run, "recorder": data, "is_first": is_first})
        if not is_first:  # else all that comes is this run's
            self._wait(run, "begun")
        return Recording(self, run)

    def end(self, run: int) -> None:
        """Wait until the lines of a run are stored; with the last one, the streams are as before."""
        if self._process != os.getpid() or run in self._ending:
            return
        self._ending.add(run)
        answer = None
        try:
            for each in self._streams:
                each.flush()
            self._send({"end": run})
            answer = self._wait(run, "ended")
        finally:
            self._leave(run)
        if answer is None and not self._was_killed:
            report("lines of the console may be missing: storing them takes too long")

    def _leave(self, run: int) -> None:
        with _STATE.lock:
            self._runs.discard(run)
            if not self._runs:
                self._restore()
                with suppress(OSError):
                    self._control.shutdown(socket.SHUT_RDWR)

    def _restore(self) -> None:
        for each in reversed(self._streams):  # each undoes what was done last
            each.restore()
        self._order.restore()

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
            if not self._receive():
                return None
        return None

    def _receive(self) -> bool:
        """Wait for answers, if no other thread does; False if the process is gone."""
        if not self._reading.acquire(blocking=False):
            time.sleep(0.001)
            return True
        try:
            if not is_ready(self._control.fileno(), select.POLLIN, 50):
                return True
            data = self._control.recv(65_536)
            *lines, self._received = (self._received + data).split(b"\n")
            for each in map(json.loads, lines):
                self._answers[each.get("begun") or each["ended"]] = each
        except (OSError, ValueError):  # or closed
            return False
        finally:
            self._reading.release()
        return bool(data)

    def _watch(self) -> None:
        """Take over if the process that forwards is killed; tidy up after its end."""
        self._starter.wait()
        poll = select.poll()
        poll.register(self._control.fileno(), 0)
        poll.poll()
        with _STATE.lock:
            self._was_killed = bool(self._runs)
            if self._was_killed:
                for each in self._streams:
                    each.drain()
                self._restore()
        if self._was_killed:
            pumps = [threading.Thread(target=each.pump, daemon=True) for each in self._streams]
            for thread in pumps:
                thread.start()
            report("the console of the run is not recorded any more: the process for it has ended")
            for thread in pumps:
                thread.join()
        for each in self._streams:
            each.close()
        self._control.close()
        for answer in [*self._answers.values()]:
            # It is our child only if we are init, as in containers.
            with suppress(ChildProcessError):
                os.waitpid(answer["process"], 0)


@contextmanager
def _standard_numbers_in_use() -> Iterator[None]:
    """Let no new file descriptor be 0, 1 or 2, if these are closed."""
    found = [os.open(os.devnull, os.O_RDWR)]
    while found[-1] <= _LAST_STANDARD:
        found.append(os.open(os.devnull, os.O_RDWR))
    try:
        yield
    finally:
        for each in found:
            os.close(each)


def _with_one_target(several: list[Redirected]) -> list[Redirected]:
    """Both, if they go to the same place."""
    return several if len({each.target for each in several}) == 1 < len(several) else []


class _State:
    """The redirection of this process, if there is one, and a lock for its begin and end."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Forget those of the parent, in a forked child: its streams stay redirected."""
        self.current: _Redirection | None = None
        self.lock = threading.RLock()


_STATE: Final = _State()


def recording(recorder: object) -> Recording:
    """Log each line of the console to a recorder, as ``time``, ``stream`` and ``line``.

    Raises:
        OSError: the streams can't be redirected.
    """
    with _STATE.lock:
        current = _STATE.current
        if current is None or not current.runs:
            current = _STATE.current = _Redirection()
        run = current.new_run()
        if run == 1:  # the process takes its command first, before what was written
            return current.begin(run, recorder)
    return current.begin(run, recorder)


def _end_all() -> None:
    current = _STATE.current
    if current is not None:
        for run in list(current.runs):
            current.end(run)


atexit.register(_end_all)
os.register_at_fork(after_in_child=_STATE.renew)
