"""Aim, into a local repository."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path

from aim import Repo, Run

__all__ = ["Tracked"]


class Tracked:
    """``track`` with the index as its step."""

    version = importlib.metadata.version("aim")

    def __init__(self, folder: Path) -> None:
        self._run = Run(repo=str(folder), system_tracking_interval=None)

    def log(self, losses: Sequence[float]) -> None:
        run = self._run
        for index, loss in enumerate(losses):
            run.track(loss, name="loss", step=index)

    def close(self) -> None:
        self._run.close()

    @staticmethod
    def count(folder: Path) -> int:
        """After what ``aim storage reindex`` does: no run is found before it is in the index."""
        Repo(str(folder))._recreate_index()
        runs = Repo(str(folder)).iter_runs()
        return sum(len(metric.values.values_list()) for run in runs for metric in run.metrics())
