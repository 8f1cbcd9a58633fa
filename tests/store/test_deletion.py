"""Deletion: gone from every answer at once, from disk at the next compaction, and nothing else goes."""

from __future__ import annotations

import math
import os
import shutil
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._engines.source import Source
from rigorous_recorder._recorder import recorder_at
from rigorous_recorder._store.folder import Folder, MergedName
from rigorous_recorder._store.footer import metadata_of
from rigorous_recorder._store.node_ids import DELETED, ROOT
from rigorous_recorder._store.sealed_files import SealedFiles
from rigorous_recorder._store.store import FolderStore
from rigorous_recorder._tree import nodes as resolved_nodes
from rigorous_recorder.errors import (
    ArgumentError,
    DamagedFileWarning,
    DeletedError,
    RunningError,
    SaveError,
)

from .folders import (
    Snapshots,
    before_every_step,
    copy_live,
    done_or_dead,
    empty,
    indexes,
    log_as_writers,
    opened,
    reading,
)

pytestmark = pytest.mark.filterwarnings("ignore::rigorous_recorder.errors.MixedKindsWarning")

Row = dict[str, Any]
Opener = Callable[..., ExperimentCollection]

#: What only the experiment that is deleted has: under keys of its own and under those of others.
SECRET = "a secret of the deleted experiment"


def log_experiment(collection: ExperimentCollection, number: int) -> None:
    """Two models of six records, and one record of the experiment itself; of number 2 all is secret."""
    said = {"lr": number / 10, "name": f"name {number}"}
    if number == 2:
        said |= {"name": SECRET, "only said": SECRET}
    with collection.new_experiment(said) as experiment:
        assert experiment["experiment_number"] == number
        experiment.push(i=100 * number, text=SECRET if number == 2 else "text")
        for model in range(2):
            child = experiment.child(model=model, kind=SECRET if number == 2 else 1)
            for step in range(6):
                row = {
                    "i": 100 * number + 10 * model + step + 1,
                    "x": float(step),
                    "y": float(step),
                }
                child.push(row | ({"only logged": SECRET, "x": SECRET} if number == 2 else {}))
            child["score"] = 10**9 + 7 if number == 2 else 0.5


def log_study(folder: Path, way: str, numbers: int = 3) -> None:
    """Experiments, of one writer or of several, and in files as they are at first or merged."""
    if way == "of one writer":
        with opened(folder) as collection:
            for number in range(1, numbers + 1):
                log_experiment(collection, number)
        return
    for number in range(1, numbers + 1):
        with opened(folder) as collection:
            log_experiment(collection, number)
    if way == "merged":
        opened(folder).compact()


WAYS = ["of one writer", "of several writers", "merged"]
#: Those ways first that differ most.
SOME_WAYS = [*(pytest.param(way, marks=pytest.mark.slow) for way in WAYS[:2]), WAYS[2]]


def rows_of(collection: ExperimentCollection) -> list[Row]:
    return [dict(row) for row in collection.records]


def without(rows: list[Row], *numbers: int) -> list[Row]:
    return [row for row in rows if row["experiment_number"] not in numbers]


def check_answers(collection: ExperimentCollection, rows: list[Row]) -> None:
    """Every way of asking has just these rows, and what is known of the experiments they are of."""
    records, keys = collection.records, {key for row in rows for key in row}
    numbers = sorted({row["experiment_number"] for row in rows})
    assert rows_of(collection) == rows
    assert (len(collection), len(records), len(records[:])) == (len(rows),) * 3
    assert [dict(records[at]) for at in (0, -1)] == [rows[0], rows[-1]] if rows else True
    assert [dict(row) for row in records[3:20:4]] == rows[3:20:4]
    assert {flat.key for flat in records._scan().flats.values()} == keys
    check_tables(collection, rows)
    assert list(collection.experiment_numbers) == numbers
    assert [row["experiment_number"] for row in collection.experiments] == numbers
    counted = Counter(row["experiment_number"] for row in rows)
    assert {e.experiment_number: e.records for e in collection.overview()} == counted
    assert all(e.keys for e in collection.overview())
    assert {key for e in collection.overview() for key in e.keys} <= keys
    for number in numbers:
        own = [row for row in rows if row["experiment_number"] == number]
        assert [dict(row) for row in collection[number]] == own
    tree = collection.tree()
    assert tree.all_records == len(rows)
    assert [each.data["experiment_number"] for each in tree.children] == numbers
    shown = [str(records), records._repr_html_(), str(tree), repr(collection.experiments)]
    assert not any(SECRET in text for text in shown) or any(SECRET in row.values() for row in rows)
    assert repr(collection).split(": ")[1].startswith(f"{len(numbers)} experiment")
    assert [dict(row) for row in records.follow(stop=_is_set())] == rows


def check_tables(collection: ExperimentCollection, rows: list[Row]) -> None:
    records, count = collection.records, len(rows)
    steps = sorted(row["i"] for row in rows)
    table = records.to_arrow()
    assert table.column_names == list(records.columns)
    assert table.num_rows == count
    lazy = records.to_polars(lazy=True)
    assert lazy.collect().height == count
    if not rows:
        return
    assert sorted(table["i"].to_pylist()) == steps
    assert table["lr"].to_pylist() == [row["lr"] for row in rows]
    assert sorted(lazy.select("i").collect()["i"].to_list()) == steps
    assert lazy.select("lr").collect().height == count
    assert records.to_pandas().shape == (count, len(records.columns))
    for query, answer in {
        "SELECT count(*) FROM records": [(count,)],
        "SELECT count(*), sum(i), max(i) FROM records": [(count, sum(steps), max(steps))],
        "SELECT count(*) FROM records WHERE lr > 0": [(count,)],
        "SELECT count(*) FROM records WHERE name IS NULL": [(0,)],
        "SELECT sum(y) FROM records WHERE lr > 0.25": [
            (math.fsum(row.get("y", 0) for row in rows if row["lr"] > 0.25) or None,)
        ],
    }.items():
        assert collection.sql(query).fetchall() == answer, query
    numbers = sorted({row["experiment_number"] for row in rows})
    found = collection.sql("SELECT experiment_number FROM experiments ORDER BY ALL").fetchall()
    assert found == [(number,) for number in numbers]
    nodes = collection.sql("FROM nodes WHERE _node <> 1")
    assert len(nodes.fetchall()) == 3 * len(numbers)
    for value in {row["lr"] for row in rows}:
        own = [row for row in rows if row["lr"] == value]
        assert len(records.where(lr=value)) == len(own)
        assert len(records.where(lr=value, i=own[0]["i"])) == 1
    assert len(records.where(name=SECRET)) == sum(row["name"] == SECRET for row in rows)


def _is_set() -> Event:
    event = Event()
    event.set()
    return event


# --- answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_a_deleted_experiment_is_in_no_answer(folder: Path, way: str) -> None:
    """Of no engine, in no process, at once; when it was compacted away just as before."""
    log_study(folder, way)
    collection, other = opened(folder), reading(folder)
    rows = rows_of(other)
    assert len(rows) == len(other) == 39
    assert collection.delete(2) == 13
    kept = without(rows, 2)
    assert "only said" not in {key for row in kept for key in row}
    for reader in (collection, other):
        check_answers(reader, kept)
    collection.close()
    assert rows_of(other) == kept
    opened(folder).compact()
    for reader in (other, reading(folder)):
        check_answers(reader, kept)
    assert other.verify() == []


def test_the_runs_after_the_last_that_is_left_are_in_no_group(folder: Path) -> None:
    """SQL groups contiguous recorders and one more id, which is that of none, deleted ones included."""
    with ExperimentCollection(folder, quiet=True) as collection:
        for number in range(1, 6):
            with collection.new_experiment(lr=number) as experiment:
                experiment.push(loss=1.0)
        for last in (5, 4, 3, 2):
            collection.delete(last)
            groups = collection.records.sql(
                "SELECT lr, count(*) FROM records GROUP BY lr ORDER BY lr"
            )
            assert groups.fetchall() == [(number, 1) for number in range(1, last)]


def test_live_records_are_deleted(folder: Path, open_collection: Opener) -> None:
    """Also records of a process that still runs, which no file has yet."""
    collection = open_collection()
    for number in (1, 2, 3):
        log_experiment(collection, number)
    rows, other = rows_of(collection), reading(folder)
    assert collection.delete(-2) == 13
    for reader in (collection, other):
        check_answers(reader, without(rows, 2))
    collection.save()
    for reader in (collection, other):
        check_answers(reader, without(rows, 2))


def test_several_and_all_experiments_are_deleted(folder: Path) -> None:
    """One call deletes many, and twice the same once; what is left is nothing, and still a study."""
    log_study(folder, "of several writers", 4)
    rows = rows_of(opened(folder))
    with opened(folder) as collection:
        assert collection.delete(3, 2, -2) == 26
        check_answers(collection, without(rows, 2, 3))
        assert collection.delete() == 0
        assert collection.delete(*collection.experiment_numbers) == 26
        check_answers(collection, [])
    opened(folder).compact()
    check_answers(reading(folder), [])
    with opened(folder) as collection:
        log_experiment(collection, 5)
        check_answers(collection, rows_of(collection))
        assert len(collection) == 13


def test_all_runs_of_a_number_go(folder: Path) -> None:
    """A number that failed before it was finished is gone with each of its runs."""
    with opened(folder) as collection:
        for _ in range(3):
            with pytest.raises(ZeroDivisionError), collection.new_experiment() as experiment:
                experiment.push(i=1)
                raise ZeroDivisionError
        assert len(collection.experiments) == 3
        assert collection.delete(1, all_runs=True) == 3
        assert (len(collection), collection.experiments) == (0, [])


@pytest.mark.parametrize("is_compacted", [False, True])
@pytest.mark.parametrize("has_failed", [False, True])
def test_a_deleted_number_is_not_given_again(
    folder: Path, is_compacted: bool, has_failed: bool
) -> None:
    """Neither that of the last experiment nor that of a failed one; a failed one before it counts."""
    with opened(folder) as collection:
        log_experiment(collection, 1)
        if has_failed:
            with pytest.raises(ZeroDivisionError), collection.new_experiment():
                raise ZeroDivisionError
        else:
            log_experiment(collection, 2)
        collection.delete(2)
    if is_compacted:
        opened(folder).compact()
        opened(folder).compact()
    with opened(folder) as collection, collection.new_experiment() as experiment:
        assert (experiment["experiment_number"], experiment["error_number"]) == (3, 1)
        assert collection.experiment_numbers == (1, 3)


def test_a_deleted_number_below_the_last_changes_no_count(folder: Path) -> None:
    """A failed last experiment is tried again under its number, whatever was deleted before it."""
    with opened(folder) as collection:
        log_experiment(collection, 1)
        with pytest.raises(ZeroDivisionError), collection.new_experiment():
            raise ZeroDivisionError
        collection.delete(1)
        with collection.new_experiment() as experiment:
            assert (experiment["experiment_number"], experiment["error_number"]) == (2, 2)


def test_what_cant_be_deleted_is_reported(folder: Path, open_collection: Opener) -> None:
    """An unknown number and one that still runs; then nothing is deleted."""
    collection = open_collection()
    with pytest.raises(KeyError, match="no experiment 1"):
        collection.delete(1)
    log_experiment(collection, 1)
    for number in (2, -2, "1", None):
        with pytest.raises(KeyError, match="experiment"):
            collection.delete(1, number)  # type: ignore[arg-type]
    with collection.new_experiment() as experiment:
        experiment.push(i=1)
        for each in (collection, reading(folder)):
            with pytest.raises(RunningError, match="experiment 2 still runs"):
                each.delete(1, 2)
        assert len(collection) == 14
    assert collection.delete(2) == 1
    with pytest.raises(KeyError, match="no experiment 2"):
        collection.delete(2)


def test_an_experiment_of_a_dead_process_is_deleted(folder: Path, tmp_path: Path) -> None:
    """It has not ended, and does not run."""
    copy = tmp_path / "copy.collection"
    with opened(folder) as collection, collection.new_experiment() as experiment:
        experiment.push(i=1)
        copy_live(folder, copy)
    with opened(copy) as collection:
        assert collection.delete(1) == 1
        check_answers(collection, [])
    assert opened(copy).compact() >= 0
    assert len(reading(copy)) == 0


def test_a_deletion_that_cant_be_written_is_reported(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call raises an error; this process knows it all the same, and writes it once that works again."""
    log_study(folder, "of one writer", 2)
    collection = opened(folder)
    rows = rows_of(collection)

    def full(*_: object, **__: object) -> None:
        message = "No space left on device"
        raise OSError(28, message)

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.warns(UserWarning, match="No space left"), pytest.raises(SaveError):
            collection.delete(2)
    assert rows_of(collection) == without(rows, 2)
    assert rows_of(reading(folder)) == rows
    collection.save()
    assert rows_of(reading(folder)) == without(rows, 2)
    collection.close()


def test_recorders_that_were_deleted_have_no_records(folder: Path, tmp_path: Path) -> None:
    """What is at hand of them is empty, takes more, and none of it is in any answer."""
    with opened(folder) as collection:
        log_experiment(collection, 1)
        with collection.new_experiment(a=1) as experiment:
            child = experiment.child(b=1).push(i=1)
            experiment.push(i=2)
        collection.delete(2)
        for recorder in (experiment, child):
            for records in (recorder.records, recorder.all_records):
                assert (len(records), list(records), records.columns) == (0, [], ())
                assert records.to_arrow().num_rows == 0
                assert records.sql("SELECT count(*) FROM records").fetchall() == [(0,)]
                assert records.where(i=1).to_polars().height == 0
                assert "0 rows, 0 columns" in repr(records)
            assert (recorder.tree().all_records, recorder.children) == (0, [])
            recorder.push(i=3)
            recorder["c"] = 1
            recorder.child(d=1).push(i=4)
            Recorder(e=1).push(i=5).set_parent(recorder)
            recorder.save_to(tmp_path / "file.pickle")
            assert len(Recorder.load_from(tmp_path / "file.pickle").all_records) == 0
            assert (len(recorder.all_records), len(collection)) == (0, 13)
        assert not {"a", "b", "c", "d", "e"} & set(collection.records.columns)


@pytest.mark.parametrize("way", SOME_WAYS)
def test_what_another_process_logs_below_is_in_no_answer(folder: Path, way: str) -> None:
    """It is disturbed by nothing, neither by the deletion nor by compactions; in the end all is gone."""
    log_study(folder, way)
    rows = rows_of(reading(folder))
    (experiment,) = [
        each for each in opened(folder).recorder.children if each["experiment_number"] == 2
    ]
    other = FolderStore(folder)  # as a process has it that was handed the recorder
    child = recorder_at(other, experiment.children[0]._node)
    before = child.child(before=SECRET).push(i=0, secret=SECRET)
    with opened(folder) as collection:
        assert collection.delete(2) == 14
    for _ in range(2):
        for each in (child, before):
            each.push(i=1, secret=SECRET)
            each["late"] = SECRET
            each.child(after=SECRET).push(i=2, secret=SECRET).child(deep=1).push(i=3)
        for reader in (opened(folder), reading(folder)):
            check_left(reader, without(rows, 2))
        opened(folder).compact()
    check_answers(reading(folder), without(rows, 2))
    other.close()
    for _ in range(2):
        check_left(reading(folder), without(rows, 2))
        opened(folder).compact()
    assert SECRET.encode() not in all_bytes(folder)


@pytest.mark.parametrize("by_another", [False, True])
@pytest.mark.parametrize("way", SOME_WAYS)
def test_what_was_deleted_does_not_come_back_by_another_parent(
    folder: Path, way: str, by_another: bool
) -> None:
    """Neither the experiment nor what is below it can be moved, before and after a compaction."""
    log_study(folder, way)
    rows = rows_of(reading(folder))
    collection = opened(folder)
    top = collection.recorder
    other, gone = (each for each in top.children if each["experiment_number"] != 3)
    kid, kept = gone.children[0], other.children[0]
    with opened(folder) as another:
        assert (another if by_another else collection).delete(2) == 13
    for _ in range(2):
        for recorder, parent in ((kid, other), (gone, top), (kid, top), (gone, other)):
            with pytest.raises(ArgumentError, match="was deleted"):
                recorder.set_parent(parent)
        for reader in (collection, reading(folder)):
            check_answers(reader, without(rows, 2))
        opened(folder).compact()
    assert kept.set_parent(top).parent is top  # what was not deleted moves as ever
    assert kept in top.children
    collection.close()


@pytest.mark.parametrize("is_compacted", [False, True])
def test_a_parent_that_is_set_just_after_a_deletion_undoes_nothing(
    folder: Path, is_compacted: bool
) -> None:
    """Two processes may do both at once: what was deleted stays so, whatever comes last."""
    log_study(folder, "of several writers")
    rows = rows_of(reading(folder))
    store = FolderStore(folder)
    (gone,) = (
        each._node for each in reading(folder).recorder.children if each["experiment_number"] == 2
    )
    with opened(folder) as collection:
        collection.delete(2)
    if is_compacted:
        opened(folder).compact()
    store.set_attributes(gone, {}, ROOT)
    check_answers(reading(folder), without(rows, 2))
    store.close()
    opened(folder).compact()
    check_answers(reading(folder), without(rows, 2))


def test_records_of_lost_nodes_are_shown_as_ever(folder: Path) -> None:
    """A record is left out because its node was deleted, not because nobody knows its node."""
    log_as_writers(folder, range(2))
    log_study(folder, "of one writer", 2)
    with opened(folder) as collection:
        collection.delete(2)
    damaged = min((folder / "nodes").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    empty(damaged)
    with pytest.warns(DamagedFileWarning, match=damaged.name):
        collection = opened(folder)
        rows = rows_of(collection)
    assert [row["i"] for row in rows[:2]] == [0, 1]
    assert [row.get("name") for row in rows[:3]] == [None, "w1", "name 1"]
    assert len(rows) == len(collection) == 15
    assert collection.sql("SELECT count(*), count(i) FROM records").fetchall() == [(15, 15)]
    assert collection.sql("SELECT count(*) FROM records WHERE name IS NULL").fetchall() == [(1,)]
    assert collection.records.to_polars(lazy=True).collect().height == 15


def test_nothing_is_read_of_nodes_where_nothing_was_deleted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many records there are is known from the footers alone."""
    log_study(folder, "of several writers")
    monkeypatch.setattr(resolved_nodes, "stored_tables", None)
    assert len(opened(folder)) == 39


def test_only_groups_with_deleted_records_are_read_to_count(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a footer says that a file has none of the deleted nodes, no row of it is looked at."""
    log_study(folder, "of several writers")
    with opened(folder) as collection:
        collection.delete(2)
    reader = reading(folder)
    files = reader._store.reader.snapshot().records
    read: list[Path] = []
    original = type(files[0])._read  # type: ignore[attr-defined]

    def _read(self: Any, group: int, names: list[str]) -> Any:
        if self.path.parent.name == "records":
            read.append(self.path)
        return original(self, group, names)

    monkeypatch.setattr(type(files[0]), "_read", _read)
    assert len(reader) == 26
    assert reader.records.columns[-1] == "y"
    assert set(read) == {files[1].path}  # type: ignore[attr-defined]


def test_a_column_has_the_kind_of_what_is_left(folder: Path) -> None:
    """The text of a deleted experiment has no column any more."""
    log_study(folder, "of one writer")
    with opened(folder) as collection:
        assert str(collection.records.to_arrow().schema.field("x").type) == "double"
        assert "x:str" in collection.records.columns
        collection.delete(2)
        for column in ("x", "score"):
            assert str(collection.records.to_arrow().schema.field(column).type) == "double"
        assert str(collection.records.to_arrow().schema.field("kind").type) == "int64"
        assert not any(":" in name for name in collection.records.columns)


def test_keys_with_the_names_of_the_librarys_own_columns(folder: Path) -> None:
    """A user's keys ``_deleted`` and ``_parent`` are keys as any other."""
    own = {"_deleted": True, "_parent": 2, "_node": 2}
    with opened(folder) as collection:
        with collection.new_experiment(own) as experiment:
            experiment.push(own)
        with collection.new_experiment(own) as experiment:
            experiment.push({"_deleted": False})
        assert [row["_deleted"] for row in collection.records] == [True, False]
        collection.delete(2)
        assert [row["_deleted"] for row in collection.records] == [True]
    opened(folder).compact()
    (row,) = opened(folder).records
    assert {key: row[key] for key in own} == own


def test_a_tree_in_memory_has_no_reserved_node() -> None:
    """Recorders without a collection have none of the numbers that mean something in every store."""
    top = Recorder(a=1).push(i=0)
    middle = top.child(b=1).push(i=1)
    middle.child(c=1).push(i=2)
    assert {ROOT, DELETED}.isdisjoint({top._node, middle._node})
    assert [row["i"] for row in top.all_records] == [0, 1, 2]


# --- disk -----------------------------------------------------------------------------------------


def all_bytes(folder: Path) -> bytes:
    """The bytes of all files, and all that is in Parquet files, statistics included, as text."""
    found = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    for path in folder.glob("*/*.parquet"):
        footer = pq.read_metadata(path)
        groups = [footer.row_group(group).to_dict() for group in range(footer.num_row_groups)]
        found.append(repr((pq.read_table(path).to_pylist(), groups, pq.read_schema(path))).encode())
    return b"\n".join(found)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_of_it_is_in_any_file_after_a_compaction(folder: Path, way: str) -> None:
    """No value, no name of a key that only it had, no statistics of it; the next time nothing changes."""
    log_study(folder, way)
    assert SECRET.encode() in all_bytes(folder)
    with opened(folder) as collection:
        collection.delete(2)
    assert SECRET.encode() in all_bytes(folder)
    opened(folder).compact()
    found = all_bytes(folder)
    for secret in (SECRET, "only logged", "only said", str(10**9 + 7)):
        assert secret.encode() not in found, secret
    assert sum(pq.read_metadata(path).num_rows for path in folder.glob("records/*")) == 26
    before = {path: path.read_bytes() for path in folder.glob("*/*.parquet")}
    assert opened(folder).compact() == 0
    assert {path: path.read_bytes() for path in folder.glob("*/*.parquet")} == before


def test_records_of_a_running_writer_go_once_it_has_finished(folder: Path) -> None:
    """A compaction leaves its files alone."""
    collection = opened(folder)
    for number in (1, 2):
        log_experiment(collection, number)
    collection.save()
    rows = rows_of(collection)
    files = sorted(folder.glob("records/*"))
    collection.delete(2)
    collection.compact()
    assert sorted(folder.glob("records/*")) == files
    check_answers(collection, without(rows, 2))
    collection.close()
    opened(folder).compact()
    assert SECRET.encode() not in all_bytes(folder)
    check_answers(opened(folder), without(rows, 2))


@pytest.mark.usefixtures("small_tables")
def test_a_file_of_which_nothing_is_left_keeps_its_segments(folder: Path, tmp_path: Path) -> None:
    """It has no rows; a live file that is sealed in it still does not count, nor do others suffer."""
    live = tmp_path / "live"
    with opened(folder) as collection:
        log_experiment(collection, 1)
        with collection.new_experiment() as experiment:
            experiment.push(i=1)
            shutil.copytree(folder / "live", live)
    with opened(folder) as collection:
        collection.delete(1, 2)
    opened(folder).compact()
    (path,) = folder.glob("records/*")
    assert pq.read_metadata(path).num_row_groups == 0
    said = metadata_of(pq.read_schema(path))
    assert [segment[1] for segment in said["segments"]] == [0] * len(said["segments"])
    assert sum(segment[2] for segment in said["segments"]) == 14
    shutil.copytree(live, folder / "live", dirs_exist_ok=True)
    for reader in (reading(folder), opened(folder)):
        check_answers(reader, [])
        assert reader.verify() == []
    with opened(folder) as collection:
        log_experiment(collection, 3)
    rows = rows_of(opened(folder))
    assert len(rows) == 13
    opened(folder).compact()
    assert len(list(folder.glob("records/*"))) == 1
    check_answers(opened(folder), rows)


@pytest.mark.parametrize("way", SOME_WAYS)
def test_one_experiment_after_the_other_is_deleted_and_compacted(folder: Path, way: str) -> None:
    """Files that were rewritten are rewritten again, and merged with those of others."""
    log_study(folder, way, 4)
    rows = rows_of(opened(folder))
    for number in (2, 4, 1, 3):
        with opened(folder) as collection:
            collection.delete(number)
            rows = without(rows, number)
        opened(folder).compact()
        check_answers(reading(folder), rows)
        assert opened(folder).verify() == []
    with opened(folder) as collection:
        log_experiment(collection, 5)
    opened(folder).compact()
    assert len(opened(folder)) == 13


def test_a_damaged_file_keeps_its_deleted_records_and_none_comes_back(folder: Path) -> None:
    """What can't be read to its end is not rewritten; once it is sound again it is."""
    log_study(folder, "of several writers")
    rows = rows_of(opened(folder))
    with opened(folder) as collection:
        collection.delete(2)
    damaged = next(p for p in folder.glob("records/*") if 200 in pq.read_table(p)["i"].to_pylist())
    sound = damaged.read_bytes()
    empty(damaged)
    with pytest.warns(DamagedFileWarning, match=damaged.name):
        opened(folder).compact()
    with pytest.warns(DamagedFileWarning, match=damaged.name):
        assert rows_of(opened(folder)) == without(rows, 2)
    damaged.write_bytes(sound)
    check_answers(opened(folder), without(rows, 2))
    opened(folder).compact()
    assert SECRET.encode() not in all_bytes(folder)
    check_answers(opened(folder), without(rows, 2))


# --- interruptions --------------------------------------------------------------------------------


def deleted_study(folder: Path, way: str) -> list[Row]:
    """A study of which experiment 2 is deleted and nothing compacted; the rows that are left."""
    log_study(folder, way)
    with opened(folder) as collection:
        collection.delete(2)
        return rows_of(collection)


def check_left(reader: ExperimentCollection, rows: list[Row]) -> None:
    """In short: just these rows are there, of experiments 1 and 3."""
    assert rows_of(reader) == rows
    assert len(reader) == len(rows)
    assert reader.experiment_numbers == (1, 3)
    assert "only said" not in reader.records.columns


@pytest.mark.parametrize("way", WAYS)
def test_an_interrupted_compaction_brings_nothing_back(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Before each of its steps the folder has the others' records once, and the deleted ones not."""
    rows = deleted_study(folder, way)
    shots = Snapshots(folder, tmp_path)
    with before_every_step(monkeypatch, shots.take):
        opened(folder).compact()
    assert len(shots.copies) > 7
    for copy in shots.copies:
        for reader in (reading(copy), opened(copy)):
            check_left(reader, rows)
        opened(copy).compact()
        check_left(reading(copy), rows)
        assert SECRET.encode() not in all_bytes(copy)


def open_and_compact(folder: Path) -> None:
    opened(folder).compact()


@pytest.mark.parametrize(
    "way",
    [
        "of several writers",
        *(pytest.param(way, marks=pytest.mark.slow) for way in ("of one writer", "merged")),
    ],
)
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_deleting_compaction_can_die_at_any_step_and_be_done_again(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """However far it got, no other record is lost or doubled, none comes back, and the next ends it."""
    rows = deleted_study(folder, way)
    is_done, allowed = False, 0
    while not is_done:
        copy = tmp_path / f"{allowed}.collection"
        copy_live(folder, copy)
        is_done = done_or_dead(partial(open_and_compact, copy), allowed, monkeypatch)
        check_left(reading(copy), rows)
        check_left(opened(copy), rows)
        opened(copy).compact()
        check_left(reading(copy), rows)
        assert SECRET.encode() not in all_bytes(copy)
        assert list(copy.glob("*/.*")) == []
        assert len(list(copy.glob("*/*.parquet"))) == 2
        allowed += 1
    assert allowed > 7


def delete_two(folder: Path) -> None:
    with opened(folder) as collection:
        collection.delete(2)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_deletion_that_dies_is_made_or_not(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At whatever step its process dies: all of the experiment is there, or nothing of it."""
    log_study(folder, "of several writers")
    rows = rows_of(opened(folder))
    found: Counter[int] = Counter()
    is_done = False
    while not is_done:
        copy = tmp_path / f"{found.total()}.collection"
        copy_live(folder, copy)
        is_done = done_or_dead(partial(delete_two, copy), found.total(), monkeypatch)
        left = rows_of(opened(copy))
        assert left in (rows, without(rows, 2))
        assert left == rows_of(reading(copy))
        found[len(left)] += 1
    assert set(found) == {26, 39}


def test_of_a_file_and_the_same_without_deleted_records_the_latter_counts(
    folder: Path, tmp_path: Path
) -> None:
    """However often it was written anew: what is left of all these counts once, by names and footers."""
    log_study(folder, "of one writer", 4)
    everything = tmp_path / "everything.collection"
    shutil.copytree(folder, everything)
    rows = rows_of(opened(folder))
    for number in (1, 2, 3):
        with opened(folder) as collection:
            collection.delete(number)
        opened(folder).compact()
        shutil.copytree(folder, everything, dirs_exist_ok=True)
        rows = without(rows, number)
    assert len(list(everything.glob("records/*"))) == 4
    listing = SealedFiles(Folder(everything), "records").listing()
    assert {str(name) for name in listing.files} == {p.name for p in folder.glob("records/*")}
    assert all(isinstance(name, MergedName) for name in listing.files)
    check_answers(reading(everything), rows)
    opened(everything).compact()
    assert len(list(everything.glob("*/*.parquet"))) == 2
    check_answers(reading(everything), rows)


@pytest.mark.usefixtures("small_tables")
def test_a_rewritten_file_that_was_merged_with_others_of_its_writer_does_not_count(
    folder: Path, tmp_path: Path
) -> None:
    """Also where the file that has its rows now is named as one writer's."""
    with opened(folder) as collection:
        for number in (1, 2, 3):
            log_experiment(collection, number)
    files = sorted(folder.glob("records/*"), key=lambda path: int(path.stem.split("-")[1]))
    assert len(files) > 2
    everything = tmp_path / "everything.collection"
    for path in files[1:]:
        path.rename(tmp_path / path.name)
    with opened(folder) as collection:
        collection.delete(1)
    opened(folder).compact()
    (rewritten,) = folder.glob("records/merged-*")
    for path in files[1:]:
        (tmp_path / path.name).rename(path)
    shutil.copytree(folder, everything)
    opened(folder).compact()
    shutil.copytree(folder, everything, dirs_exist_ok=True)
    rows = rows_of(opened(folder))
    assert [row["i"] for row in rows][:1] == [200]
    assert len(rows) == 26
    (path,) = folder.glob("records/*")
    assert not path.name.startswith("merged-")
    assert {path.name, rewritten.name} < {each.name for each in everything.glob("records/*")}
    check_answers(reading(everything), rows)


# --- at the same time -----------------------------------------------------------------------------


@pytest.mark.parametrize("way", SOME_WAYS)
@pytest.mark.parametrize(
    "number", [1, *(pytest.param(each, marks=pytest.mark.slow) for each in (2, 3))]
)
def test_a_reader_never_gets_wrong_rows_while_others_are_compacted_away(
    folder: Path, way: str, number: int
) -> None:
    """An iteration that began before a deletion has its rows, or is warned; a new one has what is left."""
    log_study(folder, way)
    rows = rows_of(opened(folder))
    for is_deleted_first in (False, True):
        copy = folder.with_name(f"{is_deleted_first}.collection")
        copy_live(folder, copy)
        reader, fresh = reading(copy), reading(copy)
        if not is_deleted_first:
            scan, expected = reader.records._scan(), rows
        with opened(copy) as collection:
            collection.delete(number)
        if is_deleted_first:
            scan, expected = reader.records._scan(), without(rows, number)
        before = [row["i"] for row in expected]
        opened(copy).compact()
        found: list[Any] = []
        try:
            for piece in scan.pieces(["i"]):
                found += piece.flat([scan.flats["i"]])[0].to_pylist()
        except DeletedError as error:
            assert "Read again" in str(error)
            assert before[: len(found)] == found
        else:
            assert found == before
        check_answers(fresh, without(rows, number))
        check_answers(reader, without(rows, number))


def test_readers_see_whole_experiments_while_others_are_deleted_and_compacted(folder: Path) -> None:
    """A thread that reads all the time sees none in part, none after its deletion, or is warned."""
    log_study(folder, "of several writers")
    going, deleted = set[int](), set[int]()
    finished = {1, 2, 3}
    is_over = Event()
    looks: Counter[str] = Counter()
    errors: list[BaseException] = []

    def read() -> None:
        try:
            reader = opened(folder)
            while not is_over.is_set():
                whole, gone = finished.copy(), deleted.copy()
                try:
                    found = Counter(row["experiment_number"] for row in reader.records)
                except DeletedError:
                    looks["told"] += 1
                    continue
                assert {found[number] for number in whole & found.keys()} == {13}
                assert whole - going <= found.keys()
                assert not gone & found.keys()
                looks["seen"] += 1
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for number in range(2, 12):
            with opened(folder) as collection:
                going.add(number)
                collection.delete(number)
                deleted.add(number)
            opened(folder).compact()
            with opened(folder) as collection:
                log_experiment(collection, number + 2)
            finished.add(number + 2)
    finally:
        is_over.set()
        thread.join()
    assert errors == []
    assert looks["seen"]


@pytest.mark.usefixtures("small_tables")
def test_rows_whose_segments_lost_nothing_are_read_to_the_end(folder: Path) -> None:
    """A reader in the middle of others' files goes on in the file that they were merged into."""
    log_study(folder, "of several writers")
    rows = rows_of(opened(folder))
    reader = reading(folder)
    scan = reader.records._scan()
    files = [fragment.path.name for fragment in scan.fragments]  # type: ignore[attr-defined]
    flats = [scan.flats["i"]]
    assert scan.flat_kind("i").name == "int"
    with opened(folder) as collection:
        collection.delete(1)
    opened(folder).compact()
    assert not {path.name for path in folder.glob("records/*")} & set(files)
    found, lost = [], 0
    for group in scan.groups:
        try:
            pieces = scan.read(group, scan.columns_for(["i"]))
        except DeletedError:
            lost += 1
            continue
        found += [i for piece in pieces for i in piece.flat(flats)[0].to_pylist()]
    assert lost == 1
    assert found == [row["i"] for row in without(rows, 1)]


@pytest.mark.usefixtures("small_tables")
def test_a_follower_gets_every_other_row_once(folder: Path) -> None:
    """Deletions and compactions between its looks double nothing, and what comes later still comes."""
    log_study(folder, "of several writers")
    stop = Event()
    followed = reading(folder).records.follow(interval=0.001, stop=stop)
    found = [next(followed)["i"] for _ in range(39)]
    with opened(folder) as collection:
        collection.delete(2)
    opened(folder).compact()
    with opened(folder) as collection:
        log_experiment(collection, 4)
    stop.set()
    found += [row["i"] for row in followed]
    assert found == [
        100 * number + i for number in range(1, 5) for i in [0, *range(1, 7), *range(11, 17)]
    ]


def test_who_follows_what_was_compacted_gets_every_row_once(folder: Path) -> None:
    """Rows that were dropped before are none that are to come."""
    log_study(folder, "of one writer", 2)
    with opened(folder) as collection:
        collection.delete(2)
    opened(folder).compact()
    stop = Event()
    followed = reading(folder).records.follow(interval=0.001, stop=stop)
    assert len([next(followed) for _ in range(13)]) == 13
    with opened(folder) as collection:
        log_experiment(collection, 3)
    stop.set()
    assert [row["experiment_number"] for row in followed] == [3] * 13


def test_a_follower_is_warned_where_it_can_not_know_which_rows_are_new(folder: Path) -> None:
    """Of a segment that it saw a part of, rows were dropped before it saw the rest."""
    collection = opened(folder)
    log_experiment(collection, 1)
    stop = Event()
    followed = reading(folder).records.follow(interval=0.001, stop=stop)
    assert len([next(followed) for _ in range(13)]) == 13
    log_experiment(collection, 2)
    collection.close()
    with opened(folder) as collection:
        collection.delete(1)
    opened(folder).compact()
    stop.set()
    with pytest.raises(DeletedError, match="Start following again"):
        list(followed)


def test_a_query_of_nodes_that_are_rewritten_is_reported(folder: Path) -> None:
    """Nodes that were listed before a deletion, and read after its compaction, are not half read."""
    log_study(folder, "of one writer")
    reader = reading(folder)
    moment = Source(reader._store).now()
    with opened(folder) as collection:
        collection.delete(2)
    opened(folder).compact()
    with pytest.raises(DeletedError, match="Read again"):
        assert moment.nodes.count
    assert indexes(reader)[:1] == [100]


def test_numbers_of_other_libraries_are_numbers(folder: Path) -> None:
    """As numpy and pandas have them; a bool, a float or a list of them is refused."""
    log_study(folder, "of one writer", 2)
    collection = opened(folder)
    for wrong in (True, 1.0, np.bool_(True), np.float64(1), [1], "1", None):
        for ask in (collection.__getitem__, collection.delete):
            with pytest.raises(KeyError, match="is not a valid experiment number; there are"):
                ask(wrong)
    with pytest.raises(KeyError, match=r"one by one: delete\(\*numbers\)"):
        collection.delete([1, 2])  # type: ignore[arg-type]
    with pytest.raises(KeyError, match="there is no experiment 3"):
        collection.delete(np.int64(3))
    assert len(collection[np.int64(-1)]) == len(collection[np.uint8(2)]) == 13
    with collection.resume(np.int64(1)) as experiment:
        assert experiment["experiment_number"] == 1
    assert collection.delete(np.int64(2), np.int32(-2)) == 26
    assert collection.experiment_numbers == ()
    collection.close()


def test_arguments_of_delete(folder: Path) -> None:
    """No number at all deletes nothing, in a collection that is not there either."""
    assert opened(folder).delete() == 0
    assert not folder.exists()
    assert not issubclass(RunningError, ArgumentError)


# --- waiting: in no answer until a parent is said -------------------------------------------------


def held(collection: ExperimentCollection, i: int) -> int:
    """A node that waits, with two records; it is below another one that waits."""
    store = collection._store
    top, node = store.new_node(), store.new_node()
    store.hold(top)
    store.set_attributes(node, {"held": i}, top)
    for each in (i, i + 1):
        store.records.append(node, {"i": each, "only here": each})
    return node


def test_what_waits_is_in_no_answer_until_its_parent_is_set(
    open_collection: Opener, tmp_path: Path
) -> None:
    """Neither records nor keys show, in any engine, also after a compaction; then all does."""
    collection = open_collection()
    with collection.new_experiment() as experiment:
        experiment.push(i=0)
        node = held(collection, 10)
    collection.close()
    other = open_collection()
    other.compact()
    records = other.records
    for rows in (records.to_arrow(), records.to_polars(), records.sql("from records")):
        assert len(rows) == 1
    assert "only here" not in records.to_arrow().column_names
    assert len(other[1]) == 1
    assert other.recorder.children[0].children == []
    assert other.verify() == []
    other._store.set_attributes(node, {}, ROOT)
    assert [row["i"] for row in open_collection().records] == [0, 10, 11]
    assert [row["held"] for row in other.records] == [None, 10, 10]


def test_what_was_deleted_goes_and_what_waits_stays(open_collection: Opener) -> None:
    """A compaction drops one and keeps the other, which may still come."""
    collection = open_collection()
    store = collection._store
    gone, kept = held(collection, 10), held(collection, 20)
    moment = Source(store).now()
    assert set(moment.nodes.deletion.waiting.to_pylist()) >= {gone, kept}
    tops = list(moment.nodes.deletion.waiting_tops)
    store.delete([tops[0]])
    nodes = Source(store).now().nodes
    assert nodes.deletion.tops == tops[:1]
    assert sorted(nodes.deletion.for_good.to_pylist()) == sorted([tops[0], gone])
    assert list(nodes.deletion.waiting_tops) == tops[1:]
    collection.close()
    other = open_collection()
    other.compact()
    other._store.set_attributes(kept, {}, ROOT)
    other._store.set_attributes(gone, {}, tops[0])  # is deleted all the same
    assert indexes(other) == [20, 21]
    assert sum(pq.read_metadata(each).num_rows for each in folder_files(other)) == 2


def folder_files(collection: ExperimentCollection) -> list[Path]:
    return sorted((collection._store.folder.path / "records").glob("*.parquet"))


def test_what_waited_and_was_deleted_does_not_come_back(open_collection: Opener) -> None:
    """Whatever is set on its parent later."""
    collection = open_collection()
    store = collection._store
    node = store.new_node()
    store.hold(node)
    store.records.append(node, {"i": 1})
    store.delete([node])
    store.set_attributes(node, {}, ROOT)
    assert len(collection) == len(open_collection()) == 0
