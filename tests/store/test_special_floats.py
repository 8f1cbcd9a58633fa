"""NaN and -0.0 in sealed files: no reader of Parquet loses a row by what a file reports of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._store.footer import metadata_of
from rigorous_recorder._store.special_floats import SpecialFloats

from ..floats import COLUMNS, CONDITIONS, NAN, plain_readers, wanted
from .folders import opened

NONE = SpecialFloats(frozenset(), frozenset())


def log(folder: Path, **columns: Any) -> None:
    """One writer that seals one file."""
    with opened(folder) as collection, collection.new_experiment() as experiment:
        experiment.extend(columns)


def log_as_before(monkeypatch: pytest.MonkeyPatch, folder: Path, **columns: Any) -> None:
    """The same, by a version that looked at no value and reported none."""
    with monkeypatch.context() as patch:
        patch.setattr(SpecialFloats, "of", lambda _: NONE)
        patch.setattr(SpecialFloats, "metadata", {})
        patch.setattr(SpecialFloats, "statistics", lambda *_: True)
        log(folder, **columns)


def sealed(folder: Path) -> list[Path]:
    return sorted(folder.glob("records/*.parquet"))


def statistics(path: Path, name: str) -> list[bool]:
    """For each row group, whether it has least and greatest values of that column."""
    meta = pq.read_metadata(path)
    groups = map(meta.row_group, range(meta.num_row_groups))
    chunks = [each.column(at) for each in groups for at in range(meta.num_columns)]
    return [
        chunk.is_stats_set and chunk.statistics.has_min_max
        for chunk in chunks
        if chunk.path_in_schema.split(".")[0] == name
    ]


def require_plain_readers_right(path: Path, values: list[float | None]) -> None:
    for name, condition in CONDITIONS.items():
        for reader, (found, test) in plain_readers(path, condition).items():
            assert found == wanted(values, test), (reader, name)


@pytest.mark.parametrize("column", COLUMNS)
def test_plain_readers_find_every_row_of_a_sealed_file(tmp_path: Path, column: str) -> None:
    """DuckDB, Polars, pyarrow and pandas, whatever they push down to the file."""
    log(tmp_path / "c", x=COLUMNS[column])
    (path,) = sealed(tmp_path / "c")
    require_plain_readers_right(path, COLUMNS[column])


@pytest.mark.parametrize("has_old", [False, True], ids=["new files", "with an old file"])
@pytest.mark.parametrize("column", ["NaN among few", "-0.0 that comes back", "NaN and null"])
def test_plain_readers_find_every_row_of_a_merged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str, has_old: bool
) -> None:
    """Also where only the last of the files has such a value, and an old file reports nothing."""
    log(tmp_path / "c", x=[1.0, 2.0, 3.0] * 500, y=["text"] * 1500)
    if has_old:
        log_as_before(monkeypatch, tmp_path / "c", x=COLUMNS[column])
    else:
        log(tmp_path / "c", x=COLUMNS[column])
    opened(tmp_path / "c").compact()
    (path,) = sealed(tmp_path / "c")
    require_plain_readers_right(path, [1.0, 2.0, 3.0] * 500 + COLUMNS[column])


def test_only_columns_with_nan_lose_their_statistics(tmp_path: Path) -> None:
    """Those of ``_node`` and of all others are there, in sealed and in merged files."""
    for _ in range(2):
        log(
            tmp_path / "c",
            **{"x": [0.5, NAN], "y": [0.5, -0.0], "z": [1, 2], "t": ["a", "b"], "a.b": [1.5, 2.5]},
        )
    opened(tmp_path / "c").compact()
    (path,) = sealed(tmp_path / "c")
    assert statistics(path, "x") == [False]
    for name in ("_node", "y", "z", "t", "a"):
        assert statistics(path, name) == [True], name
    assert metadata_of(pq.read_schema(path))["floats"] == {"nan": ["x"], "negative_zero": ["y"]}


def test_compaction_of_old_files_keeps_statistics_of_plain_floats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A column without NaN is found out by reading it once."""
    for _ in range(2):
        log_as_before(monkeypatch, tmp_path / "c", x=[0.5, NAN], y=[1.5, 2.5])
    opened(tmp_path / "c").compact()
    (path,) = sealed(tmp_path / "c")
    assert (statistics(path, "x"), statistics(path, "y")) == ([False], [True])


def test_a_column_that_is_named_otherwise_in_the_merged_file(tmp_path: Path) -> None:
    """A file's first column of a key has its name; in another file that is one of another kind."""
    log(tmp_path / "c", x=["text", "text"])
    log(tmp_path / "c", x=[0.5, NAN])
    opened(tmp_path / "c").compact()
    (path,) = sealed(tmp_path / "c")
    assert statistics(path, "x:float") == [False]
    assert statistics(path, "x") == [True]


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("is_ragged", [False, True], ids=["one shape", "many shapes"])
def test_plain_readers_find_nan_in_arrays(tmp_path: Path, dtype: str, is_ragged: bool) -> None:
    """DuckDB looks at the statistics of what is in lists, too."""
    arrays = [np.array(each, dtype) for each in ([0.5, NAN], [NAN, 0.25], [0.1, 0.2])]
    if is_ragged:
        arrays.append(np.array([0.5, 0.25, 0.125], dtype))
    with opened(tmp_path / "c") as collection:
        with collection.new_experiment() as experiment:
            for each in arrays:
                experiment.push(x=each)
        experiment.sync()
    (path,) = sealed(tmp_path / "c")
    conditions = ("isnan(x[1])", "x[1] > 1", "x[2] > 0.9", "NOT (x[1] <= 1)")
    collection = ExperimentCollection(tmp_path / "c", extension="", quiet=True)
    with duckdb.connect() as connection:
        for condition in conditions:
            query = f"SELECT count(*) FROM '{path}' WHERE {condition}"
            assert connection.sql(query).fetchall() == [(1,)], condition
            asked = f"SELECT count(*) FROM records WHERE {condition}"
            assert collection.sql(asked).fetchall() == [(1,)], condition


def test_special_floats_of_a_table_are_found_in_every_chunk() -> None:
    """Whatever sign a NaN has, and not under a null."""
    table = pa.table(
        {
            "a": pa.chunked_array([[0.5], [None, -NAN]], pa.float64()),
            "b": pa.chunked_array([[0.0], [-0.0, 1.0]], pa.float64()),
            "c": [float("inf"), float("-inf"), 0.0],
            "d": [1, 2, 3],
            "e": pa.nulls(3, pa.float64()),
        }
    )
    assert SpecialFloats.of(table) == SpecialFloats(frozenset("a"), frozenset("b"))
