"""Rows that were pushed since the last snapshot are read one by one, without another one."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rigorous_recorder._live.table as live_table
from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._engines import source
from rigorous_recorder._store import backend
from rigorous_recorder._store.store import FolderStore
from rigorous_recorder.errors import RecordIndexError

ZONE = dt.timezone(dt.timedelta(hours=5, minutes=30))
VALUES: list[dict[str, Any]] = [
    {"i": 1, "x": 0.5, "b": True, "t": "short", "d": b"\0\1"},
    {"i": -(2**63), "x": float("inf"), "b": False, "t": "longer than twelve bytes é", "d": b"x" * 40},
    {"i": 2**70, "t": "", "d": b"", "none": None, "lr": 7},
    {"i": "text under a number", "x": -0.0, "day": dt.date(2024, 2, 29), "span": dt.timedelta(3, 4, 5)},
    {"at": dt.datetime(2024, 1, 2, 3, 4, 5, 6), "zoned": dt.datetime(2024, 1, 2, 3, tzinfo=ZONE)},
    {"array": np.arange(6.0).reshape(2, 3), "dict": {"a": [1, {"b": None}]}, "list": [1, 2.5, "z"]},
    {"array": np.arange(2), "flags": np.array([True, False])},
    {},
]  # fmt: skip


@pytest.fixture(params=["memory", "mapped", "write-behind"])
def recorder(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Recorder]:
    """A recorder in memory, and ones in a collection of both sorts of file."""
    if request.param == "memory":
        yield Recorder(lr=0.1)
        return
    monkeypatch.setattr(backend, "is_safe_to_map", lambda _: request.param == "mapped")
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        yield Recorder(lr=0.1).set_parent(collection.recorder)


@pytest.fixture
def snapshots(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The snapshots that are taken."""
    taken: list[str] = []
    snapshot = source.Snapshot

    def counted(*arguments: Any) -> Any:
        taken.append("snapshot")
        return snapshot(*arguments)

    monkeypatch.setattr(source, "Snapshot", counted)
    return taken


def test_each_kind_reads_as_in_a_snapshot(recorder: Recorder, snapshots: list[str]) -> None:
    """By an index from either end, with what the row inherits, and for values of several kinds."""
    recorder["config"] = {"layers": [1, 2]}
    for values in VALUES:
        recorder.push(values)
    expected = list(recorder.records)
    snapshots.clear()
    for number, values in enumerate(VALUES):
        recorder.push(values)
        assert recorder.records[-1] == recorder.records[len(VALUES) + number] == expected[number]
        assert list(recorder.records[-1]) == list(expected[number])
        assert {k: type(v) for k, v in recorder.records[-1].items()} == {
            k: type(v) for k, v in expected[number].items()
        }
        assert len(recorder.records) == len(recorder.all_records) == len(VALUES) + number + 1
        assert recorder.records[0] == expected[0]
    row = recorder.records[-1]
    row["config"]["layers"].append(3)
    assert recorder.records[-1]["config"] == {"layers": [1, 2]}
    with pytest.raises(RecordIndexError, match=f"record {2 * len(VALUES)} of {2 * len(VALUES)}"):
        recorder.records[2 * len(VALUES)]
    with pytest.raises(RecordIndexError):
        recorder.records[-2 * len(VALUES) - 1]
    assert snapshots == []
    assert list(recorder.records) == expected * 2
    assert snapshots == ["snapshot"]


def test_keys_that_few_rows_have_read_as_in_a_snapshot(
    recorder: Recorder, snapshots: list[str]
) -> None:
    """Of each kind that shares a column with others, and with None, which is no value."""
    values = [1, 0.5, True, "text that is longer than a view", "short", {"a": [1]}, None]
    rows = [
        {"i": i, f"k{i % 90}": values[i % 7], f"m{i % 37}": values[i // 3 % 7]} for i in range(150)
    ]
    for row in rows:
        recorder.push(row)
    assert recorder._store.records._segments.live._packed
    expected = list(recorder.records)
    snapshots.clear()
    for row, read in zip(rows, expected, strict=True):
        recorder.push(row)
        assert recorder.records[-1] == read
        assert list(recorder.records[-1]) == list(read)
    assert snapshots == []


@pytest.mark.parametrize("rows", [16, 262_144])
def test_views_of_parts_see_their_rows(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """Of a recorder, and of all below it, whatever is set, made, deleted or sealed in between."""
    monkeypatch.setattr(live_table, "MOST_ROWS", rows)
    children = [recorder.child(name=name) for name in "ab"]
    logged: list[tuple[int, str]] = []
    for i in range(100):
        if i % 10 == 7:
            children.append(recorder.child(name=f"c{i}"))
        if i % 25 == 24:
            children[0]["name"] = "a"  # attributes change, their values don't
        child = children[i % len(children)]
        child.push(i=i, text="t" * i) if i < 60 else child.push(i=i, new=i)
        logged.append((i, child["name"]))
        own = [each for each, name in logged if name == child["name"]]
        assert child.records[-1]["i"] == child.all_records[-1]["i"] == i
        assert [child.records[at]["i"] for at in range(len(own))] == own
        assert len(recorder.all_records) == i + 1
        assert (recorder.all_records[-1]["name"], len(recorder.records)) == (child["name"], 0)
        assert recorder.all_records[i // 2]["i"] == i // 2
    assert [(row["i"], row["name"]) for row in recorder.all_records] == logged


def test_rows_of_later_writers_stay_behind(tmp_path: Path) -> None:
    """The order of rows is that of their writers' starts, whoever has pushed last."""
    with ExperimentCollection(tmp_path / "study", quiet=True) as first:
        recorder = first.recorder.child(name="first")
        recorder.push(i=0)
        second = FolderStore(first._store.folders[0].path)
        second.records.append(recorder._node, {"i": 100})
        assert [row["i"] for row in first.records] == [0, 100]
        for i in range(1, 5):
            recorder.push(i=i)
            assert [first.records[at]["i"] for at in range(i + 2)] == [*range(i + 1), 100]
            assert first.records[-1]["i"] == 100
        second.close()
        assert [row["i"] for row in first.records] == [*range(5), 100]


def test_deleted_rows_stay_out(tmp_path: Path) -> None:
    """What is pushed below a deleted experiment is in no view."""
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        with collection.new_experiment() as experiment:
            experiment.push(i=0)
        with collection.new_experiment() as other:
            other.push(i=1)
            assert collection.records[-1]["i"] == 1
            collection.delete(1)
            experiment.push(i=2)
            other.push(i=3)
            assert [collection.records[at]["i"] for at in (-1, -2)] == [3, 1]
            assert len(collection.records) == 2


def test_threads_read_what_they_pushed(recorder: Recorder) -> None:
    """Each finds its rows in order, while others push."""
    names = "abcd"
    children = {name: recorder.child(name=name) for name in names}
    failed: list[Any] = []

    def log(name: str) -> None:
        for i in range(100):
            children[name].push(i=i)
            found = children[name].records[-1]["i"], len(children[name].records)
            if found != (i, i + 1):
                failed.append((name, i, found))

    threads = [threading.Thread(target=log, args=name) for name in names]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert failed == []
    assert len(recorder.all_records) == 400


READS: dict[str, Callable[[Recorder], Any]] = {
    "last": lambda r: r.all_records[-1],
    "first": lambda r: r.all_records[0],
    "length": lambda r: len(r.all_records),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_read_after_each_push_looks_at_the_new_row_alone(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, read: Callable[[Recorder], Any]
) -> None:
    """However many rows there are, none is copied."""
    recorder.extend({"i": range(3_000)})
    read(recorder)
    copied: list[int] = []
    parts = type(recorder._store.records).parts

    def counted(self: Any) -> Any:
        found = parts(self)
        copied.append(sum(part.batch.num_rows for part in found))
        return found

    monkeypatch.setattr(type(recorder._store.records), "parts", counted)
    for i in range(20):
        recorder.push(i=i)
        read(recorder)
    assert copied == []
