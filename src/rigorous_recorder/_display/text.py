"""Values as short text on one line, and the width of text in a terminal."""

from __future__ import annotations

import datetime as dt
import reprlib
import unicodedata
from typing import Any, Final

from .._printable import one_line

__all__ = [
    "GAP",
    "MISSING",
    "bytes_text",
    "cut",
    "duration_text",
    "instant_text",
    "is_number",
    "literal_text",
    "pad",
    "plural",
    "value_text",
    "width",
]

#: The placeholders for a missing value, and for rows or columns that are left out.
MISSING: Final = "-"
GAP: Final = "…"

#: Maximum length of text to format; no cell is wider.
_LONGEST: Final = 1_000

_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlist = _SHORT.maxdict = 4
_SHORT.maxlevel = 3


def value_text(value: Any) -> str:
    """A value as short text: numbers with six digits, arrays as their shape."""
    if isinstance(value, str):
        return one_line(value[:_LONGEST])
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dt.datetime):
        return value.isoformat(" ")
    if isinstance(value, (bool, int, dt.date, dt.timedelta)):
        return str(value)
    if (shape := getattr(value, "shape", None)) is not None:
        return f"{value.dtype}[{'x'.join(map(str, shape))}]"
    return one_line(_SHORT.repr(value))


def literal_text(value: Any) -> str:
    """Like ``value_text``, with text in quotes."""
    return f'"{cut(value_text(value), 40)}"' if isinstance(value, str) else value_text(value)


def instant_text(seconds: Any) -> str:
    """Seconds since the epoch as a local date and time; other values as they are."""
    if isinstance(seconds, bool):
        return value_text(seconds)
    try:
        instant = dt.datetime.fromtimestamp(seconds).astimezone()
    except (TypeError, ValueError, OverflowError, OSError):
        return value_text(seconds)
    return instant.strftime("%Y-%m-%d %H:%M:%S")


def duration_text(seconds: Any) -> str:
    """Seconds as ``0.25 s``, ``3 min 20 s`` or ``2 h 5 min``; other values as they are."""
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not is_number or not abs(seconds) < 1e12:
        return value_text(seconds)
    if abs(seconds) < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if abs(minutes) < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min"


def bytes_text(size: int) -> str:
    """A number of bytes, as ``512 bytes``, ``3.1 kB`` or ``27.4 MB``."""
    if size < 1_000:
        return plural(size, "byte")
    amount, unit = float(size), "bytes"
    for name in ("kB", "MB", "GB", "TB"):
        if amount < 999.95:
            break
        amount, unit = amount / 1_000, name
    return f"{amount:,.1f} {unit}"


def plural(count: int, noun: str) -> str:
    """A count with its noun: ``1 record``, ``2,000 records``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def width(text: str) -> int:
    """The number of terminal columns of a text."""
    return len(text) if text.isascii() else sum(map(_width, text))


def cut(text: str, most: int) -> str:
    """The text, shortened with an ellipsis if it is wider than ``most``."""
    if width(text) <= most:
        return text
    taken, end = 0, 0
    while end < len(text) and taken + _width(text[end]) < most:
        taken += _width(text[end])
        end += 1
    return text[:end] + GAP


def pad(text: str, to: int, *, is_right: bool = False) -> str:
    """The text padded with spaces to a width, on its right or left."""
    blanks = " " * (to - width(text))
    return blanks + text if is_right else text + blanks


def is_number(value: Any) -> bool:
    """Whether it is an int or a float."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
