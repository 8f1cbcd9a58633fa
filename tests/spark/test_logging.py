"""Logging from tasks: each attempt is a writer of its own, and of each task one attempt counts."""

from __future__ import annotations

import datetime as dt
import gc
import pickle
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql.functions import udf

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._recorder import place_of
from rigorous_recorder._store.node_ids import writer_of
from rigorous_recorder.errors import ArgumentError, ClosedError, NotACollectionError
from rigorous_recorder.spark import TaskLog, discard_unfinished

from .attempts import Attempt, Driver, accept

Work = Callable[[TaskLog], object]


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[ExperimentCollection]:
    """A collection in which an experiment was begun."""
    with ExperimentCollection(tmp_path / "study", quiet=True) as opened:
        yield opened


@pytest.fixture
def experiment(collection: ExperimentCollection) -> Iterator[Recorder]:
    """An experiment that runs."""
    with collection.new_experiment(lr=0.1) as recorder:
        yield recorder


def of(context: Any, recorder: Recorder) -> TaskLog:
    return TaskLog(context, recorder)


def pushes(*indexes: int) -> Work:
    """A task that logs records and, below its recorder, one more each."""

    def work(log: TaskLog) -> None:
        with log.recorder(task=indexes[0]) as recorder:
            child = recorder.child(level="child")
            for i in indexes:
                recorder.push(i=i)
                child.push(i=100 + i)

    return work


def seen(path: Path | str) -> list[int]:
    """What each engine sees, which is the same, of the records that tasks logged."""
    records = ExperimentCollection(path, quiet=True).records
    found = sorted(row["i"] for row in records)
    for table in (records.to_arrow(), records.sql("from records").to_arrow_table()):
        column = table.column("i").to_pylist() if found else []
        assert sorted(column) == found
        assert table.num_rows == len(found)
    assert records.to_polars().height == len(found)
    return found


def path_of(recorder: Recorder) -> Path:
    place = place_of(recorder)
    assert place is not None
    return place[0].folder.path


# --- which attempt counts -------------------------------------------------------------------------


def test_records_are_seen_when_spark_accepts_the_task(experiment: Recorder) -> None:
    """Not when they are logged, nor when the block ends; and with all that is known above them."""
    path = path_of(experiment)
    with of(Driver(), experiment) as log:
        updates = Attempt(7).of(log, pushes(1, 2))
        assert seen(path) == []
        accept(updates)
        assert seen(path) == [1, 2, 101, 102]
    assert seen(path) == [1, 2, 101, 102]
    row = ExperimentCollection(path, quiet=True).records[0]
    assert (row["lr"], row["task"], row["experiment_number"]) == (0.1, 1, 1)
    assert [child["task"] for child in experiment.children] == [1]


def test_an_attempt_that_fails_does_not_count(experiment: Recorder) -> None:
    """Wherever it fails: in its block, or behind it; its successor counts."""
    path = path_of(experiment)

    def fails_inside(log: TaskLog) -> None:
        with log.recorder() as recorder:
            recorder.push(i=1)
            raise ZeroDivisionError

    def fails_behind(log: TaskLog) -> None:
        pushes(1)(log)
        raise ZeroDivisionError

    with of(Driver(), experiment) as log:
        for number, work in enumerate([fails_inside, fails_behind]):
            with pytest.raises(ZeroDivisionError):
                Attempt(number).of(log, work)
        accept(Attempt(2).of(log, pushes(1)))
        assert seen(path) == [1, 101]
    assert seen(path) == [1, 101]


def test_of_two_attempts_at_a_task_the_first_that_is_accepted_counts(experiment: Recorder) -> None:
    """Also where both come to their end, as when a stage is computed again; others are others'."""
    path = path_of(experiment)
    with of(Driver(), experiment) as log:
        one, other = Attempt(1).of(log, pushes(1)), Attempt(2).of(log, pushes(1))
        neighbour = Attempt(3, partition=1).of(log, pushes(2))
        for updates in (other, one, neighbour):
            accept(updates)
        accept(Attempt(4, stage=1).of(log, pushes(3)))
        assert seen(path) == [1, 2, 3, 101, 102, 103]
    assert seen(path) == [1, 2, 3, 101, 102, 103]


def test_all_blocks_of_an_attempt_count_together(experiment: Recorder) -> None:
    """A task can have several, also in several workers of one attempt."""
    path = path_of(experiment)

    def blocks(log: TaskLog) -> None:
        for i in range(3):
            pushes(i)(log)

    with of(Driver(), experiment) as log:
        first, second = Attempt(1).of(log, blocks), Attempt(1).of(log, pushes(9))
        late = Attempt(2).of(log, blocks)
        for updates in (first, late, second):
            accept(updates)
    assert seen(path) == [0, 1, 2, 9, 100, 101, 102, 109]


def test_a_block_that_an_exception_ends_does_not_count(experiment: Recorder) -> None:
    """Though the task goes on and is accepted; also a generator that nobody takes to its end."""
    path = path_of(experiment)

    def half(log: TaskLog) -> Iterator[int]:
        with log.recorder() as recorder:
            for i in range(10):
                recorder.push(i=i)
                yield i

    def work(log: TaskLog) -> None:
        generator = half(log)
        next(generator)
        generator.close()  # type: ignore[attr-defined]
        pushes(5)(log)

    with of(Driver(), experiment) as log:
        accept(Attempt(1).of(log, work))
    assert seen(path) == [5, 105]


def ahead(log: TaskLog) -> None:
    """A task of a machine whose clock is an hour ahead."""
    now = time.time_ns
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: now() + 3600 * 10**9)
        with log.recorder() as recorder:
            recorder.push(i=1)


def test_a_task_whose_clock_is_ahead_counts(experiment: Recorder) -> None:
    """What the driver sets on it is the latest value all the same."""
    with of(Driver(), experiment) as log:
        accept(Attempt(1).of(log, ahead))
    assert seen(path_of(experiment)) == [1]


def test_what_does_not_count_is_dropped_by_a_compaction(collection: ExperimentCollection) -> None:
    """Once the log was left; before, it waits, for its task can still be accepted."""
    recorder = collection.recorder.child()
    path = path_of(recorder)
    with of(Driver(), recorder) as log:
        late, loser = Attempt(1).of(log, pushes(1)), Attempt(2, 1).of(log, pushes(2))
        ExperimentCollection(path, quiet=True).compact()
        accept(late)
        assert seen(path) == [1, 101]
    accept(loser)  # it is too late for that
    collection.close()
    ExperimentCollection(path, quiet=True).compact()
    assert seen(path) == [1, 101]
    assert collection.verify() == []
    rows = [pq.read_metadata(file).num_rows for file in (path / "records").glob("*.parquet")]
    assert sum(rows) == 2


def test_an_error_of_the_driver_keeps_what_was_accepted(experiment: Recorder) -> None:
    """As in an experiment that ends with an error; the rest does not count."""
    path = path_of(experiment)
    with pytest.raises(ZeroDivisionError), of(Driver(), experiment) as log:
        accept(Attempt(1).of(log, pushes(1)))
        Attempt(2, partition=1).of(log, pushes(2))
        raise ZeroDivisionError
    assert seen(path) == [1, 101]


def test_the_driver_itself_can_log(experiment: Recorder) -> None:
    """Outside of any task each block counts at its end."""
    path = path_of(experiment)
    with of(Driver(), experiment) as log:
        for i in range(2):
            pushes(i)(log)
        assert seen(path) == [0, 1, 100, 101]


# --- trouble --------------------------------------------------------------------------------------

_KILLED = """
import os, signal, sys
from rigorous_recorder import ExperimentCollection
from rigorous_recorder.spark import TaskLog
from tests.spark.attempts import Attempt, Driver, accept
from tests.spark.test_logging import pushes

collection = ExperimentCollection(sys.argv[1])
with collection.new_experiment() as experiment, TaskLog(Driver(), experiment) as log:
    accept(Attempt(1).of(log, pushes(1)))
    Attempt(2, 1).of(log, pushes(2))
    print("logged", flush=True)
    if sys.argv[2] == "wait":
        sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def driver(path: Path, *words: str) -> subprocess.Popen[str]:
    started = subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(path), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "logged\n"
    return started


def test_a_killed_driver_keeps_what_was_accepted(tmp_path: Path) -> None:
    """The rest is excluded from query results, and is discarded when that is called for."""
    path = tmp_path / "study.collection"
    with driver(path, "wait") as running:
        assert discard_unfinished(path, older_than=dt.timedelta(0)) == 0  # for the driver lives
        running.kill()
    assert seen(path) == [1, 101]
    assert discard_unfinished(path) == 0  # for it began today
    assert discard_unfinished(path, older_than=dt.timedelta(0)) == 1
    assert discard_unfinished(path, older_than=dt.timedelta(0)) == 0
    ExperimentCollection(path, quiet=True).compact()
    assert seen(path) == [1, 101]
    rows = [pq.read_metadata(file).num_rows for file in (path / "records").glob("*.parquet")]
    assert sum(rows) == 2


def test_nothing_is_discarded_where_there_is_no_collection(tmp_path: Path) -> None:
    """And none is made."""
    with pytest.raises(NotACollectionError, match="no collection"):
        discard_unfinished(tmp_path / "study")
    assert list(tmp_path.iterdir()) == []


def test_a_log_is_used_while_it_is_entered(experiment: Recorder) -> None:
    """Else an error is raised on the driver, before a task starts."""
    log = of(Driver(), experiment)
    for _ in range(2):
        with pytest.raises(ClosedError, match="with TaskLog"):
            pickle.dumps(log)
        with log:
            pass


def test_a_log_that_was_left_is_not_stored(experiment: Recorder) -> None:
    """Spark keeps what it counts with for good; the collection is not kept with it."""
    with of(Driver(), experiment) as log:
        accept(Attempt(1).of(log, pushes(1)))
    left = weakref.ref(log)
    del log
    gc.collect()
    assert left() is None


def test_tasks_log_into_a_collection(experiment: Recorder) -> None:
    """A recorder in memory, and a session that knows of no attempts, are refused."""
    with pytest.raises(ArgumentError, match="in no collection"):
        of(Driver(), Recorder())
    with pytest.raises(ArgumentError, match=r"df\.write"):
        of(object(), experiment)


def test_a_collection_that_was_closed_too_early_is_reported(tmp_path: Path) -> None:
    """The records of that task could not be let count."""
    collection = ExperimentCollection(tmp_path / "study", quiet=True)
    recorder = collection.recorder.child()
    with pytest.raises(ClosedError, match="is closed"), of(Driver(), recorder) as log:
        updates = Attempt(1).of(log, pushes(1))
        collection.close()
        accept(updates)


def test_a_task_that_cannot_save_fails(
    experiment: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of its block, and its records don't count."""

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    def work(log: TaskLog) -> None:
        with log.recorder() as recorder:
            recorder.push(i=1)
            store, _ = place_of(recorder)  # type: ignore[misc]
            monkeypatch.setattr(store, "require_saved", fail)

    with of(Driver(), experiment) as log, pytest.raises(OSError, match="No space"):
        accept(Attempt(1).of(log, work))
    assert seen(path_of(experiment)) == []


# --- with Spark -----------------------------------------------------------------------------------


def test_tasks_of_spark_log_below_the_experiment(spark: SparkSession, experiment: Recorder) -> None:
    """In foreachPartition, mapInArrow and a UDF, each executor being a writer of its own."""
    path = path_of(experiment)
    rows = spark.range(6, numPartitions=2)
    with of(spark, experiment) as log:

        def each(partition: Iterator[Any]) -> None:
            with log.recorder(way="partition") as recorder:
                for row in partition:
                    recorder.push(i=row.id)

        def batches(some: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            with log.recorder(way="arrow") as recorder:
                for batch in some:
                    recorder.extend({"i": batch.column("id")})
                    yield batch

        @udf("long", useArrow=False)
        def each_row(i: int) -> int:
            with log.recorder(way="udf") as recorder:
                recorder.push(i=i)
            return -i

        rows.foreachPartition(each)
        assert seen(path) == [0, 1, 2, 3, 4, 5]
        assert rows.mapInArrow(batches, "id long").select(each_row("id").alias("n")).toArrow()[
            "n"
        ].to_pylist() == [0, -1, -2, -3, -4, -5]
    assert seen(path) == sorted([0, 1, 2, 3, 4, 5] * 3)
    writers = {writer_of(child._node) for child in experiment.children}
    assert writer_of(experiment._node) not in writers
    assert len(writers) > 1
    # One writer for a task, however many blocks it has.
    of_udf = [child for child in experiment.children if child["way"] == "udf"]
    assert len(of_udf) == 6
    assert len({writer_of(child._node) for child in of_udf}) == 2


def test_two_actions_on_the_same_data_log_twice(spark: SparkSession, experiment: Recorder) -> None:
    """The second is no work of the first done again."""

    def work(numbers: Iterator[int]) -> Iterator[int]:
        with log.recorder() as recorder:
            for i in numbers:
                recorder.push(i=i)
                yield i

    with TaskLog(spark, experiment) as log:
        data = spark.sparkContext.parallelize(range(4), 2).mapPartitions(work)
        assert data.collect() == data.collect() == [0, 1, 2, 3]
    assert seen(path_of(experiment)) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_recorder_that_is_used_without_a_log_is_seen_at_once(
    spark: SparkSession, experiment: Recorder
) -> None:
    """It goes to tasks as to any other process; then attempts that fail are seen, too."""

    def each(partition: Iterator[Any]) -> None:
        child = experiment.child(way="plain")
        for row in partition:
            child.push(i=row.id)

    spark.range(4, numPartitions=2).foreachPartition(each)
    assert seen(path_of(experiment)) == [0, 1, 2, 3]


# --- with a cluster that tries again --------------------------------------------------------------


def run_cluster(mode: str, path: Path) -> ExperimentCollection:
    words = [sys.executable, "-m", "tests.spark.retries", mode, str(path)]
    done = subprocess.run(
        words, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return ExperimentCollection(path, quiet=True)


@pytest.mark.slow
def test_tasks_that_fail_and_are_killed_are_tried_again(tmp_path: Path) -> None:
    """By Spark: their records count once, those of the attempt that came to its end."""
    collection = run_cluster("failing", tmp_path / "study")
    first, written = collection[1], collection[2]
    attempts = {0: 1, 1: 2, 2: 0, 3: 0}  # by partition, of three rows each
    found = sorted((row["i"], row["attempt"]) for row in first)
    assert found == [(i, attempts[i // 3]) for i in range(12)]
    assert sorted(row["i"] for row in written) == list(range(12))
    assert len(collection.records) == 24
    collection.compact()
    assert len(collection.records) == 24
    assert collection.verify() == []


@pytest.mark.slow
def test_what_an_executor_lost_is_computed_again_and_counts_once(tmp_path: Path) -> None:
    """Though its tasks had been accepted, and another stage computes it."""
    collection = run_cluster("losing", tmp_path / "study")
    assert len(list(tmp_path.glob("ran-*"))) > 4  # or nothing was computed again
    assert sorted(row["i"] for row in collection.records) == list(range(12))
