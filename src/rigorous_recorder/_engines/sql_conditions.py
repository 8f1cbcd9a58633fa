"""Conditions in SQL: checked to be a single expression over columns, and evaluated by DuckDB."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from .._arrow import pa
from .._lazy_imports import duckdb, textwrap
from .._once import once, remembered
from .._values.chunks import one_array
from .._values.kinds import NULL, Kind
from ..errors import ArgumentError, ArgumentTypeError
from .duckdb_values import for_duckdb
from .instants import instants_in, select_with_instants
from .mixed import Flat
from .sandbox import sandbox
from .sql import Mentioned, SqlNames

__all__ = ["BoundSql", "SqlCondition", "first_line", "sql_condition"]

_EXAMPLE: Final = "\"loss < 0.1 and model like 'cnn%'\""
#: What a condition can't contain, by the class of the parsed expression.
_REFUSED: Final = {
    "SUBQUERY": "a query in it",
    "WINDOW": "a window function",
    "STAR": "a star, which names no column",
    "POSITIONAL_REFERENCE": "a column by its number",
    "DEFAULT": "DEFAULT",
}
#: Names that are functions without parentheses unless there is such a column.
_NAMED_FUNCTIONS: Final = frozenset(
    {"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"}
)
_TABLE: Final = "records"
#: For conditions that use no column: a table must have one.
_NO_COLUMN: Final = chr(1)
_PLACES: Final = frozenset({"query_location", "query_location_length"})


class SqlCondition(NamedTuple):
    """The records for which a SQL expression is true.

    Attributes:
        text: the expression.
        names: the columns in it, as written.
        parts: those operands of a top-level AND that can be evaluated separately.
    """

    text: str
    names: frozenset[str]
    parts: tuple[SqlCondition, ...] = ()

    def __str__(self) -> str:
        """Format it for messages."""
        return f"where({textwrap.shorten(self.text, 60, placeholder='...')!r})"

    def why_no_condition(self, type_of: Callable[[str], Any]) -> str | None:
        """Why its value is not a condition; None if it is one.

        Args:
            type_of: the type in DuckDB of an expression over the columns.

        Raises:
            duckdb.Error: the expression does not fit the columns.
        """
        text = f"({self.text}\n)"
        kind = str(type_of(text))
        # DuckDB 1 gives a constant NULL the type INTEGER, but not beside a boolean.
        is_null = kind == "INTEGER" and str(type_of(f"coalesce({text}, true)")) == "BOOLEAN"
        if is_null or kind in {"BOOLEAN", '"NULL"', "NULL"}:
            return None
        return (
            f"{self}: it is a value of type {kind}, not a condition. Compare it with"
            f" something, as in {_EXAMPLE}"
        )


def sql_condition(text: str) -> SqlCondition:
    """Parse a condition that a user wrote.

    Raises:
        ArgumentTypeError: it is not text.
        ArgumentError: it is not a single SQL expression, or can't be a condition.
    """
    if not isinstance(text, str):
        shown = textwrap.shorten(repr(text), 60, placeholder="...")
        message = f"a condition is SQL text, such as {_EXAMPLE}, or key=value; not {shown}"
        if isinstance(text, Mapping):
            message += ". Keys of a dict are given as where(**conditions)"
        raise ArgumentTypeError(message)
    try:
        return _parsed(text)
    except _NoConditionError as error:
        raise _not_one(text, error) from None
    except RecursionError:
        raise _not_one(text, "it is nested too deeply") from None


class _NoConditionError(Exception):
    """Why a text is not a valid condition."""


def _not_one(text: str, why: object) -> ArgumentError:
    shown = textwrap.shorten(text, 60, placeholder="...")
    return ArgumentError(
        f"where({shown!r}): {why}. Expected one SQL condition over the columns of the records, such"
        f" as {_EXAMPLE}"
    )


@remembered(256)
def _parsed(text: str) -> SqlCondition:
    if "\0" in text:
        message = "NUL ends a SQL text; it can't be in one"
        raise _NoConditionError(message)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _NoConditionError(error) from None
    bare, inside = _where(text), _where(f"({text}\n)")
    if bare != inside:  # as of "true) OR (true"
        message = "brackets are closed that were not opened"
        raise _NoConditionError(message)
    names = frozenset(_names(bare))
    parts = bare["children"] if bare.get("type") == "CONJUNCTION_AND" else []
    return SqlCondition(text, names, tuple(found for each in parts if (found := _part(each))))


def _where(text: str) -> dict[str, Any]:
    """The parsed expression behind WHERE, without positions in the text."""
    statements = _statements(f"SELECT * FROM {_TABLE} WHERE {text}")
    if len(statements) != 1:
        message = f"it is {len(statements)} statements"
        raise _NoConditionError(message)
    if statements[0].get("named_param_map"):
        message = "it has a parameter without a value"
        raise _NoConditionError(message)
    found: dict[str, Any] | None = statements[0]["node"].get("where_clause")
    if found is None or statements != _selecting(found):
        message = "more follows than a condition, such as ORDER BY or GROUP BY"
        raise _NoConditionError(message)
    return found


def _selecting(expression: dict[str, Any]) -> list[Any]:
    """A parsed statement with the expression behind WHERE."""
    (statement,) = json.loads(_template())
    statement["node"]["where_clause"] = expression
    return [statement]


@remembered(1)
def _template() -> str:
    return json.dumps(_statements(f"SELECT * FROM {_TABLE} WHERE true"))


def _statements(query: str) -> list[Any]:
    try:
        rows = sandbox().execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchall()
    except duckdb.Error as error:
        raise _NoConditionError(first_line(error)) from None
    parsed = json.loads(rows[0][0])
    if parsed["error"]:
        raise _NoConditionError(first_line(parsed["error_message"]))
    statements: list[Any] = _without_places(parsed["statements"])
    return statements


def first_line(error: object) -> str:
    """The first line of DuckDB's message."""
    return str(error).partition("\n")[0].rstrip(". ")


def _without_places(part: Any) -> Any:
    if isinstance(part, dict):
        return {key: _without_places(v) for key, v in part.items() if key not in _PLACES}
    return [_without_places(each) for each in part] if isinstance(part, list) else part


def _names(expression: dict[str, Any]) -> Iterator[str]:
    """The columns of an expression, as written, without lambda parameters."""
    waiting: list[tuple[Any, frozenset[str]]] = [(expression, frozenset())]
    while waiting:
        part, own = waiting.pop()
        if isinstance(part, dict):
            _check(part)
            if part.get("class") == "COLUMN_REF":
                yield from _column(part["column_names"], own)
            if part.get("class") == "LAMBDA":
                own |= {str(name).casefold() for name in _texts_under(part["lhs"], "column_names")}
            waiting += [(each, own) for each in part.values()]
        elif isinstance(part, list):
            waiting += [(each, own) for each in part]


def _check(part: dict[str, Any]) -> None:
    kind = str(part.get("class"))
    if kind in _REFUSED:
        message = f"it has {_REFUSED[kind]}"
        raise _NoConditionError(message)
    name = str(part.get("function_name", "")).casefold()
    if kind == "FUNCTION" and name in _volatile():
        message = f"{name}() gives another result each time it runs"
        raise _NoConditionError(message)


@remembered(1)
def _volatile() -> frozenset[str]:
    query = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability = 'VOLATILE'"
    return frozenset(name.casefold() for (name,) in sandbox().execute(query).fetchall())


def _column(path: Sequence[str], own: frozenset[str]) -> Iterator[str]:
    if path[0].casefold() in own:
        return
    if len(path) > 1 and path[0].casefold() == _TABLE:
        path = path[1:]
    if path[0].casefold() not in _NAMED_FUNCTIONS:
        yield ".".join(path)


def _texts_under(part: Any, name: str) -> Iterator[Any]:
    if isinstance(part, dict):
        yield from part.get(name) or ()
        part = list(part.values())
    for each in part if isinstance(part, list) else ():
        yield from _texts_under(each, name)


def _part(expression: dict[str, Any]) -> SqlCondition | None:
    """An operand by itself in DuckDB's spelling, if that parses to the same expression."""
    tree = json.dumps({"error": False, "statements": _selecting(expression)})
    try:
        rows = sandbox().execute("SELECT json_deserialize_sql(?::JSON)", [tree]).fetchall()
        text = rows[0][0].partition(" WHERE ")[2]
        is_same = _where(text) == expression
    except (duckdb.Error, _NoConditionError):
        return None
    return SqlCondition(text, frozenset(_names(expression))) if is_same else None


class BoundSql:
    """A condition whose names are bound to columns of a flat table.

    Args:
        condition: the condition.
        flats: the columns of the table, by name.
        kind_of: the kind of a column's values, by name.

    Attributes:
        text: the expression.
        columns: the columns that it uses, each with its SQL name and the kind of its values.
        unknown: the names in it that are not columns; they are null.
        parts: expressions that must be true for the whole to be true.
    """

    def __init__(
        self,
        condition: SqlCondition,
        names: SqlNames,
        flats: Mapping[str, Flat],
        kind_of: Callable[[str], Kind],
    ) -> None:
        self._condition = condition
        self.text = condition.text
        named = {name.casefold() for name in condition.names}
        self._instants = instants_in(named, names.all)
        plain = {n for n in condition.names if n.casefold() not in self._instants}
        used = names.columns_of(_uses(plain.union(self._instants.values())))
        self.columns = [(name, flats[flat], kind_of(flat)) for name, flat in used.items()]
        folded = {name.casefold() for name in used}
        unknown = (name for name in plain if name.casefold() not in folded)
        self.unknown = sorted(unknown, key=lambda name: (self.text.find(name), name))
        self.columns += [(n, Flat(n, n), NULL) for n in _each_once(self.unknown)]
        self.parts = [BoundSql(each, names, flats, kind_of) for each in condition.parts]

    def __str__(self) -> str:
        """Format it for messages."""
        return str(self._condition)

    @once
    def keys(self) -> tuple[str, ...]:
        """The keys that it uses."""
        return tuple(dict.fromkeys(flat.key for _, flat, _ in self.columns))

    @once
    def is_met_by_nothing(self) -> bool:
        """Whether a row without any of its keys meets it."""
        return bool(self.holds([_nothing(kind, 1) for _, _, kind in self.columns], 1)[0].as_py())

    @property
    def _source(self) -> str:
        if not self._instants:
            return _TABLE
        return f"({select_with_instants(_TABLE, self._instants)}) AS {_TABLE}"

    def why_unfit(self) -> str | None:
        """Why it is not a valid condition for its columns' kinds; None if it is."""
        nothing = [_nothing(kind, 0) for _, _, kind in self.columns]

        def type_of(expression: str) -> Any:
            # WHERE accepts neither aggregates nor functions that return rows.
            query = f"SELECT {expression} FROM {self._source} WHERE ({self.text}\n)"
            return self._run(nothing, 0, query).types[0]

        try:
            return self._condition.why_no_condition(type_of)
        except duckdb.Error as error:
            return f"{self}: {first_line(error)}"

    def holds(self, arrays: Sequence[pa.Array], rows: int) -> pa.Array:
        """Which rows it is true for; not those where it is null.

        Args:
            arrays: the values of its columns.

        Raises:
            ArgumentError: it can't be evaluated for a row, such as a cast that fails.
        """
        query = f"SELECT coalesce(({self.text}\n), false) FROM {self._source}"
        try:
            found = self._run(arrays, rows, query).to_arrow_table()
        except duckdb.Error as error:
            message = f"{self}: {first_line(error)}"
            raise ArgumentError(message) from error
        return one_array(found.column(0))

    def _run(self, arrays: Sequence[pa.Array], rows: int, query: str) -> duckdb.DuckDBPyRelation:
        named = {
            name: for_duckdb(array)
            for (name, _, _), array in zip(self.columns, arrays, strict=True)
        }
        if not named:
            named = {_NO_COLUMN: pa.nulls(rows)}
        connection = sandbox()
        connection.register(_TABLE, pa.table(named))
        return connection.sql(query)


def _nothing(kind: Kind, rows: int) -> pa.Array:
    return pa.nulls(rows, pa.null() if kind == NULL else kind.sealed_type)


def _each_once(names: Iterable[str]) -> Iterator[str]:
    """The names that are distinct in SQL."""
    return iter({name.casefold(): name for name in names}.values())


def _uses(names: set[str]) -> Mentioned:
    words = frozenset(name.casefold() for name in names)
    return Mentioned(words, frozenset(names), any_table=False, any_column=False, only_reads=True)
