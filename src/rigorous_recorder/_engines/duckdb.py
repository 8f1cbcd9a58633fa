"""DuckDB: an in-memory database for each scan, whose views are the tables of a query."""

from __future__ import annotations

import os
import re
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from .._arrow import pa
from .._lazy_imports import duckdb
from .._live.column import NODE
from .._values.chunks import count_to
from ..errors import ArgumentTypeError
from .arrow import flat_table, resolved_table
from .attempts import experiment_positions
from .duckdb_records import RecordsSelect, rows_without_columns
from .duckdb_values import for_duckdb
from .instants import instants_in, select_with_instants
from .level_table import LevelScan
from .relation import Made, Query, Relation, compacted
from .scan import Scan
from .snapshot import Snapshot
from .sql import LEVEL, Mentioned, SqlNames, identifier, literal, mentioned
from .widths import fits

if TYPE_CHECKING:
    _Tables = dict[str, Callable[[], "_NamedTable"]]
    _Parts = Mapping[str, "RecordsPart"]

__all__ = [
    "RecordsPart",
    "collection_sql",
    "named_tables_sql",
    "names_in",
    "records_sql",
    "restrict",
    "tables_sql",
]

_NOTHING_FROM_OUTSIDE: Final[dict[str, str | bool | int | float | list[str]]] = {
    "autoinstall_known_extensions": "false"
}
_SETTINGS: Final = (
    "TimeZone = 'UTC'",  # not in the config, which would load an extension first
    "python_enable_replacements = false",  # names don't refer to variables of this library
    "parquet_metadata_cache = true",  # sealed files never change
    # It packs text into wide integers, and so decodes a join's dictionaries.
    "disabled_optimizers = 'compressed_materialization'",
)
#: Settings of a process that runs queries of others: see ``restrict``.
_restrictions: Final[list[str]] = []
#: The schema of tables that queries don't name.
_SCHEMA: Final = "rigorous"
#: Maximum bytes of inherited values for which each row of a table gets a copy.
_MOST_COPIED: Final = 1 << 28
#: ``level('key')``: hex, because names of views are compared without case.
_LEVEL_MACRO: Final = (
    f"CREATE TEMP MACRO {LEVEL}(key) AS TABLE FROM query_table('{LEVEL}:' || hex(key))"
)
_NO_TABLE: Final = re.compile(r"Table with name (.+) does not exist")
_LEVELS: Final = f", and {LEVEL}('key') for each key of recorders"
#: For at most this many queries the analysis is cached.
_MOST_QUERIES: Final = 256
#: With as many views and tables, or bytes of tables, a database takes no new ones: see ``_FullError``.
_MOST_VIEWS: Final = 128
_MOST_BYTES: Final = 1 << 28


def records_sql(scan: Scan, query: str, *, names_as_shown: bool = False) -> duckdb.DuckDBPyRelation:
    """The lazy result of a query over the table ``records``.

    Args:
        names_as_shown: whether names in the query are exactly those that ``FROM records`` shows,
            rather than other spellings of keys.

    Raises:
        ColumnError: a name is ambiguous between columns whose names differ only in case.
    """
    return _run(scan, query, {}, {}, names_as_shown=names_as_shown)


class RecordsPart(NamedTuple):
    """A further table of a query: a part of the records.

    Attributes:
        text: the SQL of a view over ``records``.
        columns: those of the records that it names.
    """

    text: str
    columns: tuple[str, ...]

    @classmethod
    def of_member(cls, key: str, name: str) -> RecordsPart:
        """The records of a collection in a union, without its column."""
        text = f"SELECT * EXCLUDE ({identifier(key)}) FROM records WHERE {identifier(key)} = {literal(name)}"
        return cls(text, (key,))


def collection_sql(
    scan: Scan, query: str, parts: Mapping[str, RecordsPart] | None = None
) -> duckdb.DuckDBPyRelation:
    """The lazy result of a query over ``records``, ``experiments`` and ``recorders``, also named ``nodes``.

    Args:
        parts: further tables by name.

    Raises:
        ColumnError: a name is ambiguous between columns whose names differ only in case.
    """
    paths = _naming(scan, query).paths

    def experiments() -> _NamedTable:
        positions = experiment_positions(scan.snapshot.nodes)
        return _with_sql_names(resolved_table(scan.snapshot, positions, paths))

    def recorders() -> _NamedTable:
        return _with_sql_names(_nodes_table(scan.snapshot, paths), fixed=2)

    tables = {"experiments": experiments, "recorders": recorders, "nodes": recorders}
    return _run(scan, query, tables, parts or {})


def restrict(folders: Iterable[str], *, memory: str) -> None:
    """Let later queries of this process, for good, open no files but those of some folders.

    They can change no setting, load no extension and write no temporary files either.

    Args:
        folders: those with the sealed files of records.
        memory: the limit of DuckDB's memory, such as ``1GB``.
    """
    allowed = ", ".join(map(literal, folders))
    _restrictions[:] = [
        f"memory_limit = {literal(memory)}",
        "temp_directory = ''",
        f"allowed_directories = [{allowed}]",
        "enable_external_access = false",
        "lock_configuration = true",
    ]


def tables_sql(
    tables: Mapping[str, pa.Table | pa.RecordBatchReader], query: str
) -> duckdb.DuckDBPyRelation:
    """The lazy result of a query over tables by name; a reader can be read once."""
    connection = _Database().connect()
    for name, table in tables.items():
        connection.register(name, table)
    return connection.sql(query)


def named_tables_sql(tables: Mapping[str, pa.Table], query: str) -> duckdb.DuckDBPyRelation:
    """The lazy result of a query over tables by name, with column names as in ``sql``.

    Raises:
        ArgumentTypeError: the query is not text.
        ColumnError: a name is ambiguous between columns whose names differ only in case.
    """
    _check(query)
    database = _Database()
    used = database.mentioned(query)
    connection = database.connect()
    for name, table in tables.items():
        connection.register(f"{name}:table", _with_sql_names(table).table)
        columns = _selected(_with_sql_names(table).names.used(used))
        connection.execute(
            f"CREATE TEMP VIEW {identifier(name)} AS SELECT {columns} FROM {identifier(name + ':table')}"
        )
    try:
        return connection.sql(query)
    except duckdb.CatalogException as error:
        raise _with_tables(error, list(tables)) from None


def names_in(query: str) -> frozenset[str]:
    """The names of columns in a query, as written; empty if none can be a path.

    Raises:
        ArgumentTypeError: the query is not text.
    """
    _check(query)
    return _Database().mentioned(query).names if "." in query else frozenset()


def _check(query: str) -> None:
    if not isinstance(query, str):
        message = f"a query is text, such as 'SELECT count(*) FROM records', not {query!r:.60}"
        raise ArgumentTypeError(message)


def _selected(shown: Mapping[str, str]) -> str:
    """The select list of a view, for the names that it shows and their columns."""
    if all(alias == column for alias, column in shown.items()):
        return "*"
    return ", ".join(
        f"{identifier(column)} AS {identifier(alias)}" for alias, column in shown.items()
    )


def _run(
    scan: Scan, query: str, tables: _Tables, parts: _Parts, *, names_as_shown: bool = False
) -> duckdb.DuckDBPyRelation:
    """The result of a query over the records and these tables.

    Raises:
        ArgumentTypeError: the query is not text.
    """
    _check(query)
    scan = _naming(scan, query)
    used = _Database.of(scan).mentioned(query)
    if not used.only_reads:
        scan.warn_of_mixed(scan.keys)
    source = Query(lambda: _made(scan, query, tables, parts, names_as_shown=names_as_shown))
    # DuckDB returns None for a statement without a result.
    relation: Any = None if source.made.relation is None else Relation(source, lambda made: made)
    if used.only_reads and used.has_table("records"):
        scan.warn_of_mixed(filter(used.has_column, scan.keys))
    return cast("duckdb.DuckDBPyRelation", relation)


def _naming(scan: Scan, query: str) -> Scan:
    """The scan with columns for the paths in dicts that a query names.

    Raises:
        ArgumentTypeError: the query is not text.
    """
    if isinstance(query, str) and "." in query and scan.snapshot.roots:
        return scan.naming(_Database.of(scan).mentioned(query).names)
    return scan


def _made(scan: Scan, query: str, tables: _Tables, parts: _Parts, *, names_as_shown: bool) -> Made:
    used = _Database.of(scan).mentioned(query)
    named = {name: part for name, part in parts.items() if used.has_table(name)}
    for part in named.values():
        used = used.and_columns("records", part.columns)
    if names_as_shown:
        used = used._replace(names=frozenset())
    while True:
        database = _Database.of(scan) if used.only_reads else _Database()
        try:
            return database.execute(scan, used, tables, query, named)
        except duckdb.CatalogException as error:
            raise _with_tables(error, ["records", *tables, *parts], _LEVELS) from None
        except duckdb.BinderException:
            if used.any_column:
                raise
            # With all columns under their own names, the message suggests the one that was meant.
            used = used._replace(any_column=True, names=frozenset())
        except _OutdatedError as error:
            if not used.only_reads:
                raise compacted() from error
        except _FullError:
            _Database.renew(scan, database)


def _with_tables(
    error: duckdb.CatalogException, tables: Sequence[str], more: str = ""
) -> duckdb.CatalogException:
    """The error for a table that does not exist, with those that do; others stay as they are.

    DuckDB suggests tables of its own catalog.
    """
    if (found := _NO_TABLE.search(str(error))) is None:
        return error
    name, names = found[1], [each for each in tables if each != "nodes"]
    near = get_close_matches(name.casefold(), names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"the tables are {', '.join(names)}{more}"
    return duckdb.CatalogException(f"Catalog Error: there is no table {name}; {hint}")


class _NamedTable(NamedTuple):
    """A table under names that are unique in SQL, with what they refer to."""

    table: pa.Table
    names: SqlNames


class _OutdatedError(Exception):
    """Files were compacted away after a view was built that names them."""


class _FullError(Exception):
    """A database has too many views of other queries.

    The scan gets a new one. Nothing is dropped in this one, so that results that read from it still can;
    the last of them frees it.
    """


class _Database:
    """What read-only queries share: tables made from Arrow, and the texts of views.

    Each query has its own connection with its own views; one that can change something has its
    own database.
    """

    def __init__(self) -> None:
        self._connection = duckdb.connect(config=_NOTHING_FROM_OUTSIDE)
        for setting in (*_SETTINGS, *_restrictions):
            self._connection.execute(f"SET GLOBAL {setting}")
        self._connection.execute(f"CREATE SCHEMA {_SCHEMA}")
        self._making = threading.Lock()
        self._tables: dict[str, str] = {}
        #: Texts of views and the files that they name, by column names.
        self._views: dict[tuple[tuple[str, str], ...], tuple[str, list[str]]] = {}
        #: The column names of tables, by table name.
        self._names: dict[str, SqlNames] = {}
        self._mentioned: dict[str, Mentioned] = {}
        self._bytes = 0
        self._is_full = False
        _databases.add(self)

    @classmethod
    def of(cls, scan: Scan) -> _Database:
        """The database of a scan, in this process."""
        known: _Database | None = scan.cache.get(cls.__name__)
        if known is None or known not in _databases:
            scan.cache[cls.__name__] = known = cls()
        return known

    @classmethod
    def renew(cls, scan: Scan, full: _Database) -> None:
        """Let the next query of a scan begin with an empty database."""
        if scan.cache.get(cls.__name__) is full:
            scan.cache[cls.__name__] = cls()

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A new connection without views."""
        return self._connection.cursor()

    def mentioned(self, query: str) -> Mentioned:
        """The analysis of a query; cached for the latest ones."""
        if (found := self._mentioned.get(query)) is None:
            if len(self._mentioned) >= _MOST_QUERIES:
                self._mentioned.clear()
            found = self._mentioned[query] = mentioned(self.connect(), query)
        return found

    def execute(
        self, scan: Scan, used: Mentioned, tables: _Tables, query: str, parts: _Parts
    ) -> Made:
        """The result of a query that uses these names.

        Raises:
            duckdb.Error: DuckDB can't run it.
            _OutdatedError: files were compacted away since; a retry does not use them.
            _FullError: there is no room for its views.
        """
        connection = self.connect()
        with self._making:
            views, paths = self._shown(scan, used, tables)
        try:
            for name, text in views.items():
                connection.execute(f"CREATE TEMP VIEW {identifier(name)} AS {text}")
            for name, part in parts.items():
                connection.execute(f"CREATE TEMP VIEW {identifier(name)} AS {part.text}")
            if used.levels:
                connection.execute(_LEVEL_MACRO)
            return Made(connection.sql(query), paths, used.only_reads)
        except duckdb.IOException as error:
            if all(map(os.path.exists, paths)):
                raise
            self._forget_outdated()
            raise _OutdatedError from error

    def _forget_outdated(self) -> None:
        with self._making:
            self._views = {
                view: (text, paths)
                for view, (text, paths) in self._views.items()
                if all(map(os.path.exists, paths))
            }

    def _shown(
        self, scan: Scan, used: Mentioned, tables: _Tables
    ) -> tuple[dict[str, str], list[str]]:
        """The texts of the views that a query uses, and the files that they name."""
        known = len(self._views) + len(self._tables)
        self._is_full = known >= _MOST_VIEWS or self._bytes > _MOST_BYTES
        views = {
            name: self._view(name, make, used)
            for name, make in tables.items()
            if used.has_table(name)
        }
        views |= {
            _level_name(key): self._view(_level_name(key), partial(_level, scan, key), used)
            for key in sorted(used.levels)
        }
        if not used.has_table("records"):
            return views, []
        text, paths = self._records(scan, used)
        return {**views, "records": text}, paths

    def _records(self, scan: Scan, used: Mentioned) -> tuple[str, list[str]]:
        """The text of the view of records, and the files that it names."""
        if used.uses_no_column and (nothing := rows_without_columns(scan)) is not None:
            return nothing, []
        if not scan.keys or (used.any_column and scan.row_conditions and _is_small(scan)):
            return self._view("flat", lambda: _with_sql_names(flat_table(scan)), used), []
        if "records" not in self._names:
            self._names["records"] = SqlNames(scan.flats)
        names = self._names["records"]
        used, instants = _with_instants(used, names.all)
        columns = names.columns_of(used)
        view = tuple(columns.items())
        if view not in self._views:
            self._require_room()
            made = RecordsSelect(scan, columns, self.table)
            self._views[view] = made.text(), made.paths
        text, paths = self._views[view]
        return _shown_with(text, instants), paths

    def _view(self, name: str, make: Callable[[], _NamedTable], used: Mentioned) -> str:
        """The text of the view of a table that is made at once."""
        if name not in self._names:
            self._require_room()
            named = make()
            self.table(name, lambda: named.table)
            self._names[name] = named.names
        used, instants = _with_instants(used, self._names[name].all)
        columns = _selected(self._names[name].used(used))
        return _shown_with(f"SELECT {columns} FROM {self._tables[name]}", instants)

    def _require_room(self) -> None:
        """Raise if the database was full before this query, which may itself need any number."""
        if self._is_full:
            raise _FullError

    def table(self, name: str, make: Callable[[], pa.Table]) -> str:
        """The SQL name of a table in the database, which is created if it does not exist."""
        if name not in self._tables:
            made = make()
            self._bytes += made.nbytes
            self._connection.register("_new", made)
            self._tables[name] = f"{_SCHEMA}.{identifier(name)}"
            self._connection.execute(f"CREATE TABLE {self._tables[name]} AS FROM _new")
            self._connection.unregister("_new")
        return self._tables[name]


def _with_instants(used: Mentioned, columns: Sequence[str]) -> tuple[Mentioned, dict[str, str]]:
    """What a query uses, including the columns behind its timestamps, and these timestamps."""
    instants = instants_in(used.words | {name.casefold() for name in used.names}, columns)
    return used._replace(words=used.words.union(instants.values())), instants


def _shown_with(text: str, instants: Mapping[str, str]) -> str:
    return select_with_instants(f"({text})", instants) if instants else text


def _is_small(scan: Scan) -> bool:
    """Whether a table in which each row has a copy of what it inherits is small."""
    return fits(scan, sum(group.rows for group in scan.groups), _MOST_COPIED)


_databases: Final = weakref.WeakSet[_Database]()
_of_parent: Final[list[_Database]] = []


def _leave_to_parent() -> None:
    """In a forked child: neither use nor close what works with threads that are not here."""
    _of_parent.extend(_databases)
    _databases.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)


def _level_name(key: str) -> str:
    return f"{LEVEL}:{key.encode().hex().upper()}"


def _level(scan: Scan, key: str) -> _NamedTable:
    """The recorders that have a key, as a table.

    Raises:
        ColumnError: no recorder has it.
    """
    level = LevelScan(scan, key)
    level.check()
    return _with_sql_names(level.table())


def _nodes_table(snapshot: Snapshot, paths: Iterable[str]) -> pa.Table:
    """One row for each node: its id, its parent's, and all that it has or inherits."""
    nodes = snapshot.nodes
    table = resolved_table(snapshot, count_to(nodes.count), paths)
    arrays = [nodes.ids, nodes.ids.take(nodes.parents), *table.columns]
    return pa.Table.from_arrays(arrays, names=[NODE, "_parent", *table.column_names])


def _with_sql_names(table: pa.Table, fixed: int = 0) -> _NamedTable:
    """A table under names that are unique in SQL; the first ``fixed`` stay."""
    names = SqlNames(table.column_names[fixed:], table.column_names[:fixed])
    columns, shown = [for_duckdb(column) for column in table.columns], names.all
    if not columns:  # DuckDB has no table without columns
        columns, shown = [pa.nulls(table.num_rows)], ["_empty"]
    return _NamedTable(pa.Table.from_arrays(columns, names=shown), names)
