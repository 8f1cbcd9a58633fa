"""Conditions: a key and the value that records must have under it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from textwrap import shorten
from typing import Any, Final, NamedTuple

from .._arrow import pa, pc
from .._lazy_imports import np
from .._live.column import Column
from .._values.arrays import ArrayKind, ListKind
from .._values.classify import check_key, classify
from .._values.kinds import JSON, NULL, Kind
from .._values.promote import can_equal, equal
from ..errors import UnkeepableTypeError, UnkeepableValueError

__all__ = ["Condition", "Typed", "any_valid", "conditions_of"]

#: What reading a typed value raises where it is none.
_NO_VALUE: Final = (ValueError, OverflowError, RecursionError)


class Typed(str):
    """A value as it is typed on a command line; the kinds of values under its key decide what it is.

    It can be several at once: ``1`` is a number, and text where the key has text.
    """

    __slots__ = ()


class Condition(NamedTuple):
    """The records in which a key has a value.

    Attributes:
        key: the key.
        kind: the value's kind; None where the value was typed, and is of several.
        value: the plain value of that kind; None asks for records without the key.
    """

    key: str
    kind: Kind | None
    value: Any

    def why_never(self, kinds: Iterable[Kind]) -> str | None:
        """Why no value of these kinds is the one; None where any can be, or there are none."""
        known = {kind.name: kind for kind in kinds if kind != NULL}
        if not known or self.value is None or self._can_be(known.values()):
            return None
        names = ", ".join(known)
        if self.kind == JSON:
            return (
                f"none of its values is a list or dict, they are {names}. A condition asks"
                " for one value; for choices use sql() or to_polars(lazy=True)"
            )
        expected = " or ".join(dict.fromkeys(each.example for each in known.values()))
        given = f"a value of kind {self.kind.name} equals none of them; " if self.kind else ""
        return f"its values are {names}; {given}expected {expected}"

    def _can_be(self, kinds: Iterable[Kind]) -> bool:
        """Whether a value of any of these kinds can be the one."""
        if self.kind is None:
            return any(self._wanted(each) is not None for each in kinds)
        return any(can_equal(each, self.kind) for each in kinds)

    def matches(self, variants: Mapping[Column, Any], rows: int) -> pa.Array:
        """Which of so many rows meet it.

        Args:
            variants: for each column of the key its values in these rows.
        """
        if self.value is None:
            return pc.invert(any_valid(variants, rows))
        mask = pa.repeat(pa.scalar(False), rows)
        for column, values in variants.items():
            wanted = self._wanted(column.kind)
            hits = None if wanted is None else equal(column.kind, values, *wanted)
            if hits is not None:
                mask = pc.or_(mask, hits.fill_null(False))
        return mask

    def _wanted(self, kind: Kind) -> tuple[Kind, Any] | None:
        """The value to be compared with values of a kind, and its kind; None where it can't be."""
        if self.kind is not None:
            return self.kind, self.value
        try:
            return classify(self.key, kind.parse(self.value))
        except (*_NO_VALUE, UnkeepableTypeError):
            return None


def conditions_of(values: Mapping[str, Any]) -> tuple[Condition, ...]:
    """The conditions that every key has its value.

    What the caller changes later, as an element of an array, changes no condition.

    Raises:
        UnkeepableTypeError: a value is of a type that no record has, or a key is not text.
        UnkeepableValueError: no record has the value.
    """
    return tuple(_condition(key, value) for key, value in values.items())


def _condition(key: str, value: Any) -> Condition:
    check_key(key)
    if isinstance(value, Typed):
        return Condition(key, None, str(value))
    if callable(value) or isinstance(value, (set, frozenset)):  # meant as a test, or as a choice
        raise UnkeepableTypeError(_refusal(key, value))
    try:
        kind, plain = classify(key, value)
    except (UnkeepableTypeError, UnkeepableValueError) as error:
        raise type(error)(_refusal(key, value)) from None
    if isinstance(kind, (ArrayKind, ListKind)):
        plain = np.array(plain)
    return Condition(key, kind, plain)


def _refusal(key: str, value: Any) -> str:
    shown = shorten(repr(value), 60, placeholder="...")
    return (
        f"where({key}={shown}): no record can have this value, of type"
        f" {type(value).__qualname__}. A condition asks for one value, which a record has under"
        " the key; None asks for records without it. For ranges and choices use sql() or"
        " to_polars(lazy=True)"
    )


def any_valid(variants: Mapping[Column, Any], rows: int) -> pa.Array:
    """Which of so many rows have any value."""
    mask = pa.repeat(pa.scalar(False), rows)
    for values in variants.values():
        mask = pc.or_(mask, values.is_valid())
    return mask
