"""Types in Spark: each kind of value has one that Spark takes from Arrow and gives back."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from rigorous_recorder import Recorder
from rigorous_recorder._engines.arrow import flat_table
from rigorous_recorder._engines.spark_types import for_spark, spark_fields, spark_schema

VALUES = {
    "int": -(2**63),
    "bigint": 2**127 % 10**38,
    "longer int": -(10**40),
    "float": 0.1,
    "bool": True,
    "text": "x",
    "bytes": b"\0y",
    "date": dt.date(1582, 10, 4),
    "naive": dt.datetime(1, 1, 2, 3, 4, 5, 6),
    "zoned": dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=2))),
    "delta": dt.timedelta(days=-3, microseconds=1),
    "nothing": None,
    "json": {"a": [1]},
    "u8": np.array([255], np.uint8),
    "u64": np.array([[2**64 - 1]], np.uint64),
    "f16": np.array([0.5, -0.0], np.float16),
    "bools": np.array([True, False]),
}


@pytest.mark.parametrize("key", VALUES)
def test_a_value_comes_back(spark: SparkSession, key: str) -> None:
    """What Spark gives is what was logged, in the type that the schema says."""
    recorder = Recorder()
    recorder.push({key: VALUES[key], "n": 1}).push(n=2)
    scan = recorder.records.scan()
    schema = spark_schema(spark_fields(scan))
    columns = [for_spark(column.combine_chunks()) for column in flat_table(scan).columns]
    table = pa.Table.from_arrays(columns, names=schema.names)
    found = spark.createDataFrame(table, schema)
    assert found.schema == schema
    arrow = found.toArrow().column(key)
    assert arrow.type == table.column(key).type
    assert arrow.to_pylist() == table.column(key).to_pylist()
