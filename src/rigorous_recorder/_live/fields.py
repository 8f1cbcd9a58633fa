"""Description of logged fields: the column and the plain value of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .._values.classify import check_key, classify, classify_unread
from .._values.kinds import Kind
from .._values.lenient import classify_any
from .column import INTERNAL_COLUMNS, Column, InternalKey, Key

__all__ = ["Described", "describe", "describe_attributes", "describe_unread"]

Described = list[tuple[Column, Any]]


def describe(fields: Mapping[Any, Any]) -> Described:
    """For each field its column and the plain value of its kind, which reads back equal.

    Raises:
        KeyNotTextError, UnsupportedTypeError, UnsupportedValueError: a field can't be stored.
    """
    return _described(fields, classify)


def describe_attributes(fields: Mapping[Any, Any]) -> Described:
    """Like ``describe``, but a value whose type can't be stored becomes its repr.

    Raises:
        KeyNotTextError, UnsupportedValueError: a field can't be stored.
        AttributeTypeWarning: if warnings are errors.
    """
    return _described(fields, classify_any)


def describe_unread(fields: Mapping[Any, Any]) -> Described:
    """Like ``describe``, but without waiting: a tensor on a device becomes a ``DeviceValue``.

    Raises:
        KeyNotTextError, UnsupportedTypeError, UnsupportedValueError: a field can't be stored.
    """
    return _described(fields, classify_unread)


def _described(
    fields: Mapping[Any, Any], classified: Callable[[str, Any], tuple[Kind, Any]]
) -> Described:
    described: dict[Key, tuple[Column, Any]] = {}
    for key, value in fields.items():
        field = _describe(key, value, classified)
        # Instances of a str subclass can have the same text without being equal: the last counts.
        described[field[0].key] = field
    return list(described.values())


def _describe(
    key: Any, value: Any, classified: Callable[[str, Any], tuple[Kind, Any]]
) -> tuple[Column, Any]:
    if isinstance(key, InternalKey):
        return INTERNAL_COLUMNS[key], value
    name = check_key(key)
    kind, plain = classified(name, value)
    return Column(name, kind), plain
