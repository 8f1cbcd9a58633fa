"""Ways that need nothing but Python: a list, ``csv``, ``sqlite3``."""

from __future__ import annotations

import csv
import platform
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["CsvLines", "RowDicts", "SqliteRows"]

PYTHON = f"Python {platform.python_version()}"


class RowDicts:
    """A list of dicts, never saved."""

    version = PYTHON

    def __init__(self, folder: Path) -> None:  # noqa: ARG002 - the signature that all share
        self._rows: list[dict[str, Any]] = []

    def log(self, losses: Sequence[float]) -> None:
        rows = self._rows
        for index, loss in enumerate(losses):
            rows.append({"index": index, "loss": loss})

    def close(self) -> None:
        pass

    @staticmethod
    def count(folder: Path) -> int:
        return sum(1 for _ in folder.iterdir())


class CsvLines:
    """``csv.writer`` into a buffered file."""

    version = PYTHON

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "lines.csv").open("w", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(["index", "loss"])

    def log(self, losses: Sequence[float]) -> None:
        write = self._writer.writerow
        for index, loss in enumerate(losses):
            write((index, loss))

    def close(self) -> None:
        self._file.close()

    @staticmethod
    def count(folder: Path) -> int:
        """Whole lines; one that was cut off does not count."""
        with (folder / "lines.csv").open(newline="") as file:
            lines = [line for line in file if line.endswith("\n")]
        return sum(1 for _ in csv.DictReader(lines))


class SqliteRows:
    """An INSERT and a commit for each record, in WAL mode."""

    version = f"SQLite {sqlite3.sqlite_version}"

    def __init__(self, folder: Path) -> None:
        self._database = sqlite3.connect(folder / "records.db")
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute('CREATE TABLE records ("index" INTEGER, loss REAL)')

    def log(self, losses: Sequence[float]) -> None:
        database = self._database
        for index, loss in enumerate(losses):
            database.execute("INSERT INTO records VALUES (?, ?)", (index, loss))
            database.commit()

    def close(self) -> None:
        self._database.close()

    @staticmethod
    def count(folder: Path) -> int:
        database = sqlite3.connect(folder / "records.db")
        return int(database.execute("SELECT count(*) FROM records").fetchone()[0])
