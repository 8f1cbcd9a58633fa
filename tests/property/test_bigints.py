"""Ints beyond 64 bits, as seeds and hashes have them, read back exactly wherever they are stored."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder.errors import MixedKindsWarning

from .strategies import bigints, exact, floats, ints, longer_ints
from .test_values import FEWER, NUMBER, PLACES, Logged, _by_engine

DECIMAL = pa.decimal128(38, 0)
EDGES = [2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64 - 1, 2**64, 10**38 - 1, 1 - 10**38]
BEYOND = [10**38, -(10**38), 2**127, -(2**128), 10**4300 - 1]


@PLACES
@FEWER
@given(column=st.lists(ints | bigints, min_size=1, max_size=5), above=ints | bigints)
@example(column=EDGES, above=2**70)
@example(column=[1, 2], above=2**63)
def test_ints_of_all_sizes_meet_as_decimals(place: Any, column: list[int], above: int) -> None:
    """One column of numbers, in which every engine shows each int as it is."""
    logged = Logged({"seed": above}, [{NUMBER: i, "x": v} for i, v in enumerate(column)])
    logged.rows.append({NUMBER: len(column)})
    with place(logged) as (records, sql):
        assert [exact(row["x"]) for row in records] == [exact(each) for each in [*column, None]]
        assert [exact(row["seed"]) for row in records] == [exact(above)] * (len(column) + 1)
        is_wide = any(abs(each) >= 2**63 and each != -(2**63) for each in column)
        assert records.to_arrow().schema.field("x").type == (DECIMAL if is_wide else pa.int64())
        for engine, columns in _by_engine(records, sql, list(records.columns)).items():
            found = [None if each is None else int(each) for each in columns["x"][:-1]]
            assert found == column, engine
            assert [int(each) for each in columns["seed"]] == [above] * (len(column) + 1), engine


@PLACES
@FEWER
@given(column=st.lists(bigints | floats | ints, min_size=1, max_size=5))
@example(column=[2**70 + 1, 0.5, 3])
@example(column=[10**38 - 1, float("nan")])
def test_bigints_meet_floats_as_the_nearest_double(place: Any, column: list[Any]) -> None:
    """As ints do; rows have each as it was logged."""
    column = [*column, 0.5]
    with place(Logged({}, [{NUMBER: i, "x": v} for i, v in enumerate(column)])) as (records, sql):
        assert [exact(row["x"]) for row in records] == [exact(each) for each in column]
        wanted = [exact(float(each)) for each in column]
        for engine, columns in _by_engine(records, sql, list(records.columns)).items():
            shown = [exact(float("nan") if v is None else v) for v in columns["x"]]
            assert shown == wanted, engine


@PLACES
@FEWER
@given(column=st.lists(longer_ints | bigints | ints, min_size=1, max_size=5))
@example(column=[1, *BEYOND])
def test_ints_of_more_digits_are_text_of_their_own(place: Any, column: list[int]) -> None:
    """They stand in ``key:bigint_text`` beside other numbers, and rows have them as ints."""
    column = [*column, 10**38, 5, 6]
    rows = [{NUMBER: i, "x": v} for i, v in enumerate(column)]
    with place(Logged({"seed": 2**128 - 1}, rows)) as (records, _):
        assert [exact(row["x"]) for row in records] == [exact(each) for each in column]
        assert {row["seed"] for row in records} == {2**128 - 1}
        main, other = (
            ("x", "x:bigint_text") if "x:bigint_text" in records.columns else ("x:int", "x")
        )
        with pytest.warns(MixedKindsWarning, match="bigint_text"):
            table = records.to_arrow()
        assert table["seed"].to_pylist() == [str(2**128 - 1)] * len(column)
        for i, each in enumerate(column):
            is_text = abs(each) >= 10**38
            assert table[other][i].as_py() == (str(each) if is_text else None)
            assert main not in table.column_names or (table[main][i].as_py() is None) == is_text


@PLACES
def test_conditions_find_ints_of_all_sizes(place: Any) -> None:
    """Just those that are equal; a float that equals an int finds it."""
    column: list[Any] = [*EDGES, *BEYOND, 1, float(2**70), 2**70, True]
    rows = [{NUMBER: i, "x": v} for i, v in enumerate(column)]
    with place(Logged({"seed": 2**100}, rows)) as (records, _):
        for i, each in enumerate(column):
            equal = [n for n, v in enumerate(column) if v == each and (v is True) == (each is True)]
            assert [row[NUMBER] for row in records.where(x=each)] == equal, i
        assert not len(records.where(x=2**70 + 1))
        assert not len(records.where(x=10**38 + 1))
        for each in (2**64, 10**38, 2**127):
            assert [row["x"] for row in records.where(x=float(each))] == [
                v for v in column if v == float(each)
            ]
        assert (
            len(records.where(seed=2**100)) == len(records.where(seed=float(2**100))) == len(rows)
        )
        assert not len(records.where(seed=2**100 + 1))


COLUMNS: dict[str, Callable[[], Any]] = {
    "array of uint64": lambda: np.array([1, 2**63, 2**64 - 1], "uint64"),
    "Arrow uint64": lambda: pa.array([1, None, 2**64 - 1], pa.uint64()),
    "Arrow decimals": lambda: pa.array([Decimal(1), None, Decimal(10**38 - 1)], DECIMAL),
    "long Arrow decimals": lambda: pa.array([Decimal(10**60), Decimal(7)], pa.decimal256(70, 0)),
    "Polars Int128": lambda: pl.Series([2**100, None, -(2**100), 3], dtype=pl.Int128),
    "Polars UInt128": lambda: pl.Series([2**127, 3], dtype=pl.UInt128),
    "Polars decimals": lambda: pl.Series([Decimal(2**100), None]).cast(pl.Decimal(38, 0)),
    "list": lambda: [1, 2**64, None, -(10**40)],
    "objects": lambda: np.array([1, 2**64, None], object),
    "uint64 that fit": lambda: np.array([1, 2**63 - 1], "uint64"),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_of_large_ints_are_extended(name: str) -> None:
    """Whatever type their library has for them."""
    column = COLUMNS[name]()
    plain = column.tolist() if isinstance(column, np.ndarray) else list(column)
    if isinstance(column, pa.Array):
        plain = column.to_pylist()
    found = [row["x"] for row in Recorder().extend({"x": column}).records]
    assert [exact(each) for each in found] == [
        exact(None if each is None else int(each)) for each in plain
    ]


@pytest.mark.parametrize("value", [*EDGES, *BEYOND])
def test_scalars_and_attributes_of_any_size(tmp_path: Path, value: int) -> None:
    """By push before and after a plan is learnt, add, attributes, and inside of a dict."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        with collection.new_experiment(seed=value) as experiment:
            for each in (1, 2, value, 3, value, value):
                experiment.push(x=each)
            experiment.add(x=value).commit()
            experiment.push({"x": value}, inside={"a": [value]})
            experiment["late"] = value
            assert (experiment["seed"], experiment["late"]) == (value, value)
        collection.save()
        assert collection.verify() == []
        assert [row["x"] for row in collection.records] == [1, 2, value, 3, *[value] * 4]
        assert {row["seed"] for row in collection.records} == {value}
        assert {row["late"] for row in collection.records} == {value}
        assert collection.records[-1]["inside"] == {"a": [value]}
        assert collection.experiments[0]["seed"] == value


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv", "jsonl", "pickle"])
def test_files_bring_them_back(tmp_path: Path, suffix: str) -> None:
    """Flat files too, also where only their digits tell it."""
    recorder = Recorder(seed=2**128 - 1, small=2**64)
    for each in (1, 2**64 + 1, -(10**38) + 1, 2**63):
        recorder.push(x=each, long=10**40 + each, mixed=each if each < 0 else 1)
    recorder.save_to(tmp_path / f"x.{suffix}")
    loaded = Recorder.load_from(tmp_path / f"x.{suffix}")
    assert [{k: exact(v) for k, v in row.items()} for row in loaded.records] == [
        {k: exact(v) for k, v in row.items()} for row in recorder.all_records
    ]


def test_numbers_of_csv_that_are_no_ints_stay_floats(tmp_path: Path) -> None:
    """Whatever their size is."""
    (tmp_path / "x.csv").write_text("a,b,c\n1e30,9223372036854775808,1.5\n5,1.5,2\n", "utf-8")
    rows = [dict(row) for row in Recorder.load_from(tmp_path / "x.csv").records]
    assert [[exact(v) for v in row.values()] for row in rows] == [
        [exact(v) for v in (1e30, 9223372036854775808.0, 1.5)],
        [exact(v) for v in (5.0, 1.5, 2.0)],
    ]


def test_what_a_killed_writer_left_is_recovered(tmp_path: Path) -> None:
    """Its live file, in which they stand as digits, reads as it is, and is sealed."""
    collection = ExperimentCollection(tmp_path / "c", quiet=True)
    experiment = collection.new_experiment(seed=2**100).__enter__()
    for each in EDGES + BEYOND:
        experiment.push(x=each)
    other = tmp_path / "copy.collection"
    shutil.copytree(tmp_path / "c.collection", other)
    with ExperimentCollection(other, extension="", quiet=True) as copied:
        assert [row["x"] for row in copied.records] == EDGES + BEYOND
        assert copied.verify() == []
    repaired = ExperimentCollection.repair(other, tmp_path / "repaired.collection")
    assert repaired is not None
    with ExperimentCollection(tmp_path / "repaired", quiet=True) as found:
        assert [row["x"] for row in found.records] == EDGES + BEYOND
    collection.close()


def test_json_has_them_as_numbers() -> None:
    """So a column of dicts and lists keeps them exact."""
    recorder = Recorder().push(x={"seed": 2**128, "all": [-(10**50)]})
    assert recorder.records[0]["x"] == {"seed": 2**128, "all": [-(10**50)]}
    text = recorder.records.to_arrow()["x"][0].as_py()
    assert json.loads(text) == {"seed": 2**128, "all": [-(10**50)]}
