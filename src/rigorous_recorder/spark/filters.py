"""Filters that Spark hands over: those that mean just the same here, and what they hold for.

Spark's comparisons differ from Arrow's where NaN is: to Spark it equals itself, and is greater
than any other number.
"""

from __future__ import annotations

import math
from typing import Any, Final

from pyspark.sql import datasource as ds
from pyspark.sql import types as st

from .._arrow import pa, pc

__all__ = ["column_of", "held", "is_exact", "refuses_null"]

_COMPARISONS: Final = {
    ds.EqualTo: "equal",
    ds.EqualNullSafe: "equal",
    ds.GreaterThan: "greater",
    ds.GreaterThanOrEqual: "greater_equal",
    ds.LessThan: "less",
    ds.LessThanOrEqual: "less_equal",
}
_TEXTS: Final = {
    ds.StringStartsWith: "starts_with",
    ds.StringEndsWith: "ends_with",
    ds.StringContains: "match_substring",
}
#: Of which types values are compared here; each with the type that a value has to be of.
_VALUES: Final[dict[type[st.DataType], type]] = {
    st.BooleanType: bool,
    st.LongType: int,
    st.DoubleType: float,
    st.StringType: str,
}


def column_of(condition: ds.Filter) -> str | None:
    """The column that a filter asks about; None where it is a part of one."""
    if isinstance(condition, ds.Not):
        return column_of(condition.child)
    path: tuple[str, ...] = getattr(condition, "attribute", ())
    return path[0] if len(path) == 1 else None


def is_exact(condition: ds.Filter, kind: st.DataType) -> bool:
    """Whether a filter on a column of that type holds here for just the rows that it does in Spark."""
    if isinstance(condition, ds.Not):
        return is_exact(condition.child, kind)
    if isinstance(condition, (ds.IsNull, ds.IsNotNull)):
        return True
    if kind == st.StringType() and type(condition) in _TEXTS:
        return type(getattr(condition, "value", None)) is str
    if isinstance(condition, ds.In):
        # Spark looks up many numbers in a set, to which 0.0 and -0.0 are two.
        return kind != st.DoubleType() and all(_is_value(each, kind) for each in condition.value)
    if type(condition) in _COMPARISONS:
        return _is_value(getattr(condition, "value", None), kind)
    return False


def _is_value(value: Any, kind: st.DataType) -> bool:
    if type(value) is not _VALUES.get(type(kind)):
        return False
    return not isinstance(value, int) or -(2**63) <= value < 2**63


def refuses_null(condition: ds.Filter) -> bool:
    """Whether a filter does not hold where there is no value."""
    if isinstance(condition, ds.Not):
        return not isinstance(condition.child, (ds.IsNotNull, ds.EqualNullSafe))
    return not isinstance(condition, ds.IsNull)


def held(condition: ds.Filter, column: pa.Array) -> pa.Array:
    """Where an exact filter holds: true or not, or null where Spark does not know either."""
    if isinstance(condition, ds.Not):
        return pc.invert(held(condition.child, column))
    if isinstance(condition, ds.IsNull):
        return column.is_null()
    if isinstance(condition, ds.IsNotNull):
        return column.is_valid()
    if isinstance(condition, ds.In):
        found = pc.is_in(column, value_set=pa.array(condition.value, column.type))
        return pc.if_else(column.is_valid(), found, pa.scalar(None, pa.bool_()))
    value: Any = getattr(condition, "value", None)
    if (name := _TEXTS.get(type(condition))) is not None:
        return getattr(pc, name)(column, value)
    found = _compared(_COMPARISONS[type(condition)], column, value)
    return found.fill_null(False) if isinstance(condition, ds.EqualNullSafe) else found


def _compared(how: str, column: pa.Array, value: Any) -> pa.Array:
    if not isinstance(value, float):
        return getattr(pc, how)(column, pa.scalar(value, column.type))
    is_nan = pc.is_nan(column)
    if math.isnan(value):
        never, always = pc.and_(is_nan, pa.scalar(False)), pc.or_(is_nan, pa.scalar(True))
        return {
            "equal": is_nan,
            "greater": never,
            "greater_equal": is_nan,
            "less": pc.invert(is_nan),
            "less_equal": pc.if_else(column.is_valid(), always, pa.scalar(None, pa.bool_())),
        }[how]
    found = getattr(pc, how)(column, pa.scalar(value, column.type))
    return pc.or_(found, is_nan) if how.startswith("greater") else found
