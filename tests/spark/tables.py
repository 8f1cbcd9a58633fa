"""The flat table through Spark, compared with the one that Arrow has."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
from pyspark.sql import DataFrame

from rigorous_recorder import Records
from rigorous_recorder._engines.spark_types import for_spark, spark_fields, spark_schema

from ..property.strategies import exact

__all__ = ["multiset", "require_same"]


def require_same(frame: DataFrame, records: Records) -> None:
    """The frame has the columns and the rows of the records, whatever their order."""
    fields = spark_fields(records._scan())
    assert frame.schema == spark_schema(fields)
    table = records.to_arrow()
    if not fields:
        assert frame.count() == table.num_rows
        return
    columns = [for_spark(column.combine_chunks()) for column in table.columns]
    assert multiset(frame.toArrow()) == multiset(pa.Table.from_arrays(columns, list(fields)))


def multiset(table: pa.Table) -> Counter[str]:
    """Its rows, each with how many times it is there."""
    columns = [column.to_pylist() for column in table.columns]
    return Counter(map(exact, zip(*columns, strict=True)))
