"""Several processes and threads log records of many shapes, while others read, delete and merge."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rigorous_recorder import ExperimentCollection, Records
from rigorous_recorder.errors import CompactedError, DeletedError, RecordIndexError

from . import sparse_writers
from .sparse_writers import THREADS, Plan, fields_of, log, require_in_order

ROOT = Path(__file__).parents[2]
PATIENCE = 300
FEW = 60  # records of a run that is deleted


def by_arrow(records: Records) -> None:
    """Through a stream of batches, which has values of one key in one column."""
    names = ["writer", "n", "step", "norm/3"]
    batches = pa.RecordBatchReader.from_stream(records.select(*names))
    _require_values(row for batch in batches for row in batch.to_pylist())


def by_polars(records: Records) -> None:
    frame = records.to_polars(lazy=True).select("writer", "n", "step", "norm/3").collect()
    _require_values(frame.iter_rows(named=True))


def _require_values(rows: Iterator[dict[str, Any]]) -> None:
    found: dict[str, int] = {}
    for row in rows:
        writer, n = row["writer"], row["n"]
        assert n == found.get(writer, 0)
        found[writer] = n + 1
        expected = fields_of(writer, n)
        assert [row[key] for key in ("step", "norm/3")] == [
            expected.get(key) for key in ("step", "norm/3")
        ]


def by_sql(records: Records) -> None:
    query = """
        SELECT writer, count(*), count(DISTINCT n), max(n) + 1, count("norm/3"), sum(step)
        FROM records GROUP BY writer
    """
    for writer, rows, distinct, end, norms, steps in records.sql(query).fetchall():
        expected = [fields_of(writer, n) for n in range(end)]
        assert (rows, distinct) == (end, end)
        assert norms == sum("norm/3" in each for each in expected)
        assert (steps or 0) == sum(each.get("step", 0) for each in expected)


def by_condition(records: Records) -> None:
    for row in records.where('"norm/3" > 0.5'):
        assert row["norm/3"] > 0.5
        assert fields_of(row["writer"], row["n"])["norm/3"] == row["norm/3"]


def by_index(records: Records) -> None:
    with contextlib.suppress(RecordIndexError):  # others were deleted after they were counted
        require_in_order([records[at] for at in range(len(records))][-9:], whole=False)


READS: list[Callable[[Records], object]] = [
    require_in_order,
    lambda records: require_in_order(records.tail(40), whole=False),
    by_arrow,
    by_polars,
    by_sql,
    by_condition,
    by_index,
]


def again(read: Callable[[], Any]) -> Any:
    """What a read finds; once more where rows were deleted or merged in the middle of it."""
    while True:
        try:
            return read()
        except (CompactedError, DeletedError):
            continue


def started(plan: Plan) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-W", "error", "-m", sparse_writers.__name__, json.dumps(plan)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)


def disturb(folder: Path, done: threading.Event) -> None:
    """Log runs, delete them, and merge files, until the others are done."""
    turn = 0
    while not done.is_set():
        with ExperimentCollection(folder, quiet=True) as collection:
            collection.delete(log_run(collection, f"gone {turn}"))
            collection.compact()
        turn += 1


def log_run(collection: ExperimentCollection, writer: str) -> int:
    with collection.new_experiment() as experiment:
        log(experiment, writer, range(FEW))
    return int(experiment["experiment_number"])


def follow(folder: Path, done: threading.Event) -> dict[str, int]:
    """Rows as they come, from the start where it is unknown which of them are new."""
    records = ExperimentCollection.open(folder, read_only=True).records.where("writer LIKE '%/%'")
    return again(lambda: require_in_order(records.follow(interval=0.02, stop=done)))


def read(folder: Path, reads: list[Callable[[Records], object]], done: threading.Event) -> int:
    collection, turns = ExperimentCollection.open(folder, read_only=True), 0
    while not done.is_set():
        each = reads[turns % len(reads)]
        again(lambda each=each: each(collection.records))  # type: ignore[misc]
        turns += 1
    return turns


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "records"), [(1, 600)])
def test_every_row_of_every_writer_is_there_once_in_order(
    tmp_path: Path, seed: int, records: int
) -> None:
    """By index, in streams, in SQL, in Polars and followed, while runs are resumed, deleted, merged."""
    folder = tmp_path / "study.collection"
    plans = [
        Plan(
            folder=str(folder),
            seed=10 * seed + at,
            records=records,
            rows=[48, 400][at],
            dense=[3, 40][at],
        )
        for at in range(2)
    ]
    with ExperimentCollection(folder, quiet=True) as collection:
        log_run(collection, "0/0")
    done = threading.Event()
    with ThreadPoolExecutor() as pool, ExitStack() as stack:
        stack.callback(done.set)
        processes = [stack.enter_context(started(plan)) for plan in plans]
        works: list[Future[Any]] = [
            pool.submit(disturb, folder, done),
            pool.submit(follow, folder, done),
            *(pool.submit(read, folder, READS[at::2], done) for at in range(2)),
        ]
        for process in processes:
            _, errors = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, errors.decode()
        done.set()
        found = [work.result(PATIENCE) for work in works]
    expected = {"0/0": FEW} | {
        f"{plan['seed']}/{thread}": records for plan in plans for thread in range(THREADS)
    }
    assert found[1] == expected
    collection = ExperimentCollection(folder, quiet=True)
    assert require_in_order(collection.records) == expected
    for each in READS:
        each(collection.records)
    assert collection.verify() == []
    collection.compact()
    assert require_in_order(collection.records) == expected
