"""However much is logged, the same keys and values are held no more often, and no memory grows."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._live import table
from rigorous_recorder._live.segment import Segment
from rigorous_recorder._store.memory_store import MemoryStore
from rigorous_recorder._store.store import FolderStore
from rigorous_recorder.errors import RigorousError

FEW = 20_000
MANY = 10_000_000
#: A reference that a table keeps to a key, for each shape of records, is no leak.
KEPT = 200


class Case:
    """One way to log, and the objects that it logs."""

    def __init__(self, share: float, call: Callable[[Recorder, Case], object]) -> None:
        #: How many calls there are, of those of the fastest way.
        self.share = share
        self.call = call
        self.names = [f"the key {letter}" for letter in "abcdef"]
        self.values: list[Any] = [
            float("1.5"),
            int("123456789"),
            "a text of more than twelve bytes"[:20],
            b"bytes of more than twelve bytes"[:20],
            np.float32(0.5),
            np.arange(6.0).reshape(2, 3),
        ]
        self.fields = dict(zip(self.names, self.values, strict=True))
        self.plain = dict(zip(self.names, self.values[:2], strict=False))
        self.refused = {**self.fields, "the key c": object(), "the key a": 1j}
        self.unknown = {**self.plain, "the key a": 1j}
        self.many = dict.fromkeys([f"key {n}" for n in range(60)], self.values[0])

    @property
    def counts(self) -> list[int]:
        """How often each object is held."""
        watched = [*self.names, *self.values, self.fields, self.plain, self.many]
        watched += [self.refused["the key c"], *self.many, type(self.values[4])]
        return [sys.getrefcount(each) for each in watched]


def _refused(recorder: Recorder, fields: dict[str, Any]) -> None:
    try:
        recorder.push(fields)
    except RigorousError:
        return
    pytest.fail("it was to be refused")


CASES: dict[str, tuple[float, Callable[[Recorder, Case], object]]] = {
    "keywords": (1, lambda recorder, case: recorder.push(loss=case.values[0], step=case.values[1])),
    "a dict": (0.2, lambda recorder, case: recorder.push(case.plain)),
    "a dict, unpacked": (0.1, lambda recorder, case: recorder.push(**case.plain)),
    "all kinds": (0.1, lambda recorder, case: recorder.push(case.fields)),
    "scalars": (0.1, lambda recorder, case: recorder.push(x=case.values[4], n=case.values[1])),
    "many fields": (0.02, lambda recorder, case: recorder.push(case.many)),
    "a dict and keywords": (0.05, lambda recorder, case: recorder.push(case.plain, other=1)),
    "add and commit": (0.1, lambda recorder, case: recorder.add(case.plain).add(x=None).commit()),
    "add and push": (0.1, lambda recorder, case: recorder.add(case.plain).push(x=True)),
    "refused": (0.02, lambda recorder, case: _refused(recorder, case.refused)),
    "refused, plain": (0.02, lambda recorder, case: _refused(recorder, case.unknown)),
}


@pytest.fixture(
    params=[
        name
        if name in {"keywords", "all kinds", "refused"}
        else pytest.param(name, marks=pytest.mark.slow)
        for name in CASES
    ]
)
def case(request: pytest.FixtureRequest) -> Case:
    """Each way to log."""
    return Case(*CASES[request.param])


@pytest.fixture(autouse=True)
def _small_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are full, and sealed, many times."""
    monkeypatch.setattr(table, "MOST_ROWS", 4096)


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    """A recorder whose rows go to files, and so use no memory in the end."""
    with ExperimentCollection(tmp_path / "study") as collection:
        yield collection.recorder.child()


def repeat(recorder: Recorder, case: Case, times: int) -> None:
    call = case.call
    for _ in range(times):
        call(recorder, case)


def grown(call: Callable[[], object]) -> int:
    """By how many bytes of memory the process has grown."""
    process = psutil.Process()
    gc.collect()
    before = process.memory_info().rss - process.memory_info().shared
    call()
    gc.collect()
    return process.memory_info().rss - process.memory_info().shared - before


def comes_true(condition: Callable[[], bool]) -> bool:
    """Whether something is so soon: the thread that looks after stores has each for a moment."""
    for _ in range(200):
        gc.collect()
        if condition():
            return True
    return False


def everywhere(case: Case) -> list[int]:
    """The counts, with those of objects that others hold, too."""
    return [*case.counts, sys.getrefcount(None), sys.getrefcount(True)]


def check_references(recorder: Recorder, case: Case, times: int) -> None:
    calls = max(2000, int(times * case.share) // 3)
    repeat(Recorder(), case, 20)  # whatever is learned of types
    gc.collect()
    counts, blocks = everywhere(case), []
    repeat(recorder, case, 1000)
    for _ in range(3):  # what is kept for a while, as of columns, is not there each time
        gc.collect()
        before = sys.getallocatedblocks()
        repeat(recorder, case, calls)
        gc.collect()
        blocks.append(sys.getallocatedblocks() - before)
    if isinstance(recorder._store, FolderStore):
        recorder._store.close()  # pages hold keys, and None
    gc.collect()
    held = [now - then for now, then in zip(everywhere(case), counts, strict=True)]
    assert all(abs(each) < KEPT for each in held), held
    assert min(blocks) < calls / 4, blocks


def test_keys_and_values_are_let_go_of(recorder: Recorder, case: Case) -> None:
    """After many records the same keys and values are held as often, and no memory is lost."""
    check_references(recorder, case, FEW)


def test_nothing_is_held_when_the_recorder_is_gone(case: Case) -> None:
    """After a recorder in memory is gone no reference of its is left to anything it was given."""
    repeat(Recorder(), case, 20)  # whatever is learned of types
    gc.collect()
    before = case.counts
    recorder = Recorder()
    repeat(recorder, case, 500)
    recorder.add(case.plain)
    del recorder
    assert comes_true(lambda: case.counts == before), (case.counts, before)


@pytest.mark.slow
def test_keys_and_values_are_let_go_of_after_many(recorder: Recorder, case: Case) -> None:
    """Also after ten million records; and the process is no larger."""
    assert grown(lambda: check_references(recorder, case, MANY)) < 64_000_000


def test_recorders_and_their_tables_are_freed() -> None:
    """A recorder in memory goes with its store, tables and buffers when nobody has it any more."""
    recorder = Recorder(a=1)
    child = recorder.child(b=2)
    for number in range(100):
        recorder.push(number=number).add(text="x" * 50)
        child.push({"number": number, "scalar": np.float64(1)})
    assert len(recorder.all_records) == 200
    store = recorder._store
    assert isinstance(store, MemoryStore)
    segment = store.records._segments.live
    assert isinstance(segment, Segment)
    watched = [weakref.ref(each) for each in (recorder, child, store, store.records, segment)]
    view = weakref.ref(segment.image.view)
    del recorder, child, store, segment
    watched.append(view)
    assert comes_true(lambda: not any(each() is not None for each in watched)), watched


def test_a_collection_is_freed(tmp_path: Path) -> None:
    """So do those of a collection; the mapped files are let go of, too."""
    collection = ExperimentCollection(tmp_path / "study")
    recorder = collection.recorder.child(a=1)
    for number in range(100):
        recorder.push(number=number, text="x" * 50)
    store = recorder._store
    assert isinstance(store, FolderStore)
    watched = [weakref.ref(each) for each in (recorder, store, store.records)]
    image = store.records._segments.live
    assert image is not None
    view = weakref.ref(image.image.view)
    collection.close()
    del collection, recorder, store, image
    watched.append(view)
    assert comes_true(lambda: not any(each() is not None for each in watched)), watched


def test_recorders_in_a_cycle_are_collected() -> None:
    """A recorder that is held by what it has to commit, or by its own kind, is found by the GC."""

    class Mine(Recorder):
        pass

    recorder = Mine()
    recorder._pending = {"itself": recorder}
    kind, there = weakref.ref(Mine), weakref.ref(recorder)
    del recorder, Mine
    gc.collect()
    assert there() is None
    assert kind() is None


def test_many_recorders_leave_nothing(recorder: Recorder) -> None:
    """Recorders that come and go leave no objects behind."""

    def come_and_go() -> None:
        for number in range(3000):
            if number % 10 == 0:
                Recorder(number=number).push(a=1).add(b=2).commit()
            recorder.child(number=number).push(a=1)

    def objects() -> int:
        gc.collect()
        return len(gc.get_objects())

    come_and_go()
    before = objects()
    come_and_go()
    # Of those that went a collection forgets the names now and then only.
    assert objects() - before < 1500
