"""Frames of TensorBoard's event files: columns of those with one scalar, places of all others.

A frame is its length (8 bytes), a checksum of that (4), an event, and a checksum of it (4).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rigorous_recorder._fallback import PURE_REQUESTED

from .protobuf import BadMessageError, fields, float_of, signed

if TYPE_CHECKING or PURE_REQUESTED:
    native_scan: Any = None
    native_find: Any = None
else:
    try:
        from .native import find_frame as native_find
        from .native import scan as native_scan
    except ImportError:  # it could not be compiled on installation
        native_scan = native_find = None

__all__ = ["FOOTER", "HEADER", "NO_TIME", "Other", "Scanned", "find_frame", "masked_crc", "scan"]

HEADER: Final = 12
FOOTER: Final = 4
#: The time of a row that has none.
NO_TIME: Final = -(2**63)
_YEARS: Final = (-62135596800.0, 253402300799.0)


class Other(NamedTuple):
    """A frame that is not one scalar: before which row, where, its event's size, and if it is wrong."""

    row: int
    at: int
    size: int
    is_bad: int


class Scanned(NamedTuple):
    """What a block has: where it stopped, and whether at a wrong header; columns; other frames."""

    end: int
    stop: int
    steps: bytes
    times: bytes
    values: bytes
    places: bytes
    tags: list[bytes]
    others: list[tuple[int, int, int, int]]


def scan(data: bytes, start: int) -> Scanned:
    """Read whole frames from an offset of a block on.

    The columns are int64 steps, int64 microseconds since 1970, float64 values, and int32 places of
    tags.
    """
    if native_scan is not None:
        return Scanned(*native_scan(data, start))
    return _scan(data, start)


def find_frame(data: bytes, at: int) -> int:
    """The first offset from one on where a frame's header is right; where none can be, if there is none."""
    if native_find is not None:
        found: int = native_find(data, at)
        return found
    while at + HEADER <= len(data) and not _is_header(data, at):
        at += 1
    return at


# --- without the native backend ----------------------------------------------------------------------


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        crc = value
        for _ in range(8):
            crc = 0x82F63B78 ^ (crc >> 1) if crc & 1 else crc >> 1
        table.append(crc)
    return tuple(table)


_TABLE: Final = _crc_table()


def masked_crc(data: bytes) -> int:
    """The checksum of a part of a frame."""
    crc, table = 0xFFFFFFFF, _TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _is_header(data: bytes, at: int) -> bool:
    return masked_crc(data[at : at + 8]) == int.from_bytes(data[at + 8 : at + HEADER], "little")


def _scan(data: bytes, at: int) -> Scanned:
    rows: list[tuple[int, int, float, int]] = []
    places: dict[bytes, int] = {}
    others: list[tuple[int, int, int, int]] = []
    stop, end = 0, len(data)
    while end - at >= HEADER:
        if stop := int(not _is_header(data, at)):
            break
        size = int.from_bytes(data[at : at + 8], "little")
        if size > end - at - HEADER - FOOTER:
            break
        event = data[at + HEADER : at + HEADER + size]
        after = at + HEADER + size
        is_bad = masked_crc(event) != int.from_bytes(data[after : after + FOOTER], "little")
        found = None if is_bad else _scalar_of(event)
        if found is None:
            others.append((len(rows), at, size, int(is_bad)))
        else:
            step, time, value, tag = found
            rows.append((step, time, value, places.setdefault(tag, len(places))))
        at = after + FOOTER
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    steps, times, values, tags = (
        struct.pack(f"<{len(rows)}{kind}", *c) for kind, c in zip("qqdi", columns, strict=True)
    )
    return Scanned(at, stop, steps, times, values, tags, list(places), others)


def _scalar_of(event: bytes) -> tuple[int, int, float, bytes] | None:
    """Step, time, value and tag of an event that is one scalar; None for any other."""
    try:
        found = list(fields(event))
        parts = dict(found)
        if len(parts) != len(found) or parts.keys() - {1, 2, 5} or not isinstance(parts[5], bytes):
            return None
        ((number, value),) = fields(parts[5])
        if number != 1 or not isinstance(value, bytes):
            return None
        tag, scalar = _value_of(value)
        wall = float_of(parts.get(1, bytes(8)))
        is_time = _YEARS[0] <= wall <= _YEARS[1]
        whole = int(wall) if is_time else 0
        time = whole * 1_000_000 + round((wall - whole) * 1e6) if is_time else NO_TIME
        return signed(parts.get(2, 0)), time, scalar, tag
    except (BadMessageError, KeyError, ValueError):
        return None


def _value_of(value: bytes) -> tuple[bytes, float]:
    """Tag and number of a value.

    Raises:
        KeyError, ValueError: it is not a scalar.
    """
    found = list(fields(value))
    parts = dict(found)
    tag = parts[1]
    if len(parts) != len(found) or parts.keys() - {1, 2, 7, 8, 9} or isinstance(tag, int):
        raise BadMessageError
    if 8 in parts:
        if 2 in parts or not _is_of_scalars(parts.get(9, b"")):
            raise BadMessageError
        return tag, _number_of_tensor(parts[8])
    if isinstance(parts[2], int) or len(parts[2]) != 4:
        raise BadMessageError
    return tag, float_of(parts[2])


def _is_of_scalars(metadata: int | bytes) -> bool:
    for number, plugin in fields(metadata) if isinstance(metadata, bytes) else ():
        if number == 1 and isinstance(plugin, bytes):
            return all(value == b"scalars" for each, value in fields(plugin) if each == 1)
    return isinstance(metadata, bytes)


def _number_of_tensor(tensor: int | bytes) -> float:
    found = list(fields(tensor)) if isinstance(tensor, bytes) else []
    parts = dict(found)
    if len(parts) != len(found) or parts.keys() - {1, 2, 4, 5, 6} or parts.get(2, b"") != b"":
        raise BadMessageError
    ((_, number),) = [each for each in found if each[0] in {4, 5, 6}]
    if isinstance(number, int) or {4: 1, 8: 2}.get(len(number)) != parts[1]:
        raise BadMessageError
    return float_of(number)
