"""JSON text for dicts and lists: every value inside reads back as it was, or is refused."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import shorten
from typing import Any, Final

from ..errors import UnkeepableTypeError, UnkeepableValueError
from . import json_floats
from .foreign_values import (
    check_is_bare,
    is_arrow_scalar,
    is_missing,
    is_numpy_time,
    nested_times,
)

__all__ = ["dump", "load", "number_of", "plain", "same", "unfit", "unquoted"]

#: How NaN and infinities are written without a sign, in lower case.
_NO_NUMBERS: Final = frozenset({"nan", "inf", "infinity"})
_DEPTH_LIMIT: Final = 200
_EXACT: Final = frozenset({bool, int, float, str, type(None)})


def dump(value: Any) -> str:
    """JSON text of plain values, also of NaN and infinities: see ``json_floats``."""
    return json_floats.compact(value)


def load(text: str) -> Any:
    """The value that ``dump`` was given."""
    return json_floats.loads(text)


def same(one: Any, other: Any) -> bool:
    """Whether two plain values are equal: ``True`` is not ``1``, and NaN equals NaN."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other or (one != one and other != other))  # noqa: PLR0124 - NaN


def unquoted(text: str) -> str:
    """The text that a JSON string stands for; any other text as it is."""
    try:
        found = load(text)
    except ValueError:
        return text
    return found if isinstance(found, str) else text


def number_of(text: str) -> int | float:
    """The number that is written as JSON, as a quoted ``"NaN"``, or as ``nan`` or ``inf``.

    Raises:
        ValueError: it is no number.
    """
    bare = unquoted(text)
    if bare.lower().lstrip("+-") in _NO_NUMBERS:
        return float(bare)
    found = load(text)
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise unfit(text, "a number")
    return found


def unfit(text: str, expected: str) -> ValueError:
    """What is raised where a text is not that of a value of some kind."""
    return ValueError(f"{text} is not {expected}")


def plain(key: str, value: Any, depth: int = 0) -> Any:
    """``value`` with only dict, list, str, bool, int, float and None inside.

    Tuples become lists, numpy, torch and jax scalars and arrays their plain values, and what is
    masked, NA or NaT None.

    Raises:
        UnkeepableTypeError: something inside has no JSON form that reads back equal.
        UnkeepableValueError: it is nested too deeply, or contains itself.
    """
    if depth > _DEPTH_LIMIT:
        message = (
            f"{key!r}: the value is nested more than {_DEPTH_LIMIT} levels deep, or contains itself"
        )
        raise UnkeepableValueError(message)
    if type(value) in _EXACT:
        return value
    if isinstance(value, Mapping):
        return {_text_key(key, k): plain(key, v, depth + 1) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(key, each, depth + 1) for each in value]
    return _leaf(key, value, depth)


#: Subclasses, as enums are, by the first base that fits: bool before int.
_BASES: Final[tuple[tuple[type, Any], ...]] = (
    (bool, bool),
    (int, int),
    (float, float),
    (str, str.__str__),
)


def _leaf(key: str, value: Any, depth: int) -> Any:
    for base, made in _BASES:
        if isinstance(value, base):
            return made(value)
    if is_missing(value):
        return None
    found = _of_another_library(key, value)
    if type(found) is not type(value):  # a longdouble is no number of Python's
        return plain(key, found, depth + 1)
    message = (
        f"{key!r}: a {type(value).__name__} inside a dict or list can't be kept; expected str,"
        " bool, int, float, None, dict or list. Convert it (str(x), x.isoformat(), list(x)),"
        " or give it a key of its own"
    )
    raise UnkeepableTypeError(message)


def _of_another_library(key: str, value: Any) -> Any:
    """What another library's value is in Python; the value where that is not known."""
    if is_arrow_scalar(value):
        return value.as_py()
    if is_numpy_time(value):
        return nested_times(key, value)
    if hasattr(value, "tolist") and hasattr(value, "dtype"):
        check_is_bare(key, value)
        return _listed(key, value)
    return value


def _listed(key: str, array: Any) -> Any:
    try:
        return array.tolist()
    except Exception as error:
        message = (
            f"{key!r}: a {type(array).__name__} inside a dict or list can't be read:"
            f" {type(error).__name__}: {shorten(str(error), 200)}"
        )
        raise UnkeepableTypeError(message) from error


def _text_key(key: str, name: Any) -> str:
    if not isinstance(name, str):
        message = (
            f"{key!r}: a dict inside has the key {name!r} ({type(name).__name__}); JSON keeps only"
            " text keys. Convert the keys with str()"
        )
        raise UnkeepableTypeError(message)
    return str.__str__(name)
