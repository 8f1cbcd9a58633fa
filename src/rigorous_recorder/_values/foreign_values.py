"""Values of other libraries that look plain but are missing, or have more than their numbers.

Nothing here imports such a library: if it was not imported, there are no values of it.
"""

from __future__ import annotations

import datetime as dt
import sys
from typing import Any, Final

from ..errors import UnsupportedTypeError, UnsupportedValueError

__all__ = [
    "check_is_bare",
    "is_arrow_scalar",
    "is_masked",
    "is_missing",
    "is_numpy_time",
    "nested_times",
    "plain_datetime",
    "plain_numpy_time",
    "plain_timedelta",
]

#: Types of pandas whose only value is a missing one.
_NO_VALUES: Final = {"NAType", "NaTType"}
#: Units of numpy's timedelta64 without a fixed length.
_NO_LENGTHS: Final = {"Y": "years", "M": "months", "generic": "no unit"}


def is_missing(value: Any) -> bool:
    """Whether it is a missing value: masked, NA, NaT, or an Arrow null."""
    kind = type(value)
    if kind.__name__ in _NO_VALUES:
        return _library(value) == "pandas"
    if is_masked(value):
        return value.shape == () and bool(value.mask)
    if is_numpy_time(value):
        return value.shape == () and bool(sys.modules["numpy"].isnat(value))
    return is_arrow_scalar(value) and not value.is_valid


def is_arrow_scalar(value: Any) -> bool:
    """Whether it is an Arrow scalar, which ``as_py`` converts."""
    return _library(value) == "pyarrow" and hasattr(value, "as_py")


def is_masked(value: Any) -> bool:
    """Whether it is a masked numpy array."""
    masked = sys.modules.get("numpy.ma")
    return masked is not None and isinstance(value, masked.MaskedArray)


def is_numpy_time(value: Any) -> bool:
    """Whether it is a datetime64 or timedelta64 of numpy, or an array of them."""
    dtype = getattr(value, "dtype", None)
    return getattr(dtype, "kind", None) in {"m", "M"} and _library(dtype) == "numpy"


def _library(value: Any) -> str:
    return str(type(value).__module__).partition(".")[0]


def nested_times(key: str, times: Any) -> Any:
    """Handle a datetime64 or timedelta64 in a dict or list: None if it is NaT.

    Raises:
        UnsupportedTypeError: it is a time, or an array with one.
    """
    if sys.modules["numpy"].isnat(times).all():
        return times.tolist()
    message = (
        f"{key!r}: a {times.dtype} inside a dict or list can't be stored. Convert it (x.astype(str)),"
        " or give it a key of its own"
    )
    raise UnsupportedTypeError(message)


def check_is_bare(key: str, value: Any) -> None:
    """Raise for an array with more than numbers: a unit, field names, or another mask.

    Raises:
        UnsupportedTypeError: it has more.
    """
    if _library(value) == "pandas":
        if not _has_names(getattr(value, "index", None)):
            return
        more, way_out = "an index", "Store x.to_dict(), or without the index x.to_numpy()"
    elif getattr(value.dtype, "names", None):
        more, way_out = "named fields", "Give each field a key of its own (x['name'])"
    elif hasattr(value, "unit") or hasattr(value, "units"):
        more, way_out = "a unit", "Store its number (x.value or x.magnitude), the unit in the key"
    elif hasattr(value, "unmasked"):
        more, way_out = "a mask", "Store x.filled(float('nan')), or the list that you mean"
    else:
        return
    message = f"{key!r}: a {type(value).__name__} with {more} can't be stored. {way_out}"
    raise UnsupportedTypeError(message)


def _has_names(index: Any) -> bool:
    """Whether a pandas index is more than row numbers."""
    kind = getattr(getattr(index, "dtype", None), "kind", "i")
    return kind not in {"i", "u"} or getattr(index, "name", None) is not None


def plain_datetime(key: str, value: dt.datetime) -> dt.datetime | None:
    """A datetime subclass as a plain datetime; None for NaT.

    Raises:
        UnsupportedValueError: it has more, such as the nanoseconds of pandas' Timestamp.
    """
    if is_missing(value):
        return None
    _check_nanoseconds(key, value, "nanosecond", "x.floor('us')")
    fields = (value.year, value.month, value.day, value.hour, value.minute, value.second)
    try:
        plain = dt.datetime(*fields, value.microsecond, tzinfo=value.tzinfo)
    except ValueError as error:  # pandas supports years beyond 9999
        message = (
            f"{key!r}: the {type(value).__name__} {value} is outside the years 1 to 9999. Store it as"
            " text (str(x))"
        )
        raise UnsupportedValueError(message) from error
    return plain.replace(fold=value.fold)


def plain_timedelta(key: str, value: dt.timedelta) -> dt.timedelta:
    """A timedelta subclass as a plain timedelta.

    Raises:
        UnsupportedValueError: it has more, such as the nanoseconds of pandas' Timedelta.
    """
    _check_nanoseconds(key, value, "nanoseconds", "x.floor('us')")
    return dt.timedelta(value.days, value.seconds, value.microseconds)


def _check_nanoseconds(key: str, value: Any, name: str, way_out: str) -> None:
    if getattr(value, name, 0):
        message = (
            f"{key!r}: the {type(value).__name__} {value} has nanoseconds; times are stored in"
            f" microseconds. Round it ({way_out}), or store it as an int (x.value)"
        )
        raise UnsupportedValueError(message)


def plain_numpy_time(key: str, value: Any) -> dt.date | dt.datetime | dt.timedelta:
    """A datetime64 or timedelta64 of numpy as a datetime or timedelta.

    Raises:
        UnsupportedTypeError: its unit has no fixed length: years, months, or none.
        UnsupportedValueError: it is finer than a microsecond, or outside the years 1 to 9999.
    """
    numpy, family = sys.modules["numpy"], str(value.dtype).partition("[")[0]
    unit = numpy.datetime_data(value.dtype)[0]
    if family == "timedelta64" and unit in _NO_LENGTHS:
        message = (
            f"{key!r}: a timedelta64 of {_NO_LENGTHS[unit]} has no fixed length. Store it as an int"
            " (x.astype('int64')), and the unit in the key"
        )
        raise UnsupportedTypeError(message)
    micro = value.astype(f"{family}[us]")
    item = micro.item()
    if micro.astype(value.dtype) != value or isinstance(item, int):
        most = "the years 1 to 9999" if family == "datetime64" else "64 bits of them"
        message = (
            f"{key!r}: {value!r} is finer than a microsecond, or beyond {most}."
            f" Round it with x.astype('{family}[us]'), or store it as an int (x.astype('int64'))"
        )
        raise UnsupportedValueError(message)
    return item  # type: ignore[no-any-return]
