"""Reads messages of Protocol Buffers by hand, without their definitions."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

__all__ = [
    "BadMessageError",
    "bytes_of",
    "fields",
    "first",
    "float_of",
    "signed",
    "text_of",
    "varint",
]

_FIXED: Final = {1: 8, 5: 4}


class BadMessageError(ValueError):
    """The bytes are not a message."""


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The number and value of each field: an int, or bytes (also of fixed 32 and 64 bits).

    Raises:
        BadMessageError: the bytes are not a message.
    """
    at, end = 0, len(data)
    while at < end:
        tag, at = varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = varint(data, at)
            yield number, value
            continue
        if wire == 2:
            size, at = varint(data, at)
        elif (size := _FIXED.get(wire, 0)) == 0:
            message = f"a field has the unknown wire type {wire}"
            raise BadMessageError(message)
        if size > end - at:
            message = "a field is longer than its message"
            raise BadMessageError(message)
        yield number, data[at : at + size]
        at += size


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at an offset, of at most 64 bits, and the offset after it.

    Raises:
        BadMessageError: there is none.
    """
    value = shift = 0
    while shift < 70:
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
    message = "a number does not end"
    raise BadMessageError(message)


def first(data: bytes) -> dict[int, int | bytes]:
    """The last value of each field by number, as counts for fields that are not repeated.

    Raises:
        BadMessageError: the bytes are not a message.
    """
    return dict(fields(data))


def bytes_of(value: int | bytes) -> bytes:
    """The bytes of a field, such as those of a message inside.

    Raises:
        BadMessageError: it is a number.
    """
    if isinstance(value, int):
        message = "a field is a number"
        raise BadMessageError(message)
    return value


def signed(value: int | bytes) -> int:
    """The int64 of a number.

    Raises:
        BadMessageError: it is bytes.
    """
    if isinstance(value, bytes):
        message = "a field is not a number"
        raise BadMessageError(message)
    return value - (1 << 64) if value >> 63 else value


def text_of(value: int | bytes) -> str:
    """The text of bytes; what is not UTF-8 is replaced.

    Raises:
        BadMessageError: it is a number.
    """
    if isinstance(value, int):
        message = "a field is not text"
        raise BadMessageError(message)
    return value.decode("utf-8", "replace")


def float_of(value: int | bytes) -> float:
    """The number of 4 or 8 bytes.

    Raises:
        BadMessageError: it is not one.
    """
    if isinstance(value, int) or len(value) not in (4, 8):
        message = "a field is not a float"
        raise BadMessageError(message)
    found: float = struct.unpack("<f" if len(value) == 4 else "<d", value)[0]
    return found
