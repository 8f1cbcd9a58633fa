"""Query results as rows of Python values; values that Python can't represent become text."""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Iterator
from typing import Any, Final

from .._arrow import pa
from .._lazy_imports import duckdb, sqltypes
from .._values import json_text

__all__ = ["column_values", "readable", "rows_of"]

#: DuckDB types whose values would lose precision in Python.
_CUT: Final = frozenset({"timestamp_ns", "time", "time_ns", "time with time zone", "bit", "bignum"})
#: Types with a wider range than Python's: infinity, and years outside 1 to 9999.
_FAR: Final = frozenset(
    {
        "date",
        "timestamp",
        "timestamp_s",
        "timestamp_ms",
        "timestamp with time zone",
        "interval",
    }
)


def rows_of(
    answer: duckdb.DuckDBPyRelation, documents: Container[str] = ()
) -> Iterator[tuple[Any, ...]]:
    """The rows in bounded memory.

    Args:
        documents: names of columns with JSON text, which is decoded into dicts and lists.
    """
    readers = [
        _documents if name in documents and kind == "VARCHAR" else column_values
        for name, kind in zip(answer.columns, answer.types, strict=True)
    ]
    for batch in readable(answer).to_arrow_reader():
        columns = zip(readers, batch.columns, strict=True)
        yield from zip(*(read(column) for read, column in columns), strict=True)


def readable(answer: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """The result with text in place of values that would lose precision in Python."""
    return _with_text(answer, _CUT)


def _documents(column: pa.Array) -> list[Any]:
    """Decode JSON text; text that is not valid JSON after the query stays text."""
    return [None if text is None else _document(text) for text in column.to_pylist()]


def _document(text: str) -> Any:
    try:
        found = json_text.load(text)
    except ValueError:
        return text
    return found if isinstance(found, (dict, list)) else text


def _with_text(answer: duckdb.DuckDBPyRelation, types: frozenset[str]) -> duckdb.DuckDBPyRelation:
    """The result with values of these types converted to text, also when nested."""
    shown = [_type_with_text(each, types) for each in answer.types]
    if shown == answer.types:
        return answer
    columns = [
        f"#{number}" if kind == before else f"CAST(#{number} AS {kind})"
        for number, (before, kind) in enumerate(zip(answer.types, shown, strict=True), 1)
    ]
    return answer.project(", ".join(columns))


def _type_with_text(kind: sqltypes.DuckDBPyType, types: frozenset[str]) -> sqltypes.DuckDBPyType:
    if kind.id in types:
        return duckdb.type("VARCHAR")
    if kind.id not in {"list", "array", "map", "struct", "tuple", "union"}:
        return kind
    inner = [
        (name, each) for name, each in kind.children if isinstance(each, sqltypes.DuckDBPyType)
    ]
    shown = [_type_with_text(each, types) for _, each in inner]
    if shown == [each for _, each in inner]:
        return kind
    if kind.id == "map":
        return duckdb.map_type(*shown)
    if kind.id == "struct":
        names = [name for name, _ in inner]
        return duckdb.struct_type(dict(zip(names, shown, strict=True)))
    return duckdb.type("VARCHAR") if kind.id in {"tuple", "union"} else duckdb.list_type(*shown)


def column_values(column: pa.Array) -> list[Any]:
    """The values of a column; those that Python can't represent as DuckDB's text."""
    try:
        return _in_python(column)
    except (OverflowError, ValueError):
        texts = _texts(column)
        return [_value(column.slice(at, 1), text) for at, text in enumerate(texts)]


def _value(column: pa.Array, text: Any) -> Any:
    try:
        return _in_python(column)[0]
    except (OverflowError, ValueError):
        return text


def _texts(column: pa.Array) -> list[Any]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        answer = connection.from_arrow(pa.table({"column": column}))
        values: list[Any] = _with_text(answer, _FAR).to_arrow_table().column(0).to_pylist()
    return values


def _in_python(column: pa.Array) -> list[Any]:
    values: list[Any] = column.to_pylist()
    return list(map(_with_durations, values)) if "interval" in str(column.type) else values


def _with_durations(value: Any) -> Any:
    """The value with durations in place of intervals; a month has 30 days, as in DuckDB."""
    if isinstance(value, pa.MonthDayNano):
        days = 30 * value.months + value.days
        return dt.timedelta(days, microseconds=value.nanoseconds // 1_000)
    if isinstance(value, dict):
        return {key: _with_durations(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return list(map(_with_durations, value))
    return value
