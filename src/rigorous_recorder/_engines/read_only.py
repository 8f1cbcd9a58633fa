"""Queries of others: only SELECT, only the tables of a collection, no functions that open files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from ..errors import ArgumentError, ArgumentTypeError
from .sandbox import sandbox
from .sql import LEVEL

__all__ = ["require_read_only"]

#: Functions in place of a table that open nothing.
_FUNCTIONS: Final = frozenset(
    {LEVEL, "range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree"}
)
_TABLES: Final = ("records", "experiments", "recorders", "nodes")


def require_read_only(query: str) -> None:
    """Raise unless a query is one SELECT over the tables of a collection.

    Raises:
        ArgumentTypeError: it is not text.
        ArgumentError: it is something else; the message says what.
    """
    if not isinstance(query, str):
        message = f"a query is text, such as 'SELECT count(*) FROM records', not {query!r:.60}"
        raise ArgumentTypeError(message)
    nodes = list(_nodes(_parsed(query)))
    names = (each["key"].casefold() for node in nodes for each in _common_tables(node))
    own = {each for each in names if "." not in each}  # such as a file, outside of that WITH
    for node in nodes:
        if node.get("type") == "TABLE_FUNCTION":
            _require(str(node["function"].get("function_name", "")), _FUNCTIONS, "function")
        elif node.get("type") == "BASE_TABLE":
            place = (node.get("catalog_name"), node.get("schema_name"), node.get("table_name"))
            _require(".".join(str(each) for each in place if each), {*_TABLES, *own}, "table")
        elif node.get("type") == "SHOW_REF":
            message = "only SELECT can be run here; the tables are " + ", ".join(_TABLES[:3])
            raise ArgumentError(message)


def _require(name: str, names: Iterable[str], what: str) -> None:
    if name.casefold() not in names:
        message = (
            f"there is no {what} {name!r:.100} here; the tables are {', '.join(_TABLES[:3])}, and"
            f" {LEVEL}('key') for each key of recorders. No query can open files"
        )
        raise ArgumentError(message)


def _parsed(query: str) -> Any:
    found = sandbox().execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchall()
    try:
        parsed = json.loads(found[0][0])
    except RecursionError:
        message = "the query is nested too deeply"
        raise ArgumentError(message) from None
    if parsed["error"]:
        reason = str(parsed.get("error_message", "")).strip()
        message = f"only a single SELECT can be run here: {reason}"
        raise ArgumentError(message)
    if len(parsed["statements"]) != 1:
        message = f"one query at a time can be run here, not {len(parsed['statements'])}"
        raise ArgumentError(message)
    return parsed


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
