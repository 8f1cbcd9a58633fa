"""Values as JSON for the page: text and numbers, bounded in size."""

from __future__ import annotations

import json
import math
from typing import Any, Final

__all__ = ["json_bytes", "plain"]

_MOST_CHARACTERS: Final = 500
#: Ints beyond are rounded by JavaScript.
_LARGEST_INT: Final = 1 << 53


def plain(value: Any, most: int = _MOST_CHARACTERS) -> Any:
    """A value as a number, bool, text or None; long text is cut, with an ellipsis.

    NaN, infinities and large ints are text, which JSON or JavaScript would change.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) <= _LARGEST_INT:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    text = value if isinstance(value, str) else _text(value)
    return text if len(text) <= most else f"{text[:most]}…"


def _text(value: Any) -> str:
    if isinstance(value, (dict, list)):
        try:
            return json.dumps(value, ensure_ascii=False, default=str)
        except (ValueError, TypeError):
            return repr(value)
    return str(value)


def json_bytes(value: Any) -> bytes:
    """Compact JSON; unpaired surrogates, which UTF-8 lacks, are replaced.

    Raises:
        ValueError: there is a NaN or an infinity.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")
