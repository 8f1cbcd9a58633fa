"""Values of all kinds in text formats: JSON without types, and CSV."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from . import json_floats

__all__ = ["csv_text", "line_of_json", "text_form"]


def line_of_json(value: Any) -> str:
    """JSON text on one line; NaN and infinities, which JSON lacks, are null: see ``json_floats``."""
    return json_floats.dumps(text_form(value), ensure_ascii=False)


def csv_text(value: Any, to_json: Callable[[Any], str] = line_of_json) -> str:
    """A value in a cell: text without quotes, ``NaN``, ``inf``, nothing for null, others as JSON."""
    form = text_form(value)
    if form is None:
        return ""
    if isinstance(form, float) and not math.isfinite(form):
        return "NaN" if math.isnan(form) else str(form)
    return form if isinstance(form, str) else to_json(form)


def text_form(value: Any) -> Any:
    """A value as JSON has it; NaN and infinities stay floats.

    Times are ISO 8601, durations seconds, bytes hexadecimal, keys of mappings text.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): text_form(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [text_form(each) for each in value]
    return _leaf_form(value)


def _leaf_form(value: Any) -> Any:
    if isinstance(value, (dt.date, dt.datetime, dt.time)):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, Decimal):
        return _decimal_form(value)
    if isinstance(value, UUID):
        return str(value)
    return text_form(value.tolist())  # an array


def _decimal_form(value: Decimal) -> int | float | str:
    if value == value.to_integral_value():
        return int(value)
    return float(value) if Decimal(repr(float(value))) == value else str(value)
