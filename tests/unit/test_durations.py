"""Durations in SQL: of any length, in memory, live and sealed, they come out as they were logged."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from rigorous_recorder import ExperimentCollection, Recorder, Records

MOST = 2**63 - 1
#: Microseconds: those that are the last to fit into 64 bits of nanoseconds, and far more.
LENGTHS = [
    *(0, 1, -1, 86_400_000_000, -86_400_000_001, MOST // 1000, MOST // 1000 + 1),
    *(-(MOST // 1000), -(MOST // 1000) - 1, 200_000 * 86_400_000_000, MOST, -MOST),
]


@pytest.fixture(params=["in memory", "live", "sealed", "of a parent"])
def records(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Records]:
    """Records of that place, each with a duration and its microseconds."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        with collection.new_experiment() as experiment:
            recorder = Recorder() if request.param == "in memory" else experiment
            for length in LENGTHS:
                took = {"took": dt.timedelta(microseconds=length)}
                if request.param == "of a parent":
                    recorder.child(took).push(us=length)
                else:
                    recorder.push(took, us=length)
            recorder.push(us=None)
            if request.param == "sealed":
                collection.save()
            yield recorder.all_records


def test_nothing_wraps_around(records: Records) -> None:
    """In rows of Python, in pandas, and in the intervals of Arrow."""
    relation = records.sql("SELECT took, us FROM records WHERE us IS NOT NULL ORDER BY us")
    wanted = [dt.timedelta(microseconds=length) for length in sorted(LENGTHS)]
    assert [took for took, _ in relation.fetchall()] == wanted
    assert [each.to_pytimedelta() for each in relation.df()["took"]] == wanted
    column = relation.to_arrow_table().column("took")
    assert column.type == pa.month_day_nano_interval()
    found = [86_400_000_000 * d + n // 1000 for _, d, n in column.to_pylist()]
    assert found == sorted(LENGTHS)


def test_microseconds_are_the_way_to_polars(records: Records) -> None:
    """As docs/recipes.md has it: exact, and compared as what they are."""
    query = "SELECT epoch_us(took) AS took FROM records WHERE us IS NOT NULL ORDER BY took"
    frame = records.sql(query).pl()
    assert frame["took"].to_list() == sorted(LENGTHS)
    assert frame["took"].cast(pl.Duration("us")).dtype == pl.Duration("us")
    day = "SELECT us FROM records WHERE took = INTERVAL 1 DAY"
    assert records.sql(day).fetchall() == [(86_400_000_000,)]
    longer = "SELECT count(*) FROM records WHERE took > INTERVAL 200000 DAY"
    assert records.sql(longer).fetchall() == [(1,)]
