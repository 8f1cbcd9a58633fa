"""The state of a live file: equal as long as its rows are the same, and read from a few bytes."""

from __future__ import annotations

import os
import stat
import struct
from bisect import bisect_left
from typing import Final, NamedTuple

from .._live.probe_block import BLOCK_SIZE, FOOTER_END, ProbeBlock, footer_size

__all__ = ["LiveState", "live_state"]

#: Bytes at the end of a file that are read at once: the footer of up to about ten columns.
_END: Final = 4096
_ID: Final = 8  # bytes of a node's id
_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class LiveState(NamedTuple):
    """What changes with every change of the rows of a live file.

    Attributes:
        inode, size: of the file, which a wider or larger one can replace.
        rows: the number of rows.
        fills: how often values of existing rows were added.
    """

    inode: int
    size: int
    rows: int
    fills: int


def live_state(path: str, rows: int = 0) -> LiveState | None:
    """The state of a live file; None if it has to be read as a whole for that.

    Args:
        path: the file.
        rows: the number of rows that it probably has; another one takes more reads to find.
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError:
        return None
    try:
        return _state(descriptor, rows)
    except (OSError, struct.error):  # it is damaged
        return None
    finally:
        os.close(descriptor)


def _state(descriptor: int, rows: int) -> LiveState | None:
    found = os.fstat(descriptor)
    # Without a name, its writer does not write to it any more: as on an overlay, which goes on to show it.
    if not stat.S_ISREG(found.st_mode) or not found.st_nlink:
        return None
    block = _block(descriptor, found.st_size)
    if block is None:
        return None

    count = rows if _are_counted(descriptor, block, rows) else _count(descriptor, block)
    return LiveState(found.st_ino, found.st_size, count, block.fills)


def _are_counted(descriptor: int, block: ProbeBlock, rows: int) -> bool:
    """Whether a file has this number of rows, above 0 and below its capacity."""
    if not 0 < rows < block.capacity:
        return False
    last_and_next = os.pread(descriptor, 2 * _ID, block.nodes + _ID * (rows - 1))
    return any(last_and_next[:_ID]) and not any(last_and_next[_ID:])


def _count(descriptor: int, block: ProbeBlock) -> int:
    """The number of rows: they are before the first one with node 0."""

    def is_free(row: int) -> bool:
        return not any(os.pread(descriptor, _ID, block.nodes + _ID * row))

    return bisect_left(range(block.capacity), True, key=is_free)


def _block(descriptor: int, size: int) -> ProbeBlock | None:
    """The probe block of a file; None if it has none."""
    end = os.pread(descriptor, _END, max(0, size - _END))
    footer = footer_size(end[-FOOTER_END:])
    before = end[: max(0, len(end) - footer)]
    if len(before) < BLOCK_SIZE:
        before = os.pread(descriptor, BLOCK_SIZE, size - footer - BLOCK_SIZE)
    return ProbeBlock.at_end(before)
