"""Attributes of any type: values without a plain form are stored as their repr, with a warning.

A configuration is worth more in part than not at all, and no reason to abort a training; so this
also limits the effects of a value's own code.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping
from typing import Any, Final

from .._report import level_of_caller, warn
from ..errors import (
    AttributeTypeWarning,
    RigorousError,
    UnsupportedTypeError,
    UnsupportedValueError,
)
from .classify import Classified, classify
from .json_text import PlainJson
from .kinds import TEXT
from .plain_forms import fields_of

__all__ = ["classify_any"]

#: Maximum length of a stored repr.
_MOST_TEXT: Final = 1_000
#: Maximum number of dicts, lists and objects visited in a value.
_MOST_PARTS: Final = 20_000
#: The kinds of dtypes, as numpy names them, of arrays that become lists: text and objects.
_LISTED: Final = frozenset("UTO")
#: The memory address of an object, which differs between processes.
_ADDRESS: Final = r" at 0x[0-9a-fA-F]+"

#: Errors of values that contain themselves, or have any size, are shortened.
_SHORT: Final = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxother, _SHORT.maxstring, _SHORT.maxlong = 3, _MOST_TEXT, _MOST_TEXT, 100

#: The keys that a warning was issued for.
_WARNED: Final[set[str]] = set()


def classify_any(key: str, value: Any) -> Classified:
    """Like ``classify``, but a value whose type can't be stored becomes its repr.

    Raises:
        UnsupportedValueError: the type can be stored, but not this value.
        AttributeTypeWarning: if warnings are errors.
    """
    try:
        return classify(key, value)
    except (UnsupportedTypeError, UnsupportedValueError) as error:
        if (items := _items(value)) is not None:
            return classify_any(key, items)
        found, message = _lenient(key, value, error), str(error)
    if key not in _WARNED:
        _warn(message)
        _WARNED.add(key)
    return found


def _lenient(key: str, value: Any, error: RigorousError) -> Classified:
    if _has_parts(value):
        parts = _LenientJson(key)
        found = classify(key, parts.of(value))
        if not parts.has_left:  # the error is not about a type
            raise error
        return found
    if isinstance(error, UnsupportedValueError):
        raise error
    return TEXT, bounded_repr(value)


def _items(value: Any) -> list[Any] | None:
    """The items of an array of text or objects, in nested lists; None for other values."""
    try:
        if getattr(value.dtype, "kind", "") not in _LISTED:
            return None
        items = value.tolist()
    except Exception:  # noqa: BLE001 - code of the user
        return None
    return items if isinstance(items, list) else None


def _warn(reason: str) -> None:
    message = (
        f"{reason}. Its repr is stored as text; ExperimentCollection(..., strict=True) raises instead."
        " This is the only warning for this key"
    )
    warn(message, AttributeTypeWarning, stacklevel=level_of_caller())


def _has_parts(value: Any) -> bool:
    try:
        return isinstance(value, (Mapping, list, tuple, set, frozenset)) or (
            fields_of(value) is not None
        )
    except Exception:  # noqa: BLE001 - code of the user
        return False


class _LenientJson(PlainJson):
    """Replaces parts without a plain form by their repr, also those that a value contains."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.has_left = False
        self._around: set[int] = set()
        self._parts = 0

    def of(self, value: Any, depth: int = 0) -> Any:
        if id(value) in self._around or self._parts > _MOST_PARTS:
            return self._left(value, self._too_deep())
        self._around.add(id(value))
        try:
            return super().of(value, depth)
        finally:
            self._around.discard(id(value))

    def _dict(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        self._parts += 1
        return super()._dict(value, depth)

    def _other(self, value: Any, depth: int) -> Any:
        self._parts += 1
        items = _items(value)
        return super()._other(value, depth) if items is None else self.of(items, depth)

    def _left(self, value: Any, error: RigorousError) -> str:  # noqa: ARG002 - as in the base class
        self.has_left = True
        return bounded_repr(value)


def bounded_repr(value: Any) -> str:
    """At most 1,000 characters of a repr, without memory addresses."""
    try:
        has_parts = isinstance(value, (dict, list, tuple, set, frozenset))
        text = str.__str__(_SHORT.repr(value) if has_parts else repr(value))[:_MOST_TEXT]
    except Exception:  # noqa: BLE001 - code of the user
        text = f"<{type(value).__qualname__}>"
    return re.sub(_ADDRESS, "", text).encode("utf-8", "backslashreplace").decode()
