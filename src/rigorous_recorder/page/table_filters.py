"""Filters of the table of runs: words, comparisons and ranges, as they are typed."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any, Final

from .plain import plain

__all__ = ["Test", "comparison_in", "test_of", "words_in"]

#: Whether a value passes.
Test = Callable[[Any], bool]

_COMPARISON: Final = re.compile(r"\s*([^<>=!]+?)\s*(<=|>=|!=|=|<|>)\s*(.*)", re.DOTALL)
_OPERATOR: Final = re.compile(r"\s*(<=|>=|!=|=|<|>)\s*(.*)", re.DOTALL)
_RANGE: Final = re.compile(r"\s*(\S*)\s*\.\.\s*(\S*)\s*")


def comparison_in(text: str) -> tuple[str, str] | None:
    """The name and the test of a comparison such as ``lr<0.1``; None for words."""
    found = _COMPARISON.fullmatch(text)
    return (found[1], f"{found[2]}{found[3]}") if found else None


def words_in(words: str, values: Iterable[Any]) -> bool:
    """Whether any value has some text, in any case."""
    return any(words in _text(value).casefold() for value in values)


def test_of(text: str) -> Test:
    """The test that is typed into the box of a column.

    ``>0.1``, ``<=3``, ``=a``, ``!=a``, a range ``0.1..0.5`` with one end or both, or a part of text.
    """
    if found := _OPERATOR.fullmatch(text):
        return _compared(found[1], found[2].strip())
    if (found := _RANGE.fullmatch(text)) and (ends := _ends(found[1], found[2])):
        low, high = ends
        return lambda value: (number := _number(value)) is not None and low <= number <= high
    words = text.strip().casefold()
    return lambda value: words in _text(value).casefold()


def _ends(low: str, high: str) -> tuple[float, float] | None:
    try:
        return float(low or "-inf"), float(high or "inf")
    except ValueError:
        return None


def _compared(operator: str, wanted: str) -> Test:
    try:
        number = float(wanted)
    except ValueError:
        number = None
    if operator in {"=", "!="}:
        is_equal = operator == "="
        return lambda value: (
            is_equal
            == (_text(value) == wanted or (number is not None and _number(value) == number))
        )
    if number is None:
        return lambda _: False
    tests: dict[str, Test] = {
        "<": lambda value: (found := _number(value)) is not None and found < number,
        ">": lambda value: (found := _number(value)) is not None and found > number,
        "<=": lambda value: (found := _number(value)) is not None and found <= number,
        ">=": lambda value: (found := _number(value)) is not None and found >= number,
    }
    return tests[operator]


def _number(value: Any) -> float | None:
    """The value as a number; None for others, also for bools."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return json.dumps(value)
    found = plain(value, sys.maxsize)
    return "" if found is None else str(found)
