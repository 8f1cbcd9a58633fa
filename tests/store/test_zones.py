"""Time zones in files: any reader takes the file, and rows give the zone back."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from .folders import opened, reading

MINUTES = (-23 * 60 - 59, -210, -30, 60, 120, 330, 345, 840)
#: Offsets, zones that all readers know, and some that the system knows and they don't.
ZONES = {
    "UTC": dt.UTC,
    **{f"offset {m}": dt.timezone(dt.timedelta(minutes=m)) for m in MINUTES},
    **{
        name: zoneinfo.ZoneInfo(name)
        for name in ("Europe/Berlin", "Asia/Kathmandu", "Etc/GMT-2", "Factory", "EST5EDT")
        if name in zoneinfo.available_timezones()
    },
}
UTC = dt.datetime(2024, 10, 27, 1, 30, 0, 5, dt.UTC)


def times() -> dict[str, dt.datetime]:
    return {name: UTC.astimezone(zone) for name, zone in ZONES.items()}


def log(folder: Path, key: str | None, then: Callable[[int], object] | None = None) -> None:
    """Each zone under a key of its own, or all under one; what is done then finds live files."""
    with opened(folder) as collection, collection.new_experiment() as experiment:
        for name, time in times().items():
            experiment.push({key or name: time, "n": name})
        if then is not None:
            then(0)


#: Logs as a version did that gave columns their zone, in a process of its own: types are known once.
AS_BEFORE = """
import os
import sys
from pathlib import Path

from rigorous_recorder._values.kinds import ZonedDatetime
from tests.store.test_zones import log

ZonedDatetime.live_type = ZonedDatetime.storage_type = property(lambda self: self.sealed_type)
log(Path(sys.argv[1]), sys.argv[2] or None, then=os._exit if sys.argv[3] == "live" else None)
"""


def log_as_before(folder: Path, key: str | None, *, is_live: bool = False) -> None:
    arguments = [str(folder), key or "", "live" if is_live else "sealed"]
    subprocess.run([sys.executable, "-c", AS_BEFORE, *arguments], check=True)


def require_zones(rows: Any, key: str | None = None) -> None:
    found = {row["n"]: row[key or row["n"]] for row in rows}
    assert found == times()
    for name, time in times().items():
        assert (str(found[name]), found[name].tzinfo) == (str(time), time.tzinfo)


@pytest.mark.parametrize("key", [None, "t"], ids=["a key for each", "one key"])
def test_every_reader_takes_a_sealed_file_of_any_zone(tmp_path: Path, key: str | None) -> None:
    """All columns and single ones, in Polars, DuckDB, pyarrow and pandas."""
    log(tmp_path / "c", key)
    (path,) = (tmp_path / "c" / "records").glob("*.parquet")
    assert pl.read_parquet(path, columns=["n"])["n"].to_list() == list(ZONES)
    assert pl.scan_parquet(path).select(pl.len()).collect().item() == len(ZONES)
    frames = [pl.read_parquet(path), pl.from_pandas(pd.read_parquet(path))]
    for frame in [*frames, pl.from_arrow(pq.read_table(path))]:
        assert isinstance(frame, pl.DataFrame)
        times = frame.select(pl.selectors.datetime(time_zone="*"))
        assert times.width == len(ZONES)
        assert {value for row in times.rows() for value in row if value is not None} == {UTC}
    with duckdb.connect() as connection:
        types = connection.sql(f"FROM '{path}'").types
        assert [str(each) for each in types].count("TIMESTAMP WITH TIME ZONE") == len(ZONES)
    require_zones(opened(tmp_path / "c").records, key)


def test_every_reader_takes_a_live_file_of_any_zone(tmp_path: Path) -> None:
    """As docs/format.md has it; Polars, which reads no column of a file with an unknown zone."""
    with opened(tmp_path / "c") as collection, collection.new_experiment() as experiment:
        for name, time in times().items():
            experiment.push({name: time, "n": name})
        (path,) = (tmp_path / "c" / "live").glob("*.records.arrow")
        assert pl.read_ipc_schema(path).keys() >= ZONES.keys()
        require_zones(reading(tmp_path / "c").records)


@pytest.mark.skipif(
    int(pa.__version__.split(".")[0]) < 22, reason="this pyarrow writes no zone that pytz lacks"
)
@pytest.mark.parametrize("key", [None, "t"], ids=["a key for each", "one key"])
def test_files_of_an_older_version_are_read(tmp_path: Path, key: str | None) -> None:
    """Sealed ones, alone and compacted with newer ones."""
    log_as_before(tmp_path / "c", key)
    (path,) = (tmp_path / "c" / "records").glob("*.parquet")
    assert "+05:30" in {getattr(each.type, "tz", None) for each in pq.read_schema(path)}
    require_zones(opened(tmp_path / "c").records, key)
    log(tmp_path / "c", key)
    collection = opened(tmp_path / "c")
    require_zones(collection.records, key)
    assert collection.compact() > 0
    (path,) = (tmp_path / "c" / "records").glob("*.parquet")
    assert {getattr(each.type, "tz", "UTC") for each in pq.read_schema(path)} == {"UTC"}
    for records in (collection.records, opened(tmp_path / "c").records):
        require_zones(records, key)
        assert len(records) == 2 * len(ZONES)


def test_a_live_file_of_an_older_version_is_recovered(tmp_path: Path) -> None:
    """Its columns have the zone in their type."""
    log_as_before(tmp_path / "c", None, is_live=True)
    (path,) = (tmp_path / "c" / "live").glob("*.records.arrow")
    with pa.OSFile(str(path)) as source:
        schema = pa.ipc.open_file(source).schema
    assert "+05:30" in {getattr(each.type, "tz", None) for each in schema}
    require_zones(reading(tmp_path / "c").records)
    collection = opened(tmp_path / "c")
    require_zones(collection.records)
    assert collection.verify() == []
