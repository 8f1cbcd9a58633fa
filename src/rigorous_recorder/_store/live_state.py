"""The state of a live file: equal as long as its rows are the same, and read from a few bytes."""

from __future__ import annotations

import os
import stat
import struct
from bisect import bisect_left
from typing import Final, NamedTuple

from .._live.probe_block import BLOCK_SIZE, FOOTER_END, block_in, footer_size

__all__ = ["LiveState", "live_state"]

_ID: Final = 8  # bytes of a node's id
_FREE: Final = bytes(_ID)
_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class LiveState(NamedTuple):
    """What changes with every change of the rows of a live file.

    Attributes:
        inode, size: of the file, which a wider or larger one can replace.
        block: the position of its probe block.
        rows: the number of rows.
        fills: how often values of existing rows were added.
    """

    inode: int
    size: int
    block: int
    rows: int
    fills: int


def live_state(path: str, known: LiveState | None = None) -> LiveState | None:
    """The state of a live file; None if it has to be read as a whole for that.

    Args:
        path: the file.
        known: the state that it probably has; another one takes more reads to find.
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError:
        return None
    try:
        return _state(descriptor, known)
    except (OSError, struct.error):  # it is damaged
        return None
    finally:
        os.close(descriptor)


def _state(descriptor: int, known: LiveState | None) -> LiveState | None:
    found = os.fstat(descriptor)
    # Without a name, its writer does not write to it any more: as on an overlay, which goes on to show it.
    if not stat.S_ISREG(found.st_mode) or not found.st_nlink:
        return None
    inode, size = found.st_ino, found.st_size
    if known is not None and known.inode == inode and known.size == size:
        rows, at = known.rows, known.block
    else:
        rows, at = 0, _block_position(descriptor, size)
    block = block_in(os.pread(descriptor, BLOCK_SIZE, at))
    if block is None:
        return None
    nodes, capacity, fills = block
    if not _are_counted(descriptor, nodes, capacity, rows):
        rows = _count(descriptor, nodes, capacity)
    return LiveState(inode, size, at, rows, fills)


def _are_counted(descriptor: int, nodes: int, capacity: int, rows: int) -> bool:
    """Whether a file has this number of rows, above 0 and below its capacity."""
    if not 0 < rows < capacity:
        return False
    last_and_next = os.pread(descriptor, 2 * _ID, nodes + _ID * (rows - 1))
    return last_and_next[:_ID] != _FREE == last_and_next[_ID:]


def _count(descriptor: int, nodes: int, capacity: int) -> int:
    """The number of rows: they are before the first one with node 0."""

    def is_free(row: int) -> bool:
        return not any(os.pread(descriptor, _ID, nodes + _ID * row))

    return bisect_left(range(capacity), True, key=is_free)


def _block_position(descriptor: int, size: int) -> int:
    """Where the probe block of a file is, if it has one."""
    return size - footer_size(os.pread(descriptor, FOOTER_END, size - FOOTER_END)) - BLOCK_SIZE
