"""Views of records that are held while their recorder moves to another store."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest

from rigorous_recorder import ExperimentCollection, Recorder, Records
from rigorous_recorder._store.memory_store import MemoryReader
from rigorous_recorder._store.reader import StoreSnapshot, Version
from rigorous_recorder.errors import CompactedError

READERS: dict[str, Callable[[Records], list[int]]] = {
    "rows": lambda records: [row["i"] for row in records],
    "indices": lambda records: [records[at]["i"] for at in range(len(records))],
    "arrow": lambda records: records.to_arrow()["i"].to_pylist(),
    "lazy polars": lambda records: records.to_polars(lazy=True).collect()["i"].to_list(),
    "sql": lambda records: [i for (i,) in records.sql("SELECT i FROM records").fetchall()],
    "narrowed": lambda records: [row["i"] for row in records.where(b=2)],
    "pickled": lambda records: [row["i"] for row in pickle.loads(pickle.dumps(records))],
    "followed": lambda records: [row["i"] for row in records.follow(stop=_set())],
}


def _set() -> Event:
    stop = Event()
    stop.set()
    return stop


@pytest.fixture(params=["memory", "folder"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Recorder]:
    """What recorders are hung below."""
    if request.param == "memory":
        yield Recorder()
        return
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        yield collection.recorder


@pytest.mark.parametrize("reader", READERS)
def test_a_held_view_reads_where_its_recorder_is(place: Recorder, reader: str) -> None:
    """Of any part of the tree, also after several moves, and with what is logged after them."""
    top = Recorder(a=1)
    top.child(b=2).push(i=9)
    low = top.child(b=2).push(i=0)
    views = [top.all_records, low.records, top.all_records.where(b=2)]
    assert [READERS[reader](view) for view in views] == [[9, 0], [0], [9, 0]]
    low.set_parent(Recorder(c=1)).push(i=1)
    assert [READERS[reader](view) for view in views] == [[9], [0, 1], [9]]
    assert low.parent is not None
    low.parent.set_parent(place)
    low.push(i=2)
    assert [READERS[reader](view) for view in views] == [[9], [0, 1, 2], [9]]
    top.set_parent(place)
    low.set_parent(top)
    assert [READERS[reader](view) for view in views] == [[0, 1, 2, 9], [0, 1, 2], [0, 1, 2, 9]]
    assert dict(views[2][0]) == {"a": 1, "b": 2, "i": 0}


def test_what_stays_is_read_anew_after_a_move(place: Recorder) -> None:
    """As many rows as before are not the same rows."""
    top = Recorder()
    low, records = top.child(k="a").push(i=0), top.all_records
    assert [dict(row) for row in records] == [{"k": "a", "i": 0}]
    low.set_parent(place)
    top.child(k="b").push(i=1)
    top["late"] = 1
    assert [dict(row) for row in records] == [{"late": 1, "k": "b", "i": 1}]
    assert [each["k"] for each in top.children] == ["b"]


def test_a_move_is_reported_to_followers(place: Recorder) -> None:
    """Before the first row nothing changes; later it is not known which rows are new."""
    recorder = Recorder(a=1)
    early, late = recorder.records.follow(interval=0.01), recorder.records.follow(interval=0.01)
    recorder.push(i=0)
    assert next(late)["i"] == 0
    recorder.set_parent(place).push(i=1)
    with pytest.raises(CompactedError, match=r"moved with their recorder.*last=0"):
        next(late)
    assert [next(early)["i"], next(early)["i"]] == [0, 1]


def test_a_recorder_that_moves_while_it_is_read(
    place: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its parent, its children, its tree and its records are those of one place."""
    snapshot = MemoryReader.snapshot
    readers: list[Callable[[Recorder], object]] = [
        lambda recorder: recorder.parent is place,
        lambda recorder: len(recorder.children) == 1,
        lambda recorder: len(recorder.all_records) == 1,
        lambda recorder: "m=1" in str(recorder.tree()),
        lambda recorder: len(pickle.loads(pickle.dumps(recorder)).all_records) == 1,
    ]
    for read in readers:
        top = Recorder(n=0)
        top.child(n=1).child(m=1).push(i=0)
        (recorder,) = pickle.loads(pickle.dumps(top)).children  # does not know its parent yet
        to_do = [recorder]

        def move_first(self: MemoryReader, to_do: list[Recorder] = to_do) -> StoreSnapshot:
            while to_do:
                to_do.pop().set_parent(place)
            return snapshot(self)

        with monkeypatch.context() as patch:
            patch.setattr(MemoryReader, "snapshot", move_first)
            patch.setattr(MemoryReader, "version", lambda _: Version(None, object()))
            assert read(recorder)
