"""A drop-in for W&B: ``import rigorous_recorder.wandb as wandb``.

Runs are experiments of the collection ``<project>.collection``; nothing is sent anywhere.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from enum import Enum
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NoReturn

from rigorous_recorder import Experiment, ExperimentCollection
from rigorous_recorder._report import report
from rigorous_recorder.integrations.host import Capture
from rigorous_recorder.integrations.joining import resumed, shared_collection

from . import errors, plot, util
from .absent import absent
from .advice import INSTEAD, found_on_use
from .artifacts import Artifact
from .captured import Captured
from .errors import CommError, ConfigError, Error, UsageError
from .media import (
    Audio,
    Classes,
    File,
    Histogram,
    Html,
    Image,
    Media,
    Molecule,
    Object3D,
    Plotly,
    Table,
    Video,
    WBValue,
)
from .modules import PATCHED, Here, InPlaceOfOriginal
from .parameters import Config, parameters
from .plot import plot_table
from .resume import is_automatic, store_id, stored_id
from .runs import Metric, Run
from .settings import Given, Settings
from .summaries import Summary

__all__ = [
    "AlertLevel",
    "Api",
    "Artifact",
    "Audio",
    "Classes",
    "CommError",
    "Config",
    "ConfigError",
    "Error",
    "File",
    "Histogram",
    "Html",
    "Image",
    "Metric",
    "Molecule",
    "Object3D",
    "Plotly",
    "Run",
    "Settings",
    "Summary",
    "Table",
    "UsageError",
    "Video",
    "__version__",
    "agent",
    "alert",
    "attach",
    "config",
    "controller",
    "define_metric",
    "errors",
    "finish",
    "init",
    "join",
    "link_model",
    "log",
    "log_artifact",
    "log_code",
    "log_model",
    "login",
    "mark_preempting",
    "patch",
    "plot",
    "plot_table",
    "require",
    "restore",
    "run",
    "save",
    "setup",
    "summary",
    "sweep",
    "teardown",
    "termerror",
    "termlog",
    "termwarn",
    "unwatch",
    "use_artifact",
    "use_model",
    "util",
    "watch",
]

#: The version of W&B whose functions these are; scripts compare it.
__version__ = "0.31.0"
_LONGEST_NAME: Final = 128
#: In so many records of a run that goes on the last values are looked for.
_LAST_RECORDS: Final = 10_000


class AlertLevel(Enum):
    """How much an alert matters."""

    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"


class _Missing:
    """What stands for ``config`` and ``summary`` before a run has begun."""

    def __init__(self, name: str) -> None:
        vars(self)["_name"] = name

    def _fail(self, *_: object) -> NoReturn:
        message = f"wandb.{vars(self)['_name']} needs a run: call wandb.init() first"
        raise Error(message)

    __getattr__ = __getitem__ = __setattr__ = __setitem__ = _fail
    update = setdefaults = _fail


#: The run that began last, and has not ended.
run: Run | None = None
config: Any = _Missing("config")
summary: Any = _Missing("summary")
_open: Final[list[Run]] = []


def _after_fork() -> None:
    for each in _open:
        each.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def init(
    entity: str | None = None,
    project: str | None = None,
    dir: str | os.PathLike[str] | None = None,
    id: str | None = None,
    name: str | None = None,
    notes: str | None = None,
    tags: Any = None,
    config: Any = None,
    config_exclude_keys: list[str] | None = None,
    config_include_keys: list[str] | None = None,
    allow_val_change: bool | None = None,
    group: str | None = None,
    job_type: str | None = None,
    mode: str | None = None,
    force: bool | None = None,
    reinit: bool | str | None = None,
    resume: bool | str | None = None,
    resume_from: str | None = None,
    fork_from: str | None = None,
    save_code: bool | None = None,
    tensorboard: bool | None = None,
    sync_tensorboard: bool | None = None,
    monitor_gym: bool | None = None,
    settings: Any = None,
    anonymous: str | None = None,
    *,
    capture: Capture | None = None,
) -> Run:
    """Begin a run, an experiment of the collection ``<dir>/<project>.collection``.

    Where an argument is missing, the variables WANDB_PROJECT, WANDB_DIR, WANDB_NAME and so on count.

    Args:
        config: the parameters, which become attributes of the run.
        mode: "disabled" to log nothing; all others mean the same.
        reinit: "finish_previous" or True to end the runs that are open, "create_new" to begin another
            beside them, which ``wandb.run`` does not become; else the open run is returned, and what
            is given is reported as not used.
        resume: "allow", "must" or "never", for the run with the same ``id``; "auto" or True to go on
            with the last one of the project that was begun so and did not end well.
        capture: what the run records of itself, as in ``ExperimentCollection.new_experiment``; by
            default the environment, the console and, where psutil is installed, system metrics,
            unless the settings (``console="off"``, ``x_disable_stats=True``, ``x_disable_meta=True``,
            ``disable_git=True``) or their variables switch them off.

    Raises:
        UsageError: ``resume`` is "must" and there is no such run, or "never" and there is one.
    """
    found = Given(settings, entity=entity, project=project, dir=dir, id=id, name=name, notes=notes)
    found.add(tags=tags, group=group, job_type=job_type, mode=mode, reinit=reinit, resume=resume)
    _report_unused(
        resume_from=resume_from,
        fork_from=fork_from,
        sync_tensorboard=sync_tensorboard or tensorboard or found.is_on("sync_tensorboard"),
        monitor_gym=monitor_gym,
    )
    is_beside = found["reinit"] == "create_new"
    if _open and found["reinit"] not in (True, "finish_previous", "create_new"):
        return _still_open(found, config)
    if not is_beside:
        teardown()
    begun = _begin(found, capture)
    chosen = parameters(config)
    if config_include_keys is not None:
        chosen = {key: chosen[key] for key in config_include_keys if key in chosen}
    for key in config_exclude_keys or ():
        chosen.pop(key, None)
    begun.config.update(chosen, allow_val_change=True)
    _show(begun, is_beside=is_beside)
    return begun


def _report_unused(**given: Any) -> None:
    """Report options that would log something, or from somewhere else, and do nothing here."""
    for name, value in given.items():
        if value:
            report(f"init({name}=...) does nothing here: use {INSTEAD[name]}")


def _begin(found: Given, capture: Capture | None) -> Run:
    project = found["project"] or "uncategorized"
    place = Path(found["dir"] or ".", f"{project}.collection")
    _check("project", project, "/\\#?%:")
    _check("id", found["id"] or "new", ":;,#?/'\\")
    folder = place.with_suffix(".artifacts")
    last = folder / "resume.json" if is_automatic(found["resume"]) else None
    if last is not None:
        found["id"] = found["id"] or stored_id(last)
    id_ = found["id"] or util.generate_id()
    names = ("name", "entity", "group", "job_type", "notes")
    about = {key: found[key] for key in names if found[key]}
    about |= {"tags": list(found["tags"])} if found["tags"] else {}
    about |= {"run": found["name"]} if found["name"] else {}
    new = {"run": id_, "run_id": id_, "project": project, **about}
    if found["mode"] == "disabled":
        return Run(None, new, folder=folder, settings=found.settings)
    captured = Captured(capture, found)
    collection = shared_collection(place)
    known = _known(collection, found["id"], found["resume"])
    if known is None:
        started = collection.start(new, capture=captured.by_collection)
        begun = Run(started, new, folder=folder, settings=found.settings)
    else:
        begun = _resumed(
            collection, known, about, folder=folder, settings=found.settings, captured=captured
        )
    captured.record(begun.recorder)
    if last is not None:
        store_id(last, id_)
        begun.resume_file = last
    return begun


def _check(what: str, name: str, wrong: str) -> None:
    if name in {".", ".."} or len(name) > _LONGEST_NAME or not set(wrong).isdisjoint(name):
        message = (
            f"{name!r:.200} is not a valid {what}: use at most {_LONGEST_NAME} characters, and none"
            f" of {wrong}"
        )
        raise UsageError(message)


def _resumed(
    collection: ExperimentCollection,
    experiment: Experiment,
    about: dict[str, Any],
    *,
    folder: Path,
    settings: dict[str, Any],
    captured: Captured,
) -> Run:
    before, records = dict(experiment), experiment.records
    step = -1
    if len(records) and "step" in records.columns:
        ((step,),) = records.sql("SELECT coalesce(max(step), -1) FROM records").fetchall()
    last: dict[str, Any] = {}
    for row in islice(reversed(records), _LAST_RECORDS):
        last = {key: v for key, v in row.items() if key not in before and v is not None} | last
    begun = Run(
        resumed(collection, experiment, capture=captured.by_collection),
        {**before, **about},
        folder=folder,
        step=int(step) + 1,
        resumed=True,
        settings=settings,
    )
    begun.go_on(about, before, last)
    return begun


def _known(collection: ExperimentCollection, id_: Any, resume: Any) -> Experiment | None:
    """The experiment to go on with; None for a new one."""
    known = [each for each in collection.experiments if each["run_id"] == id_] if id_ else []
    if resume in (None, False):
        if known:
            report(
                f"there is a run with the id {id_!r} already: this is another one. Give"
                " resume='allow' to go on with it"
            )
        return None
    if resume == "never" and known:
        message = f"a run with the id {id_!r} exists, and resume is 'never'"
        raise UsageError(message)
    if resume == "must" and not known:
        message = f"there is no run with the id {id_!r} in {collection}, and resume is 'must'"
        raise UsageError(message)
    return known[-1] if known else None


def _still_open(found: Given, config: Any) -> Run:
    open_run = _open[-1]
    ignored = [key for key in ("project", "name", "id", "group", "notes") if found[key]]
    ignored += ["config"] if config else []
    if ignored:
        report(
            f"init() returns the run {open_run.name!r}, which has not ended; not used: "
            f"{', '.join(ignored)}. Give reinit='finish_previous' or 'create_new', or finish it"
        )
    return open_run


def _show(begun: Run, *, is_beside: bool) -> None:
    global run, config, summary
    _open.append(begun)
    begun._at_end = _forget
    if not is_beside:
        run, config, summary = begun, begun.config, begun.summary


def _forget(ended: Run) -> None:
    """Let the module's names go back to what they were before a run."""
    global run, config, summary
    if ended in _open:
        _open.remove(ended)
    if run is ended:
        run, config, summary = None, _Missing("config"), _Missing("summary")


def _running(what: str) -> Run:
    if run is None:
        message = f"wandb.{what} needs a run: call wandb.init() first"
        raise Error(message)
    return run


def log(
    data: Mapping[str, Any] | None = None,
    step: int | None = None,
    commit: bool | None = None,
    sync: bool | None = None,
) -> None:
    """Log metrics to the run; see ``Run.log``."""
    (run or _running("log()")).log(data, step, commit)


def finish(exit_code: int | None = None, quiet: bool | None = None) -> None:
    """End the run, if one is open."""
    if run is not None:
        run.finish(exit_code)


def _of_run(name: str) -> Callable[..., Any]:
    """A function that calls a method of the run, as ``Run`` documents it."""

    def call(*values: Any, **options: Any) -> Any:
        return getattr(_running(f"{name}()"), name)(*values, **options)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = getattr(Run, name).__doc__
    return call


alert = _of_run("alert")
define_metric = _of_run("define_metric")
link_model = _of_run("link_model")
log_artifact = _of_run("log_artifact")
log_code = _of_run("log_code")
log_model = _of_run("log_model")
mark_preempting = _of_run("mark_preempting")
restore = _of_run("restore")
save = _of_run("save")
use_artifact = _of_run("use_artifact")
use_model = _of_run("use_model")
watch = _of_run("watch")

Api, agent, attach, controller, sweep = map(
    absent, ("Api", "agent", "attach", "controller", "sweep")
)


join = finish


def login(*_: Any, **__: Any) -> bool:
    """True: no account is needed."""
    return True


def setup(settings: Any = None) -> SimpleNamespace:
    """What has the ``settings`` of this process; nothing has to be set up."""
    given = Given(settings, mode=None, project=None, entity=None)
    return SimpleNamespace(settings=Settings(**{**given.settings, **given}))


def teardown(exit_code: int | None = None) -> None:
    """End all runs that are open."""
    for each in tuple(_open):
        each.finish(exit_code)


def unwatch(models: Any = None) -> None:
    """Watch a model, or all of them, no longer."""
    if run is not None:
        run.unwatch(models)


def termlog(
    string: str = "", newline: bool = True, repeat: bool = True, prefix: bool = True
) -> None:
    """Write a line to standard error."""
    report(str(string))


termwarn = termerror = termlog


def require(*_: Any, **__: Any) -> None:
    """Nothing has to be switched on."""


__getattr__ = found_on_use(__name__)


def patch() -> None:
    """Make ``import wandb`` give this module, for code that can't be changed; call it before that code.

    So the loggers that frameworks have for W&B log here, such as those of Transformers, TRL and
    Accelerate, and that of Lightning where W&B is installed.
    """
    if not any(isinstance(each, InPlaceOfOriginal) for each in sys.meta_path):
        sys.meta_path.insert(0, InPlaceOfOriginal())
    for name in [name for name in sys.modules if name.startswith(f"{PATCHED}.")]:
        del sys.modules[name]
    sys.modules[PATCHED] = sys.modules[__name__]


class _Disabled:
    """No run is of this class, which Lightning asks for; one that is disabled is a ``Run``."""


_NOT_PUBLIC: Final = {
    "Media": Media,
    "RunDisabled": _Disabled,
    "WBValue": WBValue,
    "generate_id": util.generate_id,
}
sys.meta_path.append(Here(sys.modules[__name__], _NOT_PUBLIC))
