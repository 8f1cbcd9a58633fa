"""Names and text in SQL: the only place that quotes, and that looks into a query."""

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
#: Parts of a statement that name no column and yet may take any: a star, a column by its number,
#: PIVOT and the like, functions that give tables, joins over whatever names are alike.
_TAKES_ALL: Final = frozenset(
    {"STAR", "POSITIONAL_REFERENCE", "PIVOT", _TABLE_FUNCTION, "NATURAL", "POSITIONAL"}
)
#: The table function that gives the recorders which have a key.
LEVEL: Final = "level"
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
    NUL, which ends a statement, is written as U+2400; a key that is written so itself comes first.
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
    """For each column its name where nobody looks at the query, as in Spark.

    As ``sql_names``, but of keys that differ only in case the first has a number as well: neither
    spelling is a column then, and who asks for one is told of both.
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
    """What the columns of a table are called in SQL, and what a query means by a name.

    Args:
        columns: the names that they have elsewhere, in order.
        fixed: names of columns before these, which stay.
    """

    def __init__(self, columns: Iterable[str], fixed: Sequence[str] = ()) -> None:
        #: For each column its name in SQL.
        self.by_column = sql_names(columns, taken=fixed)
        self.all = [*fixed, *self.by_column.values()]
        exact = [*zip(fixed, fixed, strict=True), *self.by_column.items()]
        alike: dict[str, list[tuple[str, str]]] = {}
        for column, name in exact:
            alike.setdefault(column.casefold(), []).append((column, name))
        #: Columns whose names differ only in case, each with its name in SQL.
        self._alike = {fold: found for fold, found in alike.items() if len(found) > 1}

    def used(self, query: Mentioned) -> dict[str, str]:
        """The names that a query can use, each with the name in SQL of the column that is meant.

        Raises:
            ColumnError: a name could mean several columns, whose names differ only in case.
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
        """The same, each with the column's name elsewhere."""
        columns = {name: column for column, name in self.by_column.items()}
        return {shown: columns[name] for shown, name in self.used(query).items()}


def _ambiguous(spellings: Iterable[str], columns: Iterable[tuple[str, str]]) -> str:
    keys = " and ".join(repr(column) for column, _ in columns)
    advice = ", ".join(f"{identifier(name)} for {column!r}" for column, name in columns)
    asked = " and ".join(map(identifier, sorted(spellings)))
    return (
        f"SQL compares names without case, so {asked} could be each of the columns {keys}. Write"
        f" {advice}"
    )


class Mentioned(NamedTuple):
    """What a query can use of tables and their columns.

    Attributes:
        words: all text in it, names among it, in lower case.
        names: the names of columns in it, as they are written.
        any_table: whether it can use tables that it does not name.
        any_column: whether it can use columns that it does not name.
        only_reads: whether it is known to change nothing.
        levels: the keys of which it uses the levels, by ``level('key')``.
    """

    words: frozenset[str]
    names: frozenset[str]
    any_table: bool
    any_column: bool
    only_reads: bool
    levels: frozenset[str] = frozenset()

    def has_table(self, name: str) -> bool:
        """Whether the query can use that table."""
        return self.any_table or name.casefold() in self.words

    def has_column(self, name: str) -> bool:
        """Whether the query can use a column of that name."""
        return self.any_column or name.casefold() in self.words

    def spellings(self, name: str) -> set[str]:
        """How the query writes a name of a column, which is given in lower case."""
        return {each for each in self.names if each.casefold() == name}

    @property
    def uses_no_column(self) -> bool:
        """Whether the query is known to use no column of any table."""
        return not self.any_column and not self.words & _NAMES_COLUMNS


#: What may be a name in a query that can't be parsed here.
_WORD: Final = re.compile(r"""[^\W\d]\w*|"(?:[^"]|"")*"|'(?:[^']|'')*'""")


#: A level in such a query.
_LEVEL: Final = re.compile(r"""\blevel\s*\(\s*("(?:[^"]|"")*"|'(?:[^']|'')*')""", re.IGNORECASE)


def _anything(query: str) -> Mentioned:
    """What a query can use of which nothing is known but its text."""
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
    """What a query can use, as DuckDB's parser reads it; rather too much than too little."""
    found = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchall()
    try:
        parsed = json.loads(found[0][0])
    except RecursionError:  # a very long sum, for instance, is as deep as it is long
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


def _column_names(node: dict[str, Any]) -> Iterator[str]:
    """The names of columns in a part, as they are written; of COLUMNS(...) and PIVOT all texts."""
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
