"""A writer that others took for dead, and recovered, goes on: nothing is lost, nothing is doubled."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import rigorous_recorder._live.table as live_table
from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._store import backend, background, lease, liveness, recover, started_segments
from rigorous_recorder._store.folder import Folder
from rigorous_recorder._store.locks import FileLock, is_held
from rigorous_recorder._store.node_ids import writer_of
from rigorous_recorder.errors import DamagedFileWarning

from .scenarios import lose_lock
from .steps import die, in_a_child

#: What the writer does in the end.
ENDS = ["close", "kill"]


@pytest.fixture(autouse=True)
def _nobody_else_syncs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The background, which would notice the loss of a lock before what a test does next."""
    monkeypatch.setattr(background, "_FLUSHES_PER_SYNC", 1_000_000)
    monkeypatch.setattr(backend, "sync_all", lambda: None)


@pytest.fixture(params=["mapped", "write-behind"])
def backing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(backend, "is_safe_to_map", lambda _: request.param == "mapped")
    monkeypatch.setattr(live_table, "FIRST_ROWS", 16)
    monkeypatch.setattr(live_table, "MOST_ROWS", 256)
    return str(request.param)


def replace_folder(collection: ExperimentCollection) -> None:
    """As where a backup is put in the folder's place."""
    collection._store.flush()
    folder = collection._store.folder.path
    backup = folder.with_name("backup")
    shutil.copytree(folder, backup)
    while backup.exists():
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # the writer goes on, and has made something there again
            backup.rename(folder)


@pytest.mark.usefixtures("backing")
@pytest.mark.parametrize("merges", [False, True], ids=["recovered", "merged"])
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(
    "lose",
    [lose_lock, pytest.param(replace_folder, marks=pytest.mark.slow)],
    ids=["lost lock", "replaced folder"],
)
def test_what_it_logs_after_it_was_recovered_is_stored(
    tmp_path: Path, lose: Callable[[ExperimentCollection], None], end: str, merges: bool
) -> None:
    """Others seal, and merge, what it has; it logs on, syncs, and closes or is killed."""
    folder = tmp_path / "study.collection"

    def log() -> None:
        collection = ExperimentCollection(folder, quiet=True)
        experiment = collection.new_experiment(lr=0.5).__enter__()
        for i in range(100):
            experiment.push(i=i)
        experiment.sync()
        lose(collection)
        other = ExperimentCollection(folder, quiet=True)
        assert len(other) == 100
        if merges:
            other.compact()
        for i in range(100, 300):
            experiment.child(k=i).push(i=i)
        experiment.sync()
        assert sorted(row["i"] for row in collection.records) == list(range(300))
        for i in range(300, 700):
            experiment.push(i=i)
        collection._store.flush()
        assert sorted(row["i"] for row in other.records) == list(range(700))
        if end == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        collection.close()

    assert in_a_child(log) == (-signal.SIGKILL if end == "kill" else 0)
    for _ in range(2):
        reader = ExperimentCollection(folder, quiet=True)
        rows = list(reader.records)
        assert sorted(row["i"] for row in rows) == list(range(700))
        assert {row["lr"] for row in rows} == {0.5}
        assert all(row["k"] == row["i"] for row in rows if 100 <= row["i"] < 300)
        assert reader.verify() == []
        reader.compact()


# --- deaths in between ---------------------------------------------------------------------------


class Study:
    """What a writer logs that others take for dead again and again; they recover it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.collection = ExperimentCollection(folder, extension="", quiet=True)
        self.experiment: Recorder = self.collection.new_experiment(lr=0.5).__enter__()
        self._numbers = iter(range(10_000))

    def log(self, count: int, **more: Any) -> None:
        """Log the next so many records; another key needs another file, which is where it notices."""
        for i in (next(self._numbers) for _ in range(count)):
            self.experiment.push(i=i, **more)

    def lose(self, *, merges: bool = False) -> None:
        """Lose the lock; others recover what is there."""
        self.experiment.sync()
        lose_lock(self.collection)
        other = opened(self.folder)
        if merges:
            with other.new_experiment(lr=0.5) as experiment:
                experiment.push(i=-1)
            other.close()
            assert opened(self.folder).compact()


def opened(folder: Path) -> ExperimentCollection:
    return ExperimentCollection(folder, extension="", quiet=True)


def check(folder: Path, numbers: list[int]) -> None:
    """Each record is there once: as it is, recovered, repaired, merged and read again."""
    as_it_is = folder.with_name("as it is")
    shutil.copytree(folder, as_it_is)
    for path in (folder, as_it_is):
        for _ in range(2):
            reader = opened(path)
            assert sorted(row["i"] for row in reader.records) == numbers
            assert {row["lr"] for row in reader.records} == {0.5}
            assert reader.verify() == []
            reader.compact()
    assert not list((folder / "live").glob("*.arrow"))


def die_after(
    monkeypatch: pytest.MonkeyPatch, module: Any, is_meant: Callable[[Path, Any], bool]
) -> None:
    """Let a process die when it has written such a sealed file."""
    write = module.write_sealed

    def write_and_die(path: Path, table: Any, segments: Any, *more: Any) -> None:
        write(path, table, segments, *more)
        if path.parent.name == "records" and is_meant(path, table):
            die()

    monkeypatch.setattr(module, "write_sealed", write_and_die)


@pytest.mark.usefixtures("backing")
def test_a_writer_that_dies_when_it_has_sealed_what_was_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are in a sealed file of its new name, and in the live file: once."""
    folder = tmp_path / "study"

    def log() -> None:
        study = Study(folder)
        study.log(10)
        study.lose()
        study.log(10, wider=1)
        study.collection._store.flush()
        die_after(monkeypatch, lease, lambda _path, table: table.num_rows == 10)
        study.collection.close()

    assert in_a_child(log) == -signal.SIGKILL
    assert len(list((folder / "records").glob("*.parquet"))) == 2
    assert list((folder / "live").glob("*.records.arrow"))
    check(folder, list(range(20)))


@pytest.mark.usefixtures("backing")
def test_recoveries_that_die_when_they_have_sealed_what_was_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one takes the live file away, and seals nothing again."""
    folder = tmp_path / "study"

    def log() -> None:
        study = Study(folder)
        study.log(10)
        study.lose()
        study.log(10, wider=1)
        study.collection._store.flush()
        die()

    def recover_and_die() -> None:
        die_after(monkeypatch, recover, lambda *_: True)
        opened(folder)

    assert in_a_child(log) == -signal.SIGKILL
    assert in_a_child(recover_and_die) == -signal.SIGKILL
    assert in_a_child(recover_and_die) == 0
    check(folder, list(range(20)))


@pytest.mark.usefixtures("backing")
@pytest.mark.parametrize("is_damaged", [False, True])
def test_repair_saves_what_was_left(tmp_path: Path, *, is_damaged: bool) -> None:
    """Also where the live file is damaged, which no recovery takes away then."""
    folder, into = tmp_path / "study", tmp_path / "repaired"

    def log() -> None:
        study = Study(folder)
        study.log(10)
        study.lose()
        study.log(9, wider="short")
        study.log(1, wider="a text that is in no view by itself")
        study.collection._store.flush()
        die()

    assert in_a_child(log) == -signal.SIGKILL
    if is_damaged:
        (live,) = (folder / "live").glob("*.records.arrow")
        data = live.read_bytes()
        assert data.count(b"a text that") == 1
        live.write_bytes(data.replace(b"a text that", b"\xff text that"))
        with pytest.warns(DamagedFileWarning, match=live.name):
            recover.recover(Folder(folder))
        problems = ExperimentCollection.verify_folder(folder, extension="")
        assert [each.path for each in problems] == [live]
    ExperimentCollection.repair(folder, into, extension="")
    rows = list(opened(into).records)
    assert sorted(row["i"] for row in rows) == list(range(20))
    assert [row["wider"] for row in rows[10:19]] == ["short"] * 9


@pytest.mark.usefixtures("backing")
@pytest.mark.parametrize("merges", [False, True], ids=["recovered", "merged"])
def test_what_others_sealed_has_another_number_than_what_comes(
    tmp_path: Path, *, merges: bool
) -> None:
    """Recovered again and again, it goes on without writing over what they wrote."""
    folder = tmp_path / "study"

    def log() -> None:
        study = Study(folder)
        for turn in range(3):
            study.log(10)
            study.lose(merges=merges)
            study.log(10, **{f"wider {turn}": 1})
            study.collection._store.flush()
            lose_lock(study.collection)
            opened(folder)
            study.log(600)
            study.experiment.sync()
        study.collection.close()

    assert in_a_child(log) == 0
    check(folder, [-1] * 3 * merges + list(range(3 * 620)))


@pytest.mark.usefixtures("backing")
def test_what_it_sets_after_others_have_deleted_something_of_it(tmp_path: Path) -> None:
    """Its nodes were written anew without what was set on those: that counts no rows of others."""
    folder = tmp_path / "study"
    with ExperimentCollection(folder, extension="", quiet=True) as collection:
        for number in (1, 2):
            experiment = collection.new_experiment(lr=0.5)
            first = experiment.__enter__()
            first["late"] = number
            first.push(i=-number)
            if number == 1:
                experiment.__exit__(None, None, None)
        first.sync()
        lose_lock(collection)
        other = opened(folder)
        assert other.delete(1) == 1
        other.close()
        opened(folder).compact()
        children = [first.child(child=i).push(i=i) for i in range(5)]
        first["late"] = 3
        first.sync()
        expected = [(-2, None, 3), *((i, i, 3) for i in range(5))]
        for reader in (collection, opened(folder)):
            found = [(row["i"], row["child"], row["late"]) for row in reader.records]
            assert sorted(found, key=lambda row: row[0]) == expected
        assert len(children) == 5
    assert sorted(row["i"] for row in opened(folder).records) == [-2, *range(5)]
    assert {row["late"] for row in opened(folder).records} == {3}


@pytest.mark.parametrize("merges", [False, True], ids=["recovered", "merged"])
def test_it_notices_before_it_seals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, merges: bool
) -> None:
    """What is full is sealed before any sync: nothing is hidden by what others have merged."""
    monkeypatch.setattr(live_table, "FIRST_ROWS", 64)
    monkeypatch.setattr(live_table, "MOST_ROWS", 64)
    study = Study(tmp_path / "study")
    study.log(10)
    study.lose(merges=merges)
    study.log(200)
    study.collection._store.records._segments.seal()
    study.collection._store.nodes.seal()
    expected = [-1] * merges + list(range(210))
    assert sorted(row["i"] for row in opened(study.folder).records) == expected
    study.collection.close()
    check(study.folder, expected)


@pytest.mark.usefixtures("backing")
def test_who_follows_is_given_each_row_once(tmp_path: Path) -> None:
    """Also what was given of a live file, and then sealed behind what others had sealed of it."""
    study = Study(tmp_path / "study")
    stop = threading.Event()
    readers = [study.collection, opened(study.folder)]
    given: list[list[int]] = [[], []]
    follows = [
        (row["i"] for row in each.records.follow(interval=0.001, stop=stop)) for each in readers
    ]

    def read(count: int) -> None:
        for numbers, rows in zip(given, follows, strict=True):
            numbers.extend(next(rows) for _ in range(count))

    study.log(10)
    read(10)
    study.lose()
    study.log(10, wider=1)
    study.collection._store.flush()
    read(10)
    study.collection._store.seal()
    assert len(list((study.folder / "records").glob("*.parquet"))) == 2
    study.log(5)
    study.collection._store.flush()
    read(5)
    stop.set()
    for numbers, rows in zip(given, follows, strict=True):
        numbers.extend(rows)
        assert sorted(numbers) == list(range(25))
    study.collection.close()


def test_it_notices_a_recovery_that_died(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lock file is another one before anything of it is read; its experiment runs all the while."""
    study = Study(tmp_path / "study")
    study.log(10)
    study.experiment.sync()
    lock = study.collection._store.backend.lease.lock
    assert lock is not None
    fcntl.flock(lock._descriptor, fcntl.LOCK_UN)  # as where a file server ends a lease

    def recover_and_die() -> None:
        die_after(monkeypatch, recover, lambda *_: True)
        opened(study.folder)

    assert in_a_child(recover_and_die) == -signal.SIGKILL
    assert list((study.folder / "live").glob("*.records.arrow")), "it did not come so far"
    study.log(10)
    study.experiment.sync()
    first, second = study.collection._store.backend.names
    assert [row["i"] for row in opened(study.folder).records] == list(range(20))
    assert [each.status for each in opened(study.folder).experiments] == ["running"]
    assert writer_of(study.experiment.child()._node) == second != first
    assert in_a_child(partial(study.log, 1)) == 0
    study.collection.close()
    assert [row["i"] for row in opened(study.folder).records] == [*range(20), 20]
    check(study.folder, list(range(21)))


@pytest.mark.usefixtures("backing")
@pytest.mark.parametrize("is_before", [True, False], ids=["before", "after"])
def test_others_recover_it_in_the_middle_of_a_seal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_before: bool
) -> None:
    """Whoever writes last, each row is sealed once; what follows is under the new name."""
    study = Study(tmp_path / "study")
    write, folders = lease.write_sealed, []

    def write_and_meet_others(path: Path, *more: Any) -> None:
        is_first = path.parent.name == "records" and not folders
        if is_first:
            folders.append(path.parent)
            lose_lock(study.collection)
        if is_first and is_before:
            opened(study.folder)
        write(path, *more)
        if is_first and not is_before:
            opened(study.folder)

    study.log(10)
    monkeypatch.setattr(lease, "write_sealed", write_and_meet_others)
    study.collection._store.records.seal()
    assert folders
    study.log(10)
    assert [row["i"] for row in study.collection.records] == list(range(20))
    study.collection.close()
    check(study.folder, list(range(20)))


def test_numbers_that_come_late_are_in_the_note_of_segments(tmp_path: Path) -> None:
    """What is left of earlier segments is sealed after later ones have begun."""
    (tmp_path / "live").mkdir()
    noted = started_segments.StartedSegments(Folder(tmp_path), "0a1b2c3d")
    for number in (9, 10, 7, 13, 8, 8, 12):
        noted.record("records", number)
    found = started_segments.read_started(Folder(tmp_path).started_path("0a1b2c3d"))
    assert found == {"records": [[7, 10], [12, 13]], "nodes": []}


# --- locks ---------------------------------------------------------------------------------------


@pytest.fixture
def abandoned(tmp_path: Path) -> Iterator[Path]:
    """The lock of a writer that is dead, with one record."""
    folder = tmp_path / "study"

    def log() -> None:
        study = Study(folder)
        study.log(1)
        die()

    assert in_a_child(log) == -signal.SIGKILL
    (lock,) = (folder / "live").glob("????????.lock")
    yield lock
    assert not is_held(lock)
    assert len(opened(folder)) == 1
    assert not lock.exists()


def test_a_recovery_that_fails_holds_no_lock(
    abandoned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is unknown whether a writer lives, or its mark not be taken away, others try."""
    folder = Folder(abandoned.parents[1])

    def fail(*_: object, **__: object) -> Any:
        raise OSError("no")

    with monkeypatch.context() as patch:
        patch.setattr(liveness, "_had_heartbeat", fail)
        recover.recover(folder)
    assert not is_held(abandoned)
    with monkeypatch.context() as patch:
        patch.setattr(Folder, "watermark_path", fail)
        recover.recover(folder)


def test_threads_that_notice_at_once_do_not_wait_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them takes another name."""
    study = Study(tmp_path / "study")
    study.log(1)
    study.lose()
    lock, calls = FileLock._locked.__func__, []  # type: ignore[attr-defined]
    is_second = threading.Event()

    def slow(cls: Any, path: Path, descriptor: int) -> Any:
        calls.append(path.suffix)
        is_second.wait(0.5)  # the file is there, and not locked yet
        return lock(cls, path, descriptor)

    monkeypatch.setattr(FileLock, "_locked", classmethod(slow))
    writer = study.collection._store.backend
    (name,) = writer.names
    notice = writer.look
    threads = [threading.Thread(target=notice, daemon=True) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(10)
    assert not any(each.is_alive() for each in threads)
    assert set(calls) == {".lock"}
    assert len(writer.names) == 2
    assert writer.names[0] == name
    study.collection.close()


def test_looking_at_a_lock_blocks_no_other_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal handler can interrupt that thread, and wait for a lock of the one that waits."""
    study = Study(tmp_path / "study")
    study.log(1)
    writer = study.collection._store.backend
    found: list[Any] = []
    is_lost = lease.FolderLease.is_lost

    def look_meanwhile(each: lease.FolderLease) -> bool:
        if threading.current_thread() is threading.main_thread():
            thread = threading.Thread(target=lambda: found.append(writer.look()), daemon=True)
            thread.start()
            thread.join(10)
            assert not thread.is_alive()
        return is_lost(each)

    monkeypatch.setattr(lease.FolderLease, "is_lost", look_meanwhile)
    assert writer.look() is writer.lease
    assert found == [writer.lease]
    monkeypatch.undo()
    study.collection.close()


def test_sealing_waits_for_the_thread_that_changes_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are sealed under the next name, once, and there is no warning."""
    study = Study(tmp_path / "study")
    study.log(3)
    study.lose()
    writer = study.collection._store.backend
    is_looking, may_end = threading.Event(), threading.Event()
    change = writer._change_name

    def slow() -> None:
        is_looking.set()
        assert may_end.wait(10)
        change()

    monkeypatch.setattr(writer, "_change_name", slow)
    monkeypatch.setattr(lease.time, "sleep", lambda _: may_end.set())
    thread = threading.Thread(target=writer.look)
    thread.start()
    assert is_looking.wait(10)
    study.collection.save()
    thread.join()
    assert may_end.is_set()
    assert len(writer.names) == 2
    study.collection.close()
    check(study.folder, [*range(3)])


@pytest.mark.usefixtures("backing")
@pytest.mark.parametrize("dies", [True, False], ids=["dies", "reads"])
def test_segments_that_waited_while_others_sealed_are_there_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies: bool
) -> None:
    """What is left of them is sealed under the writer's next name; all rows keep their order."""
    folder = tmp_path / "study"
    monkeypatch.setattr(backend.FolderBackend, "schedule", lambda *_: None)

    def log() -> None:
        study = Study(folder)
        study.log(600)
        study.collection._store.flush()
        lose_lock(study.collection)
        assert len(opened(folder)) == 600
        study.log(200)
        study.collection._store.flush()
        assert [row["i"] for row in study.collection.records] == list(range(800))
        seal = lease.FolderLease.seal
        names = []

        def seal_and_look(self: Any, table: str, parts: Any) -> bool:
            is_sealed = seal(self, table, parts)
            if table == "records" and is_sealed:
                names.append(self.writer)
                if dies:
                    die()
                assert [row["i"] for row in opened(folder).records] == list(range(800))
            return is_sealed

        monkeypatch.setattr(lease.FolderLease, "seal", seal_and_look)
        study.collection.close()
        assert set(names) == {study.collection._store.backend.writer}

    assert in_a_child(log) == (-signal.SIGKILL if dies else 0)
    check(folder, list(range(800)))


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("is_retry", [False, True])
def test_a_run_that_began_meanwhile_has_an_error_number_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_retry: bool, is_late: bool
) -> None:
    """The number belongs to the later run, as after a crash, if both end without an error.

    Also where the lock is lost just after the first run checked it, and before its end is written.
    """
    folder = tmp_path / "study"
    collection = opened(folder)
    if is_retry:
        collection.start(lr=0.1).fail()
    run = collection.start(lr=0.2)

    def run_again() -> None:
        opened(folder).start(lr=0.3).finish()

    def lose_and_run_again() -> None:
        lose_lock(collection)
        assert in_a_child(run_again) == 0

    set_attributes = collection._store.set_attributes
    waiting = [lose_and_run_again]

    def write_late(*arguments: Any) -> int:
        while waiting:
            waiting.pop()()
        return set_attributes(*arguments)

    if is_late:
        monkeypatch.setattr(collection._store, "set_attributes", write_late)
    else:
        lose_and_run_again()
    run.finish()
    keys = "experiment_number", "error_number", "lr", "had_error"
    found = [tuple(each[key] for key in keys) for each in opened(folder).experiments]
    failed = [(1, 1, 0.1, True)] if is_retry else []
    assert found == [*failed, (1, len(failed) + 1, 0.2, False), (1, 0, 0.3, False)]
    collection.start(lr=0.4).finish()
    assert [each["experiment_number"] for each in collection.experiments][-1] == 2
