"""The runs of all collections, as columns of a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from .. import Experiment
from .._keys import EXPERIMENT_KEYS
from .._store.reader import FolderReader
from ..errors import RigorousError
from .plain import plain
from .workspace import Failure, Opened, Workspace

__all__ = ["failures_in", "run_key", "runs_table", "state_of"]

_MOST_COLUMNS: Final = 500
#: So many of the last runs are watched for changes of values; of all for new keys and statuses.
_WATCHED: Final = 50


def run_key(name: str, number: int, start: float) -> str:
    """The name of a run in a page; it stays the same as long as the run exists."""
    return f"{name}/{number}@{start!r}"


def runs_table(workspace: Workspace) -> dict[str, Any]:
    """All runs, in order of start, with status and attributes.

    Returns:
        ``columns``: the keys of attributes; ``runs``: for each run its key, collection, number,
        status, start, duration and attributes; ``failures``: collections that can't be read.
    """
    runs: list[dict[str, Any]] = []
    failures = list(workspace.failures)
    for opened in workspace.opened:
        try:
            runs += _runs_of(opened)
            failures += failures_in(opened)
        except (RigorousError, OSError) as error:
            failures.append(Failure(opened.name, str(error)))
    columns = dict.fromkeys(key for run in runs for key in run["attributes"])
    return {
        "columns": list(columns)[:_MOST_COLUMNS],
        "hidden_columns": max(0, len(columns) - _MOST_COLUMNS),
        "runs": runs,
        "failures": [each._asdict() for each in failures],
        "collections": [each.name for each in workspace.opened],
    }


def failures_in(opened: Opened) -> Iterable[Failure]:
    """The damaged files of a collection, of which the rest is shown; or that its folder is gone."""
    if reason := opened.gone:
        yield Failure(opened.name, reason)
    reader = opened.collection._store.reader
    if isinstance(reader, FolderReader):
        for path in reader.unreadable():
            reason = "the file is damaged and left out; rigorous verify and repair have the details"
            yield Failure(str(path), reason)


def _runs_of(opened: Opened) -> Iterable[dict[str, Any]]:
    experiments = opened.collection.experiments
    statuses = experiments.statuses()
    return [
        _run(opened.name, each, status.value)
        for each, status in zip(experiments, statuses, strict=True)
    ]


def _run(name: str, experiment: Experiment, status: str) -> dict[str, Any]:
    start = experiment["experiment_start_time"]
    others = ((key, value) for key, value in experiment.items() if key not in EXPERIMENT_KEYS)
    return {
        "key": run_key(name, experiment.number, start),
        "collection": name,
        "number": experiment.number,
        "error_number": experiment["error_number"],
        "status": status,
        "start": start,
        "duration": experiment["experiment_duration"],
        "attributes": {key: plain(value) for key, value in others},
    }


def state_of(workspace: Workspace) -> tuple[Any, Any]:
    """Two values: one changes when rows were logged, the other when runs or keys are others."""
    states = [_state_of(each) for each in workspace.opened]
    return tuple(rows for rows, _ in states), tuple(runs for _, runs in states)


def _state_of(opened: Opened) -> tuple[Any, Any]:
    try:
        experiments = opened.collection.experiments
        statuses = tuple(each.value for each in experiments.statuses())
        attributes = tuple(map(len, experiments)), repr(experiments[-_WATCHED:])
        records = opened.collection.records
        return len(records), hash((statuses, attributes, records.columns))
    except (RigorousError, OSError) as error:
        return 0, str(error)
