"""Reads databases of SQLite that other tools wrote, without a change to them."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import quote
from zlib import crc32

from .contract import Event, Position, Report
from .files import first_bytes

__all__ = ["columns_of", "is_sqlite", "opened", "resumed", "rows"]

_MAGIC: Final = b"SQLite format 3\0"
_BATCH: Final = 1000
#: The log that is written ahead, and the one of a transaction that was cut off.
_SUFFIXES: Final = ("-wal", "-journal")
_TRIES: Final = 5
_ANEW: Final = "was begun anew, or its rows have other numbers: read from its start"
#: Messages with text of a damaged file can't be decoded.
_ERRORS: Final = (sqlite3.Error, UnicodeError)


def is_sqlite(path: Path, *tables: str, columns: tuple[str, ...] = ()) -> bool:
    """Whether a file is a database that has these tables, and these columns in the first of them."""
    if first_bytes(path) != _MAGIC:
        return False
    return any(_has_tables(path, tables, columns, is_copy=each) for each in (False, True))


def _has_tables(
    path: Path, tables: tuple[str, ...], columns: tuple[str, ...], *, is_copy: bool
) -> bool:
    """Whether there are these tables; a new database can have them beside it alone."""
    if is_copy and not _beside(path):
        return False
    try:
        with _connected(path, is_copy=is_copy) as database:
            found = [columns_of(database, table) for table in tables] if database else [[]]
            return all(found) and {*columns} <= {*found[0]}
    except OSError:  # it was removed meanwhile
        return False


@contextmanager
def opened(path: Path, report: Report) -> Iterator[sqlite3.Connection | None]:
    """A database as it is now, opened read-only; None, which is reported, if it can't be read.

    Nothing is written beside it: where there is something that SQLite has to merge with it, that
    happens in a copy. Errors of the database inside of the block are reported, and end it.
    """
    try:
        with _connected(path, is_copy=bool(_beside(path))) as database:
            if database is None:
                report.add(path, "is a database that can't be read")
            yield database
    except _ERRORS as error:
        report.add(path, f"the database can't be read further: {type(error).__name__}")


def _beside(path: Path) -> list[Path]:
    """What was written, but is not in the database itself yet."""
    found = [path.with_name(f"{path.name}{suffix}") for suffix in _SUFFIXES]
    return [each for each in found if _size(each)]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


@contextmanager
def _connected(path: Path, *, is_copy: bool) -> Iterator[sqlite3.Connection | None]:
    with ExitStack() as held:
        if is_copy:
            folder = held.enter_context(TemporaryDirectory(ignore_cleanup_errors=True))
            path = _copied(path, Path(folder))
        database = _connect(path, "" if is_copy else "?mode=ro&immutable=1")
        if database is not None:
            held.callback(database.close)
        yield database


def _copied(path: Path, folder: Path) -> Path:
    """A copy of a database, with what is beside it; again if it is changed meanwhile."""
    target = folder / "copy"
    for _ in range(_TRIES):
        before = _times(path)
        for each in (path, *_beside(path)):
            with suppress(FileNotFoundError):
                shutil.copyfile(each, folder / each.name.replace(path.name, target.name, 1))
        if _times(path) == before:
            break
    return target


def _times(path: Path) -> list[tuple[int, int]]:
    return [(each.stat().st_size, each.stat().st_mtime_ns) for each in (path, *_beside(path))]


def _connect(path: Path, how: str) -> sqlite3.Connection | None:
    try:
        found = sqlite3.connect(f"file:{quote(str(path))}{how}", uri=True, timeout=5)
    except _ERRORS:
        return None
    try:
        found.execute("PRAGMA trusted_schema = OFF")
        found.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except _ERRORS:
        found.close()
        return None
    found.text_factory = _text
    return found


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
    database: sqlite3.Connection, table: str, columns: tuple[str, ...], **options: Any
) -> Iterator[tuple[Any, ...]]:
    """Rows of a table with some of its columns; those that it does not have are None.

    Args:
        where: a condition with one ``?``, and the value of that.
        order: by which column.
        is_raw: whether text is given as its bytes, which is faster; no other rows are read meanwhile.
    """
    return chain.from_iterable(_batches(database, table, columns, **options))


def _batches(  # noqa: PLR0913 - as a SELECT has
    database: sqlite3.Connection,
    table: str,
    columns: tuple[str, ...],
    *,
    where: tuple[str, Any] | None = None,
    order: str = "rowid",
    is_raw: bool = False,
) -> Iterator[list[tuple[Any, ...]]]:
    known = columns_of(database, table)
    if not known:
        return
    of_row = {"rowid", *known}
    wanted = ", ".join(_quoted(each) if each in of_row else "NULL" for each in columns)
    condition, value = where or ("?", 1)
    query = f"SELECT {wanted} FROM {_quoted(table)} WHERE {condition} ORDER BY {order}"
    database.text_factory = bytes if is_raw else _text
    try:
        found = database.execute(query, (value,))
        while batch := found.fetchmany(_BATCH):
            yield batch
    finally:
        database.text_factory = _text


def resumed(  # noqa: PLR0913 - all but three by keyword
    path: Path,
    report: Report,
    database: sqlite3.Connection,
    *,
    position: Mapping[str, Any] | None,
    tables: Mapping[str, str],
    read: Callable[[dict[str, Any]], Iterator[Event]],
) -> Iterator[Event]:
    """The events from a position on, or from the start if its rows are not those of the database.

    A database can be removed and begun anew under its name, and its rows can get other numbers. So
    what a position is stored with has a checksum of the last row of each table.

    Args:
        tables: of which table the number of a row in a position is, by its key there.
        read: gives the events behind a position, and positions; those behind an empty one are all.
    """
    known = dict(position or {})
    marks = known.pop("marks", {})
    if marks != _marks(database, tables, known):
        report.add(path, _ANEW)
        yield Position(None)
        known = {}
    for event in read(known):
        if type(event) is Position:
            own = {"marks": _marks(database, tables, event.value)}
            yield Position({**event.value, **own})
        else:
            yield event


def _marks(
    database: sqlite3.Connection, tables: Mapping[str, str], position: Mapping[str, Any]
) -> dict[str, int | None]:
    """A checksum of each row that a position has the number of; None if it is not there."""
    found = {key: position[key] for key in tables if position.get(key)}
    return {key: _mark(database, tables[key], row) for key, row in found.items()}


def _mark(database: sqlite3.Connection, table: str, row: int) -> int | None:
    before, database.text_factory = database.text_factory, bytes
    try:
        query = f"SELECT * FROM {_quoted(table)} WHERE rowid = ?"
        found = database.execute(query, (row,)).fetchone()
    finally:
        database.text_factory = before
    return None if found is None else crc32(repr(found).encode())


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
