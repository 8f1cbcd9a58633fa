"""Weights & Biases, offline."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import wandb
from wandb.proto.wandb_internal_pb2 import Record

__all__ = ["Offline"]

BLOCK = 1 << 15
HEADER = struct.Struct("<IHB")
FULL, LAST = 1, 4


class Offline:
    """``log`` with a dict, into the file that ``wandb sync`` would send."""

    version = wandb.__version__

    def __init__(self, folder: Path) -> None:
        self._run = wandb.init(project="study", dir=folder, mode="offline")

    def log(self, losses: Sequence[float]) -> None:
        run = self._run
        for index, loss in enumerate(losses):
            run.log({"index": index, "loss": loss})

    def close(self) -> None:
        self._run.finish()

    @staticmethod
    def count(folder: Path) -> int:
        """Records of history in W&B's own messages; it ships no reader of the file around them."""
        files = folder.glob("wandb/offline-run-*/*.wandb")
        records = (Record.FromString(part) for path in files for part in _parts(path.read_bytes()))
        return sum(record.HasField("history") for record in records)


def _parts(data: bytes) -> Iterator[bytes]:
    """The whole parts of a file in LevelDB's log format, whose first header is W&B's own."""
    place, part = HEADER.size, b""
    while place + HEADER.size <= len(data):
        if BLOCK - place % BLOCK < HEADER.size:
            place += BLOCK - place % BLOCK
            continue
        _checksum, size, kind = HEADER.unpack_from(data, place)
        place += HEADER.size
        if not kind or place + size > len(data):
            return
        part += data[place : place + size]
        place += size
        if kind in (FULL, LAST):
            yield part
            part = b""
