"""Batch reading: the rows of the snapshot at which a query is planned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from pyspark.sql.datasource import DataSourceReader, Filter, InputPartition
from pyspark.sql.types import StructType

from .._arrow import pa
from .driver_snapshot import DriverSnapshot
from .options import Options
from .partitions import QueryPartition, read
from .plan import Plan

__all__ = ["BatchReader"]


class BatchReader(DataSourceReader):
    """Reads the rows that existed when it was created.

    Raises:
        ColumnError: the schema names a column that does not exist.
    """

    def __init__(self, options: Options, schema: StructType) -> None:
        self._takes_filters = options.is_for_one_query
        source = DriverSnapshot(options)
        self._plan = Plan(source, source.wanted(schema))

    @property
    def pushFilters(self) -> Callable[[list[Filter]], Iterable[Filter]]:  # noqa: N802 - Spark's
        """Accept the filters that mean exactly the same here; return the others.

        Spark caches the latest plan with the frame, and uses it again for a query without filters
        or for both sides of a union: so filters reduce what is read only of a frame that serves
        one query.
        """
        return _Harmless(self._push)

    def _push(self, filters: list[Filter]) -> list[Filter]:
        if not self._takes_filters:
            return filters
        return [condition for condition in filters if not self._plan.push(condition)]

    def partitions(self) -> Sequence[InputPartition]:
        """The partitions of the query."""
        return self._plan.whole()

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """The rows of a partition, in batches."""
        return read(partition) if isinstance(partition, QueryPartition) else iter(())

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _Harmless:
    """A method of a reader that Spark mistakes for the inherited one.

    If ``spark.sql.python.filterPushdown.enabled`` is not set, Spark refuses readers that override
    this method, judging by its ``__func__``. In that case it never calls it.
    """

    __func__ = staticmethod(DataSourceReader.pushFilters)

    def __init__(self, method: Callable[[list[Filter]], Iterable[Filter]]) -> None:
        self._method = method

    def __call__(self, filters: list[Filter]) -> Iterable[Filter]:
        return self._method(filters)
