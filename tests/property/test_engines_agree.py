"""Every engine finds the rows that were logged, whatever a reader pushes down to a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rigorous_recorder import ExperimentCollection

from ..sparse import make_all_sparse
from .conditions import NUMBER, Condition, IsNan, Row, conditions, has_nan, have_one_zone, rows
from .strategies import scratch_folder

FEWER = settings(max_examples=settings().max_examples // 2)


def logged(found: list[Row], folder: Path, *, are_sparse: bool = False) -> ExperimentCollection:
    with ExperimentCollection(folder / "c", quiet=True) as collection:
        with collection.new_experiment() as experiment:
            for row in found:
                experiment.push(row)
    if are_sparse:
        make_all_sparse(folder / "c.collection")
    collection = ExperimentCollection(folder / "c", quiet=True)
    for suffix in (".parquet", ".arrow"):
        collection.records.save_to(folder / f"x{suffix}")
    return collection


def engines(
    collection: ExperimentCollection, asked: Condition, folder: Path, *, with_sealed: bool
) -> Iterator[tuple[str, Any, str]]:
    """The name of each reader, the numbers that it finds, and by which rules."""
    records = collection.records
    query = f"SELECT {NUMBER} FROM records WHERE {asked.sql('duckdb')}"
    yield "sql", [number for (number,) in collection.sql(query).fetchall()], "order"
    frames = {"polars": records.to_polars().lazy(), "lazy polars": records.to_polars(lazy=True)}
    table = records.to_arrow()
    in_utc = table.schema.with_metadata(None)
    fields = [f.with_type(pa.timestamp("us", "UTC")) if f.name == "zoned" else f for f in in_utc]
    yield "arrow", table.cast(pa.schema(fields)).filter(asked.arrow)[NUMBER].to_pylist(), "arrow"
    files = {"exported": folder}
    if with_sealed:
        files["sealed"] = folder / "c.collection" / "records"
    for name, place in files.items():
        path = str(place / "*.parquet")
        with duckdb.connect() as connection:
            plain = f"SELECT {NUMBER} FROM '{path}' WHERE {asked.sql('plain duckdb')}"
            found = connection.sql(plain).fetchall()
        yield f"duckdb, {name}", [number for (number,) in found], "order"
        frames[f"polars, {name}"] = pl.read_parquet(path).lazy()
        frames[f"lazy polars, {name}"] = pl.scan_parquet(path)
        if has_nan(asked):
            continue
        (file,) = place.glob("*.parquet")
        dataset = ds.dataset(file).to_table(filter=asked.arrow)
        yield f"dataset, {name}", dataset[NUMBER].to_pylist(), "arrow"
        by_pandas = pd.read_parquet(file, filters=asked.arrow, columns=[NUMBER])
        yield f"pandas, {name}", by_pandas[NUMBER].tolist(), "arrow"
    frames["polars, arrow file"] = pl.read_ipc(folder / "x.arrow").lazy()
    frames["lazy polars, arrow file"] = pl.scan_ipc(folder / "x.arrow")
    dataset = ds.dataset(folder / "x.arrow", format="ipc").to_table(filter=asked.arrow)
    yield "dataset, arrow file", dataset[NUMBER].to_pylist(), "arrow"
    for name, frame in frames.items():
        yield name, frame.filter(asked.polars).collect()[NUMBER].to_list(), "order"


@FEWER
@example(
    found=[{NUMBER: 0, "float": float("nan")}, {NUMBER: 1, "float": float("inf")}],
    asked=IsNan(),
    are_sparse=True,
)
@given(found=rows(), asked=conditions, are_sparse=st.booleans())
def test_engines_find_the_rows_that_were_logged(
    found: list[Row], asked: Condition, *, are_sparse: bool
) -> None:
    """SQL, Polars, Arrow and pandas, of a collection, its files, and exported ones."""
    with scratch_folder() as folder:
        collection = logged(found, folder, are_sparse=are_sparse)
        by_rules = {rules: asked.numbers(found, rules) for rules in ("order", "arrow")}
        as_read = [dict(row) for row in collection.records]
        assert asked.numbers(as_read, "order") == by_rules["order"]
        for engine, numbers, rules in engines(
            collection, asked, folder, with_sealed=have_one_zone(found) and not are_sparse
        ):
            assert sorted(numbers) == by_rules[rules], engine
