"""Names and text in SQL: the only place that quotes, and that looks into a query."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    import duckdb

__all__ = ["Mentioned", "identifier", "literal", "mentioned", "sql_names"]

#: Parts of a statement that name no column and yet may take any: a star, a column by its number,
#: PIVOT and the like, functions that give tables, joins over whatever names are alike.
_TAKES_ALL: Final = frozenset(
    {"STAR", "POSITIONAL_REFERENCE", "PIVOT", "TABLE_FUNCTION", "NATURAL", "POSITIONAL"}
)


def identifier(name: str) -> str:
    """A name as SQL takes it, whatever it contains."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def sql_names(keys: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """For each key the name of its column in SQL.

    SQL compares names without case and has no empty name, so of keys that meet there the first
    keeps its name and the others get ``_2``, ``_3``, ... behind it; an empty key is ``_empty``.
    NUL, which ends a statement, is written as U+2400.
    """
    names: dict[str, str] = {}
    used = {name.casefold() for name in taken}
    wanted = list(keys)
    exact = {key.casefold() for key in wanted}
    for key in wanted:
        base = name = key.replace("\0", "\u2400") or "_empty"
        count = 1
        while name.casefold() in used or (count > 1 and name.casefold() in exact):
            count += 1
            name = f"{base}_{count}"
        used.add(name.casefold())
        names[key] = name
    return names


class Mentioned(NamedTuple):
    """What a query can use of tables and their columns.

    Attributes:
        words: all text in it, names among it, in lower case; None where that can't be told.
        takes_all: whether it can take columns that it does not name.
    """

    words: frozenset[str] | None
    takes_all: bool

    def has_table(self, name: str) -> bool:
        """Whether the query can use that table."""
        return self.words is None or name.casefold() in self.words

    def has_column(self, name: str) -> bool:
        """Whether the query can use a column of that name."""
        return self.takes_all or self.words is None or name.casefold() in self.words


def mentioned(connection: duckdb.DuckDBPyConnection, query: str) -> Mentioned:
    """What a query can use, as DuckDB's parser reads it; rather too much than too little."""
    found = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchall()
    parsed = json.loads(found[0][0])
    parts = list(_parts(parsed))
    texts = {part for part in parts if isinstance(part, str)}
    if parsed["error"] or "SHOW_REF" in texts:
        return Mentioned(None, takes_all=True)
    nodes = [part for part in parts if isinstance(part, dict)]
    tables = {name for node in nodes for name in _tables(node)}
    takes_all = bool(
        texts & _TAKES_ALL or any(map(_renames, nodes)) or tables & set(map(_lone_name, nodes))
    )
    return Mentioned(frozenset(text.casefold() for text in texts), takes_all)


def _parts(part: Any) -> Iterator[Any]:
    """A parsed statement and all that it is made of."""
    yield part
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    for each in inner:
        yield from _parts(each)


def _renames(node: dict[str, Any]) -> bool:
    """Whether a table's columns are given other names, by their order."""
    return bool(node.get("column_name_alias"))


def _tables(node: dict[str, Any]) -> Iterator[str]:
    """Names of a table: such a name by itself is a value of all of its columns."""
    if "sample" in node:
        yield from (
            str(node[part]).casefold() for part in ("alias", "table_name") if node.get(part)
        )


def _lone_name(node: dict[str, Any]) -> str | None:
    is_lone = node.get("class") == "COLUMN_REF" and len(node["column_names"]) == 1
    return str(node["column_names"][0]).casefold() if is_lone else None
