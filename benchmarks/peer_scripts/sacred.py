"""Sacred, into files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Thread

import sacred
from sacred.observers import FileStorageObserver

__all__ = ["Scalars"]


class Scalars:
    """``log_scalar`` with the index as its step.

    A run of Sacred's is one call of a main function. Here that one waits in a thread until
    ``close``, so that the loop can be timed alone.
    """

    version = sacred.__version__

    def __init__(self, folder: Path) -> None:
        self._experiment = sacred.Experiment("study", save_git_info=False)
        self._experiment.observers.append(FileStorageObserver(folder / "runs"))
        self._experiment.main(lambda: self._wait())  # noqa: PLW0108 - Sacred notes things on it
        self._is_started, self._is_over = Event(), Event()
        self._thread = Thread(target=self._experiment.run, daemon=True)
        self._thread.start()
        self._is_started.wait(timeout=60)

    def _wait(self) -> None:
        self._is_started.set()
        self._is_over.wait()

    def log(self, losses: Sequence[float]) -> None:
        experiment = self._experiment
        for index, loss in enumerate(losses):
            experiment.log_scalar("loss", loss, index)

    def close(self) -> None:
        self._is_over.set()
        self._thread.join()

    @staticmethod
    def count(folder: Path) -> int:
        """What the file of metrics holds; Sacred itself has no reader of it."""
        files = folder.glob("runs/*/metrics.json")
        return sum(
            len(json.loads(path.read_text()).get("loss", {"steps": ()})["steps"]) for path in files
        )
