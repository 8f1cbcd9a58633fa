"""Writes databases of SQLite that other tools read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

__all__ = ["Rows", "created"]

_BATCH: Final = 1000


@contextmanager
def created(path: Path, schema: str) -> Iterator[sqlite3.Connection]:
    """A new database with the tables of a schema; committed at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        database.executescript(schema)
        yield database
        database.commit()


class Rows:
    """Inserts rows into a table, many at once."""

    def __init__(self, database: sqlite3.Connection, insert: str) -> None:
        self._database, self._insert = database, insert
        self._waiting: list[tuple[Any, ...]] = []
        #: How many rows were not taken, since they were there already.
        self.repeated = 0

    def add(self, *row: Any) -> None:
        """Insert a row."""
        self._waiting.append(row)
        if len(self._waiting) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Insert all that waits."""
        before = self._database.total_changes
        self._database.executemany(self._insert, self._waiting)
        self.repeated += len(self._waiting) - (self._database.total_changes - before)
        self._waiting.clear()
