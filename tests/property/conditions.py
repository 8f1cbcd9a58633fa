"""Conditions on columns of every kind: what they mean, and how each engine is queried by them.

Engines differ in two things, which are stated here: whether NaN equals itself and is the greatest
number (DuckDB, Polars, Spark), or every comparison with it but ``!=`` is false (Arrow, and pandas by
it); and Arrow's ``is_in``, which compares bits and is false for null.
"""

from __future__ import annotations

import datetime as dt
import math
import operator
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import strategies as st

__all__ = ["NUMBER", "Condition", "Row", "conditions", "has_nan", "have_one_zone", "rows"]

Row = dict[str, Any]
Rules = Literal["order", "arrow"]
Dialect = Literal["duckdb", "spark", "plain duckdb", "plain spark"]

#: The key that numbers the rows.
NUMBER: Final = "number"
_OPERATORS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ZONES: Final = [dt.UTC, *(dt.timezone(dt.timedelta(minutes=m)) for m in (330, -30, 120))]
_START, _END = dt.datetime(1700, 1, 1), dt.datetime(9998, 12, 31)
_VALUES: Final[dict[str, st.SearchStrategy[Any]]] = {
    "float": st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 0.0, 5e-324, 2.0**53, 0.5, 1.0])
    | st.floats(),
    "int": st.sampled_from([-(2**63), 2**63 - 1, 2**53 + 1, 2**53, 2**53 - 1, 0, 1])
    | st.integers(-(2**63), 2**63 - 1),
    "bool": st.booleans(),
    "text": st.sampled_from(["", "NaN", "null", "a", "A", "ß", "🦆"]),
    "date": st.dates(_START.date(), _END.date()),
    "naive": st.datetimes(_START, _END),
    "zoned": st.datetimes(_START, _END, timezones=st.sampled_from(_ZONES)),
    "duration": st.timedeltas(dt.timedelta(days=-100_000), dt.timedelta(days=100_000)),
}
_ARROW: Final = {
    "float": pa.float64(),
    "int": pa.int64(),
    "bool": pa.bool_(),
    "text": pa.string(),
    "date": pa.date32(),
    "naive": pa.timestamp("us"),
    "zoned": pa.timestamp("us", "UTC"),
    "duration": pa.duration("us"),
}
_SQL_TYPES: Final = {
    "float": "DOUBLE",
    "int": "BIGINT",
    "date": "DATE",
    "naive": "TIMESTAMP",
    "zoned": "TIMESTAMPTZ",
}


class Condition:
    """A condition, in each of the languages."""

    def holds(self, row: Row, rules: Rules) -> bool | None:
        """Whether a row meets it; None where that is unknown."""
        raise NotImplementedError

    def sql(self, dialect: Dialect) -> str:
        """In SQL."""
        raise NotImplementedError

    @property
    def polars(self) -> pl.Expr:
        """In Polars."""
        raise NotImplementedError

    @property
    def arrow(self) -> pc.Expression:
        """In Arrow."""
        raise NotImplementedError

    def numbers(self, found: list[Row], rules: Rules) -> list[int]:
        """The numbers of the rows that meet it."""
        return [row[NUMBER] for row in found if self.holds(row, rules)]


@dataclass(frozen=True)
class Compare(Condition):
    key: str
    sign: str
    value: Any

    def holds(self, row: Row, rules: Rules) -> bool | None:
        if (found := row.get(self.key)) is None:
            return None
        if rules == "order" and self.key == "float":
            return bool(_OPERATORS[self.sign](_ordered(found), _ordered(self.value)))
        return bool(_OPERATORS[self.sign](found, self.value))

    def sql(self, dialect: Dialect) -> str:
        return f"{self.key} {self.sign} {_literal(self.key, self.value, dialect)}"

    @property
    def polars(self) -> pl.Expr:
        return _OPERATORS[self.sign](pl.col(self.key), pl.lit(_utc(self.value)))  # type: ignore[no-any-return]

    @property
    def arrow(self) -> pc.Expression:
        value = pa.scalar(self.value, _ARROW[self.key])
        return _OPERATORS[self.sign](pc.field(self.key), value)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class In(Condition):
    key: str
    values: tuple[Any, ...]

    def holds(self, row: Row, rules: Rules) -> bool | None:
        found = row.get(self.key)
        if rules == "arrow":
            return found is not None and _bits(found) in map(_bits, self.values)
        return None if found is None else _ordered(found) in map(_ordered, self.values)

    def sql(self, dialect: Dialect) -> str:
        values = ", ".join(_literal(self.key, value, dialect) for value in self.values)
        return f"{self.key} IN ({values})"

    @property
    def polars(self) -> pl.Expr:
        return pl.col(self.key).is_in([_utc(value) for value in self.values])

    @property
    def arrow(self) -> pc.Expression:
        return pc.field(self.key).isin(pa.array(self.values, _ARROW[self.key]))


@dataclass(frozen=True)
class IsNull(Condition):
    key: str

    def holds(self, row: Row, rules: Rules) -> bool | None:  # noqa: ARG002
        return row.get(self.key) is None

    def sql(self, dialect: Dialect) -> str:  # noqa: ARG002
        return f"{self.key} IS NULL"

    @property
    def polars(self) -> pl.Expr:
        return pl.col(self.key).is_null()

    @property
    def arrow(self) -> pc.Expression:
        return pc.field(self.key).is_null()


@dataclass(frozen=True)
class IsNan(Condition):
    def holds(self, row: Row, rules: Rules) -> bool | None:  # noqa: ARG002
        found = row.get("float")
        return None if found is None else math.isnan(found)

    def sql(self, dialect: Dialect) -> str:
        # To Spark it is false of null, where it is unknown to others.
        if dialect in {"spark", "plain spark"}:
            return "if(float IS NULL, NULL, isnan(float))"
        return "isnan(float)"

    @property
    def polars(self) -> pl.Expr:
        return pl.col("float").is_nan()

    @property
    def arrow(self) -> pc.Expression:
        return pc.is_nan(pc.field("float"))


@dataclass(frozen=True)
class Not(Condition):
    inner: Condition

    def holds(self, row: Row, rules: Rules) -> bool | None:
        found = self.inner.holds(row, rules)
        return None if found is None else not found

    def sql(self, dialect: Dialect) -> str:
        return f"NOT ({self.inner.sql(dialect)})"

    @property
    def polars(self) -> pl.Expr:
        return ~self.inner.polars

    @property
    def arrow(self) -> pc.Expression:
        return ~self.inner.arrow


@dataclass(frozen=True)
class Both(Condition):
    word: Literal["AND", "OR"]
    one: Condition
    other: Condition

    def holds(self, row: Row, rules: Rules) -> bool | None:
        found = {self.one.holds(row, rules), self.other.holds(row, rules)}
        decides = self.word == "OR"
        return decides if decides in found else None if None in found else not decides

    def sql(self, dialect: Dialect) -> str:
        return f"({self.one.sql(dialect)}) {self.word} ({self.other.sql(dialect)})"

    @property
    def polars(self) -> pl.Expr:
        one, other = self.one.polars, self.other.polars
        return one & other if self.word == "AND" else one | other

    @property
    def arrow(self) -> pc.Expression:
        one, other = self.one.arrow, self.other.arrow
        return one & other if self.word == "AND" else one | other


def _ordered(value: Any) -> Any:
    """What compares as the value does where NaN equals itself and is the greatest number."""
    return (math.isnan(value), 0 if math.isnan(value) else value) if _is_float(value) else value


def _bits(value: Any) -> Any:
    """What is equal where the value's bits are, all NaN being one."""
    if not _is_float(value):
        return value
    return "NaN" if math.isnan(value) else struct.pack("d", value)


def _is_float(value: Any) -> bool:
    return isinstance(value, float)


def _utc(value: Any) -> Any:
    is_zoned = isinstance(value, dt.datetime) and value.tzinfo is not None
    return value.astimezone(dt.UTC) if is_zoned else value


def _literal(key: str, value: Any, dialect: Dialect) -> str:
    if key == "bool":
        return str(value).lower()
    if key == "text":
        return f"'{value}'"
    if key == "duration":
        microseconds = value // dt.timedelta(microseconds=1)
        if dialect == "duckdb":
            return f"to_microseconds({microseconds})"
        number = f"CAST('{microseconds}' AS BIGINT)"
        return f"({number} * INTERVAL '0.000001' SECOND)" if dialect == "spark" else number
    name = _SQL_TYPES[key]
    if dialect in {"spark", "plain spark"}:
        name = {"TIMESTAMP": "TIMESTAMP_NTZ", "TIMESTAMPTZ": "TIMESTAMP"}.get(name, name)
    return f"CAST('{_spelled(value)}' AS {name})"


def _spelled(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return str(_utc(value)) if isinstance(value, (dt.date, int)) else repr(value)


def _leaves() -> st.SearchStrategy[Condition]:
    def of_key(key: str) -> st.SearchStrategy[Condition]:
        values = _VALUES[key]
        signs = st.sampled_from(["=", "<>"] if key == "bool" else list(_OPERATORS))
        several = st.lists(values, min_size=1, max_size=3).map(tuple)
        return (
            st.builds(Compare, st.just(key), signs, values)
            | st.builds(In, st.just(key), several)
            | st.builds(IsNull, st.just(key))
        )

    # Floats are what readers get wrong.
    keys = st.sampled_from([*_VALUES, *["float"] * 6])
    return keys.flatmap(of_key) | st.builds(IsNan)


conditions: Final = st.recursive(
    _leaves(),
    lambda inner: (
        st.builds(Not, inner) | st.builds(Both, st.sampled_from(["AND", "OR"]), inner, inner)
    ),
    max_leaves=4,
)


def has_nan(asked: Condition) -> bool:
    """Whether a condition compares with NaN: Arrow's datasets prune files wrongly by its negation."""
    match asked:
        case Compare(value=value):
            return _is_float(value) and math.isnan(value)
        case In(values=values):
            return any(_is_float(value) and math.isnan(value) for value in values)
        case Not(inner=inner):
            return has_nan(inner)
        case Both(one=one, other=other):
            return has_nan(one) or has_nan(other)
    return False


def have_one_zone(found: list[Row]) -> bool:
    """Whether a plain reader finds every time in one column: a sealed file has one for each zone."""
    return len({row["zoned"].tzinfo for row in found if "zoned" in row}) <= 1


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    """Rows of which the first has a value of each kind, and the others come back more or less often."""
    whole = draw(st.fixed_dictionaries(_VALUES))
    others = draw(st.lists(st.fixed_dictionaries({}, optional=_VALUES), max_size=5))
    times = draw(st.sampled_from([1, 1, 40]))
    return [{NUMBER: number, **row} for number, row in enumerate([whole, *others * times])]
