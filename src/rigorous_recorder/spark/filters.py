"""Filter pushdown: which of Spark's filters mean exactly the same here, and which rows pass them.

Spark's comparisons differ from Arrow's for NaN: in Spark it equals itself and is greater than any
other number.
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
#: The types whose values are compared here, each with the Python type that a value must have.
_VALUES: Final[dict[type[st.DataType], type]] = {
    st.BooleanType: bool,
    st.LongType: int,
    st.DoubleType: float,
    st.StringType: str,
}


def column_of(condition: ds.Filter) -> str | None:
    """The column that a simple filter is about; None for nested fields."""
    if isinstance(condition, ds.Not):
        return column_of(condition.child)
    path: tuple[str, ...] = getattr(condition, "attribute", ())
    return path[0] if len(path) == 1 else None


def is_exact(condition: ds.Filter, kind: st.DataType) -> bool:
    """Whether a filter on a column of this type selects exactly the rows that Spark would."""
    if isinstance(condition, ds.Not):
        return is_exact(condition.child, kind)
    if isinstance(condition, (ds.IsNull, ds.IsNotNull)):
        return True
    if kind == st.StringType() and type(condition) in _TEXTS:
        return type(getattr(condition, "value", None)) is str
    if isinstance(condition, ds.In):
        # Spark looks up long lists of numbers in a set, in which 0.0 and -0.0 differ.
        return kind != st.DoubleType() and all(_is_value(each, kind) for each in condition.value)
    if type(condition) in _COMPARISONS:
        return _is_value(getattr(condition, "value", None), kind)
    return False


def _is_value(value: Any, kind: st.DataType) -> bool:
    if type(value) is not _VALUES.get(type(kind)):
        return False
    return not isinstance(value, int) or -(2**63) <= value < 2**63


def refuses_null(condition: ds.Filter) -> bool:
    """Whether a filter never holds for null."""
    if isinstance(condition, ds.Not):
        return not isinstance(condition.child, (ds.IsNotNull, ds.EqualNullSafe))
    return not isinstance(condition, ds.IsNull)


def held(condition: ds.Filter, column: pa.Array) -> pa.Array:
    """Where an exact filter holds; null where Spark's result is null, too."""
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
