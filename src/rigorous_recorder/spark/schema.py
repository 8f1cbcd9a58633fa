"""Which Spark types can be stored, and as which columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from pyspark.sql import types as st

from .._arrow import pa, pc
from .._columns import columns_of
from .._live.column import Column
from .._values.kinds import DATE, DATETIME, JSON, NULL, UTC_DATETIME, Kind
from ..errors import UnsupportedTypeError, UnsupportedValueError

__all__ = ["check_simple", "check_storable", "stored_columns"]

_NUMBERS: Final = (
    st.BooleanType,
    st.ByteType,
    st.ShortType,
    st.IntegerType,
    st.LongType,
    st.FloatType,
    st.DoubleType,
)
_SIMPLE: Final = (
    *_NUMBERS,
    st.StringType,
    st.CharType,
    st.VarcharType,
    st.BinaryType,
    st.DateType,
    st.TimestampType,
    st.TimestampNTZType,
    st.DayTimeIntervalType,
)
_ALONE: Final = (*_SIMPLE, st.NullType)
#: The types that survive a round trip through JSON.
_IN_JSON: Final = (*_NUMBERS, st.StringType, st.CharType, st.VarcharType, st.NullType)
#: First and last day and microsecond of the years 1 to 9999, counted from 1970.
_DAYS: Final = (-719_162, 2_932_896)
_MICROSECONDS: Final = (_DAYS[0] * 86_400_000_000, (_DAYS[1] + 1) * 86_400_000_000 - 1)
_RANGES: Final[dict[Kind, tuple[str, tuple[int, int]]]] = {
    DATE: ("int32", _DAYS),
    DATETIME: ("int64", _MICROSECONDS),
    UTC_DATETIME: ("int64", _MICROSECONDS),
}


def check_storable(schema: st.StructType) -> None:
    """Raise for columns whose values could not be read back unchanged.

    Raises:
        UnsupportedTypeError: a type can't be stored; the message names the column, its type and an alternative.
        UnsupportedValueError: two columns have the same name.
    """
    twice = [name for name, count in Counter(schema.names).items() if count > 1]
    if twice:
        message = f"more than one column has the name {twice[0]!r}: rename all but one"
        raise UnsupportedValueError(message)
    for field in schema.fields:
        if not _is_storable(field.dataType):
            raise _refused(field)


def check_simple(field: st.StructField) -> None:
    """Raise for a column that can't be an attribute of a recorder.

    Raises:
        UnsupportedTypeError: its values are not scalars.
    """
    if not (isinstance(field.dataType, _SIMPLE) or _is_of_ints(field.dataType)):
        message = (
            f"column {field.name!r} ({field.dataType.simpleString()}) can't be a parent: expected"
            " numbers, booleans, text, bytes, dates, times or intervals"
        )
        raise UnsupportedTypeError(message)


def _is_storable(kind: st.DataType) -> bool:
    return _is_alone(kind) or _is_list(kind) or _is_json(kind)


def _is_alone(kind: st.DataType) -> bool:
    return isinstance(kind, _ALONE) or _is_of_ints(kind)


def _is_of_ints(kind: st.DataType) -> bool:
    """Whether it is a decimal without a fraction."""
    return isinstance(kind, st.DecimalType) and kind.scale == 0


def _is_list(kind: st.DataType) -> bool:
    """Whether it is a list of numbers, of any depth."""
    while isinstance(kind, st.ArrayType):
        kind = kind.elementType
        if isinstance(kind, _NUMBERS):
            return True
    return False


def _is_json(kind: st.DataType) -> bool:
    """Whether nested values survive a round trip through JSON."""
    if isinstance(kind, st.ArrayType):
        return _is_json_inside(kind.elementType)
    if isinstance(kind, st.MapType):
        return isinstance(kind.keyType, st.StringType) and _is_json_inside(kind.valueType)
    if isinstance(kind, st.StructType):
        is_unique = len(set(kind.names)) == len(kind.names)
        return is_unique and all(_is_json_inside(field.dataType) for field in kind.fields)
    return False


def _is_json_inside(kind: st.DataType) -> bool:
    return isinstance(kind, _IN_JSON) or _is_json(kind)


def _refused(field: st.StructField) -> UnsupportedTypeError:
    kind = field.dataType
    if isinstance(kind, st.DecimalType):
        advice = "cast it to double, to long, or to string, whichever preserves what you need"
    elif isinstance(kind, st.MapType) and not isinstance(kind.keyType, st.StringType):
        advice = "keys of maps are text: make them strings"
    elif isinstance(kind, (st.ArrayType, st.MapType, st.StructType)):
        advice = "nested values can be numbers, booleans and text: cast the rest to string"
    else:
        advice = "cast it to string, or to a number"
    message = f"column {field.name!r}: {kind.simpleString()} can't be stored as it is; {advice}"
    return UnsupportedTypeError(message)


def stored_columns(
    batch: pa.RecordBatch | pa.Table, fields: Iterable[st.StructField]
) -> dict[Column, pa.Array]:
    """The stored columns of a Spark batch, in sealed types.

    Raises:
        UnsupportedValueError: a date or time is outside the years 1 to 9999.
    """
    found: dict[Column, pa.Array] = {}
    for field in fields:
        values = batch.column(field.name)
        for column, stored in _stored(field, values).items():
            _check_range(column, stored)
            found[column] = stored
    return found


def _stored(field: st.StructField, values: Any) -> dict[Column, pa.Array]:
    kind = field.dataType
    if isinstance(kind, st.TimestampType):
        values = values.cast(pa.timestamp("us", "UTC"))  # independent of the session's time zone
    if _is_list(kind) or _is_alone(kind):
        # The kind of a list with missing elements depends on its values; a missing list stays
        # missing.
        columns = columns_of({field.name: values})[1]
        return {column: found for column, found in columns.items() if column.kind != NULL}
    texts = JSON.column(values.to_pylist(maps_as_pydicts="strict"))
    return {Column(field.name, JSON): texts}


def _check_range(column: Column, values: pa.Array) -> None:
    if column.kind not in _RANGES:
        return
    number, (first, last) = _RANGES[column.kind]
    ends = pc.min_max(values.cast(number)).as_py()
    if ends["min"] is not None and not first <= ends["min"] <= ends["max"] <= last:
        message = (
            f"column {column.key!r} has a {column.kind.name} that is outside the years 1 to 9999 and"
            " can't be stored. Cast it to string"
        )
        raise UnsupportedValueError(message)
