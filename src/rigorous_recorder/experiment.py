"""Experiments: their numbers, the six keys above every record, how they go on and how they end."""

from __future__ import annotations

import contextlib
import math
import operator
import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from textwrap import shorten
from types import TracebackType
from typing import Any, Final, NamedTuple, SupportsIndex

from ._engines.attempts import Attempt, last_attempts
from ._engines.scan import Source
from ._failure import ERROR_KEYS, error_attributes
from ._job import current_job
from ._live.column import Column
from ._live.fields import describe
from ._report import error_line, error_message, report, warn
from ._store.alive import is_alive
from ._store.cleaning import Deleted
from ._store.home import writer_of
from ._store.locks import locked
from ._store.store import DELETED, ROOT, FolderStore
from ._tree import EXPERIMENT_KEYS, FIRST_KEYS, Nodes, values_of
from ._values.kinds import INT, NULL
from .errors import PendingRecordWarning, ReservedKeyError, RigorousError, RunningError, SaveError
from .recorder import Recorder, recorder_at, recorder_below

__all__ = [
    "AutoExperiment",
    "Experiment",
    "Past",
    "ResumedExperiment",
    "changing_experiments",
    "check_info",
    "deleted_of",
    "is_running",
    "nth_number",
    "past_experiments",
    "say_whole",
    "unwritable",
]

_NUMBER: Final = EXPERIMENT_KEYS[0]
#: Seconds that two clocks may be apart before one of them was set.
_SAME_CLOCK: Final = 1.0


class Past(NamedTuple):
    """An experiment that was started before, and what it says of itself.

    Attributes:
        last: the node of its last attempt; its own where it was never resumed.
        attempts: how many there are, 1 where it was never resumed.
        goes_on: whether it is resumed where it failed, instead of begun anew under its number.
        job: the job of a scheduler that began it.
        error: what the last attempt ended with: ``error_type``, ``error_message``, ``error_traceback``.
    """

    node: int
    number: int
    error_number: int
    had_error: bool
    has_ended: bool
    start: float | None
    duration: float | None
    last: int
    attempts: int
    goes_on: bool
    job: str | None
    error: dict[str, str]


def past_experiments(nodes: Nodes) -> list[Past]:
    """The experiments of a collection, in the order in which they were started."""
    ids = nodes.children(ROOT)
    positions = nodes.positions_of(ids)
    last = last_attempts(nodes)
    return [
        _past(nodes, node, data, last.get(at))
        for node, at, data in zip(
            ids, positions.to_pylist(), nodes.own_data(positions), strict=True
        )
        if isinstance(data.get("experiment_number"), int)
    ]


def deleted_of(nodes: Nodes) -> Deleted | None:
    """What a compaction is to drop: all that was deleted for good, but the numbers that it had."""
    if (deleted := nodes.deleted_for_good) is None:
        return None
    return Deleted(deleted, nodes.deleted_tops, Column(_NUMBER, INT))


def _last_deleted(nodes: Nodes) -> int:
    """The highest number of an experiment that was deleted; 0 where none was."""
    everything = nodes.with_deleted
    positions = everything.positions_of(everything.children(DELETED))
    numbers = values_of(everything.own(_NUMBER, positions), len(positions))
    return max((each for each in numbers if isinstance(each, int)), default=0)


def _past(nodes: Nodes, node: int, data: Mapping[str, Any], last: Attempt | None) -> Past:
    errors = data.get("error_number")
    return Past(
        node=node,
        number=data["experiment_number"],
        error_number=errors if isinstance(errors, int) else 0,
        had_error=data.get("had_error") is not False,
        has_ended=data.get("experiment_end_time") is not None,
        start=_seconds(data.get("experiment_start_time")),
        duration=_seconds(data.get("experiment_duration")),
        last=nodes.ids[last.position].as_py() if last else node,
        attempts=last.number if last else 1,
        goes_on="experiment_attempt" in data,
        job=data.get("experiment_job"),
        error={
            key.removeprefix("experiment_"): text
            for key in ERROR_KEYS
            if isinstance(text := data.get(key), str)
        },
    )


def _seconds(value: object) -> float | None:
    """A time as it was said; None for what is none, as where somebody said something else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if math.isfinite(value) else None


def _steady_seconds() -> float:
    """A clock that nobody sets; where that can be had it goes on while the machine sleeps."""
    try:
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    except (AttributeError, OSError):
        return time.monotonic()


def is_running(store: FolderStore, past: Past) -> bool:
    """Whether an experiment has not ended and its process lives."""
    if past.has_ended:
        return False
    writer = writer_of(past.last)
    return writer == store.home.writer or is_alive(store.folder, writer)


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
    message = (
        f"{store.folder.path} can't be written ({error}); what is in it can be read all the same."
        " See that the disk has room, and that you may write there, or work on a copy of the folder"
    )
    return SaveError(message)


class Experiment:
    """One run: entered, it gives a recorder for the experiment; left, it says how it ended.

    Raises:
        SaveError: on entering, the folder can't be written; on leaving, records wait in memory and
            can't be written to disk.
    """

    def __init__(self, store: FolderStore, info: Mapping[str, Any], *, is_quiet: bool) -> None:
        self._store = store
        self._info = info
        self._is_quiet = is_quiet

    def __enter__(self) -> Recorder:
        with changing_experiments(self._store):
            self._process = os.getpid()
            self._recorder = self._begin()
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
        self._experiment.update(end, had_error=False, error_number=0)
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

    def _finish(self, end: Mapping[str, Any]) -> None:
        """Have all records safe: an experiment that says how it ended has them all."""
        try:
            self._store.finish()
        except BaseException:
            # Ctrl-C: it does not run any more, and it did not end without an error.
            self._experiment.update(end)
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
        # First the attempt: who dies in between leaves the experiment as it ended.
        attempt = self._store.new_node()
        self._store.say(attempt, said, past.node)
        self._experiment.update(
            dict.fromkeys(ERROR_KEYS) if past.error else {},
            experiment_attempt=1,
            error_number=past.error_number + 1,
            had_error=True,
            experiment_end_time=None,
            experiment_duration=None,
        )
        return recorder_at(self._store, attempt)

    def _numbers(self) -> tuple[int, int]:
        """The experiment's number, and its error number until it ends without one."""
        nodes = Source(self._store).now().nodes
        past, deleted = past_experiments(nodes), _last_deleted(nodes)
        number = max((each.number for each in past), default=0)
        if number <= deleted:
            return deleted + 1, 1
        if any(each.number == number and is_running(self._store, each) for each in past):
            return number + 1, 1
        # One that ended between the reading and the look at its lock has said by now how.
        last = [each for each in self._past() if each.number == number][-1]
        is_tried_anew = last.had_error and not last.goes_on
        return (number, last.error_number + 1) if is_tried_anew else (number + 1, 1)

    def _past(self) -> list[Past]:
        return past_experiments(Source(self._store).now().nodes)

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
        end = self._end() | error_attributes(error)
        try:
            self._finish(end)
            self._experiment.update(end)
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


def say_whole(store: FolderStore, node: int, info: Mapping[str, Any], start: float) -> int:
    """Make of a node an experiment that ended without an error: in one word, seen whole or not.

    Nobody else may begin one meanwhile (see ``changing_experiments``).

    Returns:
        The number that it has.
    """
    number, _ = Experiment(store, info, is_quiet=True)._numbers()
    end = max(time.time(), start)
    said = {
        "experiment_number": number,
        "error_number": 0,
        "had_error": False,
        "experiment_start_time": start,
        "experiment_end_time": end,
        "experiment_duration": end - start,
        **info,
    }
    store.say(node, said, ROOT)
    return number


class ResumedExperiment(Experiment):
    """One that was begun before, by its number: entered, it gives a recorder for a new attempt.

    Raises:
        KeyError: on entering, there is no such experiment.
        RunningError: on entering, it runs still.
        SaveError: on entering, the folder can't be written; on leaving, records wait in memory and
            can't be written to disk.
    """

    def __init__(self, store: FolderStore, number: SupportsIndex, *, is_quiet: bool) -> None:
        super().__init__(store, {}, is_quiet=is_quiet)
        self._number = number

    def __enter__(self) -> Recorder:
        self._last()  # no folder is made for one that is not there
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
        """The last experiment that has the number."""
        past = self._past()
        number = nth_number({each.number for each in past}, self._number)
        return [each for each in past if each.number == number][-1]


class AutoExperiment(Experiment):
    """A new attempt at the experiment that this job began and did not finish, else a new one."""

    def _begin(self) -> Recorder:
        job, past = current_job(), self._past()
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
        deleted = _last_deleted(Source(self._store).now().nodes)
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
            if column.key not in _RESERVED:
                for texts, text in zip(found, column.kind.json(values), strict=True):
                    if text is not None:
                        texts[column] = text
        return found

    def _is_unfinished(self, past: Past) -> bool:
        """Whether it still is: one that ended before the look at its lock has said so by now."""
        (now,) = (each for each in self._past() if each.node == past.node)
        return now.had_error


_RESERVED: Final = frozenset(FIRST_KEYS)

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


def nth_number(numbers: Collection[int], wanted: SupportsIndex, *, advice: str = "") -> int:
    """The number of an experiment; -1 is the last number, and so on.

    Args:
        wanted: an int of whatever library.
        advice: what the error says besides where it is something else.

    Raises:
        KeyError: it is none of these numbers.
    """
    known = tuple(sorted(numbers))
    try:
        is_truth = type(wanted).__name__ in {"bool", "bool_"}  # numpy's, too, warns or is an int
        place = None if is_truth else operator.index(wanted)
    except TypeError:
        place = None
    if place is None:
        message = f"{wanted!r} is no experiment number; expected one of {known}{advice}"
        raise KeyError(message)
    number = known[place] if -len(known) <= place < 0 else place
    if number not in known:
        message = f"there is no experiment {number}; there are {known}"
        raise KeyError(message)
    return number


def check_info(info: Mapping[str, Any]) -> None:
    """Refuse data under a key that a collection says of experiments itself.

    Raises:
        ValueError: naming the key.
    """
    taken = [key for key in info if key in _RESERVED]
    if taken:
        message = (
            f"{', '.join(taken)}: a collection says this of experiments itself; choose another key"
        )
        raise ReservedKeyError(message)
