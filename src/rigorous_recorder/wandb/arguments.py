"""What ``log`` is given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from rigorous_recorder.integrations.guest import report_once

__all__ = ["joined_dicts", "metrics_of", "step_of", "time_of"]

_TEXT: Final = frozenset({str})


def metrics_of(data: Any) -> dict[str, Any]:
    """A copy of a dict of metrics; a TypeError for all else."""
    if type(data) is not dict and not isinstance(data, Mapping):
        message = f"log takes a dict of metrics, not {data!r:.60}"
        raise TypeError(message)
    if not (_TEXT.issuperset(map(type, data)) or all(isinstance(key, str) for key in data)):
        message = f"the keys of log are texts, not {next(k for k in data if type(k) is not str)!r}"
        raise TypeError(message)
    return dict(data)


def joined_dicts(
    one: Mapping[str, Any], other: Mapping[str, Any], keys: Iterable[str]
) -> dict[str, Any] | None:
    """The values of both under these keys, as dicts; None if a value would replace another."""
    found: dict[str, Any] = {}
    for key in keys:
        first, second = one[key], other[key]
        if not (isinstance(first, dict) and isinstance(second, dict)):
            return None
        inside = joined_dicts(first, second, first.keys() & second.keys())
        if inside is None:
            return None
        found[key] = {**first, **second, **inside}
    return found


def step_of(step: Any) -> int:
    """A step; a TypeError for all but whole numbers."""
    if not hasattr(step, "__index__"):
        message = f"step is an int, not {step!r:.60}"
        raise TypeError(message)
    return int(step)


def time_of(fields: dict[str, Any]) -> datetime:
    """The time that a script gave as ``_timestamp``, or now; what is not a valid time stays a field."""
    try:
        given = datetime.fromtimestamp(float(fields["_timestamp"]), UTC)
    except (TypeError, ValueError, OverflowError, OSError) as error:
        report_once("_timestamp is not a valid time, and is logged as a field", error)
        return datetime.now(UTC)
    del fields["_timestamp"]
    return given
