"""Runs: experiments of a collection, nested ones as children."""

from __future__ import annotations

import os
import shutil
import threading
import uuid
import weakref
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from rigorous_recorder import Recorder
from rigorous_recorder import Run as Started
from rigorous_recorder.integrations.ends import at_exit
from rigorous_recorder.integrations.guest import guest, push, set_attributes
from rigorous_recorder.integrations.host import Capture
from rigorous_recorder.integrations.joining import Beside, resumed

from .entities import RunData, RunInfo
from .exceptions import MlflowException
from .places import collection_of, experiment_now, place_of, search_experiments
from .stored import OWN, get_run, run_in

__all__ = [
    "OWN",
    "ActiveRun",
    "active_run",
    "begin",
    "end_run",
    "free",
    "inside",
    "last_active_run",
    "running",
    "start_run",
]

_STATUSES: Final = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "stopped"}


class ActiveRun:
    """A run, to be entered by ``with``; inside of another run it is a child of that."""

    def __init__(
        self,
        info: RunInfo,
        recorder: Recorder,
        started: Started | Beside | None,
    ) -> None:
        self.info = info
        self.recorder = recorder
        self._started = started
        #: Those of the run itself: what a child inherits are its parent's.
        self._tags: dict[str, Any] = dict(recorder.attributes.get("tags") or {}) if started else {}
        self._files: Recorder | None = None
        self._process = os.getpid()
        #: Whether it is a child of another run.
        self.is_nested = started is None
        _known[info.run_id] = self
        at_exit(lambda error: self.end("FINISHED" if error is None else "FAILED", error))

    @property
    def data(self) -> RunData:
        """What it logged until now."""
        return get_run(self.info.run_id).data

    @guest
    def log(self, metrics: Mapping[str, Any], step: int | None, timestamp: int | None) -> None:
        """Log a record."""
        now = datetime.now(UTC) if timestamp is None else _time(timestamp)
        found = {free(key, "metric"): each for key, each in metrics.items()}
        push(self.recorder, {"step": 0 if step is None else step, "time": now, **found})

    @guest
    def set_params(self, params: Mapping[str, Any]) -> None:
        """Set parameters as attributes."""
        set_attributes(self.recorder, {free(key, "config"): each for key, each in params.items()})

    @guest
    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set items of the attribute ``tags``; None removes one."""
        self._tags = {key: v for key, v in {**self._tags, **tags}.items() if v is not None}
        about: dict[str, Any] = {"tags": dict(self._tags) or None}
        if "mlflow.note.content" in tags:
            about["notes"] = tags["mlflow.note.content"]
        if "mlflow.runName" in tags:
            about["run"] = self.info.run_name = str(tags["mlflow.runName"])
        set_attributes(self.recorder, about)

    @guest
    def store(self, source: Path | bytes, name: str) -> None:
        """Copy a file to the run's folder, and log a record of it in its part ``artifacts``."""
        path = Path(self.info.artifact_uri, inside(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(source, Path):
            shutil.copyfile(source, path)
        else:
            path.write_bytes(source)
        if self._files is None:
            self._files = self.recorder.child(part="artifacts")
        self._files.push(path=name, size=path.stat().st_size, time=datetime.now(UTC))

    @guest
    def end(self, status: str, error: BaseException | None = None) -> None:
        """End it: "FINISHED", "FAILED" or "KILLED"."""
        if self.info.status != "RUNNING" or os.getpid() != self._process:
            return  # it has ended, or is that of the parent of a fork
        self.info.status = status
        self.recorder.update(status=_STATUSES[status], end_time=datetime.now(UTC))
        if self._started is None:
            return
        if status == "FAILED":
            self._started.fail(error)
        else:
            self._started.finish(_STATUSES[status])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self in _state.stack:
            while _state.stack[-1] is not self:
                _pop("FINISHED" if error is None else "FAILED", error)
            _pop("FINISHED" if error is None else "FAILED", error)


class _State(threading.local):
    """Each thread has runs of its own, as in MLflow."""

    def __init__(self) -> None:
        self.stack: list[ActiveRun] = []
        self.last: ActiveRun | None = None


_state: Final = _State()
#: Runs that began in this process, by their ids.
_known: Final[weakref.WeakValueDictionary[str, ActiveRun]] = weakref.WeakValueDictionary()
_chosen: Final[dict[str, str]] = {}


def start_run(
    run_id: str | None = None,
    experiment_id: str | None = None,
    run_name: str | None = None,
    nested: bool = False,
    parent_run_id: str | None = None,
    tags: Mapping[str, Any] | None = None,
    description: str | None = None,
    log_system_metrics: bool | None = None,
    *,
    capture: Capture = True,
) -> ActiveRun:
    """Begin a run, or go on with the one that has this id.

    Args:
        nested: whether it belongs to the active run, whose child it becomes.
        capture: what it records of itself; see ``ExperimentCollection.new_experiment``. A nested
            run has what its parent recorded.

    Raises:
        MlflowException: a run is active, and this one is not nested; or there is none with the id.
    """
    if _state.stack and not nested:
        message = (
            f"run {_state.stack[-1].info.run_id} is active: end it by end_run(), or start this one"
            " with nested=True"
        )
        raise MlflowException(message)
    run_id = run_id or (None if nested else os.environ.get("MLFLOW_RUN_ID"))
    if run_id:
        begun = _resumed(run_id, experiment_id, capture=capture)
        if tags:
            begun.set_tags(tags)
    else:
        parent = _parent(parent_run_id)
        about = {"notes": description} if description else {}
        begun = begin(
            experiment_id, parent, run_name=run_name, tags=tags, about=about, capture=capture
        )
    _state.stack.append(begun)
    _state.last = begun
    return begun


def _parent(run_id: str | None) -> ActiveRun | None:
    """The run to which a nested one belongs: that with the id, else the active one."""
    active = _state.stack[-1] if _state.stack else None
    return active if run_id is None else _known.get(run_id, active)


def begin(
    experiment_id: str | None,
    parent: ActiveRun | None = None,
    *,
    run_name: str | None = None,
    tags: Mapping[str, Any] | None = None,
    about: Mapping[str, Any] | None = None,
    capture: Capture = True,
) -> ActiveRun:
    """Begin a run, or a nested one, which does not become the active one."""
    id_ = uuid.uuid4().hex
    known = {"run": run_name or id_, "run_id": id_, **(about or {})}
    begun = _begun(known, experiment_id, parent, capture=capture)
    if tags:
        begun.set_tags(tags)
    return begun


def _begun(
    about: dict[str, Any], experiment: str | None, parent: ActiveRun | None, *, capture: Capture
) -> ActiveRun:
    if parent is not None:
        started_at = {"start_time": datetime.now(UTC), "status": "running"}
        place = {"parent_run_id": parent.info.run_id, "experiment": parent.info.experiment_id}
        recorder = parent.recorder.child({**about, **started_at, **place})
        return ActiveRun(_info(about, parent.info.experiment_id), recorder, None)
    name = experiment or experiment_now()
    started = collection_of(name).start({**about, "experiment": name}, capture=capture)
    return ActiveRun(_info(about, name), started.recorder, started)


def _resumed(run_id: str, experiment: str | None, *, capture: Capture) -> ActiveRun:
    """Go on with a run: also with a nested one, below its parent, which does not end by that."""
    known = _known.get(run_id)
    if known is not None and (known.info.status == "RUNNING" or known.is_nested):
        known.info.status = "RUNNING"
        return known
    names = dict.fromkeys([experiment or experiment_now(), *(e.name for e in search_experiments())])
    name = next((each for each in names if run_in(each, run_id)), None)
    if name is None:
        message = f"there is no run {run_id!r} in any experiment of {place_of('x').parent}"
        raise MlflowException(message)
    found = run_in(name, run_id)
    assert found is not None
    about = {"run": found.info.run_name, "run_id": run_id}
    parent_id = found.data.tags.get("mlflow.parentRunId")
    if parent_id:
        parent = _known.get(parent_id) or _resumed(parent_id, name, capture=capture)
        return _begun(about, name, parent, capture=False)
    collection = collection_of(name)
    (number,) = {each.number for each in collection.experiments if each["run_id"] == run_id}
    started = resumed(collection, number, capture=capture)
    return ActiveRun(_info(about, name), started.recorder, started)


def _info(about: Mapping[str, Any], experiment: str) -> RunInfo:
    folder = place_of(experiment).with_suffix(".artifacts") / about["run_id"]
    now = int(datetime.now(UTC).timestamp() * 1000)
    return RunInfo(about["run_id"], about["run"], experiment, str(folder), start_time=now)


def end_run(status: str = "FINISHED") -> None:
    """End the active run, if there is one."""
    if _state.stack:
        _pop(status, None)


def _pop(status: str, error: BaseException | None) -> None:
    _state.stack.pop().end(status if status in _STATUSES else "FINISHED", error)


def active_run() -> ActiveRun | None:
    """The run of this thread that began last and has not ended."""
    return _state.stack[-1] if _state.stack else None


def last_active_run() -> ActiveRun | None:
    """The active run, or the last one."""
    return active_run() or _state.last


def running(run_id: str | None = None) -> ActiveRun:
    """The run with this id, or the active one; one begins if there is none, as in MLflow.

    Raises:
        MlflowException: no run with this id began in this process.
    """
    if run_id is None:
        return active_run() or start_run()
    if (run := _known.get(run_id)) is None:
        message = f"no run {run_id!r} began in this process: start_run(run_id=...) goes on with it"
        raise MlflowException(message)
    return run


def free(key: str, before: str) -> str:
    """A key that is no attribute of runs."""
    return f"{before}.{key}" if key in OWN else key


def _time(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def inside(name: str) -> str:
    """The name, unless it leads out of the run's folder.

    Raises:
        MlflowException: it does.
    """
    path = Path(name)
    if path.is_absolute() or ".." in path.parts or not path.name:
        message = f"{name!r} is not a valid path of a file of a run"
        raise MlflowException(message)
    return name
