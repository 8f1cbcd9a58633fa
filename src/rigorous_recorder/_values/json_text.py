"""JSON text of dicts and lists, in which every nested value reads back equal, or is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .._lazy_imports import textwrap
from ..errors import RigorousError, UnsupportedTypeError, UnsupportedValueError
from . import json_floats
from .foreign_values import (
    check_is_bare,
    is_arrow_scalar,
    is_missing,
    is_numpy_time,
    nested_times,
)
from .plain_forms import NO_FORM, Unread, fields_of, plain_form, plain_key

__all__ = [
    "JsonCell",
    "PlainJson",
    "dump",
    "json_cell",
    "load",
    "number_of",
    "plain",
    "same",
    "unfit",
    "unquoted",
]

#: The forms of NaN and infinities without a sign, in lower case.
_NO_NUMBERS: Final = frozenset({"nan", "inf", "infinity"})
_DEPTH_LIMIT: Final = 200
_EXACT: Final = frozenset({bool, int, float, str, type(None)})
_PARTS: Final = frozenset({dict, list, tuple})
_TEXT: Final = frozenset({str})


def dump(value: Any) -> str:
    """JSON text of plain values, including NaN and infinities: see ``json_floats``."""
    return json_floats.compact(value)


class JsonCell(str):
    """JSON text of a dict or list, ready for a cell; users' values never have this type."""

    __slots__ = ()


def json_cell(value: Any) -> JsonCell:
    """The text of a dict or list with only plain values: the fast path of most records.

    Raises:
        Exception: it has other values, which ``plain`` can handle.
    """
    if not _is_plain(value):
        raise unfit(type(value).__qualname__, "plain")
    return JsonCell(json_floats.finite(value))


def _is_plain(value: Any, depth: int = 0) -> bool:
    """Whether a dict, list or tuple contains only exact plain types."""
    parts = value
    if type(value) is dict:
        if not _TEXT.issuperset(map(type, value)):
            return False
        parts = value.values()
    if _EXACT.issuperset(map(type, parts)):
        return True
    return depth < _DEPTH_LIMIT and all(
        type(each) in _EXACT or (type(each) in _PARTS and _is_plain(each, depth + 1))
        for each in parts
    )


def load(text: str) -> Any:
    """The value that ``dump`` was called with."""
    return json_floats.loads(text)


def same(one: Any, other: Any) -> bool:
    """Whether two plain values are equal; ``True`` is not ``1``, and NaN equals NaN."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other or (one != one and other != other))  # noqa: PLR0124 - NaN


def unquoted(text: str) -> str:
    """The text that a JSON string represents; other text as it is."""
    try:
        found = load(text)
    except ValueError:
        return text
    return found if isinstance(found, str) else text


def number_of(text: str) -> int | float:
    """A number in JSON, as a quoted ``"NaN"``, or as ``nan`` or ``inf``.

    Raises:
        ValueError: it is not a number.
    """
    bare = unquoted(text)
    if bare.lower().lstrip("+-") in _NO_NUMBERS:
        return float(bare)
    found = load(text)
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise unfit(text, "a number")
    return found


def unfit(text: str, expected: str) -> ValueError:
    """The error for a text that is not a value of a kind."""
    return ValueError(f"{text} is not {expected}")


def plain(key: str, value: Any) -> Any:
    """``value`` with only dict, list, str, bool, int, float and None nested in it.

    Tuples become lists; numpy, torch and jax scalars and arrays their plain values; masked values,
    NA and NaT None; other values their plain forms (see ``plain_forms``).

    Raises:
        UnsupportedTypeError: a nested value has no plain form.
        UnsupportedValueError: it is nested too deeply, or contains itself.
    """
    return PlainJson(key).of(value)


#: Subclasses, such as some enums, by the first matching base class: bool before int.
_BASES: Final[tuple[tuple[type, Any], ...]] = (
    (bool, bool),
    (int, int),
    (float, float),
    (str, str.__str__),
)


class PlainJson:
    """Converts the value of a key to JSON types."""

    def __init__(self, key: str) -> None:
        self._key = key

    def of(self, value: Any, depth: int = 0) -> Any:
        """The plain form of a value at some depth.

        Raises:
            UnsupportedTypeError, UnsupportedValueError: see ``plain``.
        """
        if type(value) in _EXACT:
            return value
        if depth > _DEPTH_LIMIT:
            return self._left(value, self._too_deep())
        if type(value) is dict:
            return self._dict(value, depth)
        if type(value) is list:
            return [self.of(each, depth + 1) for each in value]
        return self._other(value, depth)

    def _left(self, value: Any, error: RigorousError) -> Any:  # noqa: ARG002 - used by subclasses
        """What to store for a value without a plain form.

        Raises:
            RigorousError: nothing can be stored.
        """
        raise error

    def _other(self, value: Any, depth: int) -> Any:
        for base, made in _BASES:
            if isinstance(value, base):
                return made(value)
        try:
            found = self._one_step(value)
        except RigorousError as error:
            return self._left(value, error)
        except Exception as error:  # noqa: BLE001 - whatever another library raises
            return self._left(value, self._unread(value, error))
        if type(found) is not type(value):  # a longdouble has no Python type
            return self.of(found, depth + 1)
        return self._left(value, self._unsupported(value))

    def _one_step(self, value: Any) -> Any:
        """A plainer form of a value; the value itself if there is none."""
        if (fields := fields_of(value)) is not None:
            return fields
        if isinstance(value, Mapping):
            return dict(value.items())
        if isinstance(value, (list, tuple)):
            return list(value)
        if is_missing(value):
            return None
        if not isinstance(value, type):
            found = self._of_another_library(value)
            if found is not value:
                return found
        form = plain_form(value)
        return value if form is NO_FORM else form

    def _dict(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, each in value.items():
            text = name if type(name) is str else self._text_key(name)
            while text in found:
                text = self._twice(name, text)
            found[text] = self.of(each, depth + 1)
        return found

    def _text_key(self, name: Any) -> str:
        if (text := plain_key(name)) is not None:
            return text
        message = (
            f"{self._key!r}: a dict inside has the key {textwrap.shorten(repr(name), 60)}"
            f" ({type(name).__name__}), which has no text in JSON. Convert the keys with str()"
        )
        return str(self._left(name, UnsupportedTypeError(message)))

    def _twice(self, name: Any, text: str) -> str:
        message = (
            f"{self._key!r}: a dict inside has two keys whose text is {textwrap.shorten(text, 60)!r}."
            " Convert the keys, so that each has a text of its own"
        )
        self._left(name, UnsupportedValueError(message))
        return f"{text}_"

    def _of_another_library(self, value: Any) -> Any:
        """The Python value of another library's value; the value itself if unknown."""
        if is_arrow_scalar(value):
            return value.as_py()
        if is_numpy_time(value):
            return nested_times(self._key, value)
        if hasattr(value, "tolist") and hasattr(value, "dtype"):
            check_is_bare(self._key, value)
            return value.tolist()
        return value

    def _too_deep(self) -> UnsupportedValueError:
        message = (
            f"{self._key!r}: the value is nested more than {_DEPTH_LIMIT} levels deep, or contains"
            " itself"
        )
        return UnsupportedValueError(message)

    def _unread(self, value: Any, error: Exception) -> UnsupportedTypeError:
        message = (
            f"{self._key!r}: a {type(value).__name__} inside a dict or list can't be read:"
            f" {type(error).__name__}: {textwrap.shorten(str(error), 200)}"
        )
        return UnsupportedTypeError(message)

    def _unsupported(self, value: Any) -> UnsupportedTypeError:
        if isinstance(value, Unread):
            return UnsupportedTypeError(f"{self._key!r}: {value.reason}")
        message = (
            f"{self._key!r}: a {type(value).__name__} inside a dict or list can't be stored;"
            " docs/values.md lists what can. Convert it (str(x), x.isoformat(), list(x)), or give it"
            " a key of its own"
        )
        return UnsupportedTypeError(message)
