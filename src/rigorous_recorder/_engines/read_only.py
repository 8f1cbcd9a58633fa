"""Queries of others: only SELECT, only the tables of a collection, no functions that open files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from ..errors import ArgumentError, ArgumentTypeError
from .sandbox import sandbox
from .sql import LEVEL, literal

__all__ = ["RESERVED", "read_only", "with_place"]

#: Functions in place of a table that open nothing.
_FUNCTIONS: Final = frozenset(
    {LEVEL, "range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree"}
)
_EXPLAIN: Final = re.compile(r"\s*explain\s+(analyze\s+)?", re.IGNORECASE)
_QUOTED: Final = re.compile(r'^(?:Binder|Catalog) Error: [^"\n]*"([^"\n]+)"')
_SHOW_TABLES: Final = re.compile(r"\s*show\s+tables\s*;?\s*", re.IGNORECASE)
_PIVOT: Final = re.compile(r"\s*pivot\b", re.IGNORECASE)
#: Characters before and behind a place in an error.
_AROUND: Final = 60
_TABLES: Final = ("records", "experiments", "recorders", "nodes")
#: Names of tables that no other table can have.
RESERVED: Final = frozenset(_TABLES)


def read_only(query: str, tables: Iterable[str] = ()) -> str:
    """A query as it is run: SELECT, DESCRIBE, SUMMARIZE or EXPLAIN over the tables, or SHOW TABLES.

    Args:
        tables: those that it may use besides the tables of a collection.

    Raises:
        ArgumentTypeError: it is not text.
        ArgumentError: it is something else; the message says what, and where.
    """
    if not isinstance(query, str):
        message = f"a query is text, such as 'SELECT count(*) FROM records', not {query!r:.60}"
        raise ArgumentTypeError(message)
    names = (*_TABLES[:3], *tables)
    known = {*_TABLES, *map(str.casefold, names)}
    if _SHOW_TABLES.fullmatch(query):
        return f"FROM (VALUES {', '.join(f'({literal(each)})' for each in names)}) AS t(name)"
    explained = _EXPLAIN.match(query)
    parsed = _parsed(query[explained.end() :] if explained else query, before=query)
    nodes = list(_nodes(parsed))
    _require_tables(nodes, known, names)
    return query


def _require_tables(nodes: list[dict[str, Any]], known: set[str], shown: Sequence[str]) -> None:
    names = (each["key"].casefold() for node in nodes for each in _common_tables(node))
    own = {each for each in names if "." not in each}  # such as a file, outside of that WITH
    for node in nodes:
        if node.get("type") == "TABLE_FUNCTION":
            name = str(node["function"].get("function_name", ""))
            _require(name, _FUNCTIONS, "function", shown)
        elif node.get("type") == "BASE_TABLE":
            place = (node.get("catalog_name"), node.get("schema_name"), node.get("table_name"))
            _require(".".join(str(each) for each in place if each), known | own, "table", shown)
        elif node.get("type") == "SHOW_REF" and not node.get("query"):
            if str(node.get("table_name")).strip('"').casefold() in known and not node.get(
                "schema_name"
            ):
                continue
            message = f"only tables can be shown here: {', '.join(shown)}"
            raise ArgumentError(message)


def _require(name: str, names: Iterable[str], what: str, shown: Sequence[str]) -> None:
    if name.casefold() not in names:
        message = (
            f"there is no {what} {name!r:.100} here; the tables are {', '.join(shown)}, and"
            f" {LEVEL}('key') for each key of recorders. No query can open files"
        )
        raise ArgumentError(message)


def _parsed(query: str, *, before: str) -> Any:
    found = sandbox().execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchall()
    try:
        parsed = json.loads(found[0][0])
    except RecursionError:
        message = "the query is nested too deeply"
        raise ArgumentError(message) from None
    if parsed["error"]:
        reason = str(parsed.get("error_message", "")).strip()
        message = f"only a single SELECT can be run here: {reason}{_hint(query)}"
        if (place := parsed.get("position")) is not None:  # in bytes
            at = len(query.encode()[: int(place)].decode("utf-8", "ignore"))
            message = f"{reason}{_place(before, at + len(before) - len(query))}"
        raise ArgumentError(message)
    if len(parsed["statements"]) != 1:
        message = f"one query at a time can be run here, not {len(parsed['statements'])}"
        raise ArgumentError(message)
    return parsed


def _hint(query: str) -> str:
    if not _PIVOT.match(query):
        return ""
    return "; PIVOT needs its values, as in PIVOT records ON model IN ('a', 'b') USING avg(loss)"


def with_place(message: str, query: str) -> str:
    """An error of DuckDB about a name, with the place of that name in the query."""
    name = _QUOTED.search(message)
    at = query.casefold().find(name[1].casefold()) if name and "LINE " not in message else -1
    return message if at < 0 else message + _place(query, at)


def _place(query: str, at: int) -> str:
    """The line of a place, and a mark below it, as DuckDB shows it."""
    lines = query[:at].split("\n")
    line = query.split("\n")[len(lines) - 1]
    first = max(0, len(lines[-1]) - _AROUND)
    shown = line[first : first + 2 * _AROUND]
    head = f"line {len(lines)}: "
    return f"\n\n{head}{shown}\n{' ' * (len(head) + len(lines[-1]) - first)}^"


def _nodes(parsed: Any) -> Iterable[dict[str, Any]]:
    waiting = [parsed]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def _common_tables(node: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of WITH."""
    found = node.get("cte_map")
    return list(found["map"]) if isinstance(found, dict) and found.get("map") else []
