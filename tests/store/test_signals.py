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

ENOUGH = 200
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
def test_pushes_of_a_handler_are_kept(recorder: Recorder) -> None:
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


def test_a_value_that_pushes_is_kept_with_what_it_pushes() -> None:
    """A dict whose items push a record of their own: both records are there."""
    recorder = Recorder()
    meddler = Meddler(a=1)
    meddler.recorder = recorder
    recorder.push(x=meddler)
    rows = [dict(row) for row in recorder.records]
    assert {"x": {"a": 1}} in rows
    assert {"inner": True} in rows


def test_many_threads_move_and_push(tmp_path: Path) -> None:
    """Records pushed by threads while their recorder moves into a collection are all there once."""
    with ExperimentCollection(tmp_path / "study") as collection:
        recorder = Recorder(kind="moving")
        barrier = threading.Barrier(4)

        def push(thread: int) -> None:
            barrier.wait()
            for number in range(2_000):
                recorder.push(thread=thread, number=number)

        threads = [threading.Thread(target=push, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        recorder.push(thread=-1)
        barrier.wait()
        recorder.set_parent(collection.recorder)
        for thread in threads:
            thread.join()
        for n in range(3):
            found = [row["number"] for row in collection.records.where(thread=n)]
            assert found == list(range(2_000))
