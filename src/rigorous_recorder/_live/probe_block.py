"""The probe block of an image: from it, and one cell, readers know whether the image has changed.

It is between the end of the Arrow stream and the footer, where readers of Arrow files find nothing to
read.
"""

from __future__ import annotations

import struct
from typing import Final

__all__ = [
    "BLOCK_SIZE",
    "FOOTER_END",
    "block_in",
    "fill_count_in",
    "footer_size",
    "with_probe_block",
]

_MARK: Final = b"RIGOROUS"
_BLOCK: Final = struct.Struct("<8sQQQ")
BLOCK_SIZE: Final = _BLOCK.size
#: The end of an Arrow file: the size of its footer, and a magic number.
_END: Final = struct.Struct("<I6s")
FOOTER_END: Final = _END.size
#: The size of the number of fills, which is at the end of the block.
_NUMBER: Final = 8


def block_in(data: bytes) -> tuple[int, int, int] | None:
    """What is in a block; None if it is not one, as in a file of an older version.

    That is the position of the column ``_node``, the number of reserved rows, and how often values of
    existing rows were added, as of those pending on a device.

    Raises:
        struct.error: there are fewer bytes than in a block.
    """
    mark, nodes, capacity, fills = _BLOCK.unpack(data)
    return (nodes, capacity, fills) if mark == _MARK else None


def footer_size(end: bytes | memoryview) -> int:
    """The size of the footer of an Arrow file with its last bytes, given the last ``FOOTER_END``."""
    return _END.size + int(_END.unpack(end)[0])


def with_probe_block(tail: bytes, nodes: int, capacity: int) -> bytes:
    """The last bytes of an Arrow file, which include its footer, with a block before the footer."""
    at = len(tail) - footer_size(tail[-FOOTER_END:])
    return tail[:at] + _BLOCK.pack(_MARK, nodes, capacity, 0) + tail[at:]


def fill_count_in(image: memoryview) -> tuple[int, int]:
    """The position (start, stop) in an image of how often values of existing rows were added."""
    stop = len(image) - footer_size(image[-FOOTER_END:])
    return stop - _NUMBER, stop
