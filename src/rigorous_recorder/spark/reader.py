"""Reading: the rows of the moment at which a query is planned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from pyspark.sql.datasource import DataSourceReader, Filter, InputPartition
from pyspark.sql.types import StructType

from .._arrow import pa
from .driver_snapshot import Sight
from .options import Options
from .partitions import QueryPartition, read
from .plan import Plan

__all__ = ["Reader"]


class Reader(DataSourceReader):
    """Reads the rows that were there when it was made.

    Raises:
        ColumnError: the schema asks for what is not there.
    """

    def __init__(self, options: Options, schema: StructType) -> None:
        self._takes_filters = options.is_for_one_query
        sight = Sight(options)
        self._plan = Plan(sight, sight.wanted(schema))

    @property
    def pushFilters(self) -> Callable[[list[Filter]], Iterable[Filter]]:  # noqa: N802 - Spark's
        """Takes those filters over that mean just the same here; returns the others.

        Spark keeps what was planned last with the frame, and reads it again for a query without
        filters, or for both sides of a union: so only of a frame that one query has is less read.
        """
        return _Harmless(self._push)

    def _push(self, filters: list[Filter]) -> list[Filter]:
        if not self._takes_filters:
            return filters
        return [condition for condition in filters if not self._plan.push(condition)]

    def partitions(self) -> Sequence[InputPartition]:
        """What each task reads."""
        return self._plan.whole()

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """The rows of a task, some at a time."""
        return read(partition) if isinstance(partition, QueryPartition) else iter(())

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _Harmless:
    """A method of a reader that Spark takes for the one that every reader has.

    Where ``spark.sql.python.filterPushdown.enabled`` is not set, Spark refuses readers that have
    another one, by which it means what its ``__func__`` is. There it is not called.
    """

    __func__ = staticmethod(DataSourceReader.pushFilters)

    def __init__(self, method: Callable[[list[Filter]], Iterable[Filter]]) -> None:
        self._method = method

    def __call__(self, filters: list[Filter]) -> Iterable[Filter]:
        return self._method(filters)
