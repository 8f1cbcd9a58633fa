"""Spark finds the rows that were logged, whatever it pushes down: the property of all engines."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from rigorous_recorder import spark as source

from ..faults import THOROUGH
from ..property.conditions import NUMBER, Condition, Row, conditions, have_one_zone, rows
from ..property.strategies import scratch_folder
from ..property.test_engines_agree import logged
from .session import session

PLAIN = (
    "number BIGINT, float DOUBLE, int BIGINT, bool BOOLEAN, text STRING, date DATE,"
    " naive TIMESTAMP_NTZ, zoned TIMESTAMP, duration BIGINT"
)


def require_same(
    spark: SparkSession, found: list[Row], asked: Condition, *, are_sparse: bool = False
) -> None:
    """Through ``to_spark``, the data source, and plain files; one query of all."""
    wanted = asked.numbers(found, "order")
    with scratch_folder() as folder:
        records = logged(found, folder, are_sparse=are_sparse).records
        source.register(spark)
        reader = spark.read.option("datetimeRebaseMode", "CORRECTED").schema(PLAIN)
        plain = [f"file://{folder}/c.collection/records", f"file://{folder}/x.parquet"]
        frames = {
            "to_spark": (records.to_spark(spark), "spark"),
            "format": (spark.read.format("rigorous").load(f"{folder}/c"), "spark"),
            "exported": (reader.parquet(plain[1]), "plain spark"),
        }
        if have_one_zone(found) and not are_sparse:
            frames["sealed"] = (reader.parquet(plain[0]), "plain spark")
        for name, (frame, dialect) in frames.items():
            numbers = frame.where(asked.sql(dialect)).select(NUMBER).collect()  # type: ignore[arg-type]
            assert sorted(number for (number,) in numbers) == wanted, name


@pytest.mark.slow
@settings(
    max_examples=60 if THOROUGH else 15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(found=rows(), asked=conditions, are_sparse=st.booleans())
def test_spark_finds_the_rows_that_were_logged(
    found: list[Row], asked: Condition, *, are_sparse: bool
) -> None:
    """Random rows and conditions; ``test_floats`` has the examples that went wrong."""
    require_same(session(), found, asked, are_sparse=are_sparse)
