"""Reports of the library: they never replace an error of the caller.

A report goes to the logger ``rigorous_recorder`` if a handler is configured, else to standard error.
That can be missing, closed, a broken pipe, a file on a full disk, or an object that raises. A line
that can't be written is dropped.
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

#: The logger of all reports, and levels of ``logging``, which this module does not import.
_LOGGER: Final = "rigorous_recorder"
_DEBUG: Final = 10
_WARNING: Final = 30
ERROR: Final = 40


class _OfThread(threading.local):
    """State of a thread: its warnings that are held back, if they are."""

    waiting: list[tuple[str, type[Warning]]] | None = None


_OF_THREAD: Final = _OfThread()


def report(text: str, *, level: int = _WARNING, is_quiet: bool = False) -> None:
    """Log a line, or write it to standard error if no handler is configured; never raise.

    Args:
        level: a level of ``logging``.
        is_quiet: log it at debug level, and never write it to standard error.
    """
    level = _DEBUG if is_quiet else level
    with contextlib.suppress(Exception):
        # If ``logging`` is not imported, there are no handlers.
        logger = sys.modules["logging"].getLogger(_LOGGER) if "logging" in sys.modules else None
        if logger is not None and logger.hasHandlers():
            logger.log(level, "%s", lines(text))
        elif not is_quiet and (logger is None or logger.isEnabledFor(level)):
            write_line(text)


def write_line(text: str) -> None:
    """Write a line to standard error if possible; never raise."""
    with contextlib.suppress(Exception):
        _write(sys.stderr, f"{lines(text)}\n")


def warn(message: str, category: type[Warning], *, stacklevel: int) -> None:
    """Issue a warning if possible.

    Raises:
        Warning: if warnings are errors; so call this after all other work.
    """
    if (waiting := _OF_THREAD.waiting) is not None:
        waiting.append((message, category))
        return
    try:
        warnings.warn(lines(message), category, stacklevel=stacklevel + 1)
    except category:
        raise
    except Exception:  # noqa: BLE001 - whatever standard error, or a user's hook, raises
        return


def level_of_caller() -> int:
    """The ``stacklevel`` of the first frame outside of this library, for callers of ``warn``."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and _is_ours(frame.f_globals):
        frame, level = frame.f_back, level + 1
    return level


def _is_ours(names: dict[str, Any]) -> bool:
    return str(names.get("__name__")).startswith(f"{__package__}.")


@contextlib.contextmanager
def warning_last() -> Iterator[None]:
    """Hold back this thread's warnings until the end of the block, which errors would interrupt.

    Raises:
        Warning: if warnings are errors, the first of them.
    """
    if _OF_THREAD.waiting is not None:  # the outer block issues them
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
    """Warn, or write the message to standard error if warnings are errors; never raise.

    For threads of the library, exits of ``with`` blocks, and work that must continue.
    """
    try:
        warn(message, category, stacklevel=stacklevel + 1)
    except category:
        report(message)


class _Dropped:
    """Counts rows that were dropped at interpreter exit, and reports the count at the very end."""

    def __init__(self) -> None:
        self._rows = 0
        # By then the streams, and the globals of this module, are gone.
        self._write = partial(os.write, 2)

    def add(self, rows: int) -> None:
        """Add to the count."""
        self._rows += rows

    def __del__(self) -> None:
        """Report the count in one line."""
        if self._rows:
            try:
                self._write(
                    b"%d records that were logged at exit could not be stored\n" % self._rows
                )
            except OSError:
                return


DROPPED: Final = _Dropped()


def error_line(error: BaseException) -> str:
    """An error in one line: its type, and its message if there is one."""
    message = one_line(" ".join(error_message(error).split()))
    name = type(error).__name__
    return f"{name}: {message}" if message else name


def error_message(error: BaseException) -> str:
    """The message of an error, even if its ``__str__`` raises."""
    try:
        return str.__str__(str(error))
    except Exception:  # noqa: BLE001 - code of the user
        return "<exception str() failed>"


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:
        return
    if isinstance(stream, io.TextIOWrapper) and isinstance(stream.buffer, io.BufferedWriter):
        # Unbuffered: text that stays in the buffer after a failed write makes Python exit with 120.
        stream.flush()
        stream.buffer.raw.write(text.encode(stream.encoding, "backslashreplace"))
        return
    try:
        stream.write(text)
    except UnicodeEncodeError:
        stream.write(text.encode("ascii", "backslashreplace").decode())
