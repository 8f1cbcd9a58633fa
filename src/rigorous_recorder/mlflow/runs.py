"""Runs: experiments of a collection, nested ones as children."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import uuid
import weakref
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from rigorous_recorder import Experiment, Recorder
from rigorous_recorder import Run as Started
from rigorous_recorder._capture.wanted import wanted_of
from rigorous_recorder.integrations.ends import at_exit
from rigorous_recorder.integrations.guest import guest, push, set_attributes
from rigorous_recorder.integrations.host import Capture
from rigorous_recorder.integrations.joining import Beside, resumed
from rigorous_recorder.integrations.media import number

from .entities import Run, RunData, RunInfo
from .exceptions import MlflowException
from .places import CHOSEN, collection_of, experiment_now, name_of, place_of, search_experiments
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
    "time_of",
]

_STATUSES: Final = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "stopped"}


class ActiveRun:
    """A run, to be entered by ``with``; inside of another run it is a child of that."""

    def __init__(
        self,
        info: RunInfo,
        recorder: Recorder,
        started: Started | Beside | None,
        *,
        tags: Mapping[str, Any] | None = None,
        is_attached: bool = False,
    ) -> None:
        self.info = info
        self.recorder = recorder
        self._started = started
        #: Those of the run itself: what a child inherits are its parent's.
        known = recorder.attributes.get("tags") if started else tags
        self._tags: dict[str, Any] = dict(known or {})
        self._files: Recorder | None = None
        self._process = os.getpid()
        #: Whether it is a child of another run.
        self.is_nested = started is None and not is_attached
        #: Whether it only logs to a run that began elsewhere, and does not go on with it.
        self.is_attached = is_attached
        if not is_attached:
            _known[info.run_id] = self
            at_exit(lambda error: self.end("FINISHED" if error is None else "FAILED", error))

    @property
    def data(self) -> RunData:
        """What it logged until now."""
        return get_run(self.info.run_id).data

    @guest
    def log(self, metrics: Mapping[str, Any], step: int | None, timestamp: int | None) -> None:
        """Log a record."""
        now = datetime.now(UTC) if timestamp is None else time_of(timestamp)
        found = {free(key, "metric"): _number(each) for key, each in metrics.items()}
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
    def add_input(self, dataset: Any, context: str | None, tags: Mapping[str, Any] | None) -> None:
        """Set the name, digest and source of a data set as an item of the attribute ``inputs``."""
        about = {
            "name": str(getattr(dataset, "name", dataset)),
            "digest": getattr(dataset, "digest", None),
            "source": getattr(dataset, "source", None),
            "context": context,
            "tags": dict(tags or {}) or None,
        }
        own = self.recorder.local_data
        is_nested = "parent_run_id" in own  # else those of attempts before count as well
        known = (own if is_nested else self.recorder.attributes).get("inputs") or []
        one = {key: str(v) if key == "source" else v for key, v in about.items() if v is not None}
        self.set_params({"inputs": [*known, one]})

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
    def end(self, status: str, error: BaseException | None = None, time: int | None = None) -> None:
        """End it: "FINISHED", "FAILED" or "KILLED"; also with another time, in milliseconds."""
        if self.info.status != "RUNNING" or os.getpid() != self._process:
            return  # it has ended, or is that of the parent of a fork
        self.info.status = status
        ended = datetime.now(UTC) if time is None else time_of(time)
        self.recorder.update(status=_STATUSES[status], end_time=ended)
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
#: Runs that began elsewhere, to which this process logs.
_elsewhere: Final[dict[str, ActiveRun]] = {}


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
        parent_run_id: that of another run that it belongs to, of any process.
        log_system_metrics: whether to log what the run uses of the machine, as ``capture`` with
            "system" does.
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
        parent = _parent(parent_run_id or (tags or {}).get("mlflow.parentRunId"))
        if CHOSEN.get("system") if log_system_metrics is None else log_system_metrics:
            parts: Any = {*wanted_of(capture), "system"}
            capture = parts
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
    return active if run_id is None else running(str(run_id))


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
    if "mlflow.runName" in (tags or {}) and run_name is None:
        known["run"] = str((tags or {})["mlflow.runName"])
    begun = _begun(known, experiment_id, parent, capture=capture)
    if tags:
        begun.set_tags(tags)
    return begun


def _begun(
    about: dict[str, Any], experiment: str | None, parent: ActiveRun | None, *, capture: Capture
) -> ActiveRun:
    if parent is not None:
        started_at = {"start_time": about.get("start_time", datetime.now(UTC)), "status": "running"}
        place = {"parent_run_id": parent.info.run_id, "experiment": parent.info.experiment_id}
        recorder = parent.recorder.child({**about, **started_at, **place})
        return ActiveRun(_info(about, parent.info.experiment_id), recorder, None)
    name = experiment_now() if experiment is None else name_of(experiment)
    started = collection_of(name).start({**about, "experiment": name}, capture=capture)
    return ActiveRun(_info(about, name), started.recorder, started)


def _resumed(run_id: str, experiment: str | None, *, capture: Capture) -> ActiveRun:
    """Go on with a run: also with a nested one, below its parent, which does not end by that."""
    known = _known.get(run_id)
    if (
        known is not None
        and not known.is_attached
        and (known.info.status == "RUNNING" or known.is_nested)
    ):
        known.info.status = "RUNNING"
        return known
    found = _stored(run_id, experiment)
    name, about = found.info.experiment_id, {"run": found.info.run_name, "run_id": run_id}
    parent_id = found.data.tags.get("mlflow.parentRunId")
    if parent_id:
        parent = _known.get(parent_id) or _resumed(parent_id, name, capture=capture)
        return _begun(about, name, parent, capture=False)
    started = resumed(collection_of(name), _experiment_of(name, run_id), capture=capture)
    return ActiveRun(_info(about, name), started.recorder, started)


def _stored(run_id: str, experiment: str | None = None) -> Run:
    """A run of any process, in this experiment or another."""
    first = experiment_now() if experiment is None else name_of(experiment)
    names = dict.fromkeys([first, *(each.name for each in search_experiments())])
    for name in names:
        if found := run_in(name, run_id):
            return found
    message = f"there is no run {run_id!r} in any experiment of {place_of('x').parent}"
    raise MlflowException(message, "RESOURCE_DOES_NOT_EXIST")


def _experiment_of(name: str, run_id: str) -> Experiment:
    return next(each for each in collection_of(name).experiments if each["run_id"] == run_id)


def _attached(run_id: str) -> ActiveRun:
    """A run of another process, to log to it; it does not go on by that."""
    found = _stored(run_id)
    name = found.info.experiment_id
    parent_id = found.data.tags.get("mlflow.parentRunId")
    if parent_id:
        about = {"run": found.info.run_name, "run_id": run_id, "parent_run_id": parent_id}
        recorder = running(parent_id).recorder.child({**about, "experiment": name})
    else:
        recorder = _experiment_of(name, run_id).recorder
    return ActiveRun(found.info, recorder, None, tags=_own_tags(found), is_attached=True)


def _own_tags(run: Run) -> dict[str, Any]:
    made = {"mlflow.runName", "mlflow.parentRunId"}
    return {key: each for key, each in run.data.tags.items() if key not in made}


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
        MlflowException: there is no run with this id.
    """
    if run_id is None:
        return active_run() or start_run()
    found = _known.get(run_id) or _elsewhere.get(run_id)
    if found is None:
        found = _elsewhere[run_id] = _attached(run_id)
    return found


def _number(value: Any) -> Any:
    """A metric: of text the number that it is; of an array or tensor with one element, that."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return float(value)
    try:
        return number(value)
    except (TypeError, ValueError):
        return value


def free(key: str, before: str) -> str:
    """A key that is no attribute of runs."""
    return f"{before}.{key}" if key in OWN else key


def time_of(milliseconds: float) -> datetime:
    """A time that is given in milliseconds since 1970."""
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
