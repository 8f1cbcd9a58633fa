"""What the library reports by itself: nothing here replaces the caller's error.

A report goes to the logger ``rigorous_recorder`` where the caller has handlers for it, else to
standard error. That can be missing, closed, a terminal or a pipe that is gone, a file on a full disk, or
an object of the caller's that raises. A line that can't be written is dropped.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any, Final, TextIO

from ._printable import lines, one_line

__all__ = [
    "DROPPED",
    "ERROR",
    "error_line",
    "error_message",
    "level_of_caller",
    "report",
    "warn",
    "warn_or_report",
    "warning_last",
    "write_line",
]

#: The logger of all reports, and levels of ``logging``, which is loaded only by those who use it.
_LOGGER: Final = "rigorous_recorder"
_DEBUG: Final = 10
_WARNING: Final = 30
ERROR: Final = 40


class _OfThread(threading.local):
    """What a thread knows for itself: its warnings that wait, where they do."""

    waiting: list[tuple[str, type[Warning]]] | None = None


_OF_THREAD: Final = _OfThread()


def report(text: str, *, level: int = _WARNING, is_quiet: bool = False) -> None:
    """Log a line, or write it to standard error where no handler is configured; never raise.

    Args:
        level: of ``logging``.
        is_quiet: log it for debugging alone, and never write it to standard error.
    """
    level = _DEBUG if is_quiet else level
    with contextlib.suppress(Exception):
        # Who has not loaded it has no handlers.
        logger = sys.modules["logging"].getLogger(_LOGGER) if "logging" in sys.modules else None
        if logger is not None and logger.hasHandlers():
            logger.log(level, "%s", lines(text))
        elif not is_quiet and (logger is None or logger.isEnabledFor(level)):
            write_line(text)


def write_line(text: str) -> None:
    """Write a line to standard error where that is possible; never raise."""
    with contextlib.suppress(Exception):
        _write(sys.stderr, f"{lines(text)}\n")


def warn(message: str, category: type[Warning], *, stacklevel: int) -> None:
    """Warn, where that is possible.

    Raises:
        Warning: of that category, where warnings are errors; so warn when all else is done.
    """
    if (waiting := _OF_THREAD.waiting) is not None:
        waiting.append((message, category))
        return
    try:
        warnings.warn(lines(message), category, stacklevel=stacklevel + 1)
    except category:
        raise
    except Exception:  # noqa: BLE001 - what standard error, or a hook of the caller's, raises
        return


def level_of_caller() -> int:
    """The ``stacklevel`` of the first frame outside of this library, for who calls ``warn``."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and _is_ours(frame.f_globals):
        frame, level = frame.f_back, level + 1
    return level


def _is_ours(names: dict[str, Any]) -> bool:
    return str(names.get("__name__")).startswith(f"{__package__}.")


@contextlib.contextmanager
def warning_last() -> Iterator[None]:
    """Hold back this thread's warnings until the block is done: as errors they would end its work.

    Raises:
        Warning: where warnings are errors, the first of them.
    """
    if _OF_THREAD.waiting is not None:  # the block around this one has them
        yield
        return
    waiting: list[tuple[str, type[Warning]]] = []
    _OF_THREAD.waiting = waiting
    try:
        yield
    finally:
        _OF_THREAD.waiting = None
    for message, category in waiting:
        warn(message, category, stacklevel=4)


def warn_or_report(message: str, category: type[Warning], *, stacklevel: int) -> None:
    """Warn, and where warnings are errors write the message to standard error; never raise.

    For threads of the library, the way out of a ``with`` block, and what must go on.
    """
    try:
        warn(message, category, stacklevel=stacklevel + 1)
    except category:
        report(message)


class _Dropped:
    """Counts rows that were dropped as the interpreter exited; at its very end the count is reported."""

    def __init__(self) -> None:
        self._rows = 0
        # By then the streams, and the names of this module, are gone.
        self._write = partial(os.write, 2)

    def add(self, rows: int) -> None:
        """Count so many more."""
        self._rows += rows

    def __del__(self) -> None:
        """Report the count, in one line."""
        if self._rows:
            try:
                self._write(
                    b"%d records that were logged at exit could not be stored\n" % self._rows
                )
            except OSError:
                return


DROPPED: Final = _Dropped()


def error_line(error: BaseException) -> str:
    """An error in one line: its type, and its message where it has one."""
    message = one_line(" ".join(error_message(error).split()))
    name = type(error).__name__
    return f"{name}: {message}" if message else name


def error_message(error: BaseException) -> str:
    """The text of an error, also of one whose ``__str__`` raises."""
    try:
        return str.__str__(str(error))
    except Exception:  # noqa: BLE001 - code of the caller's
        return "<exception str() failed>"


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:
        return
    if isinstance(stream, io.TextIOWrapper) and isinstance(stream.buffer, io.BufferedWriter):
        # Past the buffer: text that stays in it when a write fails makes Python exit with 120.
        stream.flush()
        stream.buffer.raw.write(text.encode(stream.encoding, "backslashreplace"))
        return
    try:
        stream.write(text)
    except UnicodeEncodeError:
        stream.write(text.encode("ascii", "backslashreplace").decode())
