"""The name under which users find a class; the modules that define them have an underscore."""

from __future__ import annotations

from typing import ForwardRef, TypeVar

__all__ = ["public"]

_Class = TypeVar("_Class", bound=type)


def public(kind: _Class) -> _Class:
    """A class that reprs, pickles and the API reference name by where users import it from.

    The types of its fields are still looked up where it is defined.
    """
    hints = kind.__annotations__
    for name, hint in hints.items():
        text = hint.__forward_arg__ if isinstance(hint, ForwardRef) else hint
        if isinstance(text, str):
            hints[name] = ForwardRef(text, module=kind.__module__, is_class=True)
    kind.__module__ = __name__.partition(".")[0]
    return kind
