"""Values of records and configurations in the forms that other tools have."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final

from .contract import Losses

__all__ = [
    "EXACT",
    "PICTURES",
    "TIMES",
    "as_float",
    "as_json",
    "flat",
    "has_rounding",
    "json_text",
    "media_of",
    "plain",
]

#: How pictures begin, and the suffixes of their files.
PICTURES: Final = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpg", b"GIF8": "gif"}
#: Ints up to this are exact as floats.
EXACT: Final = 1 << 53
TIMES: Final = (date, datetime, timedelta)
#: What importers and ``log_image`` store beside bytes.
_MEDIA: Final = ("name", "height", "width", "channels", "frames", "sample_rate", "label", "size",
                 "sha256", "format", "caption", "_type")  # fmt: skip


def plain(value: Any) -> Any:
    """A value as plain Python: arrays as lists, times as text."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value


def as_json(value: Any) -> str:
    """A value as JSON, with NaN and infinities as Python writes them; bytes as text."""
    return json.dumps(plain(value), default=repr, separators=(",", ":"))


def json_text(value: Any) -> str:
    """Text as it is, and any other value as JSON."""
    return value if isinstance(value, str) else as_json(value)


def flat(value: Mapping[str, Any], before: str) -> Iterator[tuple[str, Any]]:
    """The values in a dict, by their path joined by ``/``."""
    for key, each in value.items():
        if isinstance(each, Mapping) and each:
            yield from flat(each, f"{before}/{key}")
        else:
            yield f"{before}/{key}", each


def has_rounding(value: Any) -> bool:
    """Whether a number changes as a float of 64 bits."""
    try:
        return type(value) is int and abs(value) > EXACT and int(float(value)) != value
    except OverflowError:
        return True


def as_float(value: Any, losses: Losses) -> float:
    """A number as a float; what changes is counted."""
    if type(value) is bool:
        losses.add("bools: as 0 and 1")
    elif type(value) is int and has_rounding(value):
        losses.add("ints beyond 2**53: rounded to floats")
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def media_of(fields: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """The files among the fields of a record, each with what is beside it; and all other fields."""
    files = {key: value for key, value in fields.items() if isinstance(value, bytes)}
    if not files:
        return {}, dict(fields)
    beside = {f"{key}/{name}": (key, name) for key in files for name in _MEDIA}
    found: dict[str, dict[str, Any]] = {key: {"data": data} for key, data in files.items()}
    rest = {}
    for key, value in fields.items():
        if key in beside:
            of, name = beside[key]
            found[of][name] = value
        elif key not in files:
            rest[key] = value
    return found, rest
