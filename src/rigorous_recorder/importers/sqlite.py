"""Reads databases of SQLite that other tools wrote, without a change to them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from .contract import Report

__all__ = ["columns_of", "is_sqlite", "opened", "rows"]

_MAGIC: Final = b"SQLite format 3\0"
_BATCH: Final = 1000
#: Messages with text of a damaged file can't be decoded.
_ERRORS: Final = (sqlite3.Error, UnicodeError)


def is_sqlite(path: Path, *tables: str) -> bool:
    """Whether a file is a database that has these tables."""
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                return False
    except OSError:
        return False
    with opened(path, Report()) as database:
        return database is not None and all(columns_of(database, table) for table in tables)


@contextmanager
def opened(path: Path, report: Report) -> Iterator[sqlite3.Connection | None]:
    """A database, opened read-only; None, which is reported, if it can't be read.

    Errors of the database inside of the block are reported, and end it.
    """
    database = _connect(path)
    try:
        if database is None:
            report.add(path, "is a database that can't be read")
        yield database
    except _ERRORS as error:
        report.add(path, f"the database can't be read further: {type(error).__name__}")
    finally:
        if database is not None:
            database.close()


def _connect(path: Path) -> sqlite3.Connection | None:
    """Where no file may be created beside it, the database is read as it is now."""
    for mode in ("mode=ro", "mode=ro&immutable=1"):
        try:
            found = sqlite3.connect(f"file:{quote(str(path))}?{mode}", uri=True, timeout=5)
        except _ERRORS:
            continue
        try:
            found.execute("PRAGMA trusted_schema = OFF")
            found.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except _ERRORS:
            found.close()
            continue
        found.text_factory = _text
        return found
    return None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def columns_of(database: sqlite3.Connection, table: str) -> list[str]:
    """The columns of a table; empty if there is no such table (a view is none)."""
    try:
        is_table = database.execute(
            "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
            " AND sql NOT LIKE 'CREATE VIRTUAL%'",
            (table,),
        ).fetchone()
        found = database.execute(f"PRAGMA table_info({_quoted(table)})") if is_table else []
        return [str(row[1]) for row in found]
    except _ERRORS:
        return []


def rows(
    database: sqlite3.Connection,
    table: str,
    columns: tuple[str, ...],
    *,
    where: tuple[str, Any] | None = None,
    order: str = "rowid",
) -> Iterator[tuple[Any, ...]]:
    """Rows of a table with some of its columns; those that it does not have are None.

    Args:
        where: a condition with one ``?``, and the value of that.
    """
    known = columns_of(database, table)
    if not known:
        return
    of_row = {"rowid", *known}
    wanted = ", ".join(_quoted(each) if each in of_row else "NULL" for each in columns)
    condition, value = where or ("?", 1)
    query = f"SELECT {wanted} FROM {_quoted(table)} WHERE {condition} ORDER BY {order}"
    found = database.execute(query, (value,))
    while batch := found.fetchmany(_BATCH):
        yield from batch


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
