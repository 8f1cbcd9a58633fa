"""A run, with the methods of W&B's."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from rigorous_recorder import Recorder
from rigorous_recorder import Run as Started
from rigorous_recorder._keys import RESERVED
from rigorous_recorder._lazy import lazy_module
from rigorous_recorder._report import report
from rigorous_recorder.integrations.ends import at_exit
from rigorous_recorder.integrations.guest import guest, report_once, set_attributes
from rigorous_recorder.integrations.joining import Beside

from .absent import Absent
from .arguments import joined_dicts, metrics_of, step_of, time_of
from .files import Files
from .media import Histogram, Media, Table, drawn, has_media, owned
from .parameters import Config
from .plot import Chart
from .resume import forget_id
from .step_metrics import StepMetrics
from .summaries import Summary

torch = lazy_module("rigorous_recorder.integrations.torch")

__all__ = ["OWN", "Metric", "Run"]

#: Attributes of a run that are no parameters; a parameter with such a name is ``config.<name>``.
OWN: Final = frozenset(
    {
        *("run", "run_id", "name", "project", "entity", "group", "job_type", "notes", "tags"),
        *("summary", "step_metrics", "exit_code", "status", "step", "time", "used_artifacts"),
    }
)

#: Keys that a record has already; a metric of this name is ``metric.<name>``.
_TAKEN: Final = RESERVED | {"step", "time"}

#: What W&B has as the exit code after Ctrl-C.
_INTERRUPTED: Final = 255

#: The id of the process of a run that ends elsewhere.
_OF_ANOTHER: Final = 0

#: Values of these types are logged as they are.
_PLAIN: Final = frozenset({float, int, str, bool, type(None)})


class Run(Files, Absent):
    """A run of W&B whose records are in a collection.

    A record has ``step``, ``time`` and the metrics of a step. Nothing is dropped: a record at a step
    that is lower than one before is logged, and a second value of a metric at one step is a second
    record. What can't be logged is reported once, and never raised.
    """

    def __init__(
        self,
        started: Started | Beside | None,
        about: Mapping[str, Any],
        *,
        folder: Path,
        step: int = 0,
        resumed: bool = False,
        settings: Mapping[str, Any],
    ) -> None:
        super().__init__(
            started, about, folder=folder, step=step, resumed=resumed, settings=settings
        )
        self._pending: dict[str, Any] = {}
        self._parts: dict[str, Recorder] = {}
        self._step_metrics = StepMetrics()
        self._watched: dict[int, Any] = {}
        #: Keys of records that are no metrics, or of a parameter that is moved for one.
        self._no_metrics = set(_TAKEN)
        #: Parameters that have ``config.`` before their name.
        self._moved = OWN | RESERVED
        self._is_open = True
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._at_end: Callable[[Run], None] = _nothing
        self._push = started.recorder.push if started else _nothing
        self.summary = Summary()
        self.config = Config(self._configure, can_change=resumed)
        if started:
            at_exit(lambda error: self._close(_exit_code(error), error))

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process logs to the same run, which ends in this one."""
        given = self.recorder, self._about, self._folder, self._step, self._settings
        return _shared, (*given, self.config.as_dict(), self._moved, dict(self._step_metrics.names))

    def go_on(
        self, given: Mapping[str, Any], before: Mapping[str, Any], last: Mapping[str, Any]
    ) -> None:
        """Take up what a run has before it goes on, and set what is given now."""
        known = {key: each for key, each in before.items() if key not in self._moved}
        self._moved |= {key.removeprefix("config.") for key in known if key.startswith("config.")}
        self._no_metrics |= {key for key in known if not key.startswith("config.")}
        self.config.restore({key.removeprefix("config."): each for key, each in known.items()})
        self.summary.restore(last, before.get("summary") or {})
        self._step_metrics = StepMetrics(before.get("step_metrics"))
        self._set(dict(given))

    # --- logging -------------------------------------------------------------------------------

    def log(
        self,
        data: Mapping[str, Any] | None = None,
        step: int | None = None,
        commit: bool | None = None,
        sync: bool | None = None,
    ) -> None:
        """Log metrics at the present step, or at the one that is given.

        With ``commit=False``, or a ``step`` without ``commit=True``, the record waits for others of
        its step: until one has another step, or the run ends.

        Raises:
            TypeError: ``data`` is not a dict with texts as keys, or ``step`` is not an int.
        """
        fields = metrics_of({} if data is None else data)
        at = None if step is None else step_of(step)
        is_whole = bool(commit) if step is not None else commit is None or commit
        with self._lock:
            self._log(fields, at, is_whole=is_whole)

    def _log(self, fields: dict[str, Any], step: int | None, *, is_whole: bool) -> None:
        if step is not None and step != self._step:
            self._flush()
            if step < self._step:
                self._write(step, fields)
                return
            self._step = step
        if self._pending and (common := self._pending.keys() & fields.keys()):
            joined = joined_dicts(self._pending, fields, common)
            if joined is None:
                self._flush()
            else:
                fields = {**fields, **joined}
        if not is_whole:
            if not _PLAIN.issuperset(map(type, fields.values())):
                found = self._plain(self._step, fields)
                fields = {key: owned(each) for key, each in found.items()}
            self._pending |= fields
            self.summary.show(self._pending)
            return
        if self._pending:
            fields, self._pending = {**self._pending, **fields}, {}
        self._write(self._step, fields)
        self._step += 1

    def after_fork(self) -> None:
        """Let a forked child log: what waits for its step, and a lock that is held, are its parent's."""
        self._pending = {}
        self._lock = threading.RLock()

    def _flush(self) -> None:
        if self._pending:
            fields, self._pending = self._pending, {}
            self._write(self._step, fields)

    def _write(self, step: int, fields: dict[str, Any]) -> None:
        try:
            self.summary.see(fields)
        except Exception as error:  # noqa: BLE001 - the record is logged all the same
            report_once("the summary could not take a value", error, step=step)
        try:
            if not _PLAIN.issuperset(map(type, fields.values())):
                fields = self._plain(step, fields)
            if self._step_metrics.names:
                fields = self._step_metrics.fill(fields)
            if not self._no_metrics.isdisjoint(fields):
                self._move_parameters(self._no_metrics & fields.keys() - _TAKEN)
                fields = {_free(key, _TAKEN, "metric"): each for key, each in fields.items()}
            time = time_of(fields) if "_timestamp" in fields else datetime.now(UTC)
            record = {"step": step, "time": time, **fields}
            try:
                self._push(record)
            except (TypeError, ValueError):
                self._push({key: _storable(key, each, step) for key, each in record.items()})
        except Exception as error:  # noqa: BLE001 - the training goes on
            report_once("log could not store a record", error, step=step)

    def _plain(self, step: int, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a record in which media, tables and histograms are fields of their own."""
        found: dict[str, Any] = {}
        for key, value in fields.items():
            try:
                found |= self._fields_of(step, key, value)
            except Exception as error:  # noqa: BLE001 - the other values are logged
                report_once(f"log could not convert {key!r}", error, step=step)
        return found

    def _fields_of(self, step: int, key: str, value: Any) -> dict[str, Any]:
        if type(value) in _PLAIN:
            return {key: value}
        if isinstance(value, list | tuple) and value and isinstance(value[0], Media):
            numbered = [(f"{key}/{number}", each) for number, each in enumerate(value)]
            return {name: each for at, item in numbered for name, each in item.fields(at).items()}
        value = drawn(value)
        if isinstance(value, Mapping) and has_media(value):
            parts = ((f"{key}.{name}", each) for name, each in value.items())
            return {
                name: v for at, part in parts for name, v in self._fields_of(step, at, part).items()
            }
        if isinstance(value, Media | Histogram):
            return value.fields(key)
        if isinstance(value, Table):
            self._log_table(step, key, value)
            about = value.chart if isinstance(value, Chart) else {}
            return {key: {"columns": value.columns, "rows": len(value), **about}}
        return {key: value}

    def _log_table(self, step: int, key: str, table: Table) -> None:
        if self.recorder is None:
            return
        child = self.recorder.child({"table": key, "step": step})
        for row in table.data:
            fields = self._plain(step, dict(zip(table.columns, row, strict=True)))
            child.push({_free(name, RESERVED, "metric"): each for name, each in fields.items()})

    def define_metric(
        self,
        name: str,
        step_metric: Any = None,
        step_sync: bool | None = None,
        hidden: bool | None = None,
        summary: str | None = None,
        overwrite: bool | None = None,
        goal: str | None = None,
    ) -> Metric:
        """Set by which metric another is plotted, and what the summary has of it.

        Args:
            name: a metric, or a pattern such as ``val/*``.
            step_metric: stored in the attribute ``step_metrics``. Its last value is added to records
                that it was not logged with, with ``<step metric>/carried``, unless ``step_sync`` is
                False.
            summary: min, max, mean, last, first, copy, best or none, or several separated by commas.

        Raises:
            Error: ``summary`` has another value.
        """
        if summary is not None:
            self.summary.define(name, summary)
        if step_metric is not None:
            chosen = str(getattr(step_metric, "name", step_metric))
            self._step_metrics.define(name, chosen, is_filled=step_sync is not False)
            self._set({"step_metrics": dict(self._step_metrics.names)})
        return Metric(name)

    @guest
    def watch(
        self,
        models: Any,
        criterion: Any = None,
        log: str | None = "gradients",
        log_freq: int = 1000,
        idx: int | None = None,
        log_graph: bool = False,
    ) -> None:
        """Log norms and histograms of a model's weights and gradients, in a child for each parameter.

        Before the optimizer uses them, every ``log_freq`` of its steps; see
        ``rigorous_recorder.integrations.torch.watch``.
        """
        found = models if isinstance(models, list | tuple) else [models]
        for model in found if self.recorder is not None and log is not None else ():
            self.unwatch(model)
            self._watched[id(model)] = torch.watch(
                model, None, self.recorder, every=log_freq, histograms=True
            )

    def unwatch(self, models: Any = None) -> None:
        """Watch a model, or all of them, no longer."""
        given = models if isinstance(models, list | tuple) else [models]
        for each in list(self._watched) if models is None else map(id, given):
            if each in self._watched:
                self._watched.pop(each).close()

    @guest
    def alert(
        self, title: str, text: str = "", level: Any = "INFO", wait_duration: Any = None
    ) -> None:
        """Log a record of the run's part ``alerts``, and report it."""
        name = str(getattr(level, "value", level)).upper()
        fields = {"alert": title, "alert/text": text, "alert/level": name}
        self._part("alerts").push({"step": self._step, "time": datetime.now(UTC), **fields})
        report(f"{name}: {title}" + (f": {text}" if text else ""))

    def _part(self, name: str) -> Any:
        if self.recorder is None:
            return _Nowhere()
        if name not in self._parts:
            self._parts[name] = self.recorder.child(part=name)
        return self._parts[name]

    # --- attributes ----------------------------------------------------------------------------

    @guest
    def _configure(self, values: dict[str, Any]) -> None:
        if self.recorder is not None and values:
            moved = self._moved | {key for key in values if self.summary.has_seen(key)}
            self._no_metrics |= values.keys() - moved
            found = {_free(key, moved, "config"): each for key, each in values.items()}
            set_attributes(self.recorder, found)

    @guest
    def _move_parameters(self, names: AbstractSet[str]) -> None:
        """Give parameters another name, since a metric has theirs: no record may inherit them."""
        self._no_metrics -= names
        self._moved |= names
        recorder = self.recorder if names else None
        while recorder is not None and "run_id" in recorder.local_data:  # also above an attempt
            known = {name: recorder.local_data[name] for name in sorted(names)}
            moved = {f"config.{name}": each for name, each in known.items()}
            recorder.update({**moved, **dict.fromkeys(known)})
            recorder = recorder.parent

    # --- the end -------------------------------------------------------------------------------

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        """End the run: as failed if there is an exit code other than 0."""
        self._close(exit_code or 0, None)

    def _close(self, exit_code: int, error: BaseException | None) -> None:
        with self._lock:
            was_open, self._is_open = self._is_open, False
        if was_open:
            self._end(exit_code, error)
            self._at_end(self)

    @guest
    def _end(self, exit_code: int, error: BaseException | None) -> None:
        with self._lock:
            self._flush()
        if os.getpid() != self._process:
            return  # in a child; the run is its parent's
        self.unwatch()
        own = self.summary.own()
        self._set({"exit_code": exit_code, **({"summary": own} if own else {})})
        if not exit_code and self.resume_file is not None:
            forget_id(self.resume_file)
        if self._started is None:
            return
        if exit_code:
            self._started.fail(error)
        else:
            self._started.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._close(0 if error is None else 1, error)


def _shared(
    recorder: Recorder | None,
    about: dict[str, Any],
    folder: Path,
    step: int,
    settings: dict[str, Any],
    config: dict[str, Any],
    moved: frozenset[str],
    step_metrics: dict[str, str],
) -> Run:
    """A run of another process, with its parameters as they were."""
    beside = Beside(recorder) if recorder is not None else None
    found = Run(beside, about, folder=folder, step=step, settings=settings)
    found._process = _OF_ANOTHER
    found._moved = moved
    found._no_metrics |= config.keys() - moved
    found.config.restore(config)
    found._step_metrics = StepMetrics(step_metrics)
    return found


class Metric(NamedTuple):
    """A metric that was defined; it can be the step metric of others."""

    name: str


class _Nowhere:
    """Where a disabled run logs to."""

    def push(self, fields: object) -> None:
        """Log nothing."""


def _nothing(what: object) -> None:
    """Do nothing."""


def _exit_code(error: BaseException | None) -> int:
    """The exit code of a process that dies of an exception."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    return 0 if error is None else _INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1


def _storable(key: str, value: Any, step: int) -> Any:
    """The value, or its text where it can't be stored, which is reported."""
    try:
        Recorder().push({key: value})
    except (TypeError, ValueError) as error:
        report_once(f"{key!r} is logged as text", error, step=step)
        return str(value)
    return value


def _free(key: str, taken: AbstractSet[str], before: str) -> str:
    return f"{before}.{key}" if key in taken else key
