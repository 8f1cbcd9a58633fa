"""Exported Parquet and Arrow: any key, any number of records, and values that plain readers get right."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import ipc

from rigorous_recorder import Recorder
from rigorous_recorder.errors import UnsupportedValueError

from ..floats import COLUMNS, CONDITIONS, NAN, plain_readers, wanted
from ..store.test_zones import UTC, ZONES, times

TABLES = [".parquet", ".arrow"]
SUFFIXES = [*TABLES, ".jsonl", ".pickle"]
ODD_KEYS = [
    *("a\0b", "a\0c", "a", "\0", "", " ", "  a ", "\n", "\t", "a\r\nb", ":", "_node", "_parent"),
    *("_time", "a:int", "X", "x", "x_2", "ß", "ss", "İ", "🦆", "'", '"', "a,b", "a;b", "records"),
    *("..", "n" * 300, "\\", "%s", "\ufeff", "\ufeffa", "NaN", "null", "1", "true", "a.b", "*"),
]


def rows(recorder: Recorder) -> list[dict[str, Any]]:
    return [dict(row) for row in recorder.all_records]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_odd_keys_come_back(tmp_path: Path, suffix: str) -> None:
    """Each alone and all together; also those that are the same up to a NUL."""
    together = Recorder().push({key: number for number, key in enumerate(ODD_KEYS)})
    alone = [Recorder().push({key: 1.5}).push({key: None}).push({key: 2.5}) for key in ODD_KEYS]
    for recorder in [together, *alone]:
        recorder.save_to(tmp_path / f"x{suffix}")
        assert rows(Recorder.load_from(tmp_path / f"x{suffix}")) == rows(recorder)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_records_without_keys_come_back(tmp_path: Path, suffix: str, count: int) -> None:
    """As many as there were."""
    recorder = Recorder()
    for _ in range(count):
        recorder.push()
    recorder.save_to(tmp_path / f"x{suffix}")
    assert rows(Recorder.load_from(tmp_path / f"x{suffix}")) == [{}] * count


@pytest.mark.parametrize("form", ["table", "batch", "reader"])
def test_extend_takes_names_with_nul(form: str) -> None:
    """Of all that pyarrow has itself, where names don't go through its C interface."""
    table = Recorder().push({"a\0b": 1, "a\0c": 2, "a": 3}).records.to_arrow()
    given = {
        "table": table,
        "batch": table.combine_chunks().to_batches()[0],
        "reader": table.to_reader(),
    }[form]
    assert rows(Recorder().extend(given)) == [{"a\0b": 1, "a\0c": 2, "a": 3}]


def test_extend_takes_rows_without_columns() -> None:
    """Of Arrow and of pandas; a mapping has no rows then."""
    table = Recorder().push().push().records.to_arrow()
    assert len(Recorder().extend(table).records) == 2
    assert len(Recorder().extend(pd.DataFrame(index=range(3))).records) == 3
    assert len(Recorder().extend({}).records) == 0


@pytest.mark.parametrize("column", COLUMNS)
def test_plain_readers_find_every_row_of_an_exported_file(tmp_path: Path, column: str) -> None:
    """Floats of records and of their parents, whatever a reader pushes down to the file."""
    root = Recorder()
    for value in COLUMNS[column][:3]:
        root.child(x=value).extend({"n": range(1000)})
    root.child().extend({"x": COLUMNS[column]})
    root.save_to(tmp_path / "x.parquet")
    values = [value for value in COLUMNS[column][:3] for _ in range(1000)] + COLUMNS[column]
    for name, condition in CONDITIONS.items():
        for reader, (found, test) in plain_readers(tmp_path / "x.parquet", condition).items():
            assert found == wanted(values, test), (reader, name)


def test_only_exported_columns_with_nan_lose_their_statistics(tmp_path: Path) -> None:
    """All others have them."""
    Recorder(up=NAN).extend({"x": [0.5, NAN], "y": [0.5, -0.0], "n": [1, 2]}).save_to(
        tmp_path / "x.parquet"
    )
    group = pq.read_metadata(tmp_path / "x.parquet").row_group(0)
    chunks = [group.column(at) for at in range(group.num_columns)]
    assert {c.path_in_schema: c.is_stats_set for c in chunks} == {
        "up": False,
        "x": False,
        "y": True,
        "n": True,
    }
    assert {c.path_in_schema: c.has_dictionary_page for c in chunks} == {
        "up": True,
        "x": True,
        "y": False,
        "n": True,
    }


@pytest.mark.parametrize("key", [None, "t"], ids=["a key for each", "one key"])
@pytest.mark.parametrize("suffix", TABLES)
def test_every_reader_takes_an_exported_file_of_any_zone(
    tmp_path: Path, suffix: str, key: str | None
) -> None:
    """And ``load_from`` gives the zones back, where each has a column."""
    recorder = Recorder()
    for name, time in times().items():
        recorder.push({key or name: time, "n": name})
    path = tmp_path / f"x{suffix}"
    recorder.save_to(path)
    read = pl.read_parquet if suffix == ".parquet" else pl.read_ipc
    assert read(path, columns=["n"])["n"].to_list() == list(ZONES)
    frame = read(path)
    if suffix == ".parquet":
        duckdb.sql(f"FROM '{path}'").fetchall()
        pd.read_parquet(path)
    for name in ZONES:
        assert frame.filter(n=name)[key or name].item().astimezone(dt.UTC) == UTC
    loaded = {row["n"]: row[key or row["n"]] for row in Recorder.load_from(path).records}
    assert {time.astimezone(dt.UTC) for time in loaded.values()} == {UTC}
    if key is None:
        assert {n: str(t) for n, t in loaded.items()} == {n: str(t) for n, t in times().items()}


def test_common_zones_stay_in_the_type_of_an_exported_column(tmp_path: Path) -> None:
    """Offsets and zones that some readers lack are UTC there."""
    recorder = Recorder()
    for name, time in times().items():
        recorder.push({name: time})
    for suffix in TABLES:
        recorder.save_to(tmp_path / f"x{suffix}")
    with pa.OSFile(str(tmp_path / "x.arrow")) as source:
        schemas = [ipc.open_file(source).schema, pq.read_schema(tmp_path / "x.parquet")]
    for schema in schemas:
        found = {field.name: field.type.tz for field in schema if field.name in ZONES}
        assert {name for name, zone in found.items() if zone == name} == {
            *{"UTC", "Europe/Berlin", "Asia/Kathmandu", "Etc/GMT-2"} & ZONES.keys()
        }
        assert {zone for name, zone in found.items() if zone != name} == {"UTC"}


def test_metadata_of_others_is_passed_over() -> None:
    """A field whose metadata under our key is not ours is read by its type."""
    time = pa.array([dt.datetime(2020, 1, 1, tzinfo=dt.UTC)], pa.timestamp("us", "UTC"))
    for said in (b"", b"[]", b"{}", b"\xff", b'{"kind": 5}', b'{"kind": "datetime[+02:00]"}'):
        field = pa.field("t", time.type, metadata={b"rigorous": said})
        table = pa.Table.from_arrays([time], schema=pa.schema([field]))
        (row,) = Recorder().extend(table).records
        assert row["t"] == dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv"])
@pytest.mark.parametrize("odd", [2**53 + 1, -(2**62) - 1, 2**64 - 1, 10**30 + 1])
@pytest.mark.parametrize("is_inherited", [False, True])
def test_ints_that_a_column_of_floats_would_round_are_refused(
    tmp_path: Path, suffix: str, odd: int, *, is_inherited: bool
) -> None:
    """By name, before anything is written; what stores each value by itself takes them."""
    recorder = Recorder()
    recorder.push(x=0.5, i=0).push(x=7, i=1).push(x=2**60, i=2)
    recorder.save_to(tmp_path / f"exact.{suffix}")
    found = Recorder.load_from(tmp_path / f"exact.{suffix}").records
    assert [row["x"] for row in found] == [0.5, 7, 2**60]
    if is_inherited:
        recorder.child(x=odd).push(i=3)
    else:
        recorder.push(x=odd, i=3)
    with pytest.raises(UnsupportedValueError, match=rf"'x': the int {odd} would be rounded"):
        recorder.save_to(tmp_path / f"x.{suffix}")
    assert not (tmp_path / f"x.{suffix}").exists()
    recorder.save_to(tmp_path / "x.jsonl")
    lines = Recorder.load_from(tmp_path / "x.jsonl").records
    assert [row["x"] for row in lines] == [0.5, 7, 2**60, odd]
