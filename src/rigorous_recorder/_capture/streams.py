"""What takes the place of standard output and standard error while the console is recorded."""

from __future__ import annotations

import ctypes
import fcntl
import io
import os
import pty
import select
import sys
import termios
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol

from .console_process import CAPACITY, follow_size, is_ready, modes_of

__all__ = ["InOrder", "Redirected", "Stream", "Watched", "streams"]

_NAMES: Final = {1: "stdout", 2: "stderr"}
_C_STDOUT: Final = "__stdoutp" if sys.platform == "darwin" else "stdout"
_OUTPUT_FLAGS: Final = 1
#: Seconds to wait, at most, until the other stream's text is forwarded, or a copy is taken.
_PATIENCE: Final = 1.0
_PAUSE: Final = 20e-6


class Stream(Protocol):
    """A stream whose text can be read.

    Attributes:
        name: ``stdout`` or ``stderr``.
        reader: the file descriptor to read from.
        modes: those of a terminal in place of one, at the start.
    """

    name: str
    reader: int
    modes: list[Any] | None

    @property
    def saved(self) -> int | None:
        """The file descriptor to forward to, if there is one."""

    def redirect(self) -> None:
        """Begin."""

    def flush(self) -> None:
        """Write what Python and C hold back."""

    def restore(self) -> None:
        """End; a second call does nothing."""

    def drain(self) -> None:
        """Forward what waits."""

    def pump(self) -> None:
        """Forward what no other process forwards any more, until no process can write."""

    def close(self) -> None:
        """Let go of what was opened."""


def streams() -> list[Stream]:
    """The streams of this process, not redirected yet."""
    found: list[Stream] = []
    for number, name in _NAMES.items():
        python = getattr(sys, name)
        is_notebook = type(python).__module__.startswith("ipykernel.")  # it reads 1 and 2 itself
        if _is_open(number) and not is_notebook:
            found.append(Redirected(number))
        if python is not None and not _is_of(python, number):
            found.append(Watched(name, python))
    below = [getattr(sys, f"__{each.name}__") for each in found if isinstance(each, Redirected)]
    for each in found:
        if isinstance(each, Watched):
            each.below = [stream for stream in below if stream is not None]
    return found


class Redirected:
    """A file descriptor that becomes that of a pipe; or of a terminal, if it is one's."""

    def __init__(self, number: int) -> None:
        self._number, self.name = number, _NAMES[number]
        self.saved = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3)
        self.reader, self._writer = _terminal_like(number) if os.isatty(number) else _pipe()
        self.modes = modes_of(self._writer) if os.isatty(number) else None
        self._identity, self.target = _identity(self._writer), _identity(number)
        self._undo: Callable[[], object] = lambda: None

    def redirect(self) -> None:
        self.flush()
        os.dup2(self._writer, self._number)
        os.close(self._writer)
        self._has_no_place()

    def _has_no_place(self) -> None:
        """Tell code that wraps a stream anew: Python remembers that it was a file, and asks for one."""
        buffer = getattr(getattr(sys, self.name), "buffer", None)
        raw = getattr(buffer, "raw", buffer)  # the same with ``python -u``
        if type(raw) is io.FileIO and _is_of(raw, self._number) and raw.seekable():
            raw.seekable = lambda: False  # type: ignore[method-assign]
            self._undo = lambda: vars(raw).pop("seekable", None)

    def flush(self) -> None:
        with suppress(Exception):
            getattr(sys, self.name).flush()
        if self._number == 1:  # C does not hold back standard error
            with suppress(Exception):
                library = ctypes.CDLL(None)
                library.fflush(ctypes.c_void_p.in_dll(library, _C_STDOUT))

    def restore(self) -> None:
        """Give the file descriptor back, unless other code has changed it."""
        self.flush()
        _becomes_read(self)  # so that text in its place comes later
        with suppress(OSError):
            if _identity(self._number) == self._identity:
                os.dup2(self.saved, self._number)
        self._undo()

    def drain(self) -> None:
        with suppress(OSError):
            while not self.is_read:
                self._forward(os.read(self.reader, 65_536))

    def pump(self) -> None:
        with suppress(OSError):
            while data := os.read(self.reader, 65_536):
                self._forward(data)

    def _forward(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.saved, data) :]

    def close(self) -> None:
        os.close(self.reader)
        os.close(self.saved)

    @property
    def is_read(self) -> bool:
        """Whether all that was written has been read."""
        # Not FIONREAD: it misses what is on its way through a terminal.
        return not is_ready(self.reader, select.POLLIN, 0)


class Watched:
    """A stream of Python's that is not that of a file descriptor, as in notebooks: it is copied."""

    saved = None
    modes: list[Any] | None = None

    def __init__(self, name: str, stream: Any) -> None:
        self.name = name
        self._stream = stream
        self.reader, self._writer = _pipe()
        os.set_blocking(self._writer, False)
        self._undo: Callable[[], None] | None = None
        #: Streams of file descriptors, which it may pass its text on to: these record it.
        self.below: list[Any] = []
        self._undo_below: list[Callable[[], None]] = []
        #: Threads in ``write``, which can be replaced several times over, and those that passed on.
        self._writing: set[int] = set()
        self._passing_on: set[int] = set()

    def redirect(self) -> None:
        self._undo_below = [replaced_write(each, self._write_below) for each in self.below]
        self._replace_write()
        if (events := _events_of_notebook()) is not None:
            # IPython sets ``write`` back at the end of each cell.
            events.register("pre_run_cell", self._replace_write)

    def _replace_write(self, *_: object) -> None:
        if self._undo is not None:
            self._undo()
        self._undo = replaced_write(self._stream, self._write)

    def flush(self) -> None:
        with suppress(Exception):
            self._stream.flush()

    def restore(self) -> None:
        undo, self._undo = self._undo, None
        if undo is None:
            return
        with suppress(ValueError, AttributeError):
            _events_of_notebook().unregister("pre_run_cell", self._replace_write)
        undo()
        for each in reversed(self._undo_below):
            each()
        os.close(self._writer)

    def drain(self) -> None:
        """There is nothing to forward: it was only copied."""

    def pump(self) -> None:
        """There is nothing to forward either."""

    def close(self) -> None:
        os.close(self.reader)

    def _write(self, write: Callable[[str], Any], text: str) -> Any:
        me = threading.get_ident()
        if me in self._writing:
            return write(text)
        self._writing.add(me)
        try:
            found = write(text)
        finally:
            self._writing.discard(me)
            is_passed_on = me in self._passing_on
            self._passing_on.discard(me)
        if not is_passed_on:
            self._copy(text)
        return found

    def _write_below(self, write: Callable[[str], Any], text: str) -> Any:
        me = threading.get_ident()
        if me in self._writing:
            self._passing_on.add(me)
        return write(text)

    def _copy(self, text: str) -> None:
        data = text.encode("utf-8", "backslashreplace")
        with suppress(OSError):
            while data:
                try:
                    data = data[os.write(self._writer, data) :]
                except BlockingIOError:
                    if not is_ready(self._writer, select.POLLOUT, 1000 * _PATIENCE):
                        break


class InOrder:
    """Lets text of Python's two streams arrive in order where both go to the same place.

    They are read from two pipes, so that what is written to one waits until the other's is read.
    """

    def __init__(self, several: list[Redirected]) -> None:
        self._last: Redirected | None = None
        self._is_patient = True
        self._undo = [
            replaced_write(getattr(sys, own.name), self._writer(own, other))
            for own, other in zip(several, reversed(several), strict=True)
        ]

    def _writer(self, own: Redirected, other: Redirected) -> Callable[..., Any]:
        def write_after_other(write: Callable[[str], Any], text: str) -> Any:
            if self._last is not own:
                self._wait(other)
                self._last = own
            return write(text)

        return write_after_other

    def _wait(self, other: Redirected) -> None:
        if self._is_patient:
            self._is_patient = _becomes_read(other)

    def restore(self) -> None:
        """Let the streams write by themselves again."""
        for undo in self._undo:
            undo()


def replaced_write(
    stream: Any, write: Callable[[Callable[[str], Any], str], Any]
) -> Callable[[], None]:
    """Let a stream write by a function, which gets its own ``write``, and the text.

    Returns:
        What undoes it, if no other code has replaced it since.
    """
    own, before = stream.write, _own_write(stream)

    def replacement(text: str) -> Any:
        return write(own, text)

    def undo() -> None:
        if _own_write(stream) is not replacement:
            return
        if before is None:
            del stream.write
        else:
            stream.write = before

    with suppress(AttributeError, TypeError):  # a stream that does not let it be replaced
        stream.write = replacement
    return undo


def _becomes_read(stream: Redirected) -> bool:
    """Wait until all that was written is read; False if that takes too long."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        if stream.is_read:
            return True
        time.sleep(_PAUSE)
    return False


def _own_write(stream: Any) -> Any:
    return getattr(stream, "__dict__", {}).get("write")


def _events_of_notebook() -> Any:
    """The events of IPython, if this is a session of it."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return None if shell is None else shell.events


def _pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with suppress(OSError):
            fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, CAPACITY)
    return reader, writer


def _terminal_like(target: int) -> tuple[int, int]:
    """A terminal with the modes and size of another, that passes bytes on as they are."""
    reader, writer = pty.openpty()
    modes = termios.tcgetattr(target)
    modes[_OUTPUT_FLAGS] &= ~termios.OPOST
    termios.tcsetattr(writer, termios.TCSANOW, modes)
    follow_size(target, reader)
    return reader, writer


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _is_of(stream: Any, number: int) -> bool:
    try:
        return bool(stream.fileno() == number)
    except Exception:  # noqa: BLE001 - it has none, or is any object
        return False


def _identity(number: int) -> tuple[int, int, int]:
    found = os.fstat(number)
    return found.st_dev, found.st_ino, found.st_rdev
