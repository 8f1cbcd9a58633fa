"""The name under which users find a class; the modules that define them have an underscore."""

from __future__ import annotations

from typing import TypeVar

__all__ = ["public"]

_Class = TypeVar("_Class", bound=type)


def public(kind: _Class) -> _Class:
    """A class that reprs, pickles and the API reference name by where users import it from."""
    kind.__module__ = __name__.partition(".")[0]
    return kind
