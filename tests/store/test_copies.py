"""Copies and hard links of a collection that is being logged: every row is whole, or not there."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import rigorous_recorder._live.table as live_table
from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._store import backend, copying
from rigorous_recorder.errors import (
    ArgumentError,
    DamagedFileWarning,
    IncompleteCopyWarning,
    NotACollectionError,
)

from .folders import files_below, log_many_small_files, opened, reading

ROWS = 4096


@pytest.fixture(params=["mapped", "written behind"])
def backing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways in which rows get into live files."""
    monkeypatch.setattr(backend, "is_safe_to_map", lambda _: request.param == "mapped")


@pytest.fixture
def running(
    folder: Path, monkeypatch: pytest.MonkeyPatch, backing: None
) -> Iterator[tuple[ExperimentCollection, Recorder]]:
    """A collection of which tables are full at 4,096 rows, and the recorder that is logged to."""
    monkeypatch.setattr(live_table, "MOST_ROWS", ROWS)
    collection = ExperimentCollection(folder, quiet=True)
    with collection.new_experiment(name="a run") as experiment:
        yield collection, experiment
    collection.close()


def log(recorder: Recorder, start: int, stop: int) -> None:
    """Records of which each value tells all others."""
    for i in range(start, stop):
        recorder.push(i=i, a=i * 7, text=f"the text of record {i}", d=i * 13)


def wrong(collection: ExperimentCollection) -> list[dict[str, Any]]:
    """Rows that are not as they were logged."""
    return [
        dict(row)
        for row in collection.records
        if row["name"] != "a run"
        or (row["a"], row["text"], row["d"])
        != (row["i"] * 7, f"the text of record {row['i']}", row["i"] * 13)
    ]


def indexes(collection: ExperimentCollection) -> list[int]:
    return [row["i"] for row in collection.records]


def live_records(folder: Path) -> Path:
    """The live file that is just filled."""
    (path,) = folder.glob("live/[!.]*.records.arrow")
    return path


def test_a_file_that_is_copied_in_two_halves_has_rows_of_one_segment(
    running: tuple[ExperimentCollection, Recorder], folder: Path, tmp_path: Path
) -> None:
    """While a slow tool reads it the run goes on for many segments: the copy is of the first."""
    collection, recorder = running
    log(recorder, 0, ROWS - 10)
    collection._store.flush()
    path, copy = live_records(folder), tmp_path / "copy"
    with path.open("rb") as source:
        front = source.read(path.stat().st_size * 6 // 10)
        log(recorder, ROWS - 10, 6 * ROWS + 100)
        collection._store.records._segments.seal()
        log(recorder, 6 * ROWS + 100, 6 * ROWS + 200)
        collection._store.flush()
        back = source.read()
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("records", "*.records.arrow"))
    (copy / "records").mkdir()
    (copy / "live" / path.name).write_bytes(front + back)
    with pytest.warns(IncompleteCopyWarning, match="lacks all records of segments 1 to 6 of"):
        read = opened(copy)
    assert wrong(read) == []
    assert indexes(read) == list(range(ROWS - 10))
    read.close()


def test_a_hard_linked_copy_goes_on_showing_its_rows(
    running: tuple[ExperimentCollection, Recorder], folder: Path, tmp_path: Path
) -> None:
    """What the original logs later is in no file of an earlier segment."""
    collection, recorder = running
    log(recorder, 0, ROWS - 10)
    collection._store.flush()
    subprocess.run(["cp", "-al", folder, tmp_path / "linked"], check=True)
    log(recorder, ROWS - 10, 6 * ROWS + 100)
    collection._store.records._segments.seal()
    log(recorder, 6 * ROWS + 100, 6 * ROWS + 200)
    read = reading(tmp_path / "linked")
    assert wrong(read) == []
    assert indexes(read)[: ROWS - 10] == list(range(ROWS - 10))
    assert len(read) <= ROWS
    read.close()


def test_no_live_file_has_rows_of_two_segments(
    running: tuple[ExperimentCollection, Recorder], folder: Path, tmp_path: Path
) -> None:
    """Whatever a segment ends with: a full table, a new column, a save, rows with ragged lists."""
    collection, recorder = running
    links = tmp_path / "links"
    links.mkdir()

    def link() -> None:
        for path in folder.glob("live/[!.]*.arrow"):
            with suppress(FileNotFoundError, FileExistsError):  # sealed meanwhile; linked before
                os.link(path, links / f"{path.name}.{path.stat().st_ino}")

    ends: list[Callable[[], object]] = [
        lambda: log(recorder, 0, ROWS + 1),
        collection.save,
        lambda: recorder.push(i=0, new=1),
        lambda: recorder.extend(
            {"i": range(5000), "ragged": [[1.0] * (i % 3) for i in range(5000)]}
        ),
        lambda: recorder.push(i=1),
        lambda: recorder.extend(
            {"i": range(5000), "ragged": [[1.0] * (i % 3) for i in range(5000)]}
        ),
    ]
    for end in ends:
        link()
        end()
        link()
    names: dict[int, set[str]] = {}
    for path in links.iterdir():
        name, _, inode = path.name.rpartition(".")
        names.setdefault(int(inode), set()).add(name)
    assert len(names) >= 4
    assert all(len(each) == 1 for each in names.values())


def copied(folder: Path, copy: Path, *, between: Mapping[str, Callable[[], object]]) -> None:
    """Copy a folder place by place, in this order, with something done before each of them."""
    copy.mkdir()
    shutil.copy2(folder / "collection.json", copy)
    for place, action in between.items():
        action()
        shutil.copytree(folder / place, copy / place)


def nothing() -> None:
    """Between two places nothing happens."""


def test_a_segment_that_is_sealed_while_the_folder_is_copied_is_reported(
    running: tuple[ExperimentCollection, Recorder], folder: Path, tmp_path: Path
) -> None:
    """It is neither in records/, which was copied before, nor in live/, from then on each time."""
    collection, recorder = running
    log(recorder, 0, 100)
    collection.save()
    log(recorder, 100, 200)
    copy = tmp_path / "copy"
    copied(folder, copy, between={"nodes": nothing, "records": nothing, "live": collection.save})
    expected = "lacks all records of segment 1 of writer"
    (problem,) = ExperimentCollection.verify_folder(copy, extension="")
    assert expected in problem.reason
    assert problem.path == copy / "records"
    for _ in range(2):
        with pytest.warns(IncompleteCopyWarning, match=expected):
            read = opened(copy)
        assert indexes(read) == list(range(100))
        assert wrong(read) == []
        assert [problem] == read.verify()
        read.close()


@pytest.mark.parametrize("lacking", ["*.segments", "*.lock", "*.json"])
def test_a_gap_is_reported_whatever_else_is_missing(
    running: tuple[ExperimentCollection, Recorder], folder: Path, tmp_path: Path, lacking: str
) -> None:
    """Each of the small files of a writer can be lost, too: the numbers of files have a gap."""
    collection, recorder = running
    log(recorder, 0, 100)
    collection.save()
    copy = tmp_path / "copy"

    def seal_and_go_on() -> None:
        log(recorder, 100, 200)
        collection.save()
        log(recorder, 200, 210)
        collection._store.flush()

    copied(folder, copy, between={"records": nothing, "nodes": seal_and_go_on, "live": nothing})
    for path in (copy / "live").glob(lacking):
        path.unlink()
    with pytest.warns(IncompleteCopyWarning, match="lacks all records of segment 1 of writer"):
        read = opened(copy)
    assert indexes(read) == [*range(100), *range(200, 210)]
    assert wrong(read) == []
    read.close()


def test_a_copy_that_is_complete_by_now_is_not_reported_any_more(
    running: tuple[ExperimentCollection, Recorder], folder: Path, tmp_path: Path
) -> None:
    """As where the same folder is copied again to the same place once the run has ended."""
    collection, recorder = running
    log(recorder, 0, 100)
    collection.save()
    log(recorder, 100, 200)
    copy = tmp_path / "copy"
    copied(folder, copy, between={"nodes": nothing, "records": nothing, "live": collection.save})
    with pytest.warns(IncompleteCopyWarning):
        opened(copy).close()
    collection.save()
    for table in ("records", "nodes"):
        shutil.copytree(folder / table, copy / table, dirs_exist_ok=True)
    for _ in range(2):
        read = opened(copy)
        assert indexes(read) == list(range(200))
        assert not (copy / "incomplete.json").exists()
        read.close()


def test_records_without_their_recorders_are_left_out_and_reported(
    running: tuple[ExperimentCollection, Recorder], folder: Path, tmp_path: Path
) -> None:
    """nodes/ was copied before they were begun: a row without what it inherits is no row."""
    collection, recorder = running
    log(recorder, 0, 50)
    collection.save()
    copy = tmp_path / "copy"

    def begin_another() -> None:
        child = recorder.child(part="late")
        for i in range(50, 80):
            child.child(step=i).push(i=i, a=i * 7, text=f"the text of record {i}", d=i * 13)
        collection._store.records.seal()

    between = {"nodes": nothing, "live": nothing, "records": begin_another}
    copied(folder, copy, between=between)
    expected = "30 records are left out: it lacks all of 30 recorders"
    problems = ExperimentCollection.verify_folder(copy, extension="")
    assert any(expected in each.reason for each in problems)
    for _ in range(2):
        with pytest.warns(IncompleteCopyWarning, match=expected):
            read = opened(copy)
        assert indexes(read) == list(range(50))
        assert wrong(read) == []
        assert len(read.records.to_arrow()) == 50
        assert len(read.records.to_polars(lazy=True).collect()) == 50
        assert read.sql("SELECT count(*) FROM records").fetchall() == [(50,)]
        assert [each for each in read.verify() if expected in each.reason]
        read.close()
    collection.save()
    shutil.copytree(folder / "nodes", copy / "nodes", dirs_exist_ok=True)
    read = opened(copy)
    assert indexes(read) == list(range(80))
    read.close()


def test_a_hard_linked_copy_reports_what_it_lacks_while_the_original_runs_on(
    running: tuple[ExperimentCollection, Recorder], folder: Path, tmp_path: Path
) -> None:
    """Its lock file is the writer's own, so nobody takes the writer for dead, nor seals anything."""
    collection, recorder = running
    log(recorder, 0, 100)
    collection.save()
    log(recorder, 100, 200)
    linked = tmp_path / "linked"
    (linked / "live").mkdir(parents=True)

    def link(place: str) -> None:
        subprocess.run(["cp", "-al", folder / place, linked], check=True)

    link("collection.json")
    link("records")
    collection.save()
    log(recorder, 200, 210)
    collection._store.flush()
    link("nodes")
    link("live")
    child = recorder.child(part="late")
    for i in range(210, 2000):  # so many recorders that the original has another file for them
        child.child(step=i).push(i=i, a=i * 7, text=f"the text of record {i}", d=i * 13)
    collection._store.flush()
    with pytest.warns(IncompleteCopyWarning, match="lacks all records of segment 1 of writer"):
        read = opened(linked)
    found = indexes(read)
    assert wrong(read) == []
    assert found[:110] == [*range(100), *range(200, 210)]
    assert any("segment 1 of writer" in each.reason for each in read.verify())
    original = opened(folder)
    assert indexes(original) == list(range(2000))
    original.close()
    read.close()


def test_a_copy_that_can_not_be_written_reports_and_leaves_out_the_same(
    running: tuple[ExperimentCollection, Recorder],
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is sealed there: live files are read as they are, without orphans."""
    collection, recorder = running
    log(recorder, 0, 50)
    collection.save()
    copy = tmp_path / "copy"

    def begin_another() -> None:
        for i in range(50, 80):
            recorder.child(step=i).push(i=i, a=i * 7, text=f"the text of record {i}", d=i * 13)
        collection._store.flush()

    copied(folder, copy, between={"nodes": nothing, "records": begin_another, "live": nothing})
    for path in (copy / "live").glob("*.nodes.arrow"):
        path.unlink()
    for path in (copy / "live").glob("*.segments"):
        path.unlink()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("rigorous_recorder._store.recover.lock_if_dead", refuse)
    before = files_below(copy)
    for _ in range(2):
        with pytest.warns(IncompleteCopyWarning, match="30 records are left out"):
            read = opened(copy)
        assert indexes(read) == list(range(50))
        assert read.sql("SELECT count(*) FROM records").fetchall() == [(50,)]
        read.close()
    assert files_below(copy) == before


# --- copy_to --------------------------------------------------------------------------------------


def check_copy(path: Path, count: int) -> None:
    """A copy has these records, whole, and is a closed collection that verifies."""
    assert [each.name for each in (path / "live").iterdir()] == []
    assert not list(path.parent.glob(".*.tmp"))
    with opened(path) as read:
        assert read.verify() == []
        assert indexes(read) == list(range(count))
        assert wrong(read) == []
        (experiment,) = read.experiments
        assert experiment["had_error"] is True  # it has not ended there


def test_a_copy_has_all_that_was_logged_when_it_began(
    running: tuple[ExperimentCollection, Recorder], folder: Path, tmp_path: Path
) -> None:
    """Sealed rows and live ones, of this process and of another one; the original goes on."""
    collection, recorder = running
    log(recorder, 0, 100)
    collection.save()
    log(recorder, 100, 200)
    target = collection.copy_to(tmp_path / "backups" / "first")
    assert target == tmp_path / "backups" / "first.collection"
    check_copy(target, 200)
    log(recorder, 200, 200 + ROWS)
    with opened(folder) as other:
        check_copy(other.copy_to(tmp_path / "second", extension=""), 200 + ROWS)
    assert indexes(collection) == list(range(200 + ROWS))


def test_a_copy_can_be_gone_on_with_and_copied_again(
    running: tuple[ExperimentCollection, Recorder], tmp_path: Path
) -> None:
    """It is a collection like any other, of the same id; what is logged there is there alone."""
    collection, recorder = running
    log(recorder, 0, 100)
    with opened(collection.copy_to(tmp_path / "one")) as copy:
        with copy.resume(-1) as attempt:
            log(attempt, 100, 120)
        assert indexes(copy) == list(range(120))
        with opened(copy.copy_to(tmp_path / "two")) as again:
            assert indexes(again) == list(range(120))
    assert indexes(collection) == list(range(100))


def test_a_copy_of_what_was_logged_after_others_had_sealed_the_rest(
    running: tuple[ExperimentCollection, Recorder], folder: Path, tmp_path: Path
) -> None:
    """The rows of one segment that stand in two places are there once."""
    collection, recorder = running
    log(recorder, 0, 100)
    collection._store.flush()
    lock = collection._store.backend.lease.lock
    assert lock is not None
    lock.release()  # as where a lease on a file server ends
    with opened(folder):
        log(recorder, 100, 150)
        collection._store.flush()
        check_copy(collection.copy_to(tmp_path / "copy"), 150)


def test_nothing_is_copied_over_and_no_half_of_a_copy_is_left(
    running: tuple[ExperimentCollection, Recorder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error, as of a full disk, leaves nothing; what is there stays as it is."""
    collection, recorder = running
    log(recorder, 0, 100)
    there = tmp_path / "there.collection"
    there.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ArgumentError, match=r"there\.collection already exists; a copy is a new"):
        collection.copy_to(tmp_path / "there")
    there.unlink()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(copying, "write_sealed", full)
        with pytest.raises(OSError, match="No space left"):
            collection.copy_to(tmp_path / "there")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study.collection"]
    check_copy(collection.copy_to(tmp_path / "there"), 100)


def test_there_is_nothing_to_copy_before_the_first_experiment(tmp_path: Path) -> None:
    with ExperimentCollection(tmp_path / "none") as collection:
        with pytest.raises(NotACollectionError, match="no collection at .* yet: nothing to copy"):
            collection.copy_to(tmp_path / "copy")


def test_files_that_are_merged_while_they_are_copied(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows of a file that is gone are in another one; what was copied before is not in both."""
    log_many_small_files(folder)
    collection = opened(folder)
    seen: list[str] = []

    def copy_and_compact(path: Path, target: Path) -> None:
        seen.append(path.name)
        if len(seen) == 3:
            assert opened(folder).compact() > 0
        shutil.copyfile(path, target)

    monkeypatch.setattr(copying, "_copy", copy_and_compact)
    target = collection.copy_to(tmp_path / "copy")
    assert files_below(target).keys() == {
        path for path in files_below(folder) if path.parts[0] != "live"
    }
    with opened(target) as read:
        assert indexes(read) == list(range(240))
        assert read.verify() == []


def test_a_copy_of_a_damaged_or_incomplete_collection_says_the_same(
    running: tuple[ExperimentCollection, Recorder], folder: Path, tmp_path: Path
) -> None:
    """Damaged files are copied as they are, and what is missing is reported there, too."""
    collection, recorder = running
    log(recorder, 0, 100)
    collection.save()
    log(recorder, 100, 200)
    collection.save()
    copy = tmp_path / "copy"
    copied(folder, copy, between={"nodes": nothing, "records": nothing, "live": nothing})
    one, two = sorted((copy / "records").iterdir())
    one.unlink()
    with pytest.warns(IncompleteCopyWarning, match="lacks all records of segment 0"):
        read = opened(copy)
    two.write_bytes(b"noise")
    read.reload()
    with pytest.warns(DamagedFileWarning):
        target = read.copy_to(tmp_path / "copy_of_copy")
    assert (target / "records" / two.name).read_bytes() == b"noise"
    reasons = [each.reason for each in read.verify()]
    assert [e.reason for e in ExperimentCollection.verify_folder(target)] == reasons
    assert len(reasons) == 2
    with pytest.warns(IncompleteCopyWarning, match="lacks all records of segment 0"):
        opened(target).close()
