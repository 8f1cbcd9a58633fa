"""Trackio, local."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import trackio
from trackio.sqlite_storage import SQLiteStorage

__all__ = ["Local"]


class Local:
    """``log`` with a dict, into the folder that ``TRACKIO_DIR`` names."""

    version = trackio.__version__

    def __init__(self, folder: Path) -> None:  # noqa: ARG002 - the environment has it
        self._run = trackio.init(project="study", embed=False, auto_log_cpu=False)

    def log(self, losses: Sequence[float]) -> None:
        run = self._run
        for index, loss in enumerate(losses):
            run.log({"index": index, "loss": loss})

    def close(self) -> None:
        self._run.finish()

    @staticmethod
    def count(folder: Path) -> int:  # noqa: ARG004 - the environment has it
        runs = trackio.Api().runs("study")
        return sum(len(SQLiteStorage.get_logs("study", run.name, run_id=run.id)) for run in runs)
