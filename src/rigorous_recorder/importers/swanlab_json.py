"""Records of SwanLab's files before version 0.8: JSON texts, which become those of later versions."""

from __future__ import annotations

import json
from datetime import datetime
from math import inf, nan
from typing import Any, Final, NamedTuple

from .protobuf import BadMessageError
from .texts import iso_time

__all__ = ["JsonRecord", "json_record", "number_of"]

_NUMBERS: Final = {"NaN": nan, "INF": inf, "-INF": -inf}


class JsonRecord(NamedTuple):
    """A record: what it is, its contents, and when it was written."""

    kind: str
    data: dict[str, Any]
    time: datetime | None


def json_record(text: bytes) -> JsonRecord:
    """The record of a text.

    Raises:
        BadMessageError: it is not one.
    """
    try:
        found = json.loads(text)
        data = found["data"]
        metric = data.get("metric") or data
        return JsonRecord(str(found["model_type"]), data, iso_time(metric.get("create_time")))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        message = "a record is not valid JSON"
        raise BadMessageError(message) from error


def number_of(value: Any) -> Any:
    """A number, also one that is written as text."""
    return _NUMBERS.get(value, value) if isinstance(value, str) else value
