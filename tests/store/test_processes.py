"""Many processes and threads in one collection: nothing is lost, doubled or waited for."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import pytest

import rigorous_recorder._live.table as live_table
from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._store import backend
from rigorous_recorder._store.locks import FileLock, locked

WORKERS = 8
PATIENCE = 60

Opener = Callable[..., ExperimentCollection]

# Python 3.12 warns of every fork of a process with threads; what these tests do is just that.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")


@pytest.fixture(params=[pytest.param("spawn", marks=pytest.mark.slow), "fork"])
def context(request: pytest.FixtureRequest) -> BaseContext:
    """A way to start processes."""
    if request.param not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {request.param} on this system")
    return multiprocessing.get_context(request.param)


@pytest.fixture(params=["mapped", "write-behind"])
def backing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where live rows are: in a mapped file, or in memory with a write-behind."""
    if request.param == "write-behind":
        monkeypatch.setattr(backend, "is_safe_to_map", lambda _: False)
    return str(request.param)


def together(context: BaseContext, target: Callable[..., None], *args: Any) -> None:
    """Run the target in eight processes at once, each with its number; all must succeed."""
    workers = [
        context.Process(target=target, args=(number, *args))  # type: ignore[attr-defined]
        for number in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE)
    assert [worker.exitcode for worker in workers] == [0] * WORKERS


def forked(work: Callable[[], object]) -> int:
    """Do some work in a forked child that then exits at once; gives the child's id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    except BaseException as error:  # noqa: BLE001 - told, and the exit code says it
        sys.__stderr__.write(f"in the forked child: {error!r}\n")  # type: ignore[union-attr]
    finally:
        os._exit(code)


def wait_for(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def in_order_per_writer(rows: Iterator[Any], who: str) -> dict[Any, list[int]]:
    """For each writer the indexes of its records, in the order in which they are read."""
    found: dict[Any, list[int]] = {}
    for row in rows:
        found.setdefault(row[who], []).append(row["i"])
    return found


# --- experiments at the same time ----------------------------------------------------------------


def run_experiments(number: int, folder: Path) -> None:
    collection = ExperimentCollection(folder)
    for attempt in range(3):
        with collection.new_experiment(worker=number, attempt=attempt) as experiment:
            for i in range(100):
                experiment.push(i=i)
    collection.close()


def test_eight_processes_run_experiments_in_one_collection(
    context: BaseContext, folder: Path, open_collection: Opener
) -> None:
    """From a folder that is not there yet: all records once, every experiment its own number."""
    together(context, run_experiments, folder)
    collection = open_collection()
    assert collection.experiment_numbers == tuple(range(1, 3 * WORKERS + 1))
    assert len(collection.experiments) == 3 * WORKERS
    seen = Counter((row["worker"], row["attempt"], row["i"]) for row in collection.records)
    assert set(seen.values()) == {1}
    assert len(seen) == WORKERS * 3 * 100
    assert collection.verify() == []


# --- children below one recorder ------------------------------------------------------------------


def hang_children(number: int, pickled: bytes) -> None:
    experiment: Recorder = pickle.loads(pickled)
    child = experiment.child(worker=number)
    for i in range(200):
        child.push(i=i, **{f"only_{number % 3}": i})


def test_eight_processes_hang_children_below_one_recorder(
    context: BaseContext, open_collection: Opener, capfd: pytest.CaptureFixture[str]
) -> None:
    """Records below a recorder that was pickled are below the experiment, in every reader."""
    collection = open_collection()
    with collection.new_experiment(lr=0.1) as experiment:
        experiment.push(i=-1, worker="parent")
        together(context, hang_children, pickle.dumps(experiment))
        assert len(experiment.children) == WORKERS
        assert {child["worker"] for child in experiment.children} == set(range(WORKERS))
        experiment["late"] = "known to all"
    for each in (collection, open_collection()):
        found = in_order_per_writer(iter(each.records), "worker")
        assert found.pop("parent") == [-1]
        assert found == {number: list(range(200)) for number in range(WORKERS)}
        assert {row["late"] for row in each.records} == {"known to all"}
        assert {row["experiment_number"] for row in each.records} == {1}
    assert collection.experiment_numbers == (1,)
    # They ended well: nobody was killed, so there is nothing to recover.
    assert "recovered" not in capfd.readouterr().err


def push_and_return(number: int, experiment: Recorder) -> None:
    experiment.push(i=number)


def test_what_a_forked_worker_logged_is_there_when_it_ended(
    backing: str, open_collection: Opener
) -> None:
    """A worker of multiprocessing that just returns has its records saved, whatever the backing."""
    collection = open_collection()
    with collection.new_experiment() as experiment:
        together(multiprocessing.get_context("fork"), push_and_return, experiment)
    assert sorted(row["i"] for row in collection.records) == list(range(WORKERS))


# --- raw forks ------------------------------------------------------------------------------------


def test_both_sides_of_a_fork_push_to_the_same_recorders(
    open_collection: Opener, backing: str
) -> None:
    """After a fork parent and child go on with the same objects; all records are there, once."""
    collection = open_collection(quiet=True)

    def push(who: str) -> None:
        for i in range(1, 500):
            model.push(who=who, i=i)
            experiment.push(who=f"{who} above", i=i)
        experiment.child(child_of=who).push(who=f"{who} below", i=0)
        model.sync()

    with collection.new_experiment(lr=0.1) as experiment:
        model = experiment.child(model="m")
        model.push(who="before", i=0)
        child = forked(lambda: push("child"))
        push("parent")
        assert wait_for(child) == 0
    for each in (collection, open_collection(quiet=True)):
        expected = {
            "before": [0],
            **{who: list(range(1, 500)) for who in ("parent", "child")},
            **{f"{who} above": list(range(1, 500)) for who in ("parent", "child")},
            **{f"{who} below": [0] for who in ("parent", "child")},
        }
        assert in_order_per_writer(iter(each.records), "who") == expected
        assert {row["lr"] for row in each.records} == {0.1}
        assert {row["model"] for row in each.records if row["who"] in {"parent", "child"}} == {"m"}


def test_a_fork_of_a_recorder_in_memory_is_a_copy() -> None:
    """Without a collection the child goes on with its own copy, and the parent never sees it."""
    recorder = Recorder(a=1).push(x=1)

    def work() -> None:
        recorder.push(x=2)
        assert [row["x"] for row in recorder.records] == [1, 2]

    assert wait_for(forked(work)) == 0
    assert [row["x"] for row in recorder.records] == [1]


def test_both_sides_of_a_fork_ask_in_sql(open_collection: Opener) -> None:
    """The child's queries need threads, as the parent's did, which are not in the child."""
    collection = open_collection()
    query = "SELECT g, count(*) FROM records GROUP BY g ORDER BY g"
    with collection.new_experiment() as experiment:
        experiment.extend({"g": [i % 7 for i in range(600_000)]})
        collection.save()
        answer = collection.sql(query).fetchall()

        def ask() -> None:
            signal.alarm(PATIENCE)
            assert collection.sql(query).fetchall() == answer
            experiment.push(g=7)
            assert collection.sql(query).fetchall() == [*answer, (7, 1)]

        child = forked(ask)
        assert collection.sql(query).fetchall() in (answer, [*answer, (7, 1)])
        assert wait_for(child) == 0
    assert collection.sql(query).fetchall() == [*answer, (7, 1)]


def test_forks_while_another_thread_pushes(open_collection: Opener) -> None:
    """Children that are forked in the middle of a push work, and the push is not disturbed."""
    collection = open_collection(quiet=True)
    with collection.new_experiment() as experiment:
        pushed = 0
        stop = threading.Event()
        began = threading.Event()

        def push_on() -> None:
            nonlocal pushed
            while not stop.is_set():
                experiment.push(who="thread", i=pushed, **{f"key_{pushed // 500}": 1})
                pushed += 1
                began.set()

        thread = threading.Thread(target=push_on)
        thread.start()
        assert began.wait(PATIENCE)
        children = [
            forked(lambda n=n: experiment.push(who="child", i=n).sync())  # type: ignore[misc]
            for n in range(20)
        ]
        codes = [wait_for(child) for child in children]
        stop.set()
        thread.join(PATIENCE)
    assert codes == [0] * 20
    found = in_order_per_writer(iter(collection.records), "who")
    assert found["thread"] == list(range(pushed))
    assert sorted(found["child"]) == list(range(20))


def test_a_child_that_leaves_the_block_does_not_end_the_experiment(
    open_collection: Opener,
) -> None:
    """Only the process that began an experiment ends it, however a forked child leaves the block."""
    collection = open_collection(quiet=True)
    children = []
    code = None
    with collection.new_experiment() as experiment:
        try:
            with collection.new_experiment() as inner:
                children.append(os.fork())
                if not children[0]:
                    inner.push(who="child")
        except BaseException:  # noqa: BLE001 - a child must never come back to pytest
            os._exit(1)
        if not children[0]:
            os._exit(0)
        code = wait_for(children[0])
        experiment.push(who="parent")
    assert code == 0
    assert [row["who"] for row in collection.records if row["experiment_number"] == 2] == ["child"]
    outer_row, inner_row = collection.experiments
    assert (outer_row["had_error"], inner_row["had_error"]) == (False, False)
    assert inner_row["experiment_end_time"] is not None


def test_a_childs_error_is_not_the_experiments(open_collection: Opener) -> None:
    """An exception in a forked child says nothing of the parent's experiment, which goes on."""
    collection = open_collection(quiet=True)

    def fail(experiment: Recorder) -> None:
        experiment.push(who="child")
        raise SystemExit

    children = []
    try:
        with collection.new_experiment() as experiment:
            children.append(os.fork())
            if not children[0]:
                fail(experiment)
            wait_for(children[0])
            (row,) = collection.experiments
            assert (row["had_error"], row["experiment_end_time"]) == (True, None)
    except SystemExit:
        os._exit(0)
    (row,) = collection.experiments
    assert (row["had_error"], row["error_number"]) == (False, 0)


def test_a_running_experiment_of_a_process_that_forked_is_running(open_collection: Opener) -> None:
    """A child that outlives its parent's writer keeps no lock of it: the dead are recovered."""
    read, write = os.pipe()
    release, hold = os.pipe()
    collection = open_collection(quiet=True)

    def parent_that_dies() -> None:
        mine = ExperimentCollection(collection._store.folder.path)
        experiment = mine.new_experiment().__enter__()
        experiment.push(x=1)
        grandchild = os.fork()
        if not grandchild:
            os.close(hold)
            os.read(release, 1)  # lives until the test is done
            os._exit(0)
        os.write(write, b"%d\n" % grandchild)
        os.kill(os.getpid(), signal.SIGKILL)

    assert wait_for(forked(parent_that_dies)) == -signal.SIGKILL
    assert os.read(read, 20)
    with collection.new_experiment() as experiment:
        numbers = experiment["experiment_number"], experiment["error_number"]
    for descriptor in (hold, release, read, write):
        os.close(descriptor)
    assert numbers == (1, 2)
    assert [row["x"] for row in collection.records] == [1]


def test_a_child_forked_under_a_lock_does_not_keep_it(tmp_path: Path) -> None:
    """A lock that is let go of is free, though a child that was forked meanwhile lives on."""
    path = tmp_path / "some.lock"
    release, hold = os.pipe()

    def live_on() -> None:
        os.close(hold)
        os.read(release, 1)

    with locked(path):
        child = forked(live_on)
    taken = FileLock.take(path)
    os.close(hold)
    assert wait_for(child) == 0
    os.close(release)
    assert taken is not None
    taken.release()


def test_a_lock_is_free_though_letting_go_of_it_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After Ctrl-C on the way out of a lock, this process and others can have it again."""
    path = tmp_path / "some.lock"

    def interrupted(_descriptor: int, operation: int) -> None:
        if operation == fcntl.LOCK_UN:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), locked(path):
        monkeypatch.setattr(fcntl, "flock", interrupted)
    monkeypatch.undo()
    taken = FileLock.take(path)
    assert taken is not None
    taken.release()


# --- reading while others write -------------------------------------------------------------------


def log_in_steps(folder: Path, steps: int, told: Any, go_on: Any, backing: str) -> None:
    if backing == "write-behind":
        backend.is_safe_to_map = lambda _: False  # type: ignore[assignment]
    live_table.MOST_ROWS = live_table.FIRST_ROWS = 16  # type: ignore[misc]
    collection = ExperimentCollection(folder)
    with collection.new_experiment() as experiment:
        for step in range(steps):
            for i in range(10):
                experiment.push(i=10 * step + i, text="long enough to spill " * i)
            if backing == "write-behind":
                collection._store.flush()
            told.send(10 * (step + 1))
            go_on.recv()


@pytest.mark.parametrize("backing", ["mapped", "write-behind"])
def test_a_reader_sees_rows_as_they_are_pushed(
    folder: Path, open_collection: Opener, backing: str
) -> None:
    """Rows of another process are there at once, in every engine, from live and sealed files."""
    context = multiprocessing.get_context("spawn")
    told, tell = context.Pipe(duplex=False)
    wait, go_on = context.Pipe(duplex=False)
    writer: BaseProcess = context.Process(
        target=log_in_steps, args=(folder, 8, tell, wait, backing)
    )
    writer.start()
    collection: ExperimentCollection | None = None
    for _ in range(8):
        assert told.poll(PATIENCE)
        pushed = told.recv()
        collection = collection or open_collection()
        records = collection.records
        assert [row["i"] for row in records] == list(range(pushed))
        assert len(records) == pushed
        assert records[-1]["text"] == "long enough to spill " * 9
        query = "SELECT count(*), max(i), min(experiment_number) FROM records"
        assert collection.sql(query).fetchall() == [(pushed, pushed - 1, 1)]
        assert records.to_arrow()["i"].to_pylist() == list(range(pushed))
        assert records.to_pandas()["i"].tolist() == list(range(pushed))
        lazy = records.to_polars(lazy=True).filter(experiment_number=1)
        assert lazy.select("i").collect()["i"].to_list() == list(range(pushed))
        assert collection.tree().all_records == pushed
        assert [(each.status, each.records) for each in collection.overview()] == [
            ("running", pushed)
        ]
        assert collection.experiments[0]["had_error"] is True
        go_on.send(None)
    writer.join(PATIENCE)
    assert writer.exitcode == 0
    assert collection is not None
    assert len(collection) == 80
    assert collection.experiments[0]["had_error"] is False


def log_until(folder: Path, told: Any, stop: Event) -> None:
    live_table.MOST_ROWS = live_table.FIRST_ROWS = 64  # type: ignore[misc]
    collection = ExperimentCollection(folder)
    i = 0
    with collection.new_experiment() as experiment:
        while not stop.is_set() and i < 20_000:
            experiment.push(i=i, text="abc" * (i % 9), **{f"key_{i // 300 % 5}": i})
            i += 1
            if i == 1:
                told.send(i)
    told.send(i)


def test_a_reader_never_sees_a_hole(folder: Path, open_collection: Opener) -> None:
    """While a writer grows, widens and seals, every reading is the first n records, n not falling."""
    context = multiprocessing.get_context("spawn")
    told, tell = context.Pipe(duplex=False)
    stop = context.Event()
    writer: BaseProcess = context.Process(target=log_until, args=(folder, tell, stop))
    writer.start()
    try:
        assert told.poll(PATIENCE)
        told.recv()
        collection = open_collection()
        seen = 0
        for _ in range(10):
            rows = [(row["i"], row["text"]) for row in collection.records]
            assert rows == [(i, "abc" * (i % 9)) for i in range(len(rows))]
            assert len(rows) >= seen
            seen = len(rows)
            ((count, last),) = collection.sql("SELECT count(*), max(i) FROM records").fetchall()
            assert count == last + 1 >= seen
    finally:
        stop.set()
        # The end of the experiment waits for nobody: read what it tells, then let it go.
        assert told.poll(PATIENCE)
        pushed = told.recv()
        writer.join(PATIENCE)
    assert writer.exitcode == 0
    assert [row["i"] for row in collection.records] == list(range(pushed))


# --- threads --------------------------------------------------------------------------------------


def test_threads_push_to_one_and_many_recorders(
    open_collection: Opener, backing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight threads that push to a shared recorder and to their own lose nothing, in order each."""
    monkeypatch.setattr(live_table, "MOST_ROWS", 512)
    collection = open_collection()
    start = threading.Barrier(WORKERS)

    def work(number: int, shared: Recorder) -> None:
        start.wait(PATIENCE)
        own = shared.child(thread=number)
        for i in range(500):
            own.push(own=number, i=i)
            shared.push(shared=number, i=i, **{f"key_{i // 100}_{number % 2}": "x" * (i % 40)})

    with collection.new_experiment() as experiment:
        threads = [threading.Thread(target=work, args=[n, experiment]) for n in range(WORKERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        everyone = {number: list(range(500)) for number in range(WORKERS)}
        assert in_order_per_writer(
            (row for row in collection.records if row["own"] is not None), "own"
        ) == everyone  # fmt: skip
        assert in_order_per_writer(iter(experiment.records), "shared") == everyone
    collection.close()
    assert len(open_collection()) == 2 * 500 * WORKERS
