"""Ints beyond 64 bits: with up to 38 digits as Arrow decimals, longer ones as text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Final

from .._arrow import pa, pc
from .._lazy_imports import decimal
from ..errors import UnsupportedValueError
from . import json_text
from .kinds import INT, Decoded, Kind, LiveBuffers

__all__ = ["BIGINT", "BIGINT_TEXT", "int_kind"]

_INT64_LIMIT: Final = 2**63
#: Digits of a 128-bit decimal.
_DECIMAL_DIGITS: Final = 38
_DECIMAL_LIMIT: Final = 10**_DECIMAL_DIGITS
#: Python's default limit for conversions between ints and text, in digits.
_MOST_DIGITS: Final = 4_300


def int_kind(key: str, value: int) -> Kind:
    """The kind of an int: the first of ``int``, ``bigint`` and ``bigint_text`` that can hold it.

    Raises:
        UnsupportedValueError: it has more than 4,300 digits.
    """
    if -_INT64_LIMIT <= value < _INT64_LIMIT:
        return INT
    if -_DECIMAL_LIMIT < value < _DECIMAL_LIMIT:
        return BIGINT
    if _has_text(value):
        return BIGINT_TEXT
    message = (
        f"{key!r}: an int of {value.bit_length():,} bits can't be stored; one has up to"
        f" {_MOST_DIGITS:,} digits. Store it as hexadecimal text (hex(x)), or as bytes (x.to_bytes)"
    )
    raise UnsupportedValueError(message)


def _has_text(value: int) -> bool:
    try:
        return len(str(abs(value))) <= _MOST_DIGITS
    except ValueError:
        return False


class _InDigits(Kind, ABC):
    """Ints stored as decimal digits in live tables."""

    cell = "text"
    example = INT.example

    def parse(self, text: str) -> int | float:
        return json_text.number_of(text)

    @property
    def live_type(self) -> pa.DataType:
        return pa.string_view()

    def encode(self, value: int) -> str:
        return str(value)

    def live(self, column: pa.Array) -> LiveBuffers:
        return LiveBuffers(0, pa.concat_arrays([column.cast(pa.string())]).buffers())

    def equal(self, column: pa.Array, value: int) -> pa.Array:
        return pc.equal(column, self._scalar(value))

    @abstractmethod
    def _scalar(self, value: int) -> pa.Scalar:
        """A value in the sealed type."""


class _BigInt(_InDigits):
    @property
    def sealed_type(self) -> pa.DataType:
        return pa.decimal128(_DECIMAL_DIGITS, 0)

    def seal(self, live: pa.Array) -> pa.Array:
        return live.cast(pa.string()).cast(self.sealed_type)

    def column(self, values: list[Any]) -> pa.Array:
        decimals = [None if each is None else decimal.Decimal(each) for each in values]
        return pa.array(decimals, self.sealed_type)

    def values(self, column: pa.Array) -> list[Any]:
        return [None if each is None else int(each) for each in column.to_pylist()]

    def _scalar(self, value: int) -> pa.Scalar:
        return pa.scalar(decimal.Decimal(value), self.sealed_type)


class _BigIntText(_InDigits, Decoded):
    @property
    def sealed_type(self) -> pa.DataType:
        return pa.string()

    def seal(self, live: pa.Array) -> pa.Array:
        return live.cast(pa.string())

    def column(self, values: list[Any]) -> pa.Array:
        return pa.array([None if each is None else str(each) for each in values], pa.string())

    def encoded(self, column: pa.Array) -> list[Any]:
        texts: list[Any] = column.to_pylist()
        return texts

    def decode(self, encoded: str) -> int:
        return int(encoded)

    def _scalar(self, value: int) -> pa.Scalar:
        return pa.scalar(str(value), pa.string())


BIGINT: Final = _BigInt("bigint")
BIGINT_TEXT: Final = _BigIntText("bigint_text")
