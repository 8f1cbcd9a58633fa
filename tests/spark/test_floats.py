"""NaN and -0.0 in Spark: pushed conditions lose no row, of sealed files, old ones and exports."""

from __future__ import annotations

from functools import reduce
from pathlib import Path

import pyspark.sql.functions as sf
import pytest
from pyspark.sql import DataFrame, SparkSession

from ..floats import COLUMNS, CONDITIONS, NAN, wanted
from ..store.folders import opened
from ..store.test_special_floats import log, log_as_before

#: Conditions that SQL can't spell: a literal with the sign bit, and one of NaN.
BY_LITERAL = {
    "lit(-0.0)": (-0.0, CONDITIONS["= 0"].by_order),
    "lit(NaN)": (NAN, CONDITIONS["= NaN"].by_order),
}
#: The others are variations, each of which takes Spark seconds.
FEW = ("NaN among few", "-0.0 that comes back", "plain")
EACH_COLUMN = pytest.mark.parametrize(
    "column", [c if c in FEW else pytest.param(c, marks=pytest.mark.slow) for c in COLUMNS]
)


def require_right(frame: DataFrame, values: list[float | None], *, literals: bool) -> None:
    """All conditions in one query."""
    asked = {name: (frame.where(each.sql), each.by_order) for name, each in CONDITIONS.items()}
    if literals:
        asked |= {
            name: (frame.where(sf.col("x") == sf.lit(literal)), test)
            for name, (literal, test) in BY_LITERAL.items()
        }
    counts = [
        found.agg(sf.lit(name).alias("name"), sf.count("*")) for name, (found, _) in asked.items()
    ]
    found = dict(map(tuple, reduce(DataFrame.unionAll, counts).collect()))
    assert found == {name: wanted(values, test) for name, (_, test) in asked.items()}


@pytest.mark.parametrize(
    "writer",
    ["this version", "an old version", pytest.param("both", marks=pytest.mark.slow)],
)
@EACH_COLUMN
def test_to_spark_finds_every_row(
    spark: SparkSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    column: str,
    writer: str,
) -> None:
    """Whatever Spark's reader looks at in a file."""
    values = COLUMNS[column]
    if writer != "this version":
        log_as_before(monkeypatch, tmp_path / "c", x=values)
    if writer != "an old version":
        log(tmp_path / "c", x=values)
    rows = opened(tmp_path / "c").records.to_spark(spark)
    require_right(rows, values * (2 if writer == "both" else 1), literals=True)


@EACH_COLUMN
def test_spark_finds_every_row_of_a_sealed_file(
    spark: SparkSession, tmp_path: Path, column: str
) -> None:
    """Read as docs/format.md has it. (Its reader misses 0.0 where the literal is -0.0.)"""
    log(tmp_path / "c", x=COLUMNS[column])
    frame = spark.read.schema("_node BIGINT, x DOUBLE").parquet(f"file://{tmp_path}/c/records")
    require_right(frame, COLUMNS[column], literals=False)


def test_conditions_on_plain_floats_are_pushed_down(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only what a reader would get wrong is hidden from it."""
    with opened(tmp_path / "c") as collection, collection.new_experiment() as experiment:
        for row in range(100):
            experiment.push(x=1 / (1 + row), y=float(row % 3), z=NAN if row == 7 else row / 7)
    rows = opened(tmp_path / "c").records.to_spark(spark)
    rows.where("x > 0.5 AND y = 1 AND z > 2").select("x").explain()
    shown = capsys.readouterr().out
    assert "[IsNotNull(x), IsNotNull(z), GreaterThan(x,0.5), GreaterThan(z,2.0)]" in shown
