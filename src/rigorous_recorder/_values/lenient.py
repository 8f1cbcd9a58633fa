"""Attributes of any type: what has no plain form is stored as its repr, and a warning says so.

A configuration is whatever a program was started with. It is worth more in part than not at all, and
is no reason to end a training; so this also bounds what a value's own code can do.
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

#: Characters of a repr that are stored.
_MOST_TEXT: Final = 1_000
#: Dicts, lists and objects inside of one value that are looked into.
_MOST_PARTS: Final = 20_000
#: Where an object is in memory, which is somewhere else in each process.
_ADDRESS: Final = r" at 0x[0-9a-fA-F]+"

#: What is in itself, or of any size, is told in part.
_SHORT: Final = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxother, _SHORT.maxstring, _SHORT.maxlong = 3, _MOST_TEXT, _MOST_TEXT, 100

#: The keys that were warned of.
_WARNED: Final[set[str]] = set()


def classify_any(key: str, value: Any) -> Classified:
    """As ``classify``, but where the type of ``value`` can't be stored it is its repr.

    Raises:
        UnsupportedValueError: the value is of a type that can be stored, and can't.
        AttributeTypeWarning: where warnings are errors.
    """
    try:
        return classify(key, value)
    except (UnsupportedTypeError, UnsupportedValueError) as error:
        found, message = _lenient(key, value, error), str(error)
    if key not in _WARNED:
        _warn(message)
        _WARNED.add(key)
    return found


def _lenient(key: str, value: Any, error: RigorousError) -> Classified:
    if _has_parts(value):
        parts = _LenientJson(key)
        found = classify(key, parts.of(value))
        if not parts.has_left:  # the error is not that of a type
            raise error
        return found
    if isinstance(error, UnsupportedValueError):
        raise error
    return TEXT, bounded_repr(value)


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
    except Exception:  # noqa: BLE001 - code of the caller's
        return False


class _LenientJson(PlainJson):
    """Parts without a plain form become their repr, also those that a value has inside itself."""

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
        return super()._other(value, depth)

    def _left(self, value: Any, error: RigorousError) -> str:  # noqa: ARG002 - as for the base
        self.has_left = True
        return bounded_repr(value)


def bounded_repr(value: Any) -> str:
    """At most 1,000 characters of a repr, without addresses."""
    try:
        has_parts = isinstance(value, (dict, list, tuple, set, frozenset))
        text = str.__str__(_SHORT.repr(value) if has_parts else repr(value))[:_MOST_TEXT]
    except Exception:  # noqa: BLE001 - code of the caller's
        text = f"<{type(value).__qualname__}>"
    return re.sub(_ADDRESS, "", text).encode("utf-8", "backslashreplace").decode()
