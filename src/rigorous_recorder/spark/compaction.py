"""Compaction of a large collection: Spark's workers merge its files, many at a time."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pyarrow as pa
from pyspark.sql import SparkSession

from .._collection import ExperimentCollection
from .._engines.spark_tasks import in_tasks
from .._engines.spark_types import require_spark
from .._store.compact import Merging

__all__ = ["compact"]


def compact(spark: SparkSession, collection: ExperimentCollection) -> int:
    """As ``collection.compact()``, each file that comes out of it being a task of Spark.

    The driver decides which files become one, and holds the lock of compaction meanwhile. A worker
    reads and writes the files at the driver's path. A task that is tried again, or twice at once,
    does no harm: of two merged files with the same rows one counts.

    Returns:
        How many files there are fewer.

    Raises:
        MissingPackageError: PySpark is too old.
        SaveError: the folder can't be written by the driver; nothing is lost.

    Examples:
        >>> rigorous_recorder.spark.compact(spark, collection)  # doctest: +SKIP
    """
    require_spark(spark)
    return collection._compact(partial(_spread, spark))


def _spread(spark: SparkSession, merging: Merging, runs: list[list[Path]]) -> Iterable[int]:
    if not runs:
        return []
    found = in_tasks(spark, partial(_merge, merging), runs, "fewer BIGINT")
    return [row.fewer for row in found.collect()]


def _merge(merging: Merging, paths: list[Path]) -> list[pa.RecordBatch]:
    return [pa.record_batch({"fewer": pa.array([merging.merge_paths(paths)], pa.int64())})]
