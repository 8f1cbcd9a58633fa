"""Names and text in SQL: the only place that quotes, and that looks into a query."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    import duckdb

__all__ = ["ANYTHING", "Mentioned", "identifier", "literal", "mentioned", "sql_names"]

#: Parts of a statement that name no column and yet may take any: a star, a column by its number,
#: PIVOT and the like, functions that give tables, joins over whatever names are alike.
_TAKES_ALL: Final = frozenset(
    {"STAR", "POSITIONAL_REFERENCE", "PIVOT", "TABLE_FUNCTION", "NATURAL", "POSITIONAL"}
)
#: Words of a statement that names columns: of a column itself, and of a join with a list of names.
_NAMES_COLUMNS: Final = frozenset({"column_ref", "join"})
_CATALOGS: Final = ("information_schema", "pg_catalog")
_CATALOG_TABLES: Final = ("duckdb_", "pg_", "sqlite_")


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
        words: all text in it, names among it, in lower case.
        any_table: whether it can use tables that it does not name.
        any_column: whether it can use columns that it does not name.
        only_reads: whether it is known to change nothing.
    """

    words: frozenset[str]
    any_table: bool
    any_column: bool
    only_reads: bool

    def has_table(self, name: str) -> bool:
        """Whether the query can use that table."""
        return self.any_table or name.casefold() in self.words

    def has_column(self, name: str) -> bool:
        """Whether the query can use a column of that name."""
        return self.any_column or name.casefold() in self.words

    @property
    def uses_no_column(self) -> bool:
        """Whether the query is known to use no column of any table."""
        return not self.any_column and not self.words & _NAMES_COLUMNS


ANYTHING: Final = Mentioned(frozenset(), any_table=True, any_column=True, only_reads=False)


def mentioned(connection: duckdb.DuckDBPyConnection, query: str) -> Mentioned:
    """What a query can use, as DuckDB's parser reads it; rather too much than too little."""
    found = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchall()
    try:
        parsed = json.loads(found[0][0])
    except RecursionError:  # a very long sum, for instance, is as deep as it is long
        return ANYTHING
    if parsed["error"]:
        return ANYTHING
    parts = list(_parts(parsed))
    texts = {part for part in parts if isinstance(part, str)}
    nodes = [part for part in parts if isinstance(part, dict)]
    if "SHOW_REF" in texts or any(map(_is_of_catalog, nodes)):
        return ANYTHING
    tables = {name for node in nodes for name in _tables(node)}
    any_column = bool(
        texts & _TAKES_ALL or any(map(_renames, nodes)) or tables & set(map(_last_name, nodes))
    )
    return Mentioned(
        words=frozenset(text.casefold() for text in texts),
        any_table="TABLE_FUNCTION" in texts,
        any_column=any_column,
        only_reads=True,
    )


def _parts(parsed: Any) -> Iterator[Any]:
    """A parsed statement and all that it is made of."""
    waiting = [parsed]
    while waiting:
        part = waiting.pop()
        yield part
        if isinstance(part, dict):
            waiting += _without_harmless_star(part).values()
        elif isinstance(part, list):
            waiting += part


def _without_harmless_star(part: dict[str, Any]) -> dict[str, Any]:
    """A SELECT from a query in brackets alone, without its plain star: that is what the query names."""
    source = part.get("from_table")
    if not (isinstance(source, dict) and source.get("type") == "SUBQUERY"):
        return part
    rest = [each for each in part.get("select_list", []) if not _is_plain_star(each)]
    return part | {"select_list": rest}


def _is_plain_star(part: dict[str, Any]) -> bool:
    return part.get("class") == "STAR" and not part.get("columns")


def _is_of_catalog(node: dict[str, Any]) -> bool:
    """Whether it is a table that tells of tables."""
    table = str(node.get("table_name", "")).casefold()
    schema = str(node.get("schema_name", "")).casefold()
    return schema in _CATALOGS or table.startswith(_CATALOG_TABLES)


def _renames(node: dict[str, Any]) -> bool:
    """Whether a table's columns are given other names, by their order."""
    return bool(node.get("column_name_alias"))


def _tables(node: dict[str, Any]) -> Iterator[str]:
    """Names of a table: such a name by itself is a value of all of its columns."""
    if "sample" in node:
        yield from (
            str(node[part]).casefold() for part in ("alias", "table_name") if node.get(part)
        )


def _last_name(node: dict[str, Any]) -> str | None:
    is_column = node.get("class") == "COLUMN_REF"
    return str(node["column_names"][-1]).casefold() if is_column else None
