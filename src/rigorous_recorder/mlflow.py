"""A drop-in for MLflow's tracking: ``import rigorous_recorder.mlflow as mlflow``.

Runs are experiments of the collection of their MLflow experiment; nested runs are children.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import uuid
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NoReturn, Self
from urllib.parse import unquote, urlparse

from rigorous_recorder import Recorder
from rigorous_recorder import Run as Started
from rigorous_recorder._keys import RESERVED
from rigorous_recorder._report import report
from rigorous_recorder.errors import RigorousError
from rigorous_recorder.integrations.guest import (
    at_exit,
    guest,
    push,
    set_attributes,
    shared_collection,
)
from rigorous_recorder.integrations.media import picture

__all__ = [
    "ActiveRun",
    "Experiment",
    "MlflowException",
    "RunInfo",
    "active_run",
    "create_experiment",
    "delete_tag",
    "end_run",
    "get_artifact_uri",
    "get_experiment",
    "get_experiment_by_name",
    "get_tracking_uri",
    "last_active_run",
    "log_artifact",
    "log_artifacts",
    "log_dict",
    "log_figure",
    "log_image",
    "log_metric",
    "log_metrics",
    "log_param",
    "log_params",
    "log_table",
    "log_text",
    "set_experiment",
    "set_experiment_tag",
    "set_tag",
    "set_tags",
    "set_tracking_uri",
    "start_run",
]

#: Attributes of a run that are no parameters; a parameter with such a name is ``config.<name>``.
_OWN: Final = (
    frozenset(
        {
            *("run", "run_id", "experiment", "notes", "tags", "status", "start_time", "end_time"),
            *("step", "time", "part", "user"),
        }
    )
    | RESERVED
)
_STATUSES: Final = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "failed"}


class MlflowException(RigorousError):  # noqa: N818 - the name that scripts catch
    """A call that has no meaning now, such as a second run that is not nested."""


@dataclass(frozen=True)
class Experiment:
    """An experiment of MLflow: a collection."""

    name: str
    artifact_location: str

    @property
    def experiment_id(self) -> str:
        """Its name."""
        return self.name


@dataclass
class RunInfo:
    """What identifies a run, and how it is doing."""

    run_id: str
    run_name: str
    experiment_id: str
    artifact_uri: str
    status: str = "RUNNING"


class ActiveRun:
    """A run, to be entered by ``with``; inside of another run it is a child of that."""

    def __init__(
        self,
        info: RunInfo,
        recorder: Recorder,
        started: Started | None,
    ) -> None:
        self.info = info
        self.recorder = recorder
        self._started = started
        #: Those of the run itself: what a child inherits are its parent's.
        self._tags: dict[str, Any] = dict(recorder.attributes.get("tags") or {}) if started else {}
        self._files: Recorder | None = None
        self._process = os.getpid()
        _known[info.run_id] = self
        at_exit(lambda error: self._end("FINISHED" if error is None else "FAILED", error))

    @guest
    def _push(self, metrics: Mapping[str, Any], step: int | None, timestamp: int | None) -> None:
        now = datetime.now(UTC) if timestamp is None else _time(timestamp)
        found = {_free(key, "metric"): each for key, each in metrics.items()}
        push(self.recorder, {"step": 0 if step is None else step, "time": now, **found})

    @guest
    def _set(self, params: Mapping[str, Any]) -> None:
        set_attributes(self.recorder, {_free(key, "config"): each for key, each in params.items()})

    @guest
    def _tag(self, tags: Mapping[str, Any]) -> None:
        self._tags = {key: v for key, v in {**self._tags, **tags}.items() if v is not None}
        about: dict[str, Any] = {"tags": dict(self._tags) or None}
        if "mlflow.note.content" in tags:
            about["notes"] = tags["mlflow.note.content"]
        if "mlflow.runName" in tags:
            about["run"] = self.info.run_name = str(tags["mlflow.runName"])
        set_attributes(self.recorder, about)

    @guest
    def _store(self, source: Path | bytes, name: str) -> None:
        """Copy a file to the run's folder, and log a record of it in its part ``artifacts``."""
        path = Path(self.info.artifact_uri, _inside(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(source, Path):
            shutil.copyfile(source, path)
        else:
            path.write_bytes(source)
        if self._files is None:
            self._files = self.recorder.child(part="artifacts")
        self._files.push(path=name, size=path.stat().st_size, time=datetime.now(UTC))

    @guest
    def _end(self, status: str, error: BaseException | None = None) -> None:
        if self.info.status != "RUNNING" or os.getpid() != self._process:
            return  # it has ended, or is that of the parent of a fork
        self.info.status = status
        self.recorder.update(status=_STATUSES[status], end_time=datetime.now(UTC))
        if self._started is None:
            return
        if status == "FINISHED":
            self._started.finish()
        else:
            self._started.fail(error)

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


# --- where runs go ---------------------------------------------------------------------------------


def set_tracking_uri(uri: str | os.PathLike[str]) -> None:
    """Choose the folder of the collections: a path, ``file:`` or ``sqlite:///<path>.db``.

    Raises:
        MlflowException: it names a server.
    """
    _folder(os.fspath(uri))
    _chosen["uri"] = os.fspath(uri)


def get_tracking_uri() -> str:
    """What was set, else MLFLOW_TRACKING_URI, else the folder ``mlflow``."""
    return _chosen.get("uri") or os.environ.get("MLFLOW_TRACKING_URI") or "mlflow"


def _folder(uri: str) -> Path:
    parts = urlparse(uri)
    if parts.scheme in {"", "file"} or len(parts.scheme) == 1:
        return Path(unquote(parts.path) if parts.scheme == "file" else uri)
    if parts.scheme == "sqlite":
        return Path(uri.removeprefix("sqlite:///")).with_suffix("")
    message = f"{uri!r} names a server; this module logs to a folder: give its path"
    raise MlflowException(message)


def create_experiment(name: str, *_: Any, **__: Any) -> str:
    """The id of an experiment, which is its name."""
    return get_experiment(name).experiment_id


def set_experiment(
    experiment_name: str | None = None, experiment_id: str | None = None, **_: Any
) -> Experiment:
    """Choose the experiment of the runs that follow: the collection ``<name>.collection``."""
    name = experiment_name or experiment_id or "Default"
    found = get_experiment(name)
    _chosen["experiment"] = name
    return found


def get_experiment(experiment_id: str) -> Experiment:
    """An experiment by its id, which is its name."""
    return Experiment(experiment_id, str(_place(experiment_id)))


def get_experiment_by_name(name: str) -> Experiment | None:
    """An experiment; None if it has no runs yet."""
    found = get_experiment(name)
    return found if Path(found.artifact_location).exists() else None


def set_experiment_tag(key: str, value: Any) -> None:
    """Set an attribute of the whole collection."""
    name = _chosen.get("experiment", "Default")
    shared_collection(_place(name)).recorder.update({key: value})


def _place(experiment: str) -> Path:
    name = experiment.strip("/").replace("/", "_")
    if not name or name.startswith("."):
        message = f"{experiment!r} is not a valid name of an experiment"
        raise MlflowException(message)
    return _folder(get_tracking_uri()) / f"{name}.collection"


# --- runs ------------------------------------------------------------------------------------------


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
    capture: bool = True,
) -> ActiveRun:
    """Begin a run, or go on with the one that has this id.

    Args:
        nested: whether it belongs to the active run, whose child it becomes.
        capture: whether to record the environment; see ``ExperimentCollection.new_experiment``.

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
    else:
        id_ = uuid.uuid4().hex
        about = {"run": run_name or id_, "run_id": id_, "notes": description}
        begun = _begun(about, experiment_id, parent_run_id, capture=capture)
    if tags:
        begun._tag(tags)
    _state.stack.append(begun)
    _state.last = begun
    return begun


def _begun(
    about: dict[str, Any], experiment: str | None, parent_id: str | None, *, capture: bool
) -> ActiveRun:
    by_id = [each for each in _state.stack if each.info.run_id == parent_id]
    above = by_id or _state.stack
    if above:
        parent = above[-1]
        started_at = {"start_time": datetime.now(UTC), "status": "running"}
        recorder = parent.recorder.child({**about, **started_at})
        experiment = parent.info.experiment_id
        return ActiveRun(_info(about, experiment), recorder, None)
    name = experiment or _experiment()
    collection = shared_collection(_place(name))
    started = collection.start({**about, "experiment": name}, capture=capture)
    return ActiveRun(_info(about, name), started.recorder, started)


def _resumed(run_id: str, experiment: str | None, *, capture: bool) -> ActiveRun:
    name = experiment or _experiment()
    collection = shared_collection(_place(name))
    known = [each for each in collection.experiments if each["run_id"] == run_id]
    if not known:
        message = f"there is no run {run_id!r} in the experiment {name!r}; nested runs can't go on"
        raise MlflowException(message)
    started: Started = collection.resume(known[-1].number).start()
    about = {"run": known[-1]["run"], "run_id": run_id}
    return ActiveRun(_info(about, name), started.recorder, started)


def _experiment() -> str:
    return _chosen.get("experiment") or os.environ.get("MLFLOW_EXPERIMENT_NAME") or "Default"


def _info(about: Mapping[str, Any], experiment: str) -> RunInfo:
    folder = _place(experiment).with_suffix(".artifacts") / about["run_id"]
    return RunInfo(about["run_id"], about["run"], experiment, str(folder))


def end_run(status: str = "FINISHED") -> None:
    """End the active run, if there is one."""
    if _state.stack:
        _pop(status, None)


def _pop(status: str, error: BaseException | None) -> None:
    _state.stack.pop()._end(status if status in _STATUSES else "FINISHED", error)


def active_run() -> ActiveRun | None:
    """The run of this thread that began last and has not ended."""
    return _state.stack[-1] if _state.stack else None


def last_active_run() -> ActiveRun | None:
    """The active run, or the last one."""
    return active_run() or _state.last


def _running(run_id: str | None = None) -> ActiveRun:
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


# --- what is logged --------------------------------------------------------------------------------


def log_metric(
    key: str,
    value: float,
    step: int | None = None,
    synchronous: bool | None = None,
    timestamp: int | None = None,
    run_id: str | None = None,
    *_: Any,
    **__: Any,
) -> None:
    """Log a record with ``step``, 0 by default, ``time`` and the metric.

    Args:
        timestamp: milliseconds since 1970.
    """
    _running(run_id)._push({key: value}, step, timestamp)


def log_metrics(
    metrics: Mapping[str, float],
    step: int | None = None,
    synchronous: bool | None = None,
    run_id: str | None = None,
    timestamp: int | None = None,
    *_: Any,
    **__: Any,
) -> None:
    """Log several metrics as one record."""
    _running(run_id)._push(metrics, step, timestamp)


def log_param(key: str, value: Any, synchronous: bool | None = None) -> Any:
    """Set a parameter as an attribute of the run, with its type; the value."""
    _running()._set({key: value})
    return value


def log_params(
    params: Mapping[str, Any], synchronous: bool | None = None, run_id: str | None = None
) -> None:
    """Set several parameters."""
    _running(run_id)._set(params)


def set_tag(key: str, value: Any, synchronous: bool | None = None) -> None:
    """Set an item of the run's attribute ``tags``."""
    _running()._tag({key: value})


def set_tags(tags: Mapping[str, Any], synchronous: bool | None = None) -> None:
    """Set several items of the run's attribute ``tags``."""
    _running()._tag(tags)


def delete_tag(key: str) -> None:
    """Remove an item of the run's attribute ``tags``."""
    _running()._tag({key: None})


# --- files -----------------------------------------------------------------------------------------


def get_artifact_uri(artifact_path: str | None = None) -> str:
    """The folder of the run's files, or the path of one below it."""
    folder = Path(_running().info.artifact_uri)
    return str(folder / artifact_path if artifact_path else folder)


def log_artifact(
    local_path: str | os.PathLike[str],
    artifact_path: str | None = None,
    run_id: str | None = None,
) -> None:
    """Copy a file, or the files of a folder, to the run's folder; a record tells of each."""
    path = Path(local_path)
    if path.is_dir():
        log_artifacts(path, str(Path(artifact_path or "") / path.name), run_id)
    else:
        _running(run_id)._store(path, str(Path(artifact_path or "") / path.name))


def log_artifacts(
    local_dir: str | os.PathLike[str],
    artifact_path: str | None = None,
    run_id: str | None = None,
) -> None:
    """Copy the files below a folder to the run's folder."""
    folder = Path(local_dir)
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        _running(run_id)._store(path, str(Path(artifact_path or "") / path.relative_to(folder)))


def log_text(text: str, artifact_file: str, run_id: str | None = None) -> None:
    """Write a text as a file of the run."""
    _running(run_id)._store(text.encode(), artifact_file)


def log_dict(dictionary: Any, artifact_file: str, run_id: str | None = None) -> None:
    """Write JSON as a file of the run, which is YAML as well."""
    _running(run_id)._store(json.dumps(dictionary, indent=2, default=str).encode(), artifact_file)


def log_figure(figure: Any, artifact_file: str, *, save_kwargs: Any = None) -> None:
    """Write a figure of Matplotlib, or the page of one of Plotly, as a file of the run."""
    if hasattr(figure, "savefig"):
        path = Path(_running().info.artifact_uri, _inside(artifact_file))
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, **(save_kwargs or {}))
        _running()._store(path.read_bytes(), artifact_file)
    else:
        _running()._store(figure.to_html().encode(), artifact_file)


def log_image(image: Any, artifact_file: str | None = None, **options: Any) -> None:
    """Write a picture as PNG: a file of the run; with ``key`` and ``step`` a value of a record."""
    if hasattr(image, "save"):
        image = image.convert("RGB")
    png, _ = picture(image, "HW" if getattr(image, "ndim", 3) == len("HW") else "HWC")
    if artifact_file is not None:
        _running()._store(png, artifact_file)
    else:
        key = str(options.get("key", "image"))
        _running()._push({key: png}, options.get("step"), options.get("timestamp"))


def log_table(data: Any, artifact_file: str, run_id: str | None = None) -> None:
    """Log rows, a dict of columns or a DataFrame, as records of a child with ``table``."""
    columns = data if isinstance(data, dict) else {key: list(data[key]) for key in data.columns}

    @guest
    def log_rows() -> None:
        child = _running(run_id).recorder.child(table=artifact_file)
        child.extend({_free(str(key), "metric"): list(each) for key, each in columns.items()})

    log_rows()


def autolog(*_: Any, **__: Any) -> None:
    """Log nothing, and report so: ``rigorous_recorder.integrations`` has a callback for each library."""
    report(
        "mlflow.autolog() logs nothing here; docs/integrations.md has a callback for each library"
    )


def __getattr__(name: str) -> NoReturn:
    message = f"rigorous_recorder.mlflow has no {name!r}; docs/integrations.md lists what it has"
    raise AttributeError(message)


def _free(key: str, before: str) -> str:
    return f"{before}.{key}" if key in _OWN else key


def _time(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _inside(name: str) -> str:
    path = Path(name)
    if path.is_absolute() or ".." in path.parts or not path.name:
        message = f"{name!r} is not a valid path of a file of a run"
        raise MlflowException(message)
    return name
