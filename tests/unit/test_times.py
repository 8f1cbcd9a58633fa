"""Times and durations go where numbers go: no record of theirs is examined twice."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import Any

import pytest

import rigorous_recorder
from rigorous_recorder import Recorder

UTC = dt.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=dt.UTC)
VALUES: dict[str, list[Any]] = {
    "in UTC": [UTC, dt.datetime(1, 1, 1, tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC)],
    "without a zone": [UTC.replace(tzinfo=None), dt.datetime.min, dt.datetime.max],
    "durations": [dt.timedelta(-1, 2, 3), dt.timedelta.resolution, dt.timedelta(days=100_000_000)],
}


class Counted(Recorder):
    """Counts the records that the fast path refused."""

    refused = 0

    def _push_slowly(self, data: dict[str, Any] | None, fields: dict[str, Any]) -> Any:
        type(self).refused += 1
        return super()._push_slowly(data, fields)


@pytest.mark.parametrize("name", VALUES)
def test_times_take_the_fast_path(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first record, also beside other values, in dicts, and under one key with ints."""
    monkeypatch.setattr(Counted, "refused", 0)
    recorder = Counted()
    first, *others = VALUES[name]
    recorder.push(step=0, at=first)
    recorder.push(step=1, at=7)
    before = Counted.refused
    for step, value in enumerate(others, 2):
        recorder.push(step=step, at=value)
        recorder.push({"step": -step, "at": value})
        recorder.push(step=step, at=step)
    # The fallback has no other path, and converts them in it.
    assert Counted.refused == before or not rigorous_recorder.native
    expected: list[Any] = [first, 7]
    for step, value in enumerate(others, 2):
        expected += [value, value, step]
    rows = recorder.records
    assert [row["at"] for row in rows] == expected
    assert [type(row["at"]) for row in rows] == [type(value) for value in expected]


def test_what_no_cell_takes_goes_the_slow_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times of other zones; and durations beyond 64 bits, which are refused."""
    monkeypatch.setattr(Counted, "refused", 0)
    recorder = Counted()
    berlin = UTC.astimezone(zoneinfo.ZoneInfo("Europe/Berlin"))
    recorder.push(at=UTC, duration=dt.timedelta(1))
    recorder.push(at=berlin, duration=dt.timedelta(1))
    assert Counted.refused == 2 or not rigorous_recorder.native
    with pytest.raises(ValueError, match="beyond 64 bits of microseconds"):
        recorder.push(at=UTC, duration=dt.timedelta.max)
    assert [row["at"] for row in recorder.records] == [UTC, berlin]
    assert recorder.records[1]["at"].tzinfo == berlin.tzinfo
