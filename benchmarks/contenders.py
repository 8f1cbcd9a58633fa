"""Ways to log records of two fields, as small objects with the same three methods."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import orjson
import polars as pl

from rigorous_recorder import ExperimentCollection

__all__ = [
    "CONTENDERS",
    "AddCommit",
    "Contender",
    "CsvLines",
    "FlushedLines",
    "JsonLines",
    "Loop",
    "Push",
    "PushMapping",
    "RowDicts",
    "TwoLists",
]


class Contender(Protocol):
    """Logs records of an index and a loss into a folder of its own."""

    label: str
    #: Whether a record that was logged survives the death of the process.
    is_kept: bool

    def __init__(self, folder: Path) -> None: ...

    def log(self, losses: Sequence[float]) -> None:
        """Log all records, one by one, in a loop as a user writes it."""

    def log_one(self, index: int, loss: float) -> None:
        """Log one record."""

    def close(self) -> None:
        """Return when the file is finished, where there is one."""


class Loop:
    """Nothing but the loop that all share."""

    label = "the bare loop"
    is_kept = False

    def __init__(self, folder: Path) -> None:
        pass

    def log(self, losses: Sequence[float]) -> None:
        for _index, _loss in enumerate(losses):
            pass

    def log_one(self, index: int, loss: float) -> None:
        pass

    def close(self) -> None:
        pass


class Push:
    """``push`` with keywords, in a collection on disk."""

    label = "`push(index=i, loss=x)`"
    is_kept = True

    def __init__(self, folder: Path) -> None:
        self._collection = ExperimentCollection(folder / "study", quiet=True)
        self._experiment = self._collection.new_experiment()
        self.recorder = self._experiment.__enter__().child(model="m1")

    def log(self, losses: Sequence[float]) -> None:
        recorder = self.recorder
        for index, loss in enumerate(losses):
            recorder.push(index=index, loss=loss)

    def log_one(self, index: int, loss: float) -> None:
        self.recorder.push(index=index, loss=loss)

    def close(self) -> None:
        self._experiment.__exit__(None, None, None)
        self._collection.close()


class PushMapping(Push):
    """``push`` with a dict."""

    label = '`push({"index": i, "loss": x})`'

    def log(self, losses: Sequence[float]) -> None:
        recorder = self.recorder
        for index, loss in enumerate(losses):
            recorder.push({"index": index, "loss": loss})

    def log_one(self, index: int, loss: float) -> None:
        self.recorder.push({"index": index, "loss": loss})


class AddCommit(Push):
    """A record that is put together in two places."""

    label = "`add(index=i)`, `add(loss=x)`, `commit()`"

    def log(self, losses: Sequence[float]) -> None:
        recorder = self.recorder
        for index, loss in enumerate(losses):
            recorder.add(index=index)
            recorder.add(loss=loss)
            recorder.commit()

    def log_one(self, index: int, loss: float) -> None:
        self.recorder.add(index=index).add(loss=loss).commit()


class RowDicts:
    """A list of dicts, never saved."""

    label = '`rows.append({"index": i, "loss": x})`'
    is_kept = False

    def __init__(self, folder: Path) -> None:  # noqa: ARG002 - the contenders' signature
        self._rows: list[dict[str, Any]] = []

    def log(self, losses: Sequence[float]) -> None:
        rows = self._rows
        for index, loss in enumerate(losses):
            rows.append({"index": index, "loss": loss})

    def log_one(self, index: int, loss: float) -> None:
        self._rows.append({"index": index, "loss": loss})

    def close(self) -> None:
        pass


class TwoLists:
    """A list for each field; one Parquet file by Polars at the end."""

    label = "two `list.append`, Parquet by Polars at the end"
    is_kept = False

    def __init__(self, folder: Path) -> None:
        self._path = folder / "two_lists.parquet"
        self._indexes: list[int] = []
        self._losses: list[float] = []

    def log(self, losses: Sequence[float]) -> None:
        mine, theirs = self._indexes, self._losses
        for index, loss in enumerate(losses):
            mine.append(index)
            theirs.append(loss)

    def log_one(self, index: int, loss: float) -> None:
        self._indexes.append(index)
        self._losses.append(loss)

    def close(self) -> None:
        columns = {"index": self._indexes, "loss": self._losses}
        pl.DataFrame(columns).write_parquet(self._path)


class CsvLines:
    """``csv.writer`` into a buffered file."""

    label = "`csv.writer` lines"
    is_kept = False

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "lines.csv").open("w", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(["index", "loss"])

    def log(self, losses: Sequence[float]) -> None:
        write = self._writer.writerow
        for index, loss in enumerate(losses):
            write((index, loss))

    def log_one(self, index: int, loss: float) -> None:
        self._writer.writerow((index, loss))

    def close(self) -> None:
        self._file.close()


class JsonLines:
    """orjson into a buffered file."""

    label = "`orjson` lines"
    is_kept = False
    _buffering: ClassVar[int] = -1

    def __init__(self, folder: Path) -> None:
        self._file = (folder / f"lines{self._buffering}.jsonl").open("wb", self._buffering)

    def log(self, losses: Sequence[float]) -> None:
        write, dumps, newline = self._file.write, orjson.dumps, orjson.OPT_APPEND_NEWLINE
        for index, loss in enumerate(losses):
            write(dumps({"index": index, "loss": loss}, option=newline))

    def log_one(self, index: int, loss: float) -> None:
        line = {"index": index, "loss": loss}
        self._file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        self._file.close()


class FlushedLines(JsonLines):
    """orjson, each line handed to the system at once: what ``push`` promises."""

    label = "`orjson` lines, unbuffered"
    is_kept = True
    _buffering = 0


CONTENDERS: tuple[type[Contender], ...] = (
    Loop,
    Push,
    PushMapping,
    AddCommit,
    RowDicts,
    TwoLists,
    CsvLines,
    JsonLines,
    FlushedLines,
)
