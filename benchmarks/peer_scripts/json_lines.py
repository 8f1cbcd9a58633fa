"""Lines of JSON by orjson: into a buffer, or each handed to the system at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import orjson

__all__ = ["FlushedLines", "JsonLines"]


class JsonLines:
    """orjson into a buffered file."""

    version = orjson.__version__
    _buffering: ClassVar[int] = -1

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "lines.jsonl").open("wb", self._buffering)

    def log(self, losses: Sequence[float]) -> None:
        write, dumps, newline = self._file.write, orjson.dumps, orjson.OPT_APPEND_NEWLINE
        for index, loss in enumerate(losses):
            write(dumps({"index": index, "loss": loss}, option=newline))

    def close(self) -> None:
        self._file.close()

    @staticmethod
    def count(folder: Path) -> int:
        """Whole lines; one that was cut off does not count."""
        with (folder / "lines.jsonl").open("rb") as file:
            return sum(1 for line in file if line.endswith(b"\n") and orjson.loads(line))


class FlushedLines(JsonLines):
    """orjson, a system call for each line."""

    _buffering = 0
