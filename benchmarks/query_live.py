"""Queries of a collection to which another process logs meanwhile."""

from __future__ import annotations

import multiprocessing
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count, islice, pairwise
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, Final, NamedTuple

from query_contenders import open_collection
from query_shapes import DataSet
from rigorous_recorder import ExperimentCollection
from turns import require_equal, seconds

__all__ = ["LIVE_QUERIES", "WRITERS", "LiveRun", "live_runs"]

_PAUSE: Final = 0.001
_RECORDS_A_PAUSE: Final = 10
_QUERIES: Final = 100
"""How often each query runs."""

LIVE_QUERIES: Final = {
    "count": "SELECT count(*) FROM records",
    "filter on a parent's key": "SELECT count(*), avg(x) FROM records WHERE episode = 2",
    "group by a parent's key": "SELECT count(*), avg(x), model FROM records GROUP BY model",
}
"""The first column says how many records the query saw."""

WRITERS: Final = {"one recorder": False, "a recorder for every 10 records": True}
"""What the other process logs to."""


class LiveRun(NamedTuple):
    """Seconds of each query, in turns, and how many saw more rows than the one before."""

    live: list[float]
    closed: list[float]
    saw_more: int


def live_runs(data: DataSet, *, new_recorders: bool) -> dict[str, LiveRun]:
    """Query a copy of the data, to which a process logs, and the data, to which none does."""
    with tempfile.TemporaryDirectory() as folder:
        copy = DataSet(Path(folder))
        shutil.copytree(data.study, copy.study)
        closed, live = open_collection(data), open_collection(copy)
        for query in LIVE_QUERIES.values():
            require_equal(_ask(closed, query), _ask(live, query))
        with _logging(copy, live, new_recorders=new_recorders):
            return {label: _turns(live, closed, query) for label, query in LIVE_QUERIES.items()}


def _turns(live: ExperimentCollection, closed: ExperimentCollection, query: str) -> LiveRun:
    found, others, seen = [], [], [_records_in(_ask(live, query))]
    for _ in range(_QUERIES):
        time.sleep(2 * _PAUSE)
        start = time.perf_counter()
        answer = _ask(live, query)
        found.append(time.perf_counter() - start)
        others.append(seconds(partial(_ask, closed, query)))
        seen.append(_records_in(answer))
    return LiveRun(found, others, sum(after > before for before, after in pairwise(seen)))


def _ask(collection: ExperimentCollection, query: str) -> list[tuple[Any, ...]]:
    return sorted(collection.sql(query).fetchall())


def _records_in(answer: list[tuple[Any, ...]]) -> int:
    return sum(row[0] for row in answer)


# --- the other process -----------------------------------------------------------------------


@contextmanager
def _logging(
    data: DataSet, collection: ExperimentCollection, *, new_recorders: bool
) -> Iterator[None]:
    """Another process logs, from its first record that is seen here, until the end."""
    spawn = multiprocessing.get_context("spawn")
    stop, before = spawn.Event(), len(collection)
    process = spawn.Process(target=log_until, args=(stop, data.folder, new_recorders))
    process.start()
    try:
        while len(collection) == before:
            if not process.is_alive():
                message = f"the process that should log ended with {process.exitcode}"
                raise RuntimeError(message)
            time.sleep(_PAUSE)
        yield
    finally:
        stop.set()
        process.join()


def log_until(stop: Event, folder: Path, new_recorders: bool) -> None:
    """Log 10 records each millisecond."""
    noise, steps = random.random, count()
    collection = open_collection(DataSet(folder))
    with collection.new_experiment() as experiment:
        model = experiment.child(model="model0")
        episode = model.child(episode=2)
        while not stop.is_set():
            for step in islice(steps, _RECORDS_A_PAUSE):
                episode.push(step=step, x=noise(), y=noise())
            if new_recorders:
                episode = model.child(episode=2)
            time.sleep(_PAUSE)
    collection.close()
