"""What an import that was killed had written of a run, so that none of it is written twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from rigorous_recorder import Recorder
from rigorous_recorder._arrow import pa, pc

__all__ = ["Stored", "has_parts", "missing", "was_torn"]

_OF_RECORD: Final = ("step", "time")


class Stored:
    """The values of records that may be given again in another order, and among others.

    Args:
        recorder: whose records.
        first: the number of the first one.
    """

    def __init__(self, recorder: Recorder, first: int) -> None:
        self._recorder = recorder
        self._points: Counter[int] = Counter()
        for row in islice(recorder.records, first, None):  # not as a list of all
            own = {key: value for key, value in row.items() if recorder.get(key) is None}
            self._points.update(_point(own, key) for key in own.keys() - _OF_RECORD)

    def new(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields that are not stored; empty if all are."""
        found = {}
        for key, value in fields.items():
            point = _point(fields, key)
            if key in _OF_RECORD:
                found[key] = value
            elif self._points[point]:
                self._points[point] -= 1
            else:
                found[key] = value
        return found if found.keys() - _OF_RECORD else {}


def _point(fields: Mapping[str, Any], key: str) -> int:
    time = fields.get("time")
    at = None if time is None else time.timestamp()
    return hash((key, repr(fields.get("step")), at, repr(fields[key])))


def has_parts(recorder: Recorder, first: int) -> bool:
    """Whether records from a number on may be parts of one: at the same step and time, one after another."""
    table = recorder.records.select(*_OF_RECORD).to_arrow().slice(first)
    is_same = []
    for key in _OF_RECORD:
        before, after = table[key][:-1], table[key][1:]
        try:
            is_equal = pc.equal(before, after).fill_null(False)
        except pa.ArrowException:  # values of several kinds
            return True
        is_same.append(pc.or_(is_equal, pc.and_(pc.is_null(before), pc.is_null(after))))
    return bool(pc.any(pc.and_(*is_same)).as_py())


def missing(fields: Mapping[str, Any], last: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that the last record has not yet, with its step and time; empty if there are none."""
    if any(fields.get(key) != last.get(key) for key in _OF_RECORD):
        return {}
    new = {key: value for key, value in fields.items() if last.get(key) is None}
    return {key: fields[key] for key in _OF_RECORD if key in fields} | new if new else {}


def was_torn(fields: Mapping[str, Any], last: Mapping[str, Any]) -> bool:
    """Whether the last record was read before its last value was written to its end."""
    *before, end = fields
    return repr(fields[end]) != repr(last.get(end)) and all(
        repr(fields[key]) == repr(last.get(key)) for key in before
    )
