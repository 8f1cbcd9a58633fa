"""Collections that the drop-ins of a process share, and runs that a logger joins."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Final

from rigorous_recorder import Experiment, ExperimentCollection, Recorder, Run
from rigorous_recorder._keys import RESERVED
from rigorous_recorder._report import report
from rigorous_recorder.errors import RunningError

from .guest import guest, set_attributes
from .host import Capture

__all__ = ["Beside", "resumed", "shared_collection"]

_SHARED: Final[dict[Path, ExperimentCollection]] = {}
#: What each attempt at a run has of its own.
_OF_ATTEMPT: Final = RESERVED | {"end_time", "exit_code", "status", "summary"}


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
    """An experiment that goes on, with the attributes that it has by now.

    If it is still running, a child of it instead, which is reported.
    """
    before = dict(experiment)
    number, error_number = experiment.number, experiment["error_number"]  # failed ones share one
    try:
        run = collection.resume(number, error_number=error_number, capture=capture).start()
    except RunningError:
        process = f"{socket.gethostname()}:{os.getpid()}"
        report(
            f"experiment {number} is still running: this logger logs to a child of it, with"
            f" process={process!r}"
        )
        return Beside(experiment.recorder.child(process=process))
    _take_over(run.recorder, before)
    return run


@guest
def _take_over(recorder: Recorder, before: Mapping[str, Any]) -> None:
    """Set what the attempt before set: it is beside this one, which does not inherit that."""
    inherited = recorder.attributes
    known = {key: each for key, each in before.items() if key not in _OF_ATTEMPT}
    later = {key: v for key, v in known.items() if repr(inherited.get(key)) != repr(v)}
    set_attributes(recorder, later)
