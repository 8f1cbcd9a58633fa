"""A program whose tasks fail and die, on a cluster that tries again: ``python -m tests.spark.retries``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import SparkSession

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.spark import TaskLog, register

from .session import use_java

TASKS = 4


def session(master: str, **settings: str) -> SparkSession:
    """A cluster that tries failed tasks again."""
    use_java()
    builder = SparkSession.builder.master(master).config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.bindAddress", "127.0.0.1")
    for name, value in settings.items():
        builder = builder.config(name.replace("_", "."), value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    return spark


def trouble(attempt: int, partition: int) -> None:
    """What befalls the first attempts, behind their block."""
    if attempt == 0 and partition == 0:
        raise ZeroDivisionError
    if attempt <= 1 and partition == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def batches(some: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Rows of a partition, of which the first attempts come to no end."""
    context = TaskContext.get()
    assert context is not None
    yield from some
    trouble(context.attemptNumber(), context.partitionId())


def failing(path: str) -> None:
    """Tasks that fail and are killed behind their block, in foreachPartition and in a write."""
    spark = session("local[2,4]")
    register(spark)
    rows = spark.range(3 * TASKS, numPartitions=TASKS)
    with ExperimentCollection(path) as collection:
        with collection.new_experiment() as experiment, TaskLog(spark, experiment) as log:

            def each(partition: Iterator[Any]) -> None:
                context = TaskContext.get()
                assert context is not None
                with log.recorder(attempt=context.attemptNumber()) as recorder:
                    for row in partition:
                        recorder.push(i=row.id)
                trouble(context.attemptNumber(), context.partitionId())

            rows.foreachPartition(each)
        written = rows.withColumnRenamed("id", "i").mapInArrow(batches, "i long")
        written.write.format("rigorous").mode("append").save(path)
    spark.stop()


def executor() -> int:
    """The process that the workers of a task belong to, through one that starts them."""
    stat = Path(f"/proc/{os.getppid()}/stat").read_text(encoding="ascii")
    return int(stat.rpartition(")")[2].split()[1])


def losing(path: str) -> None:
    """An executor dies with what its tasks had computed, so that these are computed again."""
    spark = session("local-cluster[2,1,1024]", spark_executor_memory="512m")
    rows = spark.range(3 * TASKS, numPartitions=TASKS)
    with ExperimentCollection(path) as collection:
        with collection.new_experiment() as experiment, TaskLog(spark, experiment) as log:

            def logged(some: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
                context = TaskContext.get()
                assert context is not None
                (Path(path).parent / f"ran-{context.taskAttemptId()}").touch()
                with log.recorder(part=context.partitionId()) as recorder:
                    for batch in some:
                        recorder.extend({"i": batch.column("id")})
                        yield batch

            def lost(some: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
                context = TaskContext.get()
                assert context is not None
                died = Path(path).parent / "died"
                if context.partitionId() == 0 and not died.exists():
                    died.touch()
                    os.kill(executor(), signal.SIGKILL)
                yield from some

            shuffled = rows.mapInArrow(logged, "id long").repartition(2, "id")
            found = shuffled.mapInArrow(lost, "id long").toArrow()
            assert sorted(found["id"].to_pylist()) == list(range(3 * TASKS))
    spark.stop()


if __name__ == "__main__":
    {"failing": failing, "losing": losing}[sys.argv[1]](sys.argv[2])
