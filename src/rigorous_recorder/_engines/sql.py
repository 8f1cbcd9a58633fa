"""SQL text: the only module that quotes names, and that analyzes queries."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
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
#: Parts of a parsed statement that have names of columns in them.
_NAMING: Final = frozenset(
    {"column_names", "using_columns", "exclude_list", "replace_list", "rename_list"}
    | {"qualified_exclude_list", "pivots"}
)
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
    plain = [key for key in wanted if key and "\0" not in key]
    for key in [*plain, *(wanted if len(plain) < len(wanted) else ())]:
        if key in names:
            continue
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
        found = {
            name: name for name in self.all if query.any_column or name.casefold() in query.words
        }
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

    def and_columns(self, table: str, columns: Sequence[str]) -> Mentioned:
        """The same, with columns of a table that is used in its place."""
        words = {table, *map(str.casefold, columns), *(_NAMES_COLUMNS if columns else ())}
        return self._replace(words=self.words | words)

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


# What a query uses is read from DuckDB's own parse of it, so that only its parents are joined: DuckDB
# joins a table none of whose columns is used, even by LEFT JOIN on a primary key. With all parents in
# the view, a mean of a record's own key over 1 M records takes 2.5 to 3.5 times the CPU time, and a first
# query, for which all attributes are then resolved, up to 2.3 times (200 and 200,000 recorders with 2 and
# 30 attributes each; DuckDB 2.0).


def mentioned(connection: duckdb.DuckDBPyConnection, query: str) -> Mentioned:
    """What a query can use, by DuckDB's parser; at least what it does use."""
    found = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchall()
    try:
        parsed = json.loads(found[0][0])
    except RecursionError:  # a long sum, for instance, is nested as deep as it is long
        return _anything(query)
    if parsed["error"]:
        return _anything(query)
    nodes, texts = _parts(parsed)
    if "SHOW_REF" in texts or _has_catalog(nodes):
        return _anything(query)
    functions = [node for node in nodes if "function_name" in node]
    levels = [node for node in functions if str(node["function_name"]).casefold() == LEVEL]
    has_row = _has_row(nodes)
    table_functions = [
        node.get("function") for node in nodes if node.get("type") == _TABLE_FUNCTION
    ]
    if all(each in levels for each in table_functions):
        texts.discard(_TABLE_FUNCTION)
    renames = [node for node in nodes if node.get("column_name_alias")]
    named = [node for node in nodes if not _NAMING.isdisjoint(node)]
    return Mentioned(
        words=frozenset(map(str.casefold, texts)),
        names=frozenset(texts if has_row else set().union(*map(_column_names, named))),
        any_table=_TABLE_FUNCTION in texts,
        any_column=bool(texts & _TAKES_ALL or renames or has_row),
        only_reads=True,
        levels=frozenset(key for node in levels for key in _level_keys(node)),
    )


def _parts(parsed: Any) -> tuple[list[dict[str, Any]], set[str]]:
    """All nodes of a parsed statement, and all texts in it."""
    nodes: list[dict[str, Any]] = []
    texts: set[str] = set()
    waiting = [parsed]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            nodes.append(part)
            waiting += (_without_harmless_star(part) if "from_table" in part else part).values()
        elif isinstance(part, list):
            waiting += part
        elif isinstance(part, str):
            texts.add(part)
    return nodes, texts


def _without_harmless_star(select: dict[str, Any]) -> dict[str, Any]:
    """A SELECT without its plain star if it reads only a subquery, which names the columns."""
    source = select["from_table"]
    if not (isinstance(source, dict) and source.get("type") == "SUBQUERY"):
        return select
    rest = [each for each in select.get("select_list", []) if not _is_plain_star(each)]
    return select | {"select_list": rest}


def _is_plain_star(part: dict[str, Any]) -> bool:
    return part.get("class") == "STAR" and not part.get("columns")


def _has_catalog(nodes: Iterable[dict[str, Any]]) -> bool:
    """Whether any is a table of the catalog."""
    tables = {str(node["table_name"]).casefold() for node in nodes if "table_name" in node}
    schemas = {str(node["schema_name"]).casefold() for node in nodes if "schema_name" in node}
    return not schemas.isdisjoint(_CATALOGS) or any(t.startswith(_CATALOG_TABLES) for t in tables)


def _has_row(nodes: Iterable[dict[str, Any]]) -> bool:
    """Whether a table's alias is used as a value, which stands for all of its columns."""
    tables = [node for node in nodes if "sample" in node]
    parts = [node.get(part) for node in tables for part in ("alias", "table_name")]
    names = {str(name).casefold() for name in parts if name}
    columns = [node["column_names"] for node in nodes if node.get("class") == "COLUMN_REF"]
    return not names.isdisjoint([str(path[-1]).casefold() for path in columns])


def _level_keys(function: dict[str, Any]) -> list[str]:
    """The keys in ``level('key')``."""
    parts, _ = _parts(function)
    quoted = [part["column_names"][-1] for part in parts if part.get("class") == "COLUMN_REF"]
    # A constant is under "value" before DuckDB 2.0.
    constants = [
        part.get("literal") or part.get("value") or {}
        for part in parts
        if part.get("class") == "CONSTANT"
    ]
    return [*map(str, quoted), *(str(each.get("text", each.get("value"))) for each in constants)]


def _column_names(node: dict[str, Any]) -> set[str]:
    """The column names in a node, as written; for COLUMNS(...) and PIVOT all texts."""
    names: set[str] = set()
    if node.get("class") == "STAR" and node.get("columns"):
        names |= _parts(node.get("expr"))[1]
    if node.get("type") == "PIVOT":
        names |= _parts(node.get("pivots"))[1]
    lists = [node.get(part) or [] for part in ("column_names", "using_columns", "exclude_list")]
    names.update([name for each in lists for name in each if isinstance(name, str)])
    for part in ("replace_list", "rename_list", "qualified_exclude_list"):
        for each in node.get(part) or ():
            key = each.get("key", each) if isinstance(each, dict) else each
            names.add(str(key.get("column", "")) if isinstance(key, dict) else str(key))
    return names
