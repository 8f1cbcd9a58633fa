"""What all integrations share: a failure to log is reported once, and never raised into a training."""

from __future__ import annotations

import functools
import os
import socket
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Final, TypeVar

from rigorous_recorder import ExperimentCollection, Recorder, Run
from rigorous_recorder._capture.wanted import Capture
from rigorous_recorder._report import error_line, report
from rigorous_recorder.errors import RigorousError, RunningError

from .ends import end_at_exit

__all__ = [
    "Beside",
    "Capture",
    "Host",
    "Place",
    "collection_at",
    "guest",
    "push",
    "report_once",
    "resumed",
    "set_attributes",
    "shared_collection",
]

Place = ExperimentCollection | str | PathLike[str]

_Method = TypeVar("_Method", bound=Callable[..., Any])
_SHARED: Final[dict[Path, ExperimentCollection]] = {}
_REPORTED: Final[set[str]] = set()


def guest(method: _Method) -> _Method:
    """A method that reports an exception of its own instead of raising it; it then returns None."""

    @functools.wraps(method)
    def call(*values: Any, **named: Any) -> Any:
        try:
            return method(*values, **named)
        except Exception as error:  # noqa: BLE001 - the training goes on
            report_once(f"{method.__qualname__} could not log", error)
            return None

    return call  # type: ignore[return-value]


def report_once(what: str, error: Exception, *, step: Any = None) -> None:
    """Report a failure, the first time that it occurs in this process, and at which step that is."""
    line = f"{what}: {error_line(error)}"
    if line not in _REPORTED:
        _REPORTED.add(line)
        report(line if step is None else f"{line} (first at step {step!r:.30})")


def collection_at(place: Place) -> ExperimentCollection:
    """The collection, or the one at a path."""
    return place if isinstance(place, ExperimentCollection) else ExperimentCollection(place)


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
    collection: ExperimentCollection, number: int, *, capture: Capture = False
) -> Run | Beside:
    """An experiment that goes on; a child of it if it is still running, which is reported."""
    try:
        return collection.resume(number, capture=capture).start()
    except RunningError:
        process = f"{socket.gethostname()}:{os.getpid()}"
        report(
            f"experiment {number} is still running: this logger logs to a child of it, with"
            f" process={process!r}"
        )
        return Beside(collection.experiment(number).recorder.child(process=process))


class Host:
    """Where an integration logs: a recorder of the caller's, or a run that begins when it is needed.

    Args:
        place: a collection or its path, in which a run begins; or a started run or a recorder.
        info: attributes of the run that begins.
        options: those of ``ExperimentCollection.start``.
    """

    def __init__(
        self, place: Place | Run | Recorder, info: Mapping[str, Any] | None, **options: Any
    ) -> None:
        found = place.recorder if isinstance(place, Run) else place
        self._place: Any = None if isinstance(found, Recorder) else found
        self._recorder = found if isinstance(found, Recorder) else None
        self._info, self._options = dict(info or {}), options
        self.run: Run | None = None

    @property
    def recorder(self) -> Recorder:
        """Where to log; a run begins if there is none yet."""
        if self._recorder is None:
            self.run = collection_at(self._place).start(self._info, **self._options)
            self._recorder = self.run.recorder
            end_at_exit(self.run)
        return self._recorder

    def fail(self) -> None:
        """End the run that began here, with the exception that is being handled."""
        if self.run is not None:
            self.run.fail()

    def finish(self) -> None:
        """End the run that began here."""
        if self.run is not None:
            self.run.finish()

    def __getstate__(self) -> dict[str, Any]:
        """Processes that are spawned get the recorder; the run ends in the one that began it."""
        return {**vars(self), "run": None}


def push(recorder: Recorder | Run, fields: Mapping[str, Any]) -> None:
    """Log a record; a field that can't be stored is reported, and the others are logged."""
    try:
        recorder.push(fields)
    except RigorousError:
        recorder.push(_storable(fields, _leaving_out(fields.get("step"))))


def set_attributes(recorder: Recorder, attributes: Mapping[str, Any]) -> None:
    """Set attributes; of a value that can't be stored, its ``repr``."""
    recorder.update(_storable({str(key): value for key, value in attributes.items()}, _text))


def _storable(fields: Mapping[str, Any], other: Callable[[str, Any, Exception], Any]) -> Any:
    found: dict[str, Any] = {}
    for key, value in fields.items():
        try:
            Recorder().add({key: value})
        except RigorousError as error:
            found |= other(key, value, error)
        else:
            found[key] = value
    return found


def _leaving_out(step: Any) -> Callable[[str, Any, Exception], dict[str, Any]]:
    def nothing(key: str, _: Any, error: Exception) -> dict[str, Any]:
        report_once(f"{key!r} could not be logged", error, step=step)
        return {}

    return nothing


def _text(key: str, value: Any, _: Exception) -> dict[str, Any]:
    if isinstance(value, Mapping):
        found = {str(name): each for name, each in value.items()}
        return {key: _storable(found, _text)}
    return {key: repr(value)}
