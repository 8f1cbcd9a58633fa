"""Conditions: a key and the value that records must have under it."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import shorten
from typing import TYPE_CHECKING, Any, NamedTuple

from .._lazy import lazy_module
from .._live.column import Column
from .._values.arrays import ArrayKind, ListKind
from .._values.classify import check_key, classify
from .._values.kinds import Kind
from .._values.promote import equal
from ..errors import UnkeepableTypeError, UnkeepableValueError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    pa = lazy_module("pyarrow")
    pc = lazy_module("pyarrow.compute")
np = lazy_module("numpy", install="numpy")

__all__ = ["Condition", "any_valid", "conditions_of"]


class Condition(NamedTuple):
    """The records in which a key has a value.

    Attributes:
        key: the key.
        kind: the value's kind.
        value: the plain value of that kind; None asks for records without the key.
    """

    key: str
    kind: Kind
    value: Any

    def matches(self, variants: Mapping[Column, Any], rows: int) -> pa.Array:
        """Which of so many rows meet it.

        Args:
            variants: for each column of the key its values in these rows.
        """
        if self.value is None:
            return pc.invert(any_valid(variants, rows))
        mask = pa.repeat(pa.scalar(False), rows)
        for column, values in variants.items():
            hits = equal(column.kind, values, self.kind, self.value)
            if hits is not None:
                mask = pc.or_(mask, hits.fill_null(False))
        return mask


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
    try:
        kind, plain = classify(key, value)
    except (UnkeepableTypeError, UnkeepableValueError) as error:
        shown = shorten(repr(value), 60, placeholder="...")
        message = (
            f"where({key}={shown}): no record can have this value, of type"
            f" {type(value).__qualname__}. A condition asks for one value, which a record has under"
            " the key; None asks for records without it. For ranges and choices use sql() or"
            " to_polars(lazy=True)"
        )
        raise type(error)(message) from None
    if isinstance(kind, (ArrayKind, ListKind)):
        plain = np.array(plain)
    return Condition(key, kind, plain)


def any_valid(variants: Mapping[Column, Any], rows: int) -> pa.Array:
    """Which of so many rows have any value."""
    mask = pa.repeat(pa.scalar(False), rows)
    for values in variants.values():
        mask = pc.or_(mask, values.is_valid())
    return mask
