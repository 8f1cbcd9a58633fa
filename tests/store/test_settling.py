"""Threads and signal handlers meet where a recorder gets its place: nothing is lost or left half done."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._records import _row
from rigorous_recorder._store.memory_store import MemoryStore
from rigorous_recorder._store.store import Store
from rigorous_recorder._store.writer import Writer
from rigorous_recorder.errors import UnsupportedValueError

from ..faults import THOROUGH

THREADS = 8
PATIENCE = 60

Opener = Callable[..., ExperimentCollection]

rounds = pytest.mark.parametrize(
    "rounds", [100, pytest.param(2_000 if THOROUGH else 500, marks=pytest.mark.slow)]
)


@pytest.fixture(autouse=True)
def _as_many_switches_as_can_be() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture(params=["memory", "folder"])
def top(request: pytest.FixtureRequest, open_collection: Opener) -> Recorder:
    """What recorders are hung below."""
    return Recorder() if request.param == "memory" else open_collection(quiet=True).recorder


def in_threads(rounds: int, prepare: Callable[[int], Callable[[int], object]]) -> None:
    """In each round the same work in all threads at once, which are told their number."""
    meeting = threading.Barrier(THREADS)
    works: dict[int, Callable[[int], object]] = {}
    errors: list[BaseException] = []

    def run(thread: int) -> None:
        try:
            for turn in range(rounds):
                if thread == 0:
                    works[turn] = prepare(turn)
                meeting.wait(PATIENCE)
                works[turn](thread)
                meeting.wait(PATIENCE)
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)
            meeting.abort()

    threads = [threading.Thread(target=run, args=[n], daemon=True) for n in range(THREADS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(PATIENCE)
    assert not any(each.is_alive() for each in threads), "a thread hangs"
    for error in errors:
        raise error


# --- threads -------------------------------------------------------------------------------------


@rounds
def test_first_pushes_of_many_threads_meet_in_one_store(rounds: int) -> None:
    """Whoever is first makes the store; no record goes to one that nobody has."""
    made: list[Recorder] = []

    def prepare(turn: int) -> Callable[[int], object]:
        made.append(Recorder(turn=turn))
        return lambda thread: made[turn].push(thread=thread)

    in_threads(rounds, prepare)
    for turn, recorder in enumerate(made):
        rows = list(recorder.records)
        assert sorted(row["thread"] for row in rows) == list(range(THREADS))
        assert {row["turn"] for row in rows} == {turn}


@rounds
def test_updates_of_many_threads_are_all_known(rounds: int) -> None:
    """Also those that come just when the recorder gets its place."""
    made: list[Recorder] = []

    def prepare(turn: int) -> Callable[[int], object]:
        made.append(Recorder(turn=turn))

        def work(thread: int) -> None:
            made[turn][f"key {thread}"] = thread
            if thread == turn % THREADS:
                made[turn].push(i=1)

        return work

    in_threads(rounds, prepare)
    for turn, recorder in enumerate(made):
        expected = {"turn": turn, **{f"key {n}": n for n in range(THREADS)}}
        assert dict(recorder.local_data) == expected
        assert dict(recorder.records[0]) == {**expected, "i": 1}


@rounds
def test_a_recorder_that_is_hung_up_while_it_is_pushed_to(top: Recorder, rounds: int) -> None:
    """It is below its parent once, with all its data and records, whoever was first."""
    made: list[Recorder] = []

    def prepare(turn: int) -> Callable[[int], object]:
        made.append(Recorder(turn=turn))

        def work(thread: int) -> None:
            if thread % 4 == turn % 4:
                made[turn].set_parent(top)
            made[turn].push(thread=thread)

        return work

    in_threads(rounds, prepare)
    rows = [(row["turn"], row["thread"]) for row in top.all_records]
    assert sorted(rows) == [(turn, n) for turn in range(rounds) for n in range(THREADS)]
    assert sorted(each["turn"] for each in top.children) == list(range(rounds))
    assert {each.parent for each in made} == {top}
    assert all(len(each.records) == THREADS for each in made)


@rounds
def test_a_tree_that_moves_while_it_grows(top: Recorder, rounds: int) -> None:
    """Children that are hung below a recorder which just moves move with it, or come after it."""
    made: list[Recorder] = []

    def prepare(turn: int) -> Callable[[int], object]:
        made.append(Recorder(turn=turn).push(thread=-1))

        def work(thread: int) -> None:
            if thread == turn % THREADS:
                made[turn].set_parent(top)
            made[turn].child(thread=thread).push(i=0).push(i=1)

        return work

    in_threads(rounds, prepare)
    rows = [(row["turn"], row["thread"], row["i"]) for row in top.all_records]
    expected = [(turn, n, i) for turn in range(rounds) for n in range(THREADS) for i in (0, 1)]
    assert sorted(row for row in rows if row[1] >= 0) == expected
    assert sorted(row[0] for row in rows if row[1] < 0) == list(range(rounds))
    assert all(len(each.children) == THREADS for each in made)


@rounds
def test_threads_that_write_one_attribute_and_parent_know_the_latest(
    top: Recorder, rounds: int
) -> None:
    """What a recorder shows is what its records have, whichever thread was the last."""
    parents = [top.child(above=number) for number in range(THREADS)]
    made: list[Recorder] = []

    def prepare(turn: int) -> Callable[[int], object]:
        made.append(top.child(turn=turn).push(i=0))

        def work(thread: int) -> None:
            made[turn]["k"] = thread
            made[turn].set_parent(parents[thread])

        return work

    in_threads(rounds // 4, prepare)
    rows = {row["turn"]: row for row in top.all_records}
    for turn, recorder in enumerate(made):
        assert recorder["k"] == rows[turn]["k"]
        assert recorder.parent is not None
        assert recorder.parent["above"] == rows[turn]["above"]
        assert recorder in recorder.parent.children


def test_the_recorder_of_a_node_is_one_for_all_threads(open_collection: Opener) -> None:
    """Who asks for the children at once is given the same ones: what one sets the other knows."""
    collection = open_collection(quiet=True)
    for number in range(50):
        collection.recorder.child(k=number)
    collection.close()
    found: list[list[Recorder]] = []
    again = open_collection(quiet=True).recorder
    in_threads(1, lambda _: lambda _: found.append(again.children))
    assert len(found) == THREADS
    assert len({id(recorder) for children in found for recorder in children}) == 50


def test_a_row_is_of_the_snapshot_in_which_it_was_looked_for() -> None:
    """Though another thread reads a page of a newer one in between."""
    recorder = Recorder(late=0)
    for number in range(3):
        recorder.push(i=number)
    records = recorder.records
    old = records._scan()
    recorder["late"] = 1
    assert records[1]["late"] == 1  # the page is of the newer one now
    assert dict(_row(old, 2)) == {"late": 0, "i": 2}


# --- what comes between --------------------------------------------------------------------------


def between(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[], object], kind: type[Store] = MemoryStore
) -> None:
    """Something happens once, after a recorder's attributes are written and before it knows that."""
    say, to_do = kind.set_attributes, [act]

    def say_and_act(self: Store, *given: Any) -> int:
        time = say(self, *given)
        while to_do:
            to_do.pop()()
        return time

    monkeypatch.setattr(kind, "set_attributes", say_and_act)


def raised(handler: Callable[[], object]) -> Callable[[], object]:
    """As a signal handler, in the middle of whatever the thread does."""

    def act() -> None:
        before = signal.signal(signal.SIGUSR1, lambda *_: handler())
        try:
            os.kill(os.getpid(), signal.SIGUSR1)
        finally:
            signal.signal(signal.SIGUSR1, before)

    return act


@pytest.mark.parametrize("how", [lambda act: act, raised], ids=["code", "handler"])
@pytest.mark.parametrize("is_moved", [False, True])
def test_a_handler_logs_in_the_middle_of_a_first_push(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: Any, *, is_moved: bool
) -> None:
    """It waits for nobody, and neither its record nor the interrupted one is lost."""
    collection = ExperimentCollection(tmp_path / "study", quiet=True)
    recorder = Recorder(a=1)

    def handle() -> None:
        recorder.push(by="handler")
        recorder["b"] = 2
        if is_moved:
            recorder.set_parent(collection.recorder)

    between(monkeypatch, how(handle))
    recorder.push(by="main")
    rows = [dict(row) for row in recorder.records]
    assert rows == [{"a": 1, "b": 2, "by": "handler"}, {"a": 1, "b": 2, "by": "main"}]
    assert len(collection.records) == 2 * is_moved
    collection.close()


def test_data_that_are_set_while_a_recorder_gets_its_place_are_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They are set of what is just being written."""
    recorder, top = Recorder(a=1), Recorder()
    between(monkeypatch, lambda: recorder.update(b=2))
    recorder.set_parent(top)
    recorder.push(i=0)
    assert [dict(row) for row in top.all_records] == [{"a": 1, "b": 2, "i": 0}]
    assert top.children == [recorder]


@pytest.mark.parametrize("how", [lambda act: act, raised], ids=["code", "handler"])
def test_what_is_written_in_between_is_the_latest(
    monkeypatch: pytest.MonkeyPatch, top: Recorder, how: Any
) -> None:
    """An attribute and a parent are known as they are stored, also of who wrote them first."""
    one, two = top.child(above=1), top.child(above=2)
    recorder, kind = top.child(k=0).push(i=0), type(top._store)
    assert kind is not None
    with monkeypatch.context() as patch:
        between(patch, how(lambda: recorder.update(k=2, other=2)), kind)
        recorder.update(k=1, mine=1)
    assert dict(recorder.local_data) == {"k": 2, "mine": 1, "other": 2}
    with monkeypatch.context() as patch:
        between(patch, how(lambda: recorder.set_parent(two)), kind)
        recorder.set_parent(one)
    assert recorder.parent is two
    assert dict(recorder.records[0]) | {"above": 2, "k": 2} == dict(recorder.records[0])
    assert (one.children, two.children) == ([], [recorder])
    recorder.set_parent(one)["k"] = 3
    assert recorder.parent is one
    assert recorder["k"] == recorder.records[0]["k"] == 3


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [UnsupportedValueError("can't be stored"), OSError(28, "No space left on device")]
)
def test_a_recorder_whose_data_are_refused_is_as_before(
    monkeypatch: pytest.MonkeyPatch, top: Recorder, error: Exception
) -> None:
    """It is refused again, at each push and for each parent, and is nobody's child meanwhile."""
    recorder = Recorder(a=1)
    set_attributes = Writer.set_attributes

    def refuse(self: Writer, node: int, data: dict[str, Any], parent: int | None = None) -> int:
        if data:
            raise error
        return set_attributes(self, node, data, parent)

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "set_attributes", refuse)
        for _ in range(2):
            with pytest.raises(type(error)):
                recorder.set_parent(top)
            with pytest.raises(type(error)):
                recorder.push(i=0)
            with pytest.raises(type(error)):
                recorder.extend({"i": [0]})
            assert recorder.parent is None
            assert dict(recorder.local_data) == {"a": 1}
            assert top.children == []
            assert len(top.all_records) == 0
    recorder.set_parent(top).push(i=1)
    assert [dict(row) for row in top.all_records] == [{"a": 1, "i": 1}]
    assert top.children == [recorder]


def test_a_refused_first_record_leaves_what_is_known(top: Recorder) -> None:
    """The recorder has its place by then, with its data, and takes the next record."""
    recorder = Recorder(a=1).set_parent(top)
    with pytest.raises(TypeError):
        recorder.push(i=object())
    recorder.push(i=1)
    assert [dict(row) for row in top.all_records] == [{"a": 1, "i": 1}]
