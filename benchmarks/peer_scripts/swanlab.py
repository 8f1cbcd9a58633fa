"""SwanLab, offline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import swanlab
from swanlab.proto.swanlab.record.v1.record_pb2 import Record
from swanlab.sdk.internal.core_python.store import DataStoreReader

__all__ = ["Offline"]


class Offline:
    """``log`` with a dict, into the file that ``swanlab sync`` would send."""

    version = swanlab.__version__

    def __init__(self, folder: Path) -> None:
        self._run = swanlab.init(project="study", mode="offline", log_dir=str(folder))

    def log(self, losses: Sequence[float]) -> None:
        run = self._run
        for index, loss in enumerate(losses):
            run.log({"index": index, "loss": loss})

    def close(self) -> None:
        self._run.finish()

    @staticmethod
    def count(folder: Path) -> int:
        """Scalars of the loss, by the reader that ``swanlab sync`` uses."""
        messages = (each for path in folder.glob("run-*/run-*.swanlab") for each in _messages(path))
        return sum(
            message.HasField("scalar") and message.scalar.key == "loss" for message in messages
        )


def _messages(path: Path) -> Iterator[Record]:
    reader = DataStoreReader()
    reader.open(path)
    return map(Record.FromString, reader)
