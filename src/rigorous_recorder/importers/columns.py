"""Many records of the same keys as columns: one call for all of them."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rigorous_recorder._arrow import pa, pc

from .contract import Event, Record, Rows, utc_time

__all__ = ["as_floats", "events_of", "plain"]

#: Fewer records than this are given one by one.
_FEWEST: Final = 16
#: Ints up to this are exact as floats.
_EXACT: Final = 1 << 53
#: The seconds of the years 1 to 9999.
_FIRST_SECOND: Final = -62_135_596_800
_LAST_SECOND: Final = 253_402_300_799


def as_floats(values: list[Any]) -> list[Any]:
    """Numbers as floats, where that is exact; other values stay."""
    return [
        float(each) if type(each) is int and -_EXACT <= each <= _EXACT else each for each in values
    ]


def events_of(
    run: str, columns: Mapping[str, list[Any]], steps: Sequence[Any], seconds: Sequence[Any]
) -> Iterator[Event]:
    """The records of a run, given as columns of one length, as few events.

    Args:
        columns: the metrics; a record has all of those keys.
        steps: the step of each record, or None.
        seconds: the time of each record in seconds since 1970, or None.
    """
    kinds = [_kind(each) for each in columns.values()]
    of_steps = _kind(steps)
    if len(steps) >= _FEWEST and of_steps is not None and None not in kinds:
        arrays = {
            key: _array(values, kind)
            for (key, values), kind in zip(columns.items(), kinds, strict=True)
        }
        times = _times(seconds)
        steps_or_none = None if of_steps == pa.null() else _array(steps, of_steps)
        yield Rows(run, len(steps), arrays, steps_or_none, times)
        return
    for at, (step, second) in enumerate(zip(steps, seconds, strict=True)):
        time = None if second is None else utc_time(second)
        yield Record(run, {key: values[at] for key, values in columns.items()}, step, time)


def _array(values: Sequence[Any], kind: Any) -> Any:
    """The column of values; of numbers without a null by hand, for which pyarrow would import pandas."""
    code = {pa.int64(): "q", pa.float64(): "d"}.get(kind)
    if code is None or None in values:
        return pa.array(values, kind)
    data = pa.py_buffer(array(code, values))
    return pa.Array.from_buffers(kind, len(values), [None, data])


def _times(seconds: Sequence[Any]) -> Any:
    """A column of times; None if there is none."""
    times = [None if each is None else _microseconds(each) for each in seconds]
    if all(each is None for each in times):
        return None
    return _array(times, pa.int64()).cast(pa.timestamp("us", "UTC"))


def _microseconds(seconds: float) -> int | None:
    """Microseconds since 1970, rounded as ``utc_time`` does; None if it has no such time."""
    if _FIRST_SECOND <= seconds <= _LAST_SECOND:
        whole = int(seconds)
        return whole * 1_000_000 + round((seconds - whole) * 1e6)
    return None


def _kind(values: Sequence[Any]) -> Any:
    """The type of a column that gives each value back as it is; None if there is no such type."""
    kinds = set(map(type, values))
    kinds.discard(type(None))
    if not kinds:
        return pa.null()
    if kinds == {int}:
        numbers = [each for each in values if each is not None]
        return pa.int64() if min(numbers) >= -(1 << 63) and max(numbers) < 1 << 63 else None
    if kinds == {float}:
        return pa.float64()
    return pa.bool_() if kinds == {bool} else None


def plain(value: Any) -> Any:
    """A value in Python; a time with nanoseconds, for which that has no type, is text."""
    if not isinstance(value, pa.Scalar):
        return value
    if getattr(value.type, "unit", "") != "ns" or not value.is_valid:
        return value.as_py()
    if pa.types.is_duration(value.type):
        whole, text = pa.duration("us"), f"{value.value} ns"
    elif pa.types.is_timestamp(value.type):
        whole, text = pa.timestamp("us", value.type.tz), pc.cast(value, pa.string()).as_py()
    else:
        whole, text = pa.time64("us"), pc.cast(value, pa.string()).as_py()
    return text if value.value % 1000 else value.cast(whole).as_py()
