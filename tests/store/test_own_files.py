"""A running writer merges its own small files: however often it saves, few are left."""

from __future__ import annotations

import errno
import math
import os
import shutil
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from rigorous_recorder import ExperimentCollection, _durable
from rigorous_recorder._live import split
from rigorous_recorder._live import table as live_table
from rigorous_recorder._store import backend, background, compaction_plan, own_files
from rigorous_recorder._store.compact import Merging
from rigorous_recorder._store.folder import Folder, SealedName, sealed_name
from rigorous_recorder._store.footer import columns_in
from rigorous_recorder._store.locks import locked
from rigorous_recorder._store.own_files import OwnFile, OwnFiles
from rigorous_recorder.errors import DamagedFileWarning, IncompleteCopyWarning

from .folders import Snapshots, before_every_step, flip_in_pages, indexes, opened, reading

Opener = Callable[..., ExperimentCollection]


@pytest.fixture
def in_twos(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files of one size are merged, at once: then the steps have one order."""
    monkeypatch.setattr(own_files, "_FAN", 2)
    monkeypatch.setattr(backend, "schedule", lambda job: job())


def sealed(folder: Path, table: str = "records") -> list[Path]:
    return sorted((folder / table).glob("*.parquet"))


def log_and_save(collection: ExperimentCollection, numbers: range) -> None:
    """Records and attributes, with a save after each."""
    for i in numbers:
        collection.recorder.push({"i": i, f"key {i % 3}": i})
        collection.recorder["late"] = i
        collection.save()


def plainly_read(folder: Path) -> list[int]:
    """The records that other tools find."""
    return sorted(i for path in sealed(folder) for i in pq.read_table(path)["i"].to_pylist())


@pytest.mark.usefixtures("in_twos")
def test_many_saves_leave_few_files(folder: Path, open_collection: Opener) -> None:
    """Both tables have a file for each one in the binary number of saves; all is as it was.

    Readers that began before go on, and other tools find each row once.
    """
    collection = open_collection()
    log_and_save(collection, range(3))
    early = opened(folder)
    rows = iter(early.records)
    seen = [next(rows)["i"]]
    relation = early.sql("SELECT i FROM records ORDER BY i")
    log_and_save(collection, range(3, 13))
    assert [len(sealed(folder, table)) for table in ("records", "nodes")] == [3, 3]
    assert seen + [row["i"] for row in rows] == [0, 1, 2]
    assert [i for (i,) in relation.fetchall()] == [0, 1, 2]
    for reader in (collection, opened(folder)):
        assert indexes(reader) == list(range(13))
        assert [row["late"] for row in reader.records] == [12] * 13
        assert all(row[f"key {row['i'] % 3}"] == row["i"] for row in reader.records)
    assert plainly_read(folder) == list(range(13))
    assert collection.verify() == []
    collection.close()
    assert opened(folder).compact() == 4
    assert indexes(opened(folder)) == list(range(13))


@pytest.mark.usefixtures("in_twos")
def test_a_writer_that_dies_in_a_merge_leaves_each_row_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_collection: Opener
) -> None:
    """Before each step readers have each record once, in order; after recovery other tools do, too."""
    collection = open_collection()
    log_and_save(collection, range(3))
    shots = Snapshots(folder, tmp_path)

    def watched(job: Callable[[], object]) -> None:
        with before_every_step(monkeypatch, shots.take):
            job()

    monkeypatch.setattr(backend, "schedule", watched)
    log_and_save(collection, range(3, 4))
    assert len(sealed(folder)) == len(sealed(folder, "nodes")) == 1
    assert len(shots.copies) > 20
    for copy in shots.copies:
        assert indexes(reading(copy)) == [0, 1, 2, 3]
        again = opened(copy)
        assert [(row["i"], row["late"]) for row in again.records] == [(i, 3) for i in range(4)]
        assert again.verify() == []
        assert plainly_read(copy) == [0, 1, 2, 3]
        assert list(copy.glob("*/.*")) == []


@pytest.mark.usefixtures("in_twos")
def test_an_error_in_a_merge_is_none_of_the_program(
    folder: Path, monkeypatch: pytest.MonkeyPatch, open_collection: Opener
) -> None:
    """Whichever step fails, nothing is raised or lost; a later merge takes in what is left."""
    collection = open_collection()
    left = iter(range(1000))
    failing = 0

    def fail() -> None:
        if next(left) == failing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def watched(job: Callable[[], object]) -> None:
        nonlocal left
        left = iter(range(1000))
        with before_every_step(monkeypatch, fail):
            job()

    monkeypatch.setattr(backend, "schedule", watched)
    for failing in range(8):
        log_and_save(collection, range(2 * failing, 2 * failing + 2))
    assert indexes(collection) == indexes(opened(folder)) == list(range(16))
    assert collection.verify() == []
    failing = -1
    log_and_save(collection, range(16, 18))
    assert plainly_read(folder) == list(range(18))
    assert len(sealed(folder)) < 9
    collection.close()
    opened(folder).compact()
    assert plainly_read(folder) == list(range(18))


@pytest.mark.usefixtures("in_twos")
@pytest.mark.parametrize("why", ["a compaction", "a lost lock"])
def test_only_one_process_merges_the_same_files(
    folder: Path, open_collection: Opener, why: str
) -> None:
    """Nothing is merged beside a compaction, which would wait, nor under a name that was taken."""
    collection = open_collection()
    log_and_save(collection, range(1))
    if why == "a compaction":
        with locked(folder / "live" / "compact.lock"):
            log_and_save(collection, range(1, 3))
            assert len(sealed(folder)) == 3
        log_and_save(collection, range(3, 4))
        assert len(sealed(folder)) == 1
    else:
        lock = collection._store.backend.lease.lock
        assert lock is not None
        lock.replace_file()  # by somebody else
        lock.path.unlink()
        log_and_save(collection, range(1, 4))
        names = [path.name.partition("-")[0] for path in sealed(folder)]
        assert len(set(names)) == 2
    assert indexes(collection) == indexes(opened(folder)) == [0, 1, 2, 3]
    assert plainly_read(folder) == [0, 1, 2, 3]


@pytest.mark.usefixtures("in_twos")
def test_a_damaged_file_is_left_as_it_is(folder: Path, open_collection: Opener) -> None:
    """Nothing is merged across it, and it is not tried again and again."""
    collection = open_collection()
    log_and_save(collection, range(1))
    (damaged,) = sealed(folder)
    flip_in_pages(damaged)
    broken = damaged.read_bytes()
    with pytest.warns(DamagedFileWarning, match=damaged.name):
        log_and_save(collection, range(1, 2))
    log_and_save(collection, range(2, 6))
    assert damaged.read_bytes() == broken
    assert len(sealed(folder)) == 3
    assert len(sealed(folder, "nodes")) == 2


def test_full_tables_are_not_merged(
    folder: Path, open_collection: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only small files are rewritten, and none across a large one."""
    monkeypatch.setattr(live_table, "FIRST_ROWS", 16)
    monkeypatch.setattr(live_table, "MOST_ROWS", 16)
    monkeypatch.setattr(own_files, "_FAN", 2)
    collection = open_collection()
    monkeypatch.setattr(backend, "schedule", lambda job: job())
    rows = iter(range(100))
    for count in (5, 40, 3, 4, 16):
        for _ in range(count):
            collection.recorder.push(i=next(rows))
        collection.save()
    found = [len(pq.read_table(path)) for path in sealed(folder)]
    assert sorted(found) == [5, 15, 16, 16, 16]
    assert indexes(collection) == list(range(68))


@pytest.mark.parametrize("saves", [2_000, 4_095])
def test_the_number_of_files_and_the_work_are_logarithmic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saves: int
) -> None:
    """At most seven files of each size are left, and each row was written once for each size."""
    written: Counter[str] = Counter()

    def merge_paths(_: Merging, paths: list[Path]) -> int:
        assert 8 <= len(paths) <= 15
        first, *_between, last = (name_of(path) for path in paths)
        written["rows"] += last.last - first.first + 1
        written["left"] -= len(paths) - 1
        paths[0].with_name(str(SealedName(first.writer, first.first, last.last))).touch()
        return len(paths) - 1

    def name_of(path: Path) -> SealedName:
        name = sealed_name(path.name)
        assert isinstance(name, SealedName)
        return name

    monkeypatch.setattr(Merging, "merge_paths", merge_paths)
    for place in ("live", "records"):
        (tmp_path / place).mkdir()
    files = OwnFiles(Folder(tmp_path), "records", lambda: True)
    for number in range(saves):
        written["left"] += 1
        if files.add(OwnFile(SealedName("0000000a", number, number), 1, 8)):
            files.merge()
    sizes = math.ceil(math.log(saves, 8))
    assert 0 < written["left"] <= 7 * sizes < 40
    assert written["rows"] <= (sizes - 1) * saves


@pytest.mark.usefixtures("in_twos")
def test_a_copy_by_another_tool_reports_what_was_merged_meanwhile(
    folder: Path, tmp_path: Path, open_collection: Opener
) -> None:
    """A tool that has listed files that are gone when it copies them lacks their records."""
    collection = open_collection()
    log_and_save(collection, range(3))
    listed = sealed(folder)
    log_and_save(collection, range(3, 4))
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, ignore=lambda _path, names: {*names} & {sealed(folder)[0].name})
    assert not any(path.exists() for path in listed)
    with pytest.warns(IncompleteCopyWarning, match="lacks all records of segments 0 to 3"):
        assert indexes(opened(copy)) == []


@pytest.mark.usefixtures("in_twos")
def test_no_file_becomes_too_wide(
    folder: Path, monkeypatch: pytest.MonkeyPatch, open_collection: Opener
) -> None:
    """Of saves that share few keys, those are merged that have no more columns than are enough."""
    monkeypatch.setattr(compaction_plan, "_ENOUGH_COLUMNS", 4)
    collection = open_collection()
    for i in range(8):
        collection.recorder.push({"i": i, f"key {i}": i})
        collection.save()
    assert len(sealed(folder)) == 4
    assert max(pq.read_metadata(path).num_columns for path in sealed(folder)) == 4
    assert indexes(collection) == list(range(8))


@pytest.mark.usefixtures("in_twos")
@pytest.mark.parametrize("shared", [True, False])
def test_no_file_gets_too_many_sparse_keys(
    folder: Path, monkeypatch: pytest.MonkeyPatch, open_collection: Opener, *, shared: bool
) -> None:
    """Neither by merging nor by compaction; keys that files share count once."""
    for constant in ("FEW_DENSE", "MOST_DENSE"):
        monkeypatch.setattr(split, constant, 1)
    monkeypatch.setattr(compaction_plan, "_ENOUGH_KEYS", 8)
    monkeypatch.setattr(live_table, "MOST_KEYS", 32)
    collection = open_collection()
    for i in range(8):
        keys = (0, 1) if shared else (2 * i, 2 * i + 1)
        collection.recorder.push({"i": i, **{f"key {key}": 0.5 for key in keys}})
        collection.save()
    assert len(sealed(folder)) == (1 if shared else 2)
    collection.close()
    opened(folder).compact()
    counts = [len(columns_in(pq.read_schema(path)).sparse) for path in sealed(folder)]
    assert counts == ([2] if shared else [8, 8])
    assert indexes(opened(folder)) == list(range(8))


@pytest.mark.slow
def test_hundreds_of_saves_leave_few_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Merged in the background, while the next are made: nothing waits for it, nor is it late."""
    monkeypatch.setattr(_durable, "sync_file", lambda _: None)
    with ExperimentCollection(folder, quiet=True) as collection:
        for i in range(600):
            collection.recorder.push(i=i)
            collection.save()
        is_done = threading.Event()
        background.schedule(is_done.set)
        assert is_done.wait(60)
        assert len(sealed(folder)) <= 7 * 4
    assert plainly_read(folder) == indexes(opened(folder)) == list(range(600))
