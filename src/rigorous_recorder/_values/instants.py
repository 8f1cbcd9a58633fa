"""Times and durations as the numbers of their cells: microseconds, since 1970 for times."""

from __future__ import annotations

import datetime as dt
from typing import Final

__all__ = [
    "EPOCH",
    "MICROSECOND",
    "UTC_EPOCH",
    "DurationCell",
    "NaiveCell",
    "UtcCell",
    "datetime_cell",
    "duration_cell",
]

EPOCH: Final = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - the naive counterpart of the epoch below
UTC_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND: Final = dt.timedelta(microseconds=1)


class UtcCell(int):
    """A time in UTC, ready for a cell; users' values never have this type."""

    __slots__ = ()


class NaiveCell(int):
    """A time without a zone, likewise."""

    __slots__ = ()


class DurationCell(int):
    """A timedelta, likewise."""

    __slots__ = ()


def datetime_cell(value: dt.datetime) -> int | dt.datetime:
    """The number of a time in UTC or without a zone; another zone's is returned as it is."""
    zone = value.tzinfo
    if zone is dt.UTC:
        return UtcCell((value - UTC_EPOCH) // MICROSECOND)
    return value if zone is not None else NaiveCell((value - EPOCH) // MICROSECOND)


def duration_cell(value: dt.timedelta) -> DurationCell:
    """The number of a timedelta, which may be beyond 64 bits: no cell accepts it then."""
    return DurationCell(value // MICROSECOND)
