"""This library."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Sequence
from pathlib import Path

from rigorous_recorder import ExperimentCollection

__all__ = ["Push"]

IS_NATIVE = importlib.util.find_spec("rigorous_recorder._live.native") is not None
"""Whether the native backend was compiled; what is measured without it is another thing."""


class Push:
    """``push`` below an experiment of a collection."""

    version = f"{importlib.metadata.version('rigorous-recorder')}, {'C' if IS_NATIVE else 'Python'}"

    def __init__(self, folder: Path) -> None:
        self._collection = ExperimentCollection(folder / "study", quiet=True)
        self._experiment = self._collection.new_experiment()
        self._recorder = self._experiment.__enter__().child(model="m1")

    def log(self, losses: Sequence[float]) -> None:
        recorder = self._recorder
        for index, loss in enumerate(losses):
            recorder.push(index=index, loss=loss)

    def close(self) -> None:
        self._experiment.__exit__(None, None, None)
        self._collection.close()

    @staticmethod
    def count(folder: Path) -> int:
        return len(ExperimentCollection(folder / "study", quiet=True).records)
