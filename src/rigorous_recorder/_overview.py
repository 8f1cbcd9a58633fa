"""Overview: the status and size of each experiment of a collection."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ._engines.record_counts import Usage, usage_below
from ._engines.source import Source
from ._public import public
from ._runs import Past, is_running, past_experiments
from ._status import Status
from ._store.union import ReadableStore

__all__ = ["ExperimentOverview", "overview_of"]


@public
@dataclass(frozen=True)
class ExperimentOverview:
    """The status and size of an experiment.

    Attributes:
        experiment_number: shared by several if one failed and was restarted.
        error_number: how many runs with this number failed in a row; 0 after success.
        status: running, finished, failed (ended with an error), crashed (the process died), stopped
            or pruned (ended on purpose before its end).
        start: seconds since the epoch; None if unknown.
        duration: seconds, up to now for a running one; None for a crashed one.
        records: number of records at and below the experiment.
        keys: the keys of its records and recorders, in order of first occurrence, without the
            built-in ones of experiments and those inherited from above.
        attempts: the number of attempts: more than 1 if it was resumed.
        error_type: the type of the exception that it ended with; None if there was none.
        error_message: the message, without its middle if it is very long.
        error_traceback: the traceback as Python prints it, including causes, also shortened.
        name: its attribute ``name``, or else the text ``run``, which imported runs have; None if
            neither is set.
        tags: its attribute ``tags``.
        is_archived: whether its attribute ``archived`` is true.
    """

    experiment_number: int
    error_number: int
    status: Status
    start: float | None
    duration: float | None
    records: int
    keys: list[str]
    attempts: int = 1
    error_type: str | None = None
    error_message: str | None = None
    error_traceback: str | None = None
    name: str | None = None
    tags: tuple[str, ...] = ()
    is_archived: bool = False


def overview_of(store: ReadableStore) -> list[ExperimentOverview]:
    """One for each experiment, in order of start."""
    source = Source(store)
    before = source.now()
    past = past_experiments(before.nodes)
    gone = {each.last for each in past if not each.has_ended and not is_running(store, each)}
    # Read again after checking the locks: experiments that ended in between have a status by now,
    # and resumed ones a new attempt.
    snapshot = source.now()
    if snapshot is not before:
        past = past_experiments(snapshot.nodes)
    usage = usage_below(snapshot, [each.node for each in past])
    return [
        _overview(each, used, _status(each, gone)) for each, used in zip(past, usage, strict=True)
    ]


def _status(past: Past, gone: set[int]) -> Status:
    if past.ended is not None:
        return past.ended
    return Status.CRASHED if past.last in gone else Status.RUNNING


def _overview(past: Past, usage: Usage, status: Status) -> ExperimentOverview:
    duration = past.duration
    if status is Status.RUNNING and past.start is not None:
        duration = max(0.0, time.time() - past.start)
    return ExperimentOverview(
        experiment_number=past.number,
        error_number=past.error_number,
        status=status,
        start=past.start,
        duration=duration,
        records=usage.records,
        keys=usage.keys,
        attempts=past.attempts,
        name=past.name,
        tags=past.tags,
        is_archived=past.is_archived,
        **(past.error if past.had_error and past.has_ended else {}),
    )
