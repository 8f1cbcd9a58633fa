"""Values of requests, which anyone may have written; an error names the value and what was expected."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = [
    "LAST",
    "count_in",
    "end_in",
    "ends_in",
    "flag_in",
    "id_in",
    "mapping_in",
    "number_in",
    "one_of",
    "pair_in",
    "requested",
    "text_in",
    "texts_in",
    "words_in",
]

#: No place is further.
LAST: Final = 1 << 62
_LARGEST: Final = sys.float_info.max


def requested(given: Any) -> Mapping[str, Any]:
    """What was requested, by name.

    Raises:
        ValueError: it is not an object of JSON.
    """
    if not isinstance(given, Mapping):
        message = f"it is {given!r:.60}: expected an object"
        raise ValueError(message)  # noqa: TRY004 - as for all that is requested
    return given


def mapping_in(given: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object; no value is an empty one.

    Raises:
        ValueError: it is not an object.
    """
    if not isinstance(value := given.get(name), Mapping | None):
        raise _not(name, value, "an object")
    return value or {}


def text_in(given: Mapping[str, Any], name: str) -> str:
    """A text; no value is the empty one.

    Raises:
        ValueError: it is not text.
    """
    if not isinstance(value := given.get(name), str | None):
        raise _not(name, value, "text")
    return value or ""


def texts_in(given: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A list of text; no value is an empty one.

    Raises:
        ValueError: it is not a list of text.
    """
    value = given.get(name)
    is_list = isinstance(value, list | tuple | None)
    if not is_list or not all(isinstance(each, str) for each in value or ()):
        raise _not(name, value, "a list of text")
    return tuple(value or ())


def words_in(given: Mapping[str, Any], name: str) -> dict[str, str]:
    """Text by name; no value is an empty one.

    Raises:
        ValueError: it is not an object of text.
    """
    found = mapping_in(given, name)
    return {key: text_in(found, key) for key in found}


def flag_in(given: Mapping[str, Any], name: str) -> bool:
    """A bool; no value is False.

    Raises:
        ValueError: it is not a bool.
    """
    if not isinstance(value := given.get(name), bool | None):
        raise _not(name, value, "true or false")
    return bool(value)


def count_in(given: Mapping[str, Any], name: str, low: int, high: int, *, default: int) -> int:
    """A whole number, or the nearer end of a range.

    Raises:
        ValueError: it is not a whole number.
    """
    if (value := given.get(name)) is None:
        return default
    if not _is_whole(value):
        raise _not(name, value, "a whole number")
    return min(max(int(value), low), high)


def pair_in(given: Mapping[str, Any], name: str) -> tuple[int, int]:
    """Two whole numbers.

    Raises:
        ValueError: it is something else.
    """
    value = given.get(name)
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(map(_is_whole, value)):
        raise _not(name, value, "two whole numbers")
    return int(value[0]), int(value[1])


def id_in(given: Mapping[str, Any], name: str, *, default: int) -> int:
    """A whole number of 64 bits, which is text in JSON, as JavaScript would round it.

    Raises:
        ValueError: it is something else.
    """
    value = given.get(name)
    try:
        found = int(value or default)
    except (TypeError, ValueError, OverflowError):
        found = 1 << 63
    if not -(1 << 63) <= found < 1 << 63:
        raise _not(name, value, "a whole number of 64 bits")
    return found


def number_in(
    given: Mapping[str, Any], name: str, low: float, high: float, *, default: float
) -> float:
    """A number, or the nearer end of a range.

    Raises:
        ValueError: it is not a finite number.
    """
    value = end_in(given, name)
    return default if value is None else min(max(value, low), high)


def end_in(given: Mapping[str, Any], name: str) -> float | None:
    """An end of an axis; None for none.

    Raises:
        ValueError: it is not a finite number.
    """
    if (value := given.get(name)) is None:
        return None
    if not _is_number(value):
        raise _not(name, value, "a finite number")
    return float(value)


def ends_in(given: Mapping[str, Any], low: str, high: str) -> tuple[float | None, float | None]:
    """Both ends of an axis.

    Raises:
        ValueError: they are not finite numbers in order.
    """
    ends = end_in(given, low), end_in(given, high)
    if ends[0] is not None and ends[1] is not None and ends[0] > ends[1]:
        raise _not(low, ends[0], f"at most {high}, which is {ends[1]!r}")
    return ends


def one_of(given: Mapping[str, Any], name: str, values: Sequence[str], *, default: str = "") -> str:
    """One of some texts.

    Raises:
        ValueError: it is none of these.
    """
    value = given.get(name) or default
    if value not in values:
        raise _not(name, value, f"one of {', '.join(values)}")
    return str(value)


def _is_number(value: Any) -> bool:
    is_any = isinstance(value, int | float) and not isinstance(value, bool)
    return is_any and abs(value) <= _LARGEST


def _is_whole(value: Any) -> bool:
    return _is_number(value) and value == value // 1


def _not(name: str, value: Any, expected: str) -> ValueError:
    return ValueError(f"{name} is {value!r:.60}: expected {expected}")
