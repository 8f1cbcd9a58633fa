"""Changes that are interrupted, or met by others, at places where only luck would put them."""

from __future__ import annotations

import errno
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._live import table as live_table
from rigorous_recorder._store import backend, background, lease
from rigorous_recorder._store.store import FolderStore

from ..faults.steps import in_a_child


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[ExperimentCollection]:
    with ExperimentCollection(tmp_path / "study", quiet=True) as opened:
        yield opened


@pytest.fixture
def recorder(collection: ExperimentCollection) -> Recorder:
    return collection.recorder.child()


class OnDevice:
    """A number on a device that is none."""

    dtype = np.dtype("float32")
    shape = ()

    def __init__(self, value: float) -> None:
        self.value = value

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0)

    def copy(self) -> OnDevice:
        return OnDevice(self.value)

    def get(self) -> Any:
        return np.float32(self.value)


def interrupt_once(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    """Raise KeyboardInterrupt, as Ctrl-C does, at the next call of a method."""

    def interrupted(*_: Any) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(owner, name, interrupted)


def folder_store(recorder: Recorder) -> FolderStore:
    store = recorder._store
    assert isinstance(store, FolderStore)
    return store


def indexes(recorder: Recorder) -> list[int]:
    return [row["i"] for row in recorder.records]


@pytest.mark.parametrize(
    ("part", "name"), [("_segments", "take_number"), ("_live", "_use"), ("_segments", "use")]
)
def test_an_interrupted_change_to_other_pages(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, part: str, name: str
) -> None:
    """Pages that are filled again never get the number of the rows that were in them."""
    for i in range(10):
        recorder.push(i=i)
    store = folder_store(recorder)
    store.seal()
    interrupt_once(monkeypatch, getattr(store.records, part), name)
    with pytest.raises(KeyboardInterrupt):
        recorder.push(i=100)
    for i in range(10, 15):
        recorder.push(i=i)
    assert indexes(recorder) == list(range(15))
    store.seal()
    assert indexes(recorder) == list(range(15))


def test_a_seal_after_an_interrupted_widening(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What was copied for a new column, and is sealed before the next record, is there once."""
    for i in range(10):
        recorder.push(i=i)
    store = folder_store(recorder)
    interrupt_once(monkeypatch, store.records._segments, "use")
    with pytest.raises(KeyboardInterrupt):
        recorder.push(i=100, new=1)
    store.seal()
    for i in range(10, 15):
        recorder.push(i=i)
    recorder.sync()
    assert indexes(recorder) == list(range(15))
    other = ExperimentCollection(tmp_path / "study", quiet=True)
    assert [row["i"] for row in other.records] == list(range(15))


def test_kinds_that_look_alike_stay_apart_in_one_file(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text and JSON under one key, both waiting for a full disk, are read as what they were."""
    monkeypatch.setattr(live_table, "FIRST_ROWS", 16)
    monkeypatch.setattr(live_table, "MOST_ROWS", 16)
    monkeypatch.setattr(live_table, "WIDEN_BYTES", 0)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with warnings.catch_warnings(), monkeypatch.context() as patch:
        warnings.simplefilter("ignore")
        patch.setattr(lease, "write_sealed", full)
        for i in range(96):
            recorder.push(i=i, x="text" if i < 32 else {"a": 1})
    folder_store(recorder).seal()
    assert [row["x"] for row in recorder.records] == ["text"] * 32 + [{"a": 1}] * 64


def test_a_value_on_a_device_belongs_to_its_own_row(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where another thread pushes between the note which row that is and the row."""
    recorder.push(i=0, x=0.5).push(i=1, x=OnDevice(1.5)).push(i=2, x=0.5)
    table = folder_store(recorder).records
    promised: Callable[..., None] = table._live._promise
    other = threading.Thread(target=lambda: recorder.push(i=99, x=0.25))

    def promise(*row: Any) -> None:
        promised(*row)
        other.start()
        other.join(0.2)  # it waits for this one to end

    monkeypatch.setattr(table._live, "_promise", promise)
    recorder.push(i=3, x=OnDevice(7.5))
    other.join()
    assert {row["i"]: row["x"] for row in recorder.records} == {
        0: 0.5, 1: 1.5, 2: 0.5, 3: 7.5, 99: 0.25
    }  # fmt: skip


def test_a_push_while_the_collection_is_closed(tmp_path: Path) -> None:
    """A record is refused, or it is there: also between the last seal and the end."""
    collection = ExperimentCollection(tmp_path / "study", quiet=True)
    recorder = collection.recorder.child()
    recorder.push(i=0).push(i=1)
    store = folder_store(recorder)
    close, pushed = store.backend.close, []

    def push() -> None:
        recorder.push(i=2)
        pushed.append(2)

    def meet_a_push() -> None:
        thread = threading.Thread(target=push)
        thread.start()
        thread.join()
        close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading, "excepthook", lambda _: None)  # it is refused
        patch.setattr(store.backend, "close", meet_a_push)
        collection.close()
    found = [row["i"] for row in ExperimentCollection(tmp_path / "study", quiet=True).records]
    assert found == [0, 1, *pushed]


def test_trouble_that_is_not_the_disks_stops_no_push(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no memory to write Parquet, rows wait, as they do for a full disk."""
    monkeypatch.setattr(live_table, "FIRST_ROWS", 16)
    monkeypatch.setattr(live_table, "MOST_ROWS", 16)

    def no_memory(*_: Any, **__: Any) -> None:
        raise MemoryError

    with warnings.catch_warnings(), monkeypatch.context() as patch:
        warnings.simplefilter("ignore")
        patch.setattr(lease, "write_sealed", no_memory)
        for i in range(100):
            recorder.push(i=i)
        folder_store(recorder).records.seal()
        assert indexes(recorder) == list(range(100))
    folder_store(recorder).seal()
    assert indexes(recorder) == list(range(100))


@pytest.mark.parametrize(
    ("owner", "name"), [(lease.WatermarkWriter, "write"), (backend.FolderBackend, "_claim")]
)
def test_an_interrupted_start_of_a_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    """Two writers that were interrupted while they chose their names have not the same one."""
    for turn in range(2):
        with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
            interrupt_once(monkeypatch, owner, name)
            with pytest.raises(KeyboardInterrupt):
                collection.recorder.child(turn=turn)
            collection.recorder.child(turn=turn).push(i=turn)
    rows = list(ExperimentCollection(tmp_path / "study", quiet=True).records)
    assert [(row["turn"], row["i"]) for row in rows] == [(0, 0), (1, 1)]


@pytest.mark.parametrize(
    ("owner", "name"), [(lease.WatermarkWriter, "write"), (backend.FolderBackend, "_claim")]
)
def test_a_start_of_a_writer_in_the_middle_of_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    """A signal handler that logs while the first recorder is attached has recorders of its own."""
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        inner, outer = Recorder(turn="inner"), Recorder(turn="outer")
        method = getattr(owner, name)

        def handled(*arguments: Any) -> Any:
            monkeypatch.undo()
            inner.set_parent(collection.recorder).push(i=0)
            return method(*arguments)

        monkeypatch.setattr(owner, name, handled)
        outer.set_parent(collection.recorder).push(i=1)
        inner.push(i=2)
    assert not list((tmp_path / "study.collection" / "live").iterdir())
    rows = list(ExperimentCollection(tmp_path / "study", quiet=True).records)
    assert [(row["turn"], row["i"]) for row in rows] == [("inner", 0), ("outer", 1), ("inner", 2)]


@pytest.mark.parametrize("is_interrupted", [True, False], ids=["interrupted", "handled"])
def test_a_start_of_the_housekeeping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_interrupted: bool
) -> None:
    """Ctrl-C there, or a handler that logs elsewhere, leaves nobody without its threads, or waiting."""

    def work() -> None:
        first, second = (ExperimentCollection(tmp_path / name, quiet=True) for name in "ab")

        def start(_thread: threading.Thread) -> None:
            monkeypatch.undo()
            if is_interrupted:
                raise KeyboardInterrupt
            second.recorder.child().push(i=0)
            _thread.start()

        monkeypatch.setattr(threading.Thread, "start", start)
        if is_interrupted:
            with pytest.raises(KeyboardInterrupt):
                first.recorder.child()
        first.recorder.child().push(i=1)
        assert len(background._background._threads) == 2
        for each in (first, second):
            each.close()

    assert in_a_child(work) == 0  # in which there are no threads yet
