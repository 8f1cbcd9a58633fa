"""Values of requests, which anyone may have written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["one_of", "text_in"]


def text_in(value: Any) -> str:
    """The value.

    Raises:
        TypeError: it is not text.
    """
    if not isinstance(value, str):
        message = f"{value!r:.60}: expected text"
        raise TypeError(message)
    return value


def one_of(value: Any, values: Sequence[str]) -> str:
    """The value.

    Raises:
        ValueError: it is none of these.
    """
    if value not in values:
        message = f"{value!r:.60}: expected one of {', '.join(values)}"
        raise ValueError(message)
    return str(value)
