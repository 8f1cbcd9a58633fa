"""Terminals that stand in for others: their modes, and the size of their window."""

from __future__ import annotations

import fcntl
import pty
import struct
import termios
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

__all__ = ["follow_size", "new_terminal"]

_OUTPUT_FLAGS, _LOCAL_FLAGS = 1, 3
_SIZE: Final = struct.Struct("HHHH")


def new_terminal(target: int) -> tuple[int, int]:
    """A terminal with the modes and the size of another, that passes bytes on as they are.

    Returns:
        The file descriptors to read from and to write to.
    """
    reader, writer = pty.openpty()
    modes = termios.tcgetattr(target)
    modes[_OUTPUT_FLAGS] &= ~termios.OPOST
    modes[_LOCAL_FLAGS] &= ~(termios.ECHO | termios.ICANON | termios.ISIG)
    termios.tcsetattr(writer, termios.TCSANOW, modes)
    follow_size([(target, reader)])
    return reader, writer


def follow_size(pairs: Iterable[tuple[int, int]]) -> None:
    """Give terminals the sizes of others."""
    for target, follower in pairs:
        with suppress(OSError):
            size, now = _size_of(target), _size_of(follower)
            if size != now:
                fcntl.ioctl(follower, termios.TIOCSWINSZ, size)


def _size_of(terminal: int) -> bytes:
    return fcntl.ioctl(terminal, termios.TIOCGWINSZ, bytes(_SIZE.size))
