"""Collections that the drop-ins of a process share, and runs that a logger joins."""

from __future__ import annotations

import os
import socket
from os import PathLike
from pathlib import Path
from typing import Final

from rigorous_recorder import Experiment, ExperimentCollection, Recorder, Run
from rigorous_recorder._report import report
from rigorous_recorder.errors import RunningError

from .host import Capture

__all__ = ["Beside", "resumed", "shared_collection"]

_SHARED: Final[dict[Path, ExperimentCollection]] = {}


def shared_collection(path: str | PathLike[str]) -> ExperimentCollection:
    """The collection at a path, open until the process ends: one for all runs that go there."""
    place = Path(path).absolute()
    known = _SHARED.get(place)
    if known is None or not place.exists():
        known = _SHARED[place] = ExperimentCollection(place, quiet=True)
    return known


class Beside:
    """What stands for a run that another process or logger still logs to: a child, which ends alone."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def finish(self, status: str = "finished") -> None:
        """Store what was logged; the run goes on."""
        self.recorder.sync()

    def fail(self, error: BaseException | None = None) -> None:
        """Set the exception as the attribute ``error``; the run goes on."""
        if error is not None:
            self.recorder["error"] = repr(error)
        self.recorder.sync()


def resumed(
    collection: ExperimentCollection, experiment: Experiment, *, capture: Capture = False
) -> Run | Beside:
    """An experiment that goes on; a child of it if it is still running, which is reported."""
    number, error_number = experiment.number, experiment["error_number"]  # failed ones share one
    try:
        return collection.resume(number, error_number=error_number, capture=capture).start()
    except RunningError:
        process = f"{socket.gethostname()}:{os.getpid()}"
        report(
            f"experiment {number} is still running: this logger logs to a child of it, with"
            f" process={process!r}"
        )
        return Beside(experiment.recorder.child(process=process))
