"""What records of many keys, files and writers cost: one case, in a process of its own.

``key_cases.py CASE FOLDER`` prints the figures of the case as one JSON object. Times are CPU time of all
threads; without a unit a figure is a number, or a ratio to what was measured beside it.
"""

from __future__ import annotations

import gc
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from rigorous_recorder import ExperimentCollection, Recorder

__all__ = ["CASES", "Figures"]

Figures = dict[str, float]
Log = Callable[[Recorder, int], None]

ROUNDS: Final = 3
ROWS: Final = 1_000_000
KEYS: Final = [f"key_{number}" for number in range(200)]
PAIRS_OF_KEYS: Final = list(zip(KEYS[::2], KEYS[1::2], strict=True))
TAGS: Final = [f"weights/{number}/norm" for number in range(10_000)]
PAUSE: Final = 0.3
"""Seconds until the background thread has done what it does after a start."""


# --- what a record costs ---------------------------------------------------------------------


def two_keywords(recorder: Recorder, records: int) -> None:
    for index in range(records):
        recorder.push(index=index, loss=0.5 * index)


def two_keys(recorder: Recorder, records: int) -> None:
    _log_pairs(recorder, records, PAIRS_OF_KEYS[:1] * len(PAIRS_OF_KEYS))


def two_of_200(recorder: Recorder, records: int) -> None:
    _log_pairs(recorder, records, PAIRS_OF_KEYS)


def _log_pairs(recorder: Recorder, records: int, pairs: list[tuple[str, str]]) -> None:
    for index in range(records // len(pairs)):
        for first, second in pairs:
            recorder.push({first: index, second: 0.5 * index})


def one_of_10_000(recorder: Recorder, records: int) -> None:
    """``add_scalar(tag, value, step)``: a step has one record for each tag."""
    _log_tags(recorder, records, TAGS)


def one_tag(recorder: Recorder, records: int) -> None:
    _log_tags(recorder, records, TAGS[:1] * len(TAGS))


def _log_tags(recorder: Recorder, records: int, tags: list[str]) -> None:
    for step in range(records // len(tags)):
        for tag in tags:
            recorder.push({"step": step, tag: 0.5 * step})


def nine_to_one(recorder: Recorder, records: int) -> None:
    for start in range(0, records, 10):
        for index in range(start, start + 9):
            recorder.push(index=index, loss=0.5 * index)
        recorder.push(index=start + 9, accuracy=0.5 * start)


def seconds_until_sealed(log: Log) -> float:
    """CPU time of all threads."""
    with tempfile.TemporaryDirectory() as folder:
        collection = ExperimentCollection(Path(folder, "study"), quiet=True)
        with collection.new_experiment() as experiment:
            gc.collect()
            start = time.process_time()
            log(experiment, ROWS)
        collection.close()
        return time.process_time() - start


def to_others(log: Log, others: dict[str, Log]) -> Figures:
    """A record until it is sealed, to one that was logged in another way."""
    logs = [log, *others.values()]
    runs = [[seconds_until_sealed(each) for each in logs] for _ in range(ROUNDS + 1)][1:]
    return {
        f"until sealed, to {name}": statistics.median(run[0] / run[at] for run in runs)
        for at, name in enumerate(others, 1)
    }


def case_two_of_200(_: Path) -> Figures:
    return to_others(two_of_200, {"the same two keys": two_keys, "two keywords": two_keywords})


def case_one_of_10_000(_: Path) -> Figures:
    others = {"the same two keys": one_tag, "two keywords": two_keywords}
    return {**to_others(one_of_10_000, others), "peak MiB": peak()}


def case_nine_to_one(_: Path) -> Figures:
    return to_others(nine_to_one, {"two keywords": two_keywords})


# --- new keys --------------------------------------------------------------------------------


@contextmanager
def experiment_in(folder: Path) -> Iterator[Recorder]:
    """A new experiment; the collection is closed at the end."""
    with (
        ExperimentCollection(folder / "study", quiet=True) as collection,
        collection.new_experiment() as experiment,
    ):
        yield experiment


def seconds(call: Callable[[], object]) -> float:
    """CPU time of all threads."""
    start = time.process_time()
    call()
    return time.process_time() - start


def microseconds(call: Callable[[], object], calls: int) -> float:
    """The median of single calls."""
    return 1e6 * statistics.median(seconds(call) for _ in range(calls))


def case_attributes(folder: Path) -> Figures:
    def set_all() -> None:
        for number, tag in enumerate(TAGS[:1_000]):
            child[tag] = number

    with experiment_in(folder) as experiment:
        child = experiment.child(model="m1")
        return {"1,000 new attributes, s": seconds(set_all)}


def case_new_keys(folder: Path) -> Figures:
    def push_all() -> None:
        for number, tag in enumerate(TAGS[:1_000]):
            experiment.push({tag: number})

    with experiment_in(folder) as experiment:
        experiment.push(step=0)
        return {"1,000 pushes of a new key each, s": seconds(push_all)}


def case_million_keys(folder: Path) -> Figures:
    """A number in each key, as of users who log ``loss/17``."""

    def push_all() -> None:
        for number in range(1_000_000):
            experiment.push({f"loss/{number}": 0.5})

    with warnings.catch_warnings(record=True) as caught, experiment_in(folder) as experiment:
        warnings.simplefilter("always")
        pushed = seconds(push_all)
    return {"1,000,000 keys, s": pushed, "warnings": len(caught), "peak MiB": peak()}


def peak() -> float:
    """Of the memory of this process, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# --- wide rows -------------------------------------------------------------------------------


def case_wide_rows(folder: Path) -> Figures:
    """The first row and the first table of a process."""
    with experiment_in(folder) as experiment:
        for number in range(20):
            experiment.push(dict.fromkeys(TAGS, 0.5 * number))
    collection = ExperimentCollection.open(folder / "study", read_only=True)
    len(collection.records)
    row = seconds(lambda: dict(collection.records[0]))
    table = seconds(collection.records.to_arrow)
    return {"one row of 10,000 columns, ms": 1e3 * row, "to_arrow of 20, ms": 1e3 * table}


# --- files and writers -----------------------------------------------------------------------


def case_saves(folder: Path) -> Figures:
    """4,000 epochs that save; listing is ``len`` of a collection that was just opened."""
    with (
        ExperimentCollection(folder / "study", quiet=True) as collection,
        collection.new_experiment() as experiment,
    ):
        for epoch in range(4_000):
            experiment.push(epoch=epoch)
            collection.save()
        files = len(list(Path(folder, "study.collection", "records").glob("*.parquet")))
        listing = microseconds(lambda: len_of_new(folder), 5)
    return {"listing after 4,000 `save()`, ms": listing / 1e3, "files": files}


def len_of_new(folder: Path) -> int:
    return len(ExperimentCollection.open(folder / "study", read_only=True).records)


IDLE: Final = """
import sys
from rigorous_recorder import ExperimentCollection
collection = ExperimentCollection(sys.argv[1], quiet=True)
with collection.new_experiment() as experiment:
    experiment.push(step=0)
    print("ready", flush=True)
    sys.stdin.read()
"""


@contextmanager
def idle_writer(folder: Path) -> Iterator[None]:
    """Another process that has logged one record, and waits."""
    command = [sys.executable, "-c", IDLE, str(folder / "study")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.communicate()


def case_rows_beside(folder: Path) -> Figures:
    """Rows that are looked up by place, after the first of them."""
    with experiment_in(folder) as experiment:
        two_keywords(experiment, 100_000)
    chance = random.Random(0)
    with idle_writer(folder):
        records = ExperimentCollection.open(folder / "study", read_only=True).records
        records[0]
        time.sleep(PAUSE)
        beside = microseconds(lambda: records[chance.randrange(100)], 500)
    return {"`records[i]` with an idle writer beside, us": beside}


def case_last_row(folder: Path) -> Figures:
    """What a push and ``records[-1]`` take together, without the push."""

    def push_and_look() -> None:
        experiment.push(index=0, loss=0.5)
        experiment.records[-1]

    with experiment_in(folder) as experiment:
        two_keywords(experiment, 100_000)
        push_and_look()
        time.sleep(PAUSE)
        both = microseconds(push_and_look, 100)
        push = microseconds(lambda: experiment.push(index=0, loss=0.5), 100)
    return {"`records[-1]` after a push at 100,000 rows, us": both - push}


# --- bytes -----------------------------------------------------------------------------------


def case_bytes(folder: Path) -> Figures:
    """The records folder, to one table with a column for each key, as zstd Parquet with defaults."""
    found: Figures = {}
    for name, rows in (("1 of 10,000 with step", tags()), ("2 of 200", pairs_of_200())):
        logged = list(rows)
        with experiment_in(folder / name) as experiment:
            for row in logged:
                experiment.push(row)
        files = (folder / name).rglob("records/*.parquet")
        ours = sum(path.stat().st_size for path in files)
        found[f"bytes, {name}, to one wide Parquet file"] = ours / wide_bytes(logged)
        found[f"bytes a record, {name}"] = ours / len(logged)
    return found


def tags() -> Iterator[dict[str, Any]]:
    noise = random.Random(0)
    for step in range(20):
        for tag in TAGS:
            yield {"step": step, tag: noise.random()}


def pairs_of_200() -> Iterator[dict[str, Any]]:
    noise = random.Random(0)
    for _ in range(200_000):
        start = 2 * noise.randrange(100)
        yield {KEYS[start]: noise.random(), KEYS[start + 1]: noise.random()}


def wide_bytes(rows: list[dict[str, Any]]) -> int:
    """Size of the rows as pyarrow writes them."""
    names = dict.fromkeys(key for row in rows for key in row)
    cells: dict[str, tuple[list[int], list[Any]]] = {name: ([], []) for name in names}
    for at, row in enumerate(rows):
        for key, value in row.items():
            cells[key][0].append(at)
            cells[key][1].append(value)
    wide = {name: spread(places, values, len(rows)) for name, (places, values) in cells.items()}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(wide), sink, compression="zstd")
    return int(sink.getvalue().size)


def spread(places: list[int], values: list[Any], count: int) -> pa.Array:
    """A column of nulls but for some places."""
    column: list[Any] = [None] * count
    for place, value in zip(places, values, strict=True):
        column[place] = value
    return pa.array(column)


CASES: Final[dict[str, Callable[[Path], Figures]]] = {
    "2 of 200 keys a record": case_two_of_200,
    "1 of 10,000 keys a record, with a step": case_one_of_10_000,
    "two shapes, 9 to 1": case_nine_to_one,
    "1,000 new attributes": case_attributes,
    "1,000 new keys": case_new_keys,
    "a million keys": case_million_keys,
    "rows of 10,000 columns": case_wide_rows,
    "4,000 saves": case_saves,
    "rows beside a writer": case_rows_beside,
    "the last row": case_last_row,
    "bytes": case_bytes,
}

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[2]) as new:
        print(json.dumps(CASES[sys.argv[1]](Path(new))))
