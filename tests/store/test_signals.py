"""Pushes from signal handlers: they interrupt a push at any place, and neither is lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._live import table
from rigorous_recorder._live.fields import Described
from rigorous_recorder._store import watermark
from rigorous_recorder._store.background import schedule
from rigorous_recorder.errors import BusyError, StorageWarning

from ..at_call import at_call, interrupt

ENOUGH = 200
PATIENCE = 60  # seconds
PAUSE = 0.0007  # seconds


@pytest.fixture(params=["memory", "folder"])
def recorder(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Recorder]:
    """A recorder whose tables grow and seal often; the alarm's handler is put back afterwards."""
    monkeypatch.setattr(table, "FIRST_ROWS", 64)
    monkeypatch.setattr(table, "MOST_ROWS", 512)
    before = signal.getsignal(signal.SIGALRM)
    with ExperimentCollection(tmp_path / "study") as collection:
        made = Recorder(place=request.param)
        if request.param == "folder":
            made.set_parent(collection.recorder)
        yield made
    signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers")
def test_pushes_of_a_handler_are_stored(recorder: Recorder) -> None:
    """Records pushed by a handler in the middle of pushes, widening and seals are all there once."""
    recorder.push(by="main")  # so that no handler interrupts the import of pyarrow
    handled = 0

    def handler(_signal: int, _frame: FrameType | None) -> None:
        nonlocal handled
        recorder.push(by="handler", number=handled)
        recorder["handled"] = handled
        recorder.sync()
        handled += 1
        signal.setitimer(signal.ITIMER_REAL, PAUSE)  # the next one: handlers don't nest

    signal.signal(signal.SIGALRM, handler)
    pushed = 0
    try:
        signal.setitimer(signal.ITIMER_REAL, PAUSE)
        while handled < ENOUGH and pushed < 200_000:
            recorder.push(by="loop", number=pushed, text="x" * (pushed % 40))
            pushed += 1
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)  # one that is pending would set the next
        signal.setitimer(signal.ITIMER_REAL, 0)
    assert handled
    assert [row["number"] for row in recorder.records.where(by="loop")] == list(range(pushed))
    assert [row["number"] for row in recorder.records.where(by="handler")] == list(range(handled))
    assert recorder.records[0]["handled"] == handled - 1


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # as said below
def test_interrupted_pushes_leave_whole_records(recorder: Recorder) -> None:
    """After Ctrl-C at any place every record whose push returned is there once, in order, whole."""
    recorder.push(number=-1)
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    pushed, interrupted, number = [-1], 0, 0
    try:
        while interrupted < ENOUGH and number < 200_000:
            try:
                signal.setitimer(signal.ITIMER_REAL, PAUSE)
                for _ in range(5_000):  # an interrupt in a finalizer is only reported by Python
                    number += 1
                    key = f"key{number // 50 % 7}"
                    recorder.push({"number": number, "text": "x" * (number % 40), key: number})
                    pushed.append(number)
            except KeyboardInterrupt:
                interrupted += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    assert interrupted
    recorder.push(number=number + 1)
    rows = list(recorder.records)
    found = [row["number"] for row in rows]
    assert found == sorted(set(found))
    assert set(pushed) <= set(found)
    for row in rows[1:-1]:
        n = row["number"]
        assert dict(row) == {
            "place": recorder["place"],
            "number": n,
            "text": "x" * (n % 40),
            f"key{n // 50 % 7}": n,
        }


class Meddler(dict[str, object]):
    """A value that pushes to the recorder that it is pushed to, while it is looked at."""

    recorder: Recorder

    def items(self) -> object:  # type: ignore[override]
        self.recorder.push(inner=True)
        return super().items()


def test_a_handler_that_saves_in_the_middle_of_a_change_waits_for_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who seals waits for the end of the change; what the handler asked for is done after it."""
    folder = tmp_path / "study.collection"
    with ExperimentCollection(folder, quiet=True) as collection:
        recorder = collection.recorder.child().push(i=0)
        nodes, records = collection._store.nodes, collection._store.records
        sync, write = nodes.sync, nodes._live._try_write
        sealing, is_waiting = threading.Thread(target=records.seal), threading.Event()

        def say_and_sync() -> object:
            is_waiting.set()
            return sync()

        def interrupted(node: int, row: Described) -> bool:
            if sealing.ident is None:
                sealing.start()
                assert is_waiting.wait(PATIENCE)
                collection.save()
                recorder.sync()
                with pytest.raises(BusyError):
                    collection.close()
                assert not list((folder / "nodes").iterdir())
            return write(node, row)

        monkeypatch.setattr(nodes, "sync", say_and_sync)
        monkeypatch.setattr(nodes._live, "_try_write", interrupted)
        recorder["new"] = 1
        sealing.join()
        is_saved = threading.Event()
        schedule(is_saved.set)
        assert is_saved.wait(PATIENCE)
        for name in ("nodes", "records"):
            assert len(list((folder / name).iterdir())) == 1
    assert [(row["i"], row["new"]) for row in collection.records] == [(0, 1)]


def test_a_handler_that_waits_for_a_sealing_thread_in_the_middle_of_a_watermark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the file of watermarks was removed: the sync gives up its turn, and all is stored."""
    monkeypatch.setattr(watermark, "_PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(watermark, "is_local", lambda _folder: True)
    collection = ExperimentCollection(tmp_path / "study", quiet=True)
    recorder = collection.recorder.child(place="here").push(step=0)
    backend, write, hung = collection._store.backend, watermark.write_whole, []

    def write_and_wait(path: Path, data: bytes) -> None:
        monkeypatch.setattr(watermark, "write_whole", write)
        sealing = threading.Thread(target=collection.save, daemon=True)
        sealing.start()
        sealing.join(PATIENCE)
        hung.append(sealing.is_alive())
        write(path, data)

    monkeypatch.setattr(watermark, "write_whole", write_and_wait)
    collection._store.folder.watermark_path(backend.writer).unlink()
    with pytest.warns(StorageWarning, match="another thread is writing this file"):
        backend.look()
    assert hung == [False]
    recorder.push(step=1).sync()
    collection.close()
    assert [row["step"] for row in ExperimentCollection(tmp_path / "study").records] == [0, 1]


def test_a_value_that_pushes_is_stored_with_what_it_pushes() -> None:
    """A dict whose items push a record of their own: both records are there."""
    recorder = Recorder()
    meddler = Meddler(a=1)
    meddler.recorder = recorder
    recorder.push(x=meddler)
    rows = [dict(row) for row in recorder.records]
    assert {"x": {"a": 1}} in rows
    assert {"inner": True} in rows


def a_tree(i: int) -> Recorder:
    tree = Recorder(tree=i)
    for child in range(2):
        tree.child(child=child).extend({"i": [10 * child + n for n in range(10)]})
    return tree


def test_a_move_that_is_interrupted_anywhere_can_be_done_again(recorder: Recorder) -> None:
    """Ctrl-C anywhere in set_parent of a tree with records neither doubles nor loses any of them."""
    turns = 0
    while True:
        tree = a_tree(turns)
        try:
            with at_call(turns, interrupt) as calls:
                tree.set_parent(recorder)
        except KeyboardInterrupt:
            tree.set_parent(recorder)
        assert tree.parent is recorder
        assert [row["i"] for row in recorder.all_records.where(tree=turns)] == list(range(20))
        assert [row["i"] for row in tree.all_records] == list(range(20))
        turns += 1
        if calls[0] < turns:
            break
    assert turns > 30


def test_records_that_a_handler_pushes_in_the_middle_of_a_move(recorder: Recorder) -> None:
    """Whatever a signal handler logs to a tree in the middle of its move is there once."""
    turns = 0
    while True:
        tree = a_tree(turns)

        def log(tree: Recorder = tree) -> None:
            tree.push(i=20)
            tree.child(child=2).push(i=21)
            tree["said"] = True

        with at_call(turns, log) as calls:
            tree.set_parent(recorder)
        if calls[0] <= turns:
            break
        rows = list(recorder.all_records.where(tree=turns))
        assert sorted(row["i"] for row in rows) == list(range(22))
        assert {row["said"] for row in rows} == {True}
        turns += 1
    assert turns > 30


def log_below(tree: Recorder, turns: int, barrier: threading.Barrier) -> list[threading.Thread]:
    """Threads that push to a tree, hang children below it, and extend it."""

    def push() -> None:
        barrier.wait()
        for i in range(10 * turns):
            tree.push(by="push", i=i)

    def hang() -> None:
        barrier.wait()
        for i in range(turns):
            tree.child(child=i).push(by="child", i=i)

    def extend() -> None:
        barrier.wait()
        for i in range(turns):
            tree.extend({"by": ["extend"] * 2, "i": [2 * i, 2 * i + 1]})

    return [threading.Thread(target=work) for work in (push, hang, extend)]


def test_many_threads_move_and_log(tmp_path: Path) -> None:
    """What threads log below a tree while it moves into a collection is all there once."""
    rounds, turns = 10, 100
    with ExperimentCollection(tmp_path / "study") as collection:
        for number in range(rounds):
            tree = Recorder(tree=number)
            barrier = threading.Barrier(4)
            threads = log_below(tree, turns, barrier)
            for thread in threads:
                thread.start()
            tree.push(by="main", i=0)
            barrier.wait()
            tree.set_parent(collection.recorder)
            for thread in threads:
                thread.join()
    logged = {"main": 1, "push": 10 * turns, "child": turns, "extend": 2 * turns}
    for number in range(rounds):
        rows = list(collection.records.where(tree=number))
        for who, count in logged.items():
            assert [row["i"] for row in rows if row["by"] == who] == list(range(count))
