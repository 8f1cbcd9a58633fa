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
    """Like ``collection.compact()``, with each resulting file merged by a Spark task.

    The driver plans which files are merged and holds the compaction lock meanwhile. Workers read
    and write the files at the driver's path. A task that runs again, or twice at once, is harmless:
    of two merged files with the same rows one counts.

    Returns:
        By how many files the collection has shrunk.

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
