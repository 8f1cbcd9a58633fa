"""SQL text: the only module that quotes names, and that analyzes queries."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from .._lazy_imports import duckdb
from ..errors import ColumnError

__all__ = [
    "LEVEL",
    "Mentioned",
    "SqlNames",
    "identifier",
    "literal",
    "mentioned",
    "numbered_names",
    "sql_names",
]

_TABLE_FUNCTION: Final = "TABLE_FUNCTION"
#: Parts of a statement that can use any column without naming it: a star, a column by number,
#: PIVOT and the like, table functions, natural joins.
_TAKES_ALL: Final = frozenset(
    {"STAR", "POSITIONAL_REFERENCE", "PIVOT", _TABLE_FUNCTION, "NATURAL", "POSITIONAL"}
)
#: The table function for the recorders that have a key.
LEVEL: Final = "level"
#: Node types that name columns: a column reference, and a join with USING.
_NAMES_COLUMNS: Final = frozenset({"column_ref", "join"})
_CATALOGS: Final = ("information_schema", "pg_catalog")
_CATALOG_TABLES: Final = ("duckdb_", "pg_", "sqlite_")


def identifier(name: str) -> str:
    """Quote a name as a SQL identifier, whatever it contains."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def sql_names(keys: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """The column name of each key in SQL.

    SQL compares names without case and has no empty name. Of keys that differ only in case the
    first keeps its name and the others get a suffix ``_2``, ``_3``, ...; an empty key is ``_empty``.
    NUL, which ends a statement, becomes U+2400; a key that contains U+2400 itself takes precedence.
    """
    names: dict[str, str] = {}
    used = {name.casefold() for name in taken}
    wanted = list(keys)
    exact = {key.casefold() for key in wanted}
    for key in sorted(wanted, key=lambda key: not key or "\0" in key):
        base = name = key.replace("\0", "\u2400") or "_empty"
        count = 1
        while name.casefold() in used or (count > 1 and name.casefold() in exact):
            count += 1
            name = f"{base}_{count}"
        used.add(name.casefold())
        names[key] = name
    return {key: names[key] for key in wanted}


def numbered_names(columns: Iterable[str]) -> dict[str, str]:
    """The column name of each key in engines that take no query text, such as Spark.

    Like ``sql_names``, but of keys that differ only in case the first gets a number as well: a
    reference to either spelling fails, and the error lists both.
    """
    names = sql_names(columns)
    counts = Counter(column.casefold() for column in names)
    used = {name.casefold() for name in names.values()}
    for column, name in names.items():
        if counts[column.casefold()] > 1 and name == column:
            count = 1
            while f"{name}_{count}".casefold() in used:
                count += 1
            names[column] = f"{name}_{count}"
            used.add(names[column].casefold())
    return names


class SqlNames:
    """The SQL names of a table's columns, and the columns that a query's names refer to.

    Args:
        columns: their names in the flat table, in order.
        fixed: names of preceding columns, which stay the same.
    """

    def __init__(self, columns: Iterable[str], fixed: Sequence[str] = ()) -> None:
        #: The SQL name of each column.
        self.by_column = sql_names(columns, taken=fixed)
        self.all = [*fixed, *self.by_column.values()]
        exact = [*zip(fixed, fixed, strict=True), *self.by_column.items()]
        alike: dict[str, list[tuple[str, str]]] = {}
        for column, name in exact:
            alike.setdefault(column.casefold(), []).append((column, name))
        #: Columns whose names differ only in case, each with its SQL name.
        self._alike = {fold: found for fold, found in alike.items() if len(found) > 1}

    def used(self, query: Mentioned) -> dict[str, str]:
        """The names that a query can use, each with the SQL name of the column it refers to.

        Raises:
            ColumnError: a name is ambiguous between columns whose names differ only in case.
        """
        found = {name: name for name in self.all if query.has_column(name)}
        for fold, columns in self._alike.items():
            if spellings := query.spellings(fold) - {name for _, name in columns}:
                meant = dict(columns)
                others = query.spellings(fold) - spellings
                if (
                    query.any_column
                    or others
                    or len(spellings) > 1
                    or not spellings <= meant.keys()
                ):
                    raise ColumnError(_ambiguous(spellings, columns))
                (spelling,) = spellings
                found = {name: of for name, of in found.items() if name.casefold() != fold}
                found[spelling] = meant[spelling]
        return found

    def columns_of(self, query: Mentioned) -> dict[str, str]:
        """The same, each with the column's name in the flat table."""
        columns = {name: column for column, name in self.by_column.items()}
        return {shown: columns[name] for shown, name in self.used(query).items()}


def _ambiguous(spellings: Iterable[str], columns: Iterable[tuple[str, str]]) -> str:
    keys = " and ".join(repr(column) for column, _ in columns)
    advice = ", ".join(f"{identifier(name)} for {column!r}" for column, name in columns)
    names = " and ".join(map(identifier, sorted(spellings)))
    return (
        f"SQL compares names without case, so {names} could be each of the columns {keys}. Write"
        f" {advice}"
    )


class Mentioned(NamedTuple):
    """The tables and columns that a query can use.

    Attributes:
        words: all words in it, including names, in lower case.
        names: the names of columns in it, as written.
        any_table: whether it can use tables that it does not name.
        any_column: whether it can use columns that it does not name.
        only_reads: whether it is known to change nothing.
        levels: the keys whose levels it uses, by ``level('key')``.
    """

    words: frozenset[str]
    names: frozenset[str]
    any_table: bool
    any_column: bool
    only_reads: bool
    levels: frozenset[str] = frozenset()

    def has_table(self, name: str) -> bool:
        """Whether the query can use this table."""
        return self.any_table or name.casefold() in self.words

    def has_column(self, name: str) -> bool:
        """Whether the query can use a column with this name."""
        return self.any_column or name.casefold() in self.words

    def spellings(self, name: str) -> set[str]:
        """How the query spells the name of a column, given in lower case."""
        return {each for each in self.names if each.casefold() == name}

    @property
    def uses_no_column(self) -> bool:
        """Whether the query is known to use no columns."""
        return not self.any_column and not self.words & _NAMES_COLUMNS


#: What may be a name in a query that can't be parsed.
_WORD: Final = re.compile(r"""[^\W\d]\w*|"(?:[^"]|"")*"|'(?:[^']|'')*'""")


#: A level in such a query.
_LEVEL: Final = re.compile(r"""\blevel\s*\(\s*("(?:[^"]|"")*"|'(?:[^']|'')*')""", re.IGNORECASE)


def _anything(query: str) -> Mentioned:
    """What a query can use that could not be parsed."""
    words = map(_unquoted, _WORD.findall(query))
    levels = frozenset(_unquoted(word) for word in _LEVEL.findall(query))
    return Mentioned(
        frozenset(),
        frozenset(words),
        any_table=True,
        any_column=True,
        only_reads=False,
        levels=levels,
    )


def _unquoted(word: str) -> str:
    if word[0] in "\"'":
        return word[1:-1].replace(2 * word[0], word[0])
    return word


def mentioned(connection: duckdb.DuckDBPyConnection, query: str) -> Mentioned:
    """What a query can use, by DuckDB's parser; at least what it does use."""
    found = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchall()
    try:
        parsed = json.loads(found[0][0])
    except RecursionError:  # a long sum, for instance, is nested as deep as it is long
        return _anything(query)
    if parsed["error"]:
        return _anything(query)
    parts = list(_parts(parsed))
    texts = {part for part in parts if isinstance(part, str)}
    nodes = [part for part in parts if isinstance(part, dict)]
    if "SHOW_REF" in texts or any(map(_is_of_catalog, nodes)):
        return _anything(query)
    tables = {name for node in nodes for name in _tables(node)}
    has_row = bool(tables & set(map(_last_name, nodes)))
    if all(_is_level(node.get("function", {})) for node in nodes if _is_table_function(node)):
        texts.discard(_TABLE_FUNCTION)
    any_column = bool(texts & _TAKES_ALL or any(map(_renames, nodes)) or has_row)
    names = texts if has_row else {name for node in nodes for name in _column_names(node)}
    return Mentioned(
        words=frozenset(text.casefold() for text in texts),
        names=frozenset(names),
        any_table=_TABLE_FUNCTION in texts,
        any_column=any_column,
        only_reads=True,
        levels=frozenset(key for node in nodes for key in _levels(node)),
    )


def _parts(parsed: Any) -> Iterator[Any]:
    """All nodes of a parsed statement."""
    waiting = [parsed]
    while waiting:
        part = waiting.pop()
        yield part
        if isinstance(part, dict):
            waiting += _without_harmless_star(part).values()
        elif isinstance(part, list):
            waiting += part


def _without_harmless_star(part: dict[str, Any]) -> dict[str, Any]:
    """A SELECT without its plain star if it reads only a subquery, which names the columns."""
    source = part.get("from_table")
    if not (isinstance(source, dict) and source.get("type") == "SUBQUERY"):
        return part
    rest = [each for each in part.get("select_list", []) if not _is_plain_star(each)]
    return part | {"select_list": rest}


def _is_plain_star(part: dict[str, Any]) -> bool:
    return part.get("class") == "STAR" and not part.get("columns")


def _is_table_function(node: dict[str, Any]) -> bool:
    return node.get("type") == _TABLE_FUNCTION


def _is_level(node: dict[str, Any]) -> bool:
    return str(node.get("function_name", "")).casefold() == LEVEL


def _levels(node: dict[str, Any]) -> Iterator[str]:
    """The keys in ``level('key')``."""
    for each in _parts(node) if _is_level(node) else ():
        if isinstance(each, dict) and each.get("class") == "COLUMN_REF":  # the key in double quotes
            yield str(each["column_names"][-1])
        elif isinstance(each, dict) and each.get("class") == "CONSTANT":
            constant = (
                each.get("literal") or each.get("value") or {}
            )  # the latter before DuckDB 2.0
            yield str(constant.get("text", constant.get("value")))


def _is_of_catalog(node: dict[str, Any]) -> bool:
    """Whether it is a table of the catalog."""
    table = str(node.get("table_name", "")).casefold()
    schema = str(node.get("schema_name", "")).casefold()
    return schema in _CATALOGS or table.startswith(_CATALOG_TABLES)


def _renames(node: dict[str, Any]) -> bool:
    """Whether it renames a table's columns by position."""
    return bool(node.get("column_name_alias"))


def _tables(node: dict[str, Any]) -> Iterator[str]:
    """The aliases of a table: as a value, such a name stands for all of its columns."""
    if "sample" in node:
        yield from (
            str(node[part]).casefold() for part in ("alias", "table_name") if node.get(part)
        )


def _column_names(node: dict[str, Any]) -> Iterator[str]:
    """The column names in a node, as written; for COLUMNS(...) and PIVOT all texts."""
    if node.get("class") == "STAR" and node.get("columns"):
        yield from (each for each in _parts(node.get("expr")) if isinstance(each, str))
    if node.get("type") == "PIVOT":
        yield from (each for each in _parts(node.get("pivots")) if isinstance(each, str))
    for part in ("column_names", "using_columns", "exclude_list"):
        yield from (name for name in node.get(part) or () if isinstance(name, str))
    for part in ("replace_list", "rename_list", "qualified_exclude_list"):
        for each in node.get(part) or ():
            key = each.get("key", each) if isinstance(each, dict) else each
            yield str(key.get("column", "")) if isinstance(key, dict) else str(key)


def _last_name(node: dict[str, Any]) -> str | None:
    is_column = node.get("class") == "COLUMN_REF"
    return str(node["column_names"][-1]).casefold() if is_column else None
