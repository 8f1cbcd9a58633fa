"""The last release before 2: records in memory, one pickle at the end."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path

from rigorous_recorder import ExperimentCollection, RecordKeeper

__all__ = ["OldCollection", "OldKeeper"]

VERSION = importlib.metadata.version("rigorous-recorder")


class OldKeeper:
    """``push`` without a collection."""

    version = VERSION

    def __init__(self, folder: Path) -> None:
        self._path = str(folder / "study.pickle")
        self._recorder = RecordKeeper(model="m1")

    def log(self, losses: Sequence[float]) -> None:
        recorder = self._recorder
        for index, loss in enumerate(losses):
            recorder.push(index=index, loss=loss)

    def close(self) -> None:
        self._recorder.save_to(self._path)

    @staticmethod
    def count(folder: Path) -> int:
        path = folder / "study.pickle"
        return len(RecordKeeper.load_from(str(path)).local_records) if path.exists() else 0


class OldCollection:
    """``push`` below an experiment of a collection."""

    version = VERSION

    def __init__(self, folder: Path) -> None:
        self._experiment = ExperimentCollection(str(folder / "study")).new_experiment()
        self._recorder = RecordKeeper(model="m1").set_parent(self._experiment.__enter__())

    def log(self, losses: Sequence[float]) -> None:
        recorder = self._recorder
        for index, loss in enumerate(losses):
            recorder.push(index=index, loss=loss)

    def close(self) -> None:
        self._experiment.__exit__(None, None, None)

    @staticmethod
    def count(folder: Path) -> int:
        return len(ExperimentCollection(str(folder / "study")).records)
