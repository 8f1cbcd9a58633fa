"""Writes messages of Protocol Buffers by hand, without their definitions."""

from __future__ import annotations

import struct

__all__ = ["double", "message", "number", "text", "varint"]


def varint(value: int) -> bytes:
    """The bytes of an int of 64 bits, also of a negative one."""
    value &= 0xFFFFFFFFFFFFFFFF
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)


def number(field: int, value: int) -> bytes:
    """A field with an int or a bool."""
    return varint(field << 3) + varint(value)


def double(field: int, value: float) -> bytes:
    """A field with a float of 64 bits."""
    return varint(field << 3 | 1) + struct.pack("<d", value)


def message(field: int, data: bytes) -> bytes:
    """A field with bytes, which can be a message."""
    return varint(field << 3 | 2) + varint(len(data)) + data


def text(field: int, value: str) -> bytes:
    """A field with text; lone surrogates are written as escapes."""
    return message(field, value.encode("utf-8", "backslashreplace"))
