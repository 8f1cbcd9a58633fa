"""Runs: the start, logging and end of an experiment, and its six built-in attributes."""

from __future__ import annotations

import datetime as dt
import os
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from ._capture.wanted import CONSOLE, ENVIRONMENT, SYSTEM
from ._experiments_lock import changing_experiments
from ._failure import error_attributes
from ._keys import ERROR_KEYS, STATUS_KEY
from ._latest import latest_runs
from ._lazy import lazy_module
from ._lazy_imports import textwrap
from ._public import public
from ._recorder import Recorder, Reference, place_of, recorder_at, recorder_below
from ._report import ERROR, error_line, error_message, report, warn
from ._run_clock import RunClock
from ._runs import Past, Runs, is_running
from ._status import STOPS, Status, ending, status_of_error
from ._store.node_ids import ROOT, writer_of
from ._store.store import FolderStore
from .errors import (
    ArgumentError,
    ArgumentTypeError,
    EndedError,
    EnteredError,
    NotPicklableError,
    NotStartedError,
    PendingRecordWarning,
    RigorousError,
)

if TYPE_CHECKING:
    from . import _experiment as experiments
    from ._capture import console, system
    from ._capture import environment as captured
    from ._engines import source as sources
else:
    captured = lazy_module(f"{__package__}._capture.environment")
    console = lazy_module(f"{__package__}._capture.console")
    system = lazy_module(f"{__package__}._capture.system")
    experiments = lazy_module(f"{__package__}._experiment")
    sources = lazy_module(f"{__package__}._engines.source")

__all__ = ["Run", "set_whole"]

#: The levels of alerts, and those of ``logging`` that they mean.
_LEVELS: Final = {"info": 20, "warn": 30, "error": ERROR}


@public
class Run:
    """A run of an experiment.

    ``with run as recorder`` starts it, returns the recorder to log to, and ends it, even after an
    exception. Without a block, as in notebooks and callbacks, ``start()`` and ``finish()`` or
    ``fail()`` do the same. A run that is not ended counts as crashed once its process is gone.

    A started run has the methods of its recorder, such as ``push``, ``child`` and ``run[key] = value``.

    Raises:
        NotStartedError: the recorder is needed before the start.

    Examples:
        >>> run = collection.start(lr=0.1)  # doctest: +SKIP
        >>> run.push(step=0, loss=0.7)  # doctest: +SKIP
        >>> run.finish()  # doctest: +SKIP
    """

    def __init__(
        self,
        store: FolderStore,
        info: Mapping[str, Any],
        *,
        is_quiet: bool,
        capture: Collection[str] = (),
    ) -> None:
        self._store = store
        self._info = info
        self._is_quiet = is_quiet
        self._capture = capture
        if SYSTEM in capture:
            system.require_psutil()
        self._monitor: system.SystemMonitor | None = None
        self._console: console.Recording | None = None
        self._alerts: Recorder | None = None
        #: The id of the process that started it; 0 before the start.
        self._process = 0
        self._is_entered = False
        self._ended: Status | None = None
        #: The error number if it ends without an error.
        self._at_end = 0

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a run that was not started; another process can start it.

        Raises:
            NotPicklableError: it was started.
        """
        if self._process:
            message = (
                "an experiment that was started can't be pickled or copied: pass its recorder, to log"
                " to it, or the collection"
            )
            raise NotPicklableError(message)
        state = dict(vars(self))
        path = str(state.pop("_store").folder.path)
        return run_in, (type(self), path, state)

    # --- start and end -------------------------------------------------------------------------

    def start(self) -> Self:
        """Begin the experiment now: from now on it has a number and a recorder.

        Raises:
            EnteredError: it was started before.
            UnknownExperimentError: the experiment to resume does not exist.
            RunningError: the experiment to resume is still running.
            SaveError: the folder can't be written.
        """
        self._require_new()
        with changing_experiments(self._store):
            self._require_new()  # another thread may have started it meanwhile
            self._recorder = self._begin()
            self._process = os.getpid()
            self._store.flush()
        if ENVIRONMENT in self._capture:
            self._record_environment()
        if SYSTEM in self._capture:
            self._monitor_system()
        if CONSOLE in self._capture:
            self._record_console()
        return self

    def _record_environment(self) -> None:
        """Log the environment of this attempt to a child of its own, or report why it can't be."""
        try:
            self._recorder.child(captured.recorded())
        except Exception as trouble:  # noqa: BLE001 - the run has started, and goes on
            report(f"the environment of the run is not recorded: {error_line(trouble)}")

    def _monitor_system(self) -> None:
        try:
            push = self._recorder.child(part=SYSTEM).push
            self._monitor = system.SystemMonitor(push, self._store.folder.path)
        except Exception as trouble:  # noqa: BLE001 - the run has started, and goes on
            report(f"metrics of the system are not recorded: {error_line(trouble)}")

    def _record_console(self) -> None:
        try:
            child = self._recorder.child(part=CONSOLE)
            self._console = console.recording(Reference(child))
        except Exception as trouble:  # noqa: BLE001 - the run has started, and goes on
            report(f"the console of the run is not recorded: {error_line(trouble)}")

    def _require_new(self) -> None:
        if self._process:
            how = "entered" if self._is_entered else "started"
            message = (
                f"this run was {how} before, and is one experiment; begin another one with"
                " collection.new_experiment(...), or continue this one with collection.resume(number)"
            )
            raise EnteredError(message)

    def finish(self, status: Status | str = Status.FINISHED) -> None:
        """End the experiment; everything that it logged is on disk when this returns.

        A second call with the same status does nothing.

        Args:
            status: "finished", or "stopped" or "pruned" if it was ended on purpose: that is not an
                error, and the next experiment has another number. "failed" is like ``fail()``.

        Raises:
            ArgumentError: it is another status.
            NotStartedError: it was not started, or not in this process.
            EndedError: it has ended with another status.
            SaveError: records wait in memory and can't be written to disk.
        """
        wanted = ending(status)
        if wanted is Status.FAILED:
            self._end_with_error(None)
        elif not self._has_ended_as(wanted):
            self._end_well(wanted)

    def fail(self, error: BaseException | None = None) -> None:
        """End the experiment with an error, which is stored in its attributes and not raised.

        Args:
            error: the exception; by default the one that is being handled. For exceptions that mean
                a stop (see ``register_stop``) the registered status is set.

        Raises:
            ArgumentTypeError: ``error`` is not an exception.
            NotStartedError: it was not started, or not in this process.
            EndedError: it has ended with another status.
            SaveError: records wait in memory and can't be written to disk.
        """
        error = sys.exception() if error is None else error
        if not (error is None or isinstance(error, BaseException)):
            message = (
                f"fail() takes an exception, such as ValueError('diverged'), not {error!r:.60}"
            )
            raise ArgumentTypeError(message)
        self._end_with_error(error)

    def __enter__(self) -> Recorder:
        if self._is_entered or not self._process:
            self.start()
        self._is_entered = True
        return self.recorder

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if os.getpid() != self._process:
            return  # a forked child leaves the block, too; the experiment is its parent's
        if self._ended is not None:
            return  # finish() was called in the block
        if error is None:
            with suppress(EndedError):  # another thread calls finish() right now
                self._end_well(Status.FINISHED)
        else:
            self._end_by(error)

    def alert(
        self, title: str, text: str = "", level: Literal["info", "warn", "error"] = "info"
    ) -> None:
        """Log that something needs attention, and report it.

        It is a record of a child with ``part="alerts"``, with ``time``, ``alert``, ``alert/text`` and
        ``alert/level``. Nothing is sent anywhere: see ``rigorous watch``.

        Raises:
            ArgumentError: it is another level.
            NotStartedError: the run was not started.
        """
        if level not in _LEVELS:
            message = f"level={level!r}: expected one of {', '.join(_LEVELS)}"
            raise ArgumentError(message)
        if self._alerts is None:
            self._alerts = self._started("alert").child(part="alerts")
        fields = {"alert": title, "alert/text": text, "alert/level": level.upper()}
        self._alerts.push({"time": dt.datetime.now(dt.UTC), **fields})
        report(f"{title}: {text}" if text else title, level=_LEVELS[level])

    # --- attributes ----------------------------------------------------------------------------

    @property
    def recorder(self) -> Recorder:
        """The recorder that the run logs to: the experiment's, or its new attempt's."""
        return self._started("recorder")

    @property
    def experiment(self) -> experiments.Experiment:
        """The experiment in its current state."""
        self._require_started("experiment")
        return experiments.experiment_at(self._store, self._node)

    @property
    def number(self) -> int:
        """The experiment's number."""
        self._require_started("number")
        return int(self._experiment["experiment_number"])

    @property
    def id(self) -> str:
        """The experiment's id: see ``Experiment.id``."""
        self._require_started("id")
        return experiments.experiment_id(self._node)

    @property
    def status(self) -> Status:
        """Running, or the status with which it ended."""
        self._require_started("status")
        return self._ended or Status.RUNNING

    # Properties, so that a call is the recorder's method without a second frame.

    @property
    def push(self) -> Callable[..., Recorder]:
        """``recorder.push``: log a record."""
        return self._started("push").push

    @property
    def add(self) -> Callable[..., Recorder]:
        """``recorder.add``: fields of the record that is pushed by ``commit``."""
        return self._started("add").add

    @property
    def commit(self) -> Callable[..., Recorder]:
        """``recorder.commit``: log the added fields as a record."""
        return self._started("commit").commit

    @property
    def extend(self) -> Callable[..., Recorder]:
        """``recorder.extend``: log many records at once."""
        return self._started("extend").extend

    @property
    def child(self) -> Callable[..., Recorder]:
        """``recorder.child``: a new recorder below."""
        return self._started("child").child

    @property
    def update(self) -> Callable[..., None]:
        """``recorder.update``: set attributes."""
        return self._started("update").update

    def __getitem__(self, key: str) -> Any:
        return self.recorder[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.recorder[key] = value

    if not TYPE_CHECKING:  # it would accept misspelt names

        def __getattr__(self, name: str) -> Any:
            """Other attributes of the recorder; also called if a property above raises."""
            if hasattr(type(self), name):
                self._require_started(name)
            if name.startswith("_") or not hasattr(Recorder, name):
                message = f"{type(self).__name__!r} object has no attribute {name!r}"
                raise AttributeError(message, name=name, obj=self)
            return getattr(self._started(name), name)

    def __dir__(self) -> list[str]:
        """Its own names, and those of its recorder."""
        return sorted({*super().__dir__(), *(n for n in dir(Recorder) if not n.startswith("_"))})

    def _started(self, name: str) -> Recorder:
        self._require_started(name)
        return self._recorder

    def _require_started(self, name: str) -> None:
        if not self._process:
            message = (
                f"{name}: this run is not started yet. Use 'with run as recorder:', or run.start() and"
                " finally run.finish(); collection.start(...) creates and starts a run"
            )
            raise NotStartedError(message)

    @property
    def _node(self) -> int:
        found = place_of(self._experiment)
        assert found is not None
        return found[1]

    def __repr__(self) -> str:
        if not self._process:
            return f"<{type(self).__name__}, not started>"
        return f"<{type(self).__name__} of experiment {self.number}: {self.status}>"

    # --- end -----------------------------------------------------------------------------------

    def _has_ended_as(self, status: Status) -> bool:
        """Whether it has ended with a status.

        Raises:
            NotStartedError: it was not started, or not in this process.
            EndedError: it has ended with another status.
        """
        self._require_started("finish() or fail()")
        if self._process != os.getpid():
            message = (
                "another process started this run, and ends it; this one inherited it by a fork"
            )
            raise NotStartedError(message)
        if self._ended is not None:
            self._require_end(self._ended, status)
        return self._ended is not None

    @staticmethod
    def _require_end(ended: Status, status: Status) -> None:
        if ended is not status:
            message = (
                f"this run has ended as {ended}, and can't end as {status};"
                " collection.resume(number) continues it"
            )
            raise EndedError(message)

    def _end_well(self, status: Status) -> None:
        end = self._clock.end()
        self._finish(end)
        own = self._experiment["error_number"]
        if self._is_presumed_dead():
            with changing_experiments(self._store):
                self._set_good_end(end, status, own if self._has_successor(own) else self._at_end)
        else:
            self._set_good_end(end, status, self._at_end)
            if self._is_presumed_dead():  # others may not have seen that end
                with changing_experiments(self._store):
                    if self._has_successor(own):
                        self._experiment._set({"error_number": own})
        self._store.require_saved()
        self._warn_of_pending()

    def _set_good_end(self, end: dict[str, Any], status: Status, error_number: int) -> None:
        # In a single update, so that a new experiment sees the whole end or nothing of it.
        self._set_end({**end, "had_error": False, "error_number": error_number}, status)

    def _is_presumed_dead(self) -> bool:
        return not self._store.backend.is_still(writer_of(self._recorder._node))

    def _has_successor(self, error_number: int) -> bool:
        """Whether a later run, begun because this one was presumed dead, has error number 0 at its end."""
        others = (e for e in self._runs().numbered(self.number) if e.node != self._node)
        return any(each.error_number == 0 or each.error_number > error_number for each in others)

    def _end_with_error(self, error: BaseException | None) -> None:
        status = status_of_error(error) if error is not None else Status.FAILED
        if self._has_ended_as(status):
            return
        end = self._clock.end() | ({} if error is None else error_attributes(error))
        self._finish(end, status)
        self._set_end(end, status)
        self._store.require_saved()

    def _end_by(self, error: BaseException) -> None:
        """End with an exception that propagates to the caller, and report it in one line."""
        outcome = f"what it logged is saved in {self._store.folder.path}"
        is_saved = True
        try:
            self._end_with_error(error)
        except Exception as trouble:  # noqa: BLE001 - must not hide the experiment's own error
            is_ours = isinstance(trouble, RigorousError)
            outcome = error_message(trouble) if is_ours else error_line(trouble)
            is_saved = False
        is_plain = is_saved and self._ended is Status.PRUNED  # common in hyperparameter searches
        if not is_plain:
            data = self._experiment.local_data
            report(
                f"experiment {data['experiment_number']} (error_number {data['error_number']})"
                f" ended with {textwrap.shorten(error_line(error), 200)}; {outcome}",
                level=ERROR,
                is_quiet=self._is_quiet,
            )

    def _set_end(self, end: dict[str, Any], status: Status) -> None:
        # Threads can end a run at once, and no lock may be waited for here: a signal handler could
        # have interrupted its holder. An operation of a dict is atomic.
        self._require_end(vars(self).setdefault("_chosen_end", status), status)
        known = {**end, STATUS_KEY: status.value} if status in STOPS else end
        try:
            self._experiment._set(known)
        except BaseException:
            vars(self).pop("_chosen_end", None)  # it can be tried again
            raise
        self._recorder._show(known)  # the recorder of an attempt has the experiment's attributes
        self._ended = status

    def _finish(self, end: dict[str, Any], status: Status | None = None) -> None:
        """Save all records, since an ended experiment promises to have them all, and set the end."""
        try:
            if self._monitor is not None:
                self._monitor.close()
            if self._console is not None:
                self._console.close()
            self._store.finish()
        except BaseException as error:
            # Ctrl-C: it is not running any more, and did not end without an error.
            with suppress(EndedError):  # another thread ended it meanwhile
                self._set_end(end, status or status_of_error(error))
            raise

    def _warn_of_pending(self) -> None:
        for recorder in self._store.handles.values():
            if recorder.pending and self._is_above(recorder):
                message = (
                    f"{recorder!r} was given fields that were never committed:"
                    f" {', '.join(recorder.pending)}. Call commit() after add()"
                )
                warn(message, PendingRecordWarning, stacklevel=4)

    def _is_above(self, recorder: Recorder) -> bool:
        above: Recorder | None = recorder
        while above is not None and above is not self._recorder:
            above = above.parent
        return above is not None

    # --- start ---------------------------------------------------------------------------------

    def _begin(self) -> Recorder:
        """Begin the experiment, under the lock of the collection, and return its recorder."""
        return self._begin_new(*self._numbers())

    def _begin_new(self, number: int, error_number: int, **attributes: Any) -> Recorder:
        self._clock = RunClock()
        self._experiment = recorder_below(
            self._store,
            ROOT,
            {
                "experiment_number": number,
                "error_number": error_number,
                "had_error": True,
                "experiment_start_time": self._clock.start,
                "experiment_end_time": None,
                "experiment_duration": None,
                **attributes,
                **self._info,
            },
        )
        return self._experiment

    def _go_on(self, past: Past, info: Mapping[str, Any]) -> Recorder:
        """The recorder of a new attempt at an experiment that was begun before."""
        self._clock = RunClock(past.start)
        self._experiment = recorder_at(self._store, past.node)
        attributes = {
            "experiment_attempt": past.attempts + 1,
            "experiment_attempt_start_time": self._clock.now,
            **info,
        }
        others = [e for e in self._runs().numbered(past.number) if e.node != past.node]
        error_number, self._at_end = _free_error_numbers(others, past.error_number)
        # First the attempt, so that a crash in between leaves the experiment as it ended.
        attempt = self._store.new_node()
        self._store.set_attributes(attempt, attributes, past.node)
        self._experiment._set(
            {
                **(dict.fromkeys(ERROR_KEYS) if past.error else {}),
                **({STATUS_KEY: None} if past.ended in STOPS else {}),
                "experiment_attempt": 1,
                "error_number": error_number,
                "had_error": True,
                "experiment_end_time": None,
                "experiment_duration": None,
            }
        )
        return recorder_at(self._store, attempt)

    def _numbers(self) -> tuple[int, int]:
        """The experiment's number, and its error number until it ends without an error."""
        runs, deleted = latest_runs(self._store)
        number = runs.highest
        if number <= deleted:
            return deleted + 1, 1
        past = runs.numbered(number)
        if any(is_running(self._store, each) for each in past):
            return number + 1, 1
        if not past[-1].has_ended:
            # It may have ended between reading and checking its lock: then it is stored by now.
            past = latest_runs(self._store).runs.numbered(number)
        last = past[-1]
        if not last.had_error or last.goes_on:
            return number + 1, 1
        error_number, self._at_end = _free_error_numbers(past, last.error_number)
        return number, error_number

    def _runs(self) -> Runs:
        return Runs(sources.Source(self._store).now().nodes)


def _free_error_numbers(others: Sequence[Past], before: int) -> tuple[int, int]:
    """Error numbers that no other run with the same number has.

    Returns:
        The one after ``before``, until the run ends without an error; and the one from then on,
        which is 0 unless another run has that.
    """
    used = {each.error_number for each in others}
    number = next(each for each in count(before + 1) if each not in used)
    return number, number if 0 in used else 0


def run_in(kind: type[Run], path: str, state: Mapping[str, Any]) -> Run:
    """A run that was pickled before it was started."""
    experiment = kind.__new__(kind)
    vars(experiment).update(state, _store=FolderStore.at(Path(path)))
    return experiment


def set_whole(store: FolderStore, node: int, info: Mapping[str, Any], start: float) -> int:
    """Turn a node into an experiment that ended without an error, in one visible step.

    The caller holds the lock under which experiments begin (see ``changing_experiments``).

    Returns:
        Its number.
    """
    run = Run(store, info, is_quiet=True)
    number, _ = run._numbers()
    end = max(time.time(), start)
    attributes = {
        "experiment_number": number,
        "error_number": run._at_end,
        "had_error": False,
        "experiment_start_time": start,
        "experiment_end_time": end,
        "experiment_duration": end - start,
        **info,
    }
    store.set_attributes(node, attributes, ROOT)
    return number
