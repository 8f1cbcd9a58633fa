"""Types in Spark: each kind of value has one that Spark takes from Arrow and gives back."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import types as st

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._engines.arrow import flat_table
from rigorous_recorder._engines.spark_types import for_spark, spark_fields, spark_schema
from rigorous_recorder.spark import register

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
    scan = recorder.records._scan()
    schema = spark_schema(spark_fields(scan))
    columns = [for_spark(column.combine_chunks()) for column in flat_table(scan).columns]
    table = pa.Table.from_arrays(columns, names=schema.names)
    found = spark.createDataFrame(table, schema)
    assert found.schema == schema
    arrow = found.toArrow().column(key)
    assert arrow.type == table.column(key).type
    assert arrow.to_pylist() == table.column(key).to_pylist()


@pytest.mark.slow
def test_ints_beyond_64_bits_are_decimals(spark: SparkSession, tmp_path: Path) -> None:
    """Exact from sealed and live rows, by plan and by source; doubles beside floats or on request."""
    path, values = tmp_path / "c.collection", [1, 2**64, 1 - 10**38, 2**63]
    register(spark)
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        with collection.new_experiment(seed=2**100) as experiment:
            for i, each in enumerate(values):
                experiment.push(i=i, x=each, both=2**70 + i if i else 0.5, long=10**40)
            collection.save()
            experiment.push(i=4, x=7, both=3, long=10**40)
            wanted = [*values, 7]
            source = spark.read.format("rigorous")
            for frame in (source.load(str(path)), collection.records.to_spark(spark)):
                assert frame.schema["x"].dataType == st.DecimalType(38, 0)
                rows = frame.select("x", "both", "long", "seed").sort("i").collect()
                assert [row.x for row in rows] == wanted
                assert [row.both for row in rows] == [0.5, *[float(2**70)] * 3, 3.0]
                assert {(int(row.long), row.seed) for row in rows} == {(10**40, Decimal(2**100))}
                assert frame.where(frame.x == Decimal(2**64)).count() == 1
            schema = st.StructType().add("i", st.LongType()).add("x", st.DoubleType())
            rows = source.schema(schema).load(str(path)).sort("i").collect()
            assert [row.x for row in rows] == [float(each) for each in wanted]
