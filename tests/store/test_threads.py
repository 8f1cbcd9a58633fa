"""Many threads log to the same and to their own recorders, while others read, sync and widen."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rigorous_recorder import ExperimentCollection, Recorder, native
from rigorous_recorder._live import table as live_table
from rigorous_recorder._store import backend
from rigorous_recorder._values.foreign import CONVERTERS
from rigorous_recorder.errors import EnteredError

Opener = Callable[..., ExperimentCollection]

PUSHERS = 32
RECORDS = 60
OF_A_CHILD = 20
PATIENCE = 60


@pytest.fixture(autouse=True)
def _small_tables_and_many_switches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tables grow, widen and are sealed all the time, and threads take turns often."""
    monkeypatch.setattr(live_table, "FIRST_ROWS", 16)
    monkeypatch.setattr(live_table, "MOST_ROWS", 256)
    monkeypatch.setattr(live_table, "FIRST_SPILL", 256)
    before = sys.getswitchinterval()
    sys.setswitchinterval(2e-5)
    yield
    sys.setswitchinterval(before)


@pytest.fixture(params=["mapped", "write-behind", "memory"])
def top(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, open_collection: Opener
) -> Recorder:
    """What all recorders stand below."""
    if request.param == "memory":
        return Recorder(top=True)
    monkeypatch.setattr(backend, "is_safe_to_map", lambda _folder: request.param == "mapped")
    return Recorder(top=True).set_parent(open_collection().recorder)


class Threads:
    """Threads that begin together; the first error of any is raised at the end."""

    def __init__(self) -> None:
        self.works: list[Callable[[], object]] = []
        self.errors: list[BaseException] = []

    def add(self, work: Callable[[], object]) -> None:
        self.works.append(work)

    def run(self) -> None:
        start = threading.Barrier(len(self.works))

        def do(work: Callable[[], object]) -> None:
            try:
                start.wait(PATIENCE)
                work()
            except BaseException as error:  # noqa: BLE001 - raised below
                self.errors.append(error)

        threads = [threading.Thread(target=do, args=[work], daemon=True) for work in self.works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in threads), "a thread hangs"
        for error in self.errors:
            raise error


def fields_of(thread: int, number: int) -> dict[str, Any]:
    """What a thread logs at its turn: numbers at first, then other keys and kinds."""
    fields: dict[str, Any] = {"thread": thread, "number": number}
    match (thread + number) % 6:
        case 1:
            fields["text"] = f"{thread} {number} " * (number % 9)
        case 2:
            fields[f"key {number // 30} {thread % 3}"] = float(number)
        case 3:
            fields["either"] = [None, number, str(number), number / 2][number % 4]
        case 4:
            fields["array"] = np.full(3, float(number))
            fields["scalar"] = np.float32(thread)
        case 5:
            fields = {"scalar": np.float64(number), **fields}
    return fields


def log(recorder: Recorder, thread: int, number: int) -> None:
    fields = fields_of(thread, number)
    match number % 4:
        case 0:
            recorder.push(**fields)
        case 1:
            recorder.push(fields)
        case 2:
            recorder.push({"thread": thread}, **fields)
        case 3:
            recorder.push(dict(reversed(fields.items())))


def check(rows: list[dict[str, Any]], threads: int, records: int, each: int = 1) -> None:
    """Every record of every thread is there, whole, as often as it was logged, in order."""
    found: dict[int, list[int]] = {thread: [] for thread in range(threads)}
    for row in rows:
        thread, number = row["thread"], row["number"]
        found[thread].append(number)
        for key, value in fields_of(thread, number).items():
            assert repr(row.get(key)) == repr(plain(value)), (key, row)
    expected = [number for number in range(records) for _ in range(each)]
    assert found == dict.fromkeys(range(threads), expected)


def plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def logged(recorder: Recorder, **where: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in recorder.all_records if row["kind"] == where["kind"]]


def repeated(work: Callable[[int], object], is_over: threading.Event) -> Callable[[], None]:
    """The work again and again, given its turn, until it is over."""

    def repeat() -> None:
        turn = 0
        while not is_over.is_set():
            work(turn)
            turn += 1

    return repeat


def test_many_threads_push_while_others_read_and_sync(top: Recorder) -> None:
    """Every record that a push acknowledged is there once, whole, and in order of its thread.

    It has what was set on the child it was pushed to, each of which is one thread's.
    """
    shared = top.child(kind="shared")
    is_over = threading.Event()
    left = [PUSHERS]
    threads = Threads()

    def push(thread: int) -> None:
        try:
            for number in range(RECORDS):
                if number % OF_A_CHILD == 0:
                    own = top.child(kind="own", first=number)
                log(shared, thread, number)
                log(own, thread, number)
                own["last"] = number
        finally:
            left.pop() if left[0] == 1 else left.__setitem__(0, left[0] - 1)
            if not left:
                is_over.set()

    seen = [0]

    def read(_turn: int) -> None:
        count = len(shared.records)
        assert count >= seen[0]
        seen[0] = count
        numbers = [row["number"] for row in shared.records.where(thread=3)]
        assert numbers == list(range(len(numbers)))

    extended = [0]

    def extend(turn: int) -> None:
        columns = {"thread": [-1] * 20, "number": range(20 * turn, 20 * turn + 20)}
        top.child(kind="extended").extend({**columns, "number": list(columns["number"])})
        extended[0] += 20

    for thread in range(PUSHERS):
        threads.add(lambda thread=thread: push(thread))  # type: ignore[misc]
    threads.add(repeated(lambda _turn: top.sync(), is_over))
    threads.add(repeated(read, is_over))
    threads.add(repeated(extend, is_over))
    threads.add(repeated(lambda turn: top.update({f"late {turn % 5}": turn}), is_over))
    threads.run()

    check(logged(top, kind="shared"), PUSHERS, RECORDS)
    rows = logged(top, kind="own")
    check(rows, PUSHERS, RECORDS)
    assert {(row["number"] // OF_A_CHILD, row["first"], row["last"]) for row in rows} == {
        (n, OF_A_CHILD * n, OF_A_CHILD * (n + 1) - 1) for n in range(RECORDS // OF_A_CHILD)
    }
    rows = logged(top, kind="extended")
    assert sorted(row["number"] for row in rows) == list(range(extended[0]))


def test_threads_extend_one_recorder_while_others_push(top: Recorder) -> None:
    """Rows of an extend stay together with their values; pushes come before, between and after."""
    shared = top.child(kind="shared")
    threads = Threads()

    def push(thread: int) -> None:
        for number in range(RECORDS):
            log(shared, thread, number)

    def extend(thread: int) -> None:
        for turn in range(12):
            numbers = np.arange(10) + 10 * turn
            shared.extend(
                {
                    "thread": np.full(10, thread),
                    "number": numbers,
                    "text": [f"{thread} {number} " * 3 for number in numbers],
                    "array": np.repeat(numbers[:, None], 3, axis=1).astype("float64"),
                }
            )

    for thread in range(8):
        threads.add(lambda thread=thread: push(thread))  # type: ignore[misc]
        threads.add(lambda thread=thread: extend(100 + thread))  # type: ignore[misc]
    threads.run()
    rows = [dict(row) for row in shared.records]
    check([row for row in rows if row["thread"] < 100], 8, RECORDS)
    for thread in range(100, 108):
        mine = [row for row in rows if row["thread"] == thread]
        assert [row["number"] for row in mine] == list(range(120))
        for row in mine:
            assert row["text"] == f"{thread} {row['number']} " * 3
            assert row["array"].tolist() == [row["number"]] * 3


def test_threads_that_meet_while_values_are_converted(
    top: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads in the middle of a record each don't write each other's arrays."""

    class Scalar(float):
        is_met = False

    both = threading.Barrier(2)

    def convert(value: Scalar) -> float:
        if native and not value.is_met:  # the pure-Python fallback converts with the table's lock
            value.is_met = True
            with contextlib.suppress(threading.BrokenBarrierError):
                both.wait(1)
        return float(value)

    monkeypatch.setitem(CONVERTERS, Scalar, convert)
    monkeypatch.setattr(live_table, "FIRST_ROWS", 4096)
    monkeypatch.setattr(live_table, "MOST_ROWS", 4096)
    shared = top.child(kind="shared")
    for _ in range(3):
        shared.push(array=np.zeros(3), number=0, scalar=0.5)
    threads = Threads()

    def push(thread: int) -> None:
        for number in range(150):
            value = 1000 * thread + number
            shared.push(array=np.full(3, float(value)), number=value, scalar=Scalar(value))

    for thread in (1, 2):
        threads.add(lambda thread=thread: push(thread))  # type: ignore[misc]
    threads.run()
    rows = [dict(row) for row in shared.records[3:]]
    for row in rows:
        assert row["array"].tolist() == [row["number"]] * 3
        assert row["scalar"] == row["number"]
    for thread in (1, 2):
        found = [row["number"] for row in rows if row["number"] // 1000 == thread]
        assert found == [1000 * thread + number for number in range(150)]


def test_all_is_there_after_closing(open_collection: Opener) -> None:
    """What threads logged right up to the end is in the sealed files, once, in order."""
    collection = open_collection()
    shared = collection.recorder.child(kind="shared")
    threads = Threads()

    def push(thread: int) -> None:
        for number in range(RECORDS):
            log(shared, thread, number)

    for thread in range(PUSHERS):
        threads.add(lambda thread=thread: push(thread))  # type: ignore[misc]
    threads.run()
    collection.close()
    again = open_collection()
    check([dict(row) for row in again.records], PUSHERS, RECORDS)
    assert again.verify() == []


def test_of_threads_that_start_a_run_at_once_one_does(tmp_path: Path) -> None:
    """The others are refused: a run is one experiment."""
    collection = ExperimentCollection(tmp_path / "study", quiet=True)
    run = collection.new_experiment()
    together = threading.Barrier(4)

    def start() -> bool:
        together.wait()
        try:
            run.start()
        except EnteredError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        found = [each.result() for each in [pool.submit(start) for _ in range(4)]]
    assert sorted(found) == [False, False, False, True]
    assert len(collection.experiments) == 1
