"""The attributes of the exception that an experiment ended with."""

from __future__ import annotations

from itertools import starmap
from typing import Final

from ._keys import ERROR_KEYS
from ._lazy_imports import traceback
from ._report import error_line, error_message

__all__ = ["error_attributes"]

#: Maximum length of a message and of a traceback; longer ones lose their middle.
_LONGEST_MESSAGE: Final = 2_000
_LONGEST_TRACEBACK: Final = 20_000


def error_attributes(error: BaseException) -> dict[str, str]:
    """Type, message and traceback of an exception, including causes and grouped exceptions.

    The type includes its module, unless that is ``builtins`` or ``__main__``.
    """
    texts = (
        (_type_name(error), _LONGEST_MESSAGE),
        (error_message(error), _LONGEST_MESSAGE),
        (_traceback(error), _LONGEST_TRACEBACK),
    )
    return dict(zip(ERROR_KEYS, starmap(_storable, texts), strict=True))


def _type_name(error: BaseException) -> str:
    kind = type(error)
    try:
        module, name = str(kind.__module__), str(kind.__qualname__)
    except Exception:  # noqa: BLE001 - a user's metaclass can raise anything
        return type.__repr__(kind)
    return name if module in {"builtins", "__main__"} else f"{module}.{name}"


def _traceback(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001 - a user's exception can raise anything
        return error_line(error)


def _storable(text: str, most: int) -> str:
    """Text without lone surrogates, and without its middle if it is longer than ``most``."""
    if len(text) > most:
        cut = f"\n... {len(text) - most:,} characters are cut out here ...\n"
        text = text[: most // 2] + cut + text[len(text) - most // 2 :]
    return text.encode("utf-8", "backslashreplace").decode()
