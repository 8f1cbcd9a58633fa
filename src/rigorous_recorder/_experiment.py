"""Experiments: their numbers, the six keys above every record, how they go on and how they end."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from textwrap import shorten
from types import TracebackType
from typing import Any, Final, SupportsIndex

from ._display.runs import run_line, run_name
from ._engines.scan import Scope, Source
from ._failure import error_attributes
from ._job import current_job
from ._keys import ERROR_KEYS
from ._latest import latest_runs
from ._live.column import Column
from ._live.fields import describe
from ._recorder import Recorder, recorder_at, recorder_below
from ._report import error_line, error_message, report, warn
from ._runs import NUMBER, Past, Runs, is_running, last_deleted, nth_number
from ._store.deletion import Deleted
from ._store.locks import locked
from ._store.store import ROOT, FolderStore
from ._tree import FIRST_KEYS, Nodes
from ._values.kinds import INT, NULL
from .errors import (
    EnteredError,
    NotPicklableError,
    PendingRecordWarning,
    RigorousError,
    RunningError,
    SaveError,
    UnknownExperimentError,
)

__all__ = [
    "AutoExperiment",
    "Experiment",
    "ResumedExperiment",
    "changing_experiments",
    "chosen_runs",
    "deleted_of",
    "listing",
    "say_whole",
    "unwritable",
]

#: Seconds that two clocks may be apart before one of them was set.
_SAME_CLOCK: Final = 1.0


def deleted_of(nodes: Nodes) -> Deleted | None:
    """What a compaction is to drop: all that was deleted for good, but the numbers that it had."""
    if (deleted := nodes.deleted_for_good) is None:
        return None
    return Deleted(deleted, nodes.deleted_tops, Column(NUMBER, INT))


def _steady_seconds() -> float:
    """A clock that nobody sets; where that can be had it goes on while the machine sleeps."""
    try:
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    except (AttributeError, OSError):
        return time.monotonic()


@contextlib.contextmanager
def changing_experiments(store: FolderStore) -> Iterator[None]:
    """Let nobody else begin or delete experiments meanwhile; the folder is made where it is missing.

    Raises:
        SaveError: the folder can't be written.
    """
    with contextlib.ExitStack() as held:
        try:
            store.folder.create(store.identity)
            held.enter_context(locked(store.folder.live / "experiments.lock"))
        except OSError as error:
            raise unwritable(store, error) from error
        yield


def unwritable(store: FolderStore, error: OSError) -> SaveError:
    """The error where a folder can't be written."""
    there = "; what is in it can be read all the same" if store.folder.path.exists() else ""
    message = (
        f"{store.folder.path} can't be written ({error}){there}."
        " See that the disk has room, and that you may write there, or work on a copy of the folder"
    )
    return SaveError(message)


class Experiment:
    """One run: entered, it gives a recorder for the experiment; left, it says how it ended.

    Raises:
        EnteredError: on entering, it was entered before.
        SaveError: on entering, the folder can't be written; on leaving, records wait in memory and
            can't be written to disk.
    """

    def __init__(self, store: FolderStore, info: Mapping[str, Any], *, is_quiet: bool) -> None:
        self._store = store
        self._info = info
        self._is_quiet = is_quiet
        self._is_entered = False
        #: The error number where it ends without an error.
        self._at_end = 0

    def __reduce__(self) -> tuple[Any, ...]:
        """One that was not begun, for another process, which begins it there.

        Raises:
            NotPicklableError: it was begun.
        """
        if self._is_entered:
            message = (
                "an experiment that was begun can't be pickled or copied: pass the recorder that its"
                " with block gave, to log to it, or the collection"
            )
            raise NotPicklableError(message)
        state = dict(vars(self))
        path = str(state.pop("_store").folder.path)
        return experiment_in, (type(self), path, state)

    def __enter__(self) -> Recorder:
        if self._is_entered:
            message = (
                "this run was entered before, and is one experiment; begin another one with"
                " collection.new_experiment(...), or go on with this one with collection.resume(number)"
            )
            raise EnteredError(message)
        with changing_experiments(self._store):
            self._process = os.getpid()
            self._recorder = self._begin()
            self._is_entered = True
            self._store.flush()
        return self._recorder

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if os.getpid() != self._process:
            return  # a forked child leaves by the same way; the experiment is the parent's
        if error is not None:
            self._fail(error)
            return
        end = self._end()
        self._finish(end)
        # In one word: whoever starts an experiment meanwhile sees all of the end, or none.
        self._set_end({**end, "had_error": False, "error_number": self._at_end})
        self._store.require_saved()
        self._warn_of_pending()

    def _end(self) -> dict[str, float]:
        """When it ended, and how long it took; also where the clock was set meanwhile."""
        elapsed = _steady_seconds() - self._steady_start
        end = time.time()
        if abs(end - self._attempt_start - elapsed) > _SAME_CLOCK:
            end = self._attempt_start + elapsed
        end = max(end, self._start + elapsed)
        return {"experiment_end_time": end, "experiment_duration": end - self._start}

    def _set_end(self, end: Mapping[str, Any]) -> None:
        self._experiment._set(end)
        self._recorder._show(end)  # that of an attempt has what is known of the experiment

    def _finish(self, end: Mapping[str, Any]) -> None:
        """Have all records safe: an experiment that says how it ended has them all."""
        try:
            self._store.finish()
        except BaseException:
            # Ctrl-C: it does not run any more, and it did not end without an error.
            self._set_end(end)
            raise

    def _begin(self) -> Recorder:
        """The recorder of the experiment, from now on; nobody else begins one meanwhile."""
        return self._begin_new(*self._numbers())

    def _begin_new(self, number: int, error_number: int, **said: Any) -> Recorder:
        self._start = self._start_clocks()
        self._experiment = recorder_below(
            self._store,
            ROOT,
            {
                "experiment_number": number,
                "error_number": error_number,
                "had_error": True,
                "experiment_start_time": self._start,
                "experiment_end_time": None,
                "experiment_duration": None,
                **said,
                **self._info,
            },
        )
        return self._experiment

    def _start_clocks(self) -> float:
        """The time now, from which on this attempt runs."""
        self._attempt_start, self._steady_start = time.time(), _steady_seconds()
        return self._attempt_start

    def _go_on(self, past: Past, info: Mapping[str, Any]) -> Recorder:
        """The recorder of a new attempt at an experiment that was begun before."""
        now = self._start_clocks()
        self._start = now if past.start is None else past.start
        self._experiment = recorder_at(self._store, past.node)
        said = {
            "experiment_attempt": past.attempts + 1,
            "experiment_attempt_start_time": now,
            **info,
        }
        others = [e for e in self._runs().numbered(past.number) if e.node != past.node]
        error_number, self._at_end = _free_error_numbers(others, past.error_number)
        # First the attempt: who dies in between leaves the experiment as it ended.
        attempt = self._store.new_node()
        self._store.say(attempt, said, past.node)
        self._experiment._set(
            {
                **(dict.fromkeys(ERROR_KEYS) if past.error else {}),
                "experiment_attempt": 1,
                "error_number": error_number,
                "had_error": True,
                "experiment_end_time": None,
                "experiment_duration": None,
            }
        )
        return recorder_at(self._store, attempt)

    def _numbers(self) -> tuple[int, int]:
        """The experiment's number, and its error number until it ends without one."""
        runs, deleted = latest_runs(self._store)
        number = runs.highest
        if number <= deleted:
            return deleted + 1, 1
        past = runs.numbered(number)
        if any(is_running(self._store, each) for each in past):
            return number + 1, 1
        if not past[-1].has_ended:
            # It may have ended between the reading and the look at its lock: it has said by now how.
            past = latest_runs(self._store).runs.numbered(number)
        last = past[-1]
        if not last.had_error or last.goes_on:
            return number + 1, 1
        error_number, self._at_end = _free_error_numbers(past, last.error_number)
        return number, error_number

    def _runs(self) -> Runs:
        return Runs(Source(self._store).now().nodes)

    def _warn_of_pending(self) -> None:
        for recorder in self._store.handles.values():
            if recorder.pending and self._is_above(recorder):
                message = (
                    f"{recorder!r} was given fields that were never committed:"
                    f" {', '.join(recorder.pending)}. Call commit() after add()"
                )
                warn(message, PendingRecordWarning, stacklevel=3)

    def _is_above(self, recorder: Recorder) -> bool:
        above: Recorder | None = recorder
        while above is not None and above is not self._recorder:
            above = above.parent
        return above is not None

    def _fail(self, error: BaseException) -> None:
        """Save, and report in one line what happened; the error itself goes on to the caller."""
        outcome = f"what it logged is saved in {self._store.folder.path}"
        try:
            end = self._end() | error_attributes(error)
            self._finish(end)
            self._set_end(end)
            self._store.require_saved()
        except Exception as trouble:  # noqa: BLE001 - the experiment's own error must not be hidden by it
            is_ours = isinstance(trouble, RigorousError)
            outcome = error_message(trouble) if is_ours else error_line(trouble)
        if not self._is_quiet:
            data = self._experiment.local_data
            report(
                f"experiment {data['experiment_number']} (error_number {data['error_number']})"
                f" ended with {shorten(error_line(error), 200)}; {outcome}"
            )


def _free_error_numbers(others: Sequence[Past], before: int) -> tuple[int, int]:
    """Error numbers of a run that none of the others with its number has.

    Returns:
        The one behind ``before`` that it has until it ends without an error, and the one that it
        has then: 0, unless another one has that.
    """
    taken = {each.error_number for each in others}
    number = next(each for each in count(before + 1) if each not in taken)
    return number, number if 0 in taken else 0


def experiment_in(kind: type[Experiment], path: str, state: Mapping[str, Any]) -> Experiment:
    """An experiment that was pickled before it was begun."""
    experiment = kind.__new__(kind)
    vars(experiment).update(state, _store=FolderStore.at(Path(path)))
    return experiment


def say_whole(store: FolderStore, node: int, info: Mapping[str, Any], start: float) -> int:
    """Make of a node an experiment that ended without an error: in one word, seen whole or not.

    Nobody else may begin one meanwhile (see ``changing_experiments``).

    Returns:
        The number that it has.
    """
    experiment = Experiment(store, info, is_quiet=True)
    number, _ = experiment._numbers()
    end = max(time.time(), start)
    said = {
        "experiment_number": number,
        "error_number": experiment._at_end,
        "had_error": False,
        "experiment_start_time": start,
        "experiment_end_time": end,
        "experiment_duration": end - start,
        **info,
    }
    store.say(node, said, ROOT)
    return number


def chosen_runs(
    store: FolderStore,
    number: SupportsIndex,
    error_number: SupportsIndex | None,
    *,
    advice: str = "",
) -> list[Past]:
    """The experiments that a number names, in order of start: of several that one, where it is said.

    Raises:
        UnknownExperimentError: there is none with the number, or none of them has ``error_number``.
    """
    runs = Runs(Source(store).now().nodes)
    found = runs.numbered(nth_number(runs.numbers, number, advice=advice))
    if error_number is None:
        return found
    chosen = [each for each in found if each.error_number == error_number]
    if not chosen:
        message = (
            f"experiment {found[0].number} has no run with error_number {error_number}:"
            f"{listing(store, found)}"
        )
        raise UnknownExperimentError(message)
    return chosen


def listing(store: FolderStore, past: Sequence[Past]) -> str:
    """Experiments, one a line, with what tells them apart."""
    source = Source(store)
    nodes = source.now().nodes
    data = nodes.own_data(nodes.positions_of([each.node for each in past]))
    return "".join(
        f"\n  {run_line(said, _status(store, each), source.scan(Scope(each.node), ()).row_count())}"
        for each, said in zip(past, data, strict=True)
    )


def _status(store: FolderStore, past: Past) -> str:
    if past.has_ended:
        return "failed" if past.had_error else "finished"
    return "running" if is_running(store, past) else "crashed"


class ResumedExperiment(Experiment):
    """One that was begun before, by its number: entered, it gives a recorder for a new attempt.

    Raises:
        UnknownExperimentError: on entering, there is no such experiment.
        RunningError: on entering, it runs still.
        SaveError: on entering, the folder can't be written; on leaving, records wait in memory and
            can't be written to disk.
    """

    def __init__(
        self,
        store: FolderStore,
        number: SupportsIndex,
        *,
        error_number: SupportsIndex | None,
        is_quiet: bool,
    ) -> None:
        super().__init__(store, {}, is_quiet=is_quiet)
        self._number = number
        self._error_number = error_number

    def __enter__(self) -> Recorder:
        *others, last = self._chosen()  # no folder is made for one that is not there
        if others and not self._is_quiet:
            name = run_name(last.number, last.error_number)
            report(
                f"{len(others) + 1} runs are experiment {last.number}: the last one, {name}, goes on;"
                " resume(number, error_number=...) chooses another"
            )
        return super().__enter__()

    def _begin(self) -> Recorder:
        last = self._last()
        if is_running(self._store, last):
            message = (
                f"experiment {last.number} is still running in {self._store.folder.path}; resume"
                " it when it has ended, or its process is dead"
            )
            raise RunningError(message)
        # Read again: if it ended meanwhile, it has said by now how.
        return self._go_on(self._last(), {})

    def _last(self) -> Past:
        return self._chosen()[-1]

    def _chosen(self) -> list[Past]:
        return chosen_runs(self._store, self._number, self._error_number)


class AutoExperiment(Experiment):
    """A new attempt at the experiment that this job began and did not finish, else a new one."""

    def _begin(self) -> Recorder:
        job, past = current_job(), self._runs().all()
        # Of several with one number, those that failed were given up for the last.
        newest = {each.number: each for each in past}.values()
        name = job.name if job else None
        of_job = [each for each in newest if each.job == name]
        unfinished = [each for each in of_job if each.had_error]
        same = self._with_same_info(unfinished)
        # Info can be different in a job that was requeued: the name of its node, say.
        if not same and job and len(of_job) == 1:
            same = [each for each in unfinished if self._restarts(each) < job.restarts]
        restarts = {"experiment_job_restarts": job.restarts} if job else {}
        for each in reversed(same):
            if not is_running(self._store, each) and self._is_unfinished(each):
                return self._go_on(each, restarts | self._new_info(each))
        deleted = last_deleted(Source(self._store).now().nodes)
        number = max([deleted, *(each.number for each in past)]) + 1
        of_this = {"experiment_job": name} if name else {}
        return self._begin_new(number, 1, experiment_attempt=1, **of_this, **restarts)

    def _restarts(self, past: Past) -> int:
        """How often the job had been requeued when it began the last attempt."""
        nodes = Source(self._store).now().nodes
        (said,) = nodes.own_data(nodes.positions_of([past.last]))
        restarts = said.get("experiment_job_restarts")
        return restarts if isinstance(restarts, int) else 0

    def _with_same_info(self, past: Sequence[Past]) -> list[Past]:
        """Those that were begun with the same keys and values."""
        given = _texts(self._info)
        return [each for each, said in zip(past, self._infos(past), strict=True) if said == given]

    def _new_info(self, past: Past) -> dict[str, Any]:
        """What is given now that was not said when the experiment was begun."""
        given, (said,) = _texts(self._info), self._infos([past])
        new = {str(column.key) for column in given if said.get(column) != given[column]}
        return {key: self._info[key] for key in new}

    def _infos(self, past: Sequence[Past]) -> list[_Texts]:
        """What was known of experiments when they were begun, but for what is said of each."""
        nodes = Source(self._store).now().nodes
        found: list[_Texts] = [{} for _ in past]
        said = nodes.said_first(nodes.positions_of([each.node for each in past]))
        for column, values in said.items():
            if column.key not in FIRST_KEYS:
                for texts, text in zip(found, column.kind.json(values), strict=True):
                    if text is not None:
                        texts[column] = text
        return found

    def _is_unfinished(self, past: Past) -> bool:
        """Whether it still is: one that ended before the look at its lock has said so by now."""
        (now,) = (each for each in self._runs().all() if each.node == past.node)
        return now.had_error


_Texts = dict[Column, str]
"""Values by key and kind, as JSON text, in which NaN is equal to itself."""


def _texts(info: Mapping[str, Any]) -> _Texts:
    """Data as it would be read back."""
    found: _Texts = {}
    for column, plain in describe(info):
        is_null = column.kind == NULL
        values = column.kind.column([True if is_null else plain])
        found[column] = str(*column.kind.json(values))
    return found
