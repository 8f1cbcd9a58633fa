"""Parallel work in Spark: one task for each item."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from .._arrow import pa
from .._lazy_imports import st

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["in_tasks"]

_Item = TypeVar("_Item")


def in_tasks(
    spark: SparkSession,
    work: Callable[[_Item], Iterable[pa.RecordBatch]],
    items: Sequence[_Item],
    schema: st.StructType | str,
) -> DataFrame:
    """Apply a function to each item, in a task of its own.

    Args:
        work: a module-level function, which workers can import.
        items: anything that can be pickled.
        schema: the schema of the results.
    """
    numbers = spark.range(0, len(items), 1, max(1, len(items)))
    return numbers.mapInArrow(partial(_do, work, items), schema)


def _do(
    work: Callable[[_Item], Iterable[pa.RecordBatch]],
    items: Sequence[_Item],
    batches: Iterable[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for number in batch.column(0).to_pylist():
            yield from work(items[number])
