"""Compaction: many small files become few, and nobody who reads, writes or dies meanwhile notices."""

from __future__ import annotations

import errno
import os
import random
import shutil
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import hypothesis.strategies as st
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._engines.duckdb_records import RecordsSelect
from rigorous_recorder._store import backend, compaction_plan, sealed_files
from rigorous_recorder._store import compact as compaction
from rigorous_recorder._store.folder import Folder, SealedName
from rigorous_recorder._store.footer import describe_file, metadata_of
from rigorous_recorder._store.foreign import ForeignFiles
from rigorous_recorder._store.sealed_files import SealedFiles
from rigorous_recorder.errors import DamagedFileWarning

from .folders import (
    Snapshots,
    before_every_step,
    copy_live,
    cut,
    done_or_dead,
    empty,
    files_below,
    flip_in_pages,
    garble,
    indexes,
    log_as_writers,
    log_many_small_files,
    opened,
    reading,
)

Opener = Callable[..., ExperimentCollection]


def sealed(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.parquet"))


def sealed_records(folder: Path) -> list[Path]:
    return sorted((folder / "records").glob("*.parquet"))


def check_all_is_there_once(folder: Path, count: int) -> None:
    """Whoever reads, recovered or not, has each of so many records once, in order, with its node."""
    for reader in (reading(folder), opened(folder)):
        rows = list(reader.records)
        assert [(row["i"], row["name"]) for row in rows] == [(i, f"w{i}") for i in range(count)]
        assert reader.sql("SELECT count(*), sum(i) FROM records").fetchall() == [
            (count, sum(range(count)))
        ]
    assert reader.verify() == []


@pytest.mark.usefixtures("small_tables")
def test_compaction_keeps_every_record_and_order(folder: Path) -> None:
    """It leaves one file of all finished writers, the same rows in the same order, and no more to do.

    Their columns differ, and data that was set late stays with its record.
    """
    log_many_small_files(folder)
    with opened(folder) as late:
        next(iter(late.recorder.children))["said"] = "late"
    collection = opened(folder)
    before = [dict(row) for row in collection.records]
    assert before[0]["said"] == "late"
    many = len(sealed(folder))
    fewer = collection.compact()
    assert [path.parent.name for path in sealed(folder)] == ["nodes", "records"]
    assert all(path.name.startswith("merged-") for path in sealed(folder))
    assert fewer == many - 2 > 0
    for reader in (collection, opened(folder)):
        assert [dict(row) for row in reader.records] == before
        assert len(reader) == len(before)
        assert reader.sql("SELECT count(*), sum(i) FROM records").fetchall() == [
            (240, sum(range(240)))
        ]
    assert collection.verify() == []
    assert collection.compact() == 0


@pytest.mark.usefixtures("small_tables")
def test_compaction_leaves_running_writers_alone(folder: Path, open_collection: Opener) -> None:
    """Files of a writer that lives are not merged; it logs on, and all of it is there."""
    log_many_small_files(folder, sessions=2)
    collection = open_collection()
    with collection.new_experiment() as experiment:
        for i in range(80, 120):
            experiment.push(i=i)
        own = set((folder / "records").glob(f"{collection._store.backend.writer}-*"))
        assert len(own) > 1
        assert opened(folder).compact() > 0
        assert own <= set((folder / "records").iterdir())
        for i in range(120, 160):
            experiment.push(i=i)
        assert indexes(collection) == list(range(160))
    collection.close()
    assert opened(folder).compact() > 0
    assert indexes(opened(folder)) == list(range(160))


@pytest.mark.usefixtures("small_tables")
def test_a_reader_goes_on_while_files_are_merged_away(folder: Path) -> None:
    """An iteration, a table and a query that began before a compaction end with the same rows."""
    log_many_small_files(folder)
    reader = opened(folder)
    rows = iter(reader.records)
    seen = [next(rows)["i"] for _ in range(50)]
    scan = reader.records._scan()
    assert opened(folder).compact() > 0
    seen += [row["i"] for row in rows]
    assert seen == list(range(240))
    assert sum(piece.rows for piece in scan.pieces()) == 240
    assert indexes(reader) == list(range(240))
    assert reader.sql("SELECT count(*) FROM records").fetchall() == [(240,)]


@pytest.mark.usefixtures("small_tables")
@pytest.mark.parametrize("when", ["before the files are looked at", "after"])
def test_a_query_begins_while_files_are_merged_away(
    folder: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """A compaction just when a query is made costs it no row."""
    log_many_small_files(folder)
    original = RecordsSelect.text

    def compact_meanwhile(view: RecordsSelect) -> str:
        monkeypatch.undo()
        if when == "after":
            text = original(view)
            opened(folder).compact()
            return text
        opened(folder).compact()
        return original(view)

    monkeypatch.setattr(RecordsSelect, "text", compact_meanwhile)
    query = "SELECT session, count(*), min(i) FROM records GROUP BY session ORDER BY session"
    found = opened(folder).sql(query).fetchall()
    assert found == [(session, 40, 40 * session) for session in range(6)]


@pytest.mark.usefixtures("small_tables")
def test_a_lazy_query_ends_after_files_were_merged_away(folder: Path) -> None:
    """A relation that was made before a compaction, and is read after it, has the same rows."""
    log_many_small_files(folder)
    relation = opened(folder).sql("SELECT i FROM records ORDER BY i")
    opened(folder).compact()
    assert [i for (i,) in relation.fetchall()] == list(range(240))


def test_columns_that_differ_between_writers_keep_their_kinds(folder: Path) -> None:
    """Each value reads back as it was logged, also where writers had other kinds under one key."""
    logged = [1, 0.5, "text", True, [1, 2], b"\0", 2**60, -0.0]
    for value in logged:
        with opened(folder) as collection:
            child = collection.recorder.child(said=value)
            child.push({"x": value, f"only {value!r}": value})
    before = [dict(row) for row in opened(folder).records]
    opened(folder).compact()
    assert len(sealed(folder)) == 2
    rows = [dict(row) for row in opened(folder).records]
    assert rows == before
    assert [(row["x"], row["said"]) for row in rows] == [(value, value) for value in logged]
    assert [type(row["x"]) for row in rows] == [type(value) for value in logged]


def test_a_reader_of_merged_files_finds_columns_under_their_new_names(folder: Path) -> None:
    """A column whose name was taken in the merged file is not read as another one, nor as missing."""
    logged = [1, 0.5, 2, "text", 0.25, 3]
    for value in logged:
        with opened(folder) as collection:
            collection.recorder.child().push(x=value)
    reader = opened(folder)
    scan = reader.records._scan()
    rows = iter(reader.records)
    found = [next(rows)["x"]]
    opened(folder).compact()
    found += [row["x"] for row in rows]
    assert found == logged
    assert [type(value) for value in found] == [type(value) for value in logged]
    assert sum(piece.rows for piece in scan.pieces(["x"])) == len(logged)


def test_hundreds_of_writers_become_a_handful_of_files(folder: Path) -> None:
    """What 300 processes logged is one file of records and one of nodes."""
    log_as_writers(folder, range(300))
    assert len(sealed(folder)) == 600
    assert opened(folder).compact() == 598
    assert len(sealed(folder)) == 2
    check_all_is_there_once(folder, 300)


def test_a_merged_file_says_whose_rows_it_has(folder: Path) -> None:
    """Its schema's metadata has each writer, when it started, and its segments, in row order."""
    log_as_writers(folder, range(3))
    alone = [metadata_of(pq.read_schema(path)) for path in sealed_records(folder)]
    opened(folder).compact()
    (path,) = sealed_records(folder)
    said = metadata_of(pq.read_schema(path))
    assert set(said) == {"format", "table", "collection", "merged", "writers", "floats"}
    assert said["writers"] == [
        {key: each[key] for key in ("writer", "started", "segments")}
        for each in sorted(alone, key=lambda each: each["started"])
    ]


def test_merged_files_are_merged_again(folder: Path) -> None:
    """What was logged since the last compaction joins its file, as often as that happens."""
    for count in (2, 4, 5):
        log_as_writers(folder, range(0 if count == 2 else count - (2 if count == 4 else 1), count))
        assert opened(folder).compact() > 0
        assert len(sealed(folder)) == 2
        check_all_is_there_once(folder, count)
    assert opened(folder).compact() == 0


def test_other_tools_read_a_compacted_folder(folder: Path) -> None:
    """DuckDB and Polars read each row once by a glob."""
    log_as_writers(folder, range(5))
    opened(folder).compact()
    pattern = str(folder / "records" / "*.parquet")
    assert pl.read_parquet(pattern)["i"].to_list() == list(range(5))
    with duckdb.connect() as connection:
        found = connection.sql(f"SELECT i FROM '{pattern}'").fetchall()
    assert found == [(i,) for i in range(5)]


# --- what stays apart -----------------------------------------------------------------------------


@pytest.mark.parametrize("has_said", ["nothing", "a node", "a record"])
def test_rows_that_are_still_to_come_keep_their_place(folder: Path, has_said: str) -> None:
    """Files of before and of after a running writer's start are not merged: its rows stand between."""
    log_as_writers(folder, range(2))
    between = opened(folder)
    between._store.backend.open()
    if has_said != "nothing":
        child = between.recorder.child(name="w2")
    if has_said == "a record":
        child.push(i=2)
    log_as_writers(folder, range(3, 5))
    between._store.backend.lease.record_synced({})  # its heartbeat is younger than their rows
    opened(folder).compact()
    assert len(sealed_records(folder)) == 2
    if has_said == "nothing":
        child = between.recorder.child(name="w2")
    if has_said != "a record":
        child.push(i=2)
    assert indexes(opened(folder)) == list(range(5))
    between.close()
    check_all_is_there_once(folder, 5)
    opened(folder).compact()
    assert len(sealed(folder)) == 2
    check_all_is_there_once(folder, 5)


def test_a_writer_that_died_is_recovered_and_merged(folder: Path, tmp_path: Path) -> None:
    """What a dead process left in live files is sealed first, and then as good as any other."""
    log_as_writers(folder, range(2))
    dead = tmp_path / "dead.collection"
    with opened(folder) as collection:
        collection.recorder.child(name="w2").push(i=2)
        copy_live(folder, dead)
    opened(dead).compact()
    assert len(sealed(dead)) == 2
    check_all_is_there_once(dead, 3)


def test_large_files_stay(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file gets more rows than are enough, and what is large ends what is merged."""
    monkeypatch.setattr(compaction_plan, "_ENOUGH_ROWS", 3)
    log_as_writers(folder, range(3))
    opened(folder).compact()
    (large,) = sealed_records(folder)
    log_as_writers(folder, range(3, 8))
    opened(folder).compact()
    assert large in sealed_records(folder)
    assert sorted(pq.read_metadata(path).num_rows for path in sealed_records(folder)) == [2, 3, 3]
    check_all_is_there_once(folder, 8)
    assert opened(folder).compact() == 0


def test_files_do_not_become_too_wide(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writers that share few keys are merged to files of as many columns as are enough."""
    monkeypatch.setattr(compaction_plan, "_ENOUGH_COLUMNS", 4)
    for number in range(9):
        with opened(folder) as collection:
            collection.recorder.child().push({"i": number, f"key {number}": number})
    opened(folder).compact()
    assert [pq.read_metadata(path).num_columns for path in sealed_records(folder)] == [5, 5, 5]
    assert indexes(opened(folder)) == list(range(9))
    assert opened(folder).compact() == 0


def test_row_groups_of_long_text_are_small(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that take much memory are written before they are many."""
    monkeypatch.setattr(compaction, "_GROUP_BYTES", 10_000)
    for number in range(6):
        with opened(folder) as collection:
            collection.recorder.child().push(i=number, text="x" * 6_000)
    opened(folder).compact()
    (path,) = sealed_records(folder)
    assert pq.read_metadata(path).num_row_groups == 3
    assert indexes(opened(folder)) == list(range(6))


@pytest.mark.usefixtures("small_tables")
def test_row_groups_are_full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the segments end that are in it, a merged file has no small row groups but the last."""
    monkeypatch.setattr(compaction, "ROW_GROUP", 50)
    log_many_small_files(folder, sessions=3)
    opened(folder).compact()
    (path,) = sealed_records(folder)
    footer = pq.read_metadata(path)
    groups = [footer.row_group(number).num_rows for number in range(footer.num_row_groups)]
    assert groups == [50, 50, 20]
    assert indexes(opened(folder)) == list(range(120))


# --- damage ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_tables")
def test_compaction_keeps_away_from_damaged_files(folder: Path) -> None:
    """A file with a damaged page is never replaced by one with fewer rows."""
    log_many_small_files(folder, sessions=1)
    damaged = sealed_records(folder)[1]
    flip_in_pages(damaged)
    before = files_below(folder / "records")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert opened(folder).compact() == 0
    assert [each.category for each in told] == [DamagedFileWarning]
    assert f"{damaged.name} is damaged" in str(told[0].message)
    assert files_below(folder / "records") == before


@pytest.mark.parametrize("damage", [flip_in_pages, cut])
def test_a_damaged_file_keeps_none_of_the_others_apart_but_its_neighbours(
    folder: Path, damage: Callable[[Path], None]
) -> None:
    """Of seven files, those before and those after the damaged one are merged; it stays as it is."""
    log_as_writers(folder, range(7))
    by_row = {pq.read_table(path)["i"][0].as_py(): path for path in sealed_records(folder)}
    damage(by_row[3])
    broken = by_row[3].read_bytes()
    with pytest.warns(DamagedFileWarning, match=by_row[3].name):
        opened(folder).compact()
    assert by_row[3].read_bytes() == broken
    kept = [path for path in sealed_records(folder) if path != by_row[3]]
    # Nobody knows where a file stands of which not even the footer can be read.
    rows = [[0, 1, 2], [4, 5, 6]] if damage is flip_in_pages else [[0, 1, 2, 4, 5, 6]]
    assert sorted(pq.read_table(path)["i"].to_pylist() for path in kept) == rows
    with pytest.warns(DamagedFileWarning, match=by_row[3].name):
        assert indexes(opened(folder)) == [0, 1, 2, 4, 5, 6]


@pytest.mark.usefixtures("small_tables")
def test_a_damaged_file_between_others_of_its_writer_ends_a_run(folder: Path) -> None:
    """The range of no merged file includes a segment that is in a file that can't be read."""
    log_many_small_files(folder, sessions=3)
    writer = opened(folder)._store.reader.snapshot().records[3].origin.writer
    damaged = sorted(path for path in sealed_records(folder) if path.name.startswith(writer))[1]
    lost, sound = pq.read_table(damaged)["i"].to_pylist(), damaged.read_bytes()
    cut(damaged)
    with pytest.warns(DamagedFileWarning, match=damaged.name):
        opened(folder).compact()
    assert len(sealed_records(folder)) == 3
    with pytest.warns(DamagedFileWarning, match=damaged.name):
        assert indexes(opened(folder)) == [i for i in range(120) if i not in lost]
    damaged.write_bytes(sound)
    assert indexes(opened(folder)) == list(range(120))


@pytest.mark.parametrize("table", ["records", "nodes"])
@pytest.mark.parametrize("damage", [cut, empty, garble])
def test_a_merged_file_whose_footer_is_damaged_does_not_count(
    folder: Path, tmp_path: Path, damage: Callable[[Path], None], table: str
) -> None:
    """The originals count where they are still there; none is merged elsewhere, nor taken away."""
    copy = compacted_but_not_swept(folder, tmp_path)
    (path,) = (copy / table).glob("merged-*")
    sound = path.read_bytes()
    damage(path)
    before = files_below(copy / table)
    for reader in (reading(copy), opened(copy)):
        with pytest.warns(DamagedFileWarning, match=path.name):
            rows = [(row["i"], row["name"]) for row in reader.records]
        assert rows == [(i, f"w{i}") for i in range(3)]
        assert [problem.path for problem in reader.verify()] == [path]
    with pytest.warns(DamagedFileWarning, match=path.name):
        opened(copy).compact()
    assert files_below(copy / table) == before
    path.write_bytes(sound)
    check_all_is_there_once(copy, 3)


def test_a_damaged_merged_file_costs_its_own_rows_alone(folder: Path) -> None:
    """Where the originals are gone, what was logged later is read; a repair brings all back."""
    log_as_writers(folder, range(3))
    opened(folder).compact()
    (merged,) = sealed_records(folder)
    log_as_writers(folder, range(3, 6))
    sound = merged.read_bytes()
    garble(merged)
    with pytest.warns(DamagedFileWarning, match=merged.name):
        assert indexes(opened(folder)) == [3, 4, 5]
    with pytest.warns(DamagedFileWarning, match=merged.name):
        opened(folder).compact()
    merged.write_bytes(sound)
    check_all_is_there_once(folder, 6)
    opened(folder).compact()
    assert len(sealed(folder)) == 2
    check_all_is_there_once(folder, 6)


def test_verify_compares_a_merged_files_rows_with_its_segments(folder: Path) -> None:
    """A file of fewer rows than its segments have is a problem."""
    log_as_writers(folder, range(3))
    opened(folder).compact()
    (path,) = sealed_records(folder)
    table = pq.read_table(path)
    pq.write_table(table.slice(1), path)
    (problem,) = opened(folder).verify()
    assert (problem.path, problem.reason) == (path, "has 2 rows, and was written with 3")


@pytest.mark.parametrize("said", [{}, {"writers": []}, {"writers": [{}]}, {"writers": 1}])
def test_a_merged_file_that_does_not_say_whose_rows_it_has_is_damaged(
    folder: Path, said: dict[str, Any]
) -> None:
    """Metadata that says nothing of writers is damage as any other."""
    log_as_writers(folder, range(2))
    path = folder / "records" / f"merged-{'0' * 32}.parquet"
    table = pq.read_table(sealed_records(folder)[0])
    pq.write_table(table.replace_schema_metadata(describe_file(**said)), path)
    with pytest.warns(DamagedFileWarning, match=path.name):
        assert indexes(opened(folder)) == [0, 1]
    assert [problem.path for problem in opened(folder).verify()] == [path]


def test_a_link_to_nothing_is_damage(folder: Path) -> None:
    """A name whose file is not there, and is not merged away either, is warned of and left out."""
    log_as_writers(folder, range(2))
    (folder / "records" / "00000001-0.parquet").symlink_to(folder / "nowhere")
    with pytest.warns(DamagedFileWarning, match=r"00000001-0\.parquet"):
        assert indexes(opened(folder)) == [0, 1]


# --- interruptions --------------------------------------------------------------------------------


def compacted_but_not_swept(folder: Path, tmp_path: Path) -> Path:
    """A folder in which a compaction died after its renames: merged files, and all originals."""
    if not folder.exists():
        log_as_writers(folder, range(3))
    copy = tmp_path / "copy.collection"
    originals = tmp_path / "originals.collection"
    shutil.copytree(folder, originals)
    opened(originals).compact()
    copy_live(folder, copy)
    shutil.copytree(originals, copy, dirs_exist_ok=True)
    assert len(sealed(copy)) == len(sealed(folder)) + 2
    return copy


def test_originals_and_the_file_that_they_were_merged_to_count_once(
    folder: Path, tmp_path: Path
) -> None:
    """Between the rename and the deletions every record is there once; the next time ends it."""
    copy = compacted_but_not_swept(folder, tmp_path)
    merged = [path for path in sealed(copy) if path.name.startswith("merged-")]
    check_all_is_there_once(copy, 3)
    opened(copy).compact()
    assert sealed(copy) == merged
    check_all_is_there_once(copy, 3)


@pytest.mark.parametrize("before", [0, 2], ids=["of single writers", "of a merged file"])
def test_an_interrupted_compaction_doubles_and_misses_nothing(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    """Before each of its steps the folder has every record once, and compacting again ends it."""
    if before:
        log_as_writers(folder, range(before))
        opened(folder).compact()
    log_as_writers(folder, range(before, 4))
    shots = Snapshots(folder, tmp_path)
    with before_every_step(monkeypatch, shots.take):
        opened(folder).compact()
    assert len(shots.copies) > 10
    for copy in shots.copies:
        check_all_is_there_once(copy, 4)
        opened(copy).compact()
        check_all_is_there_once(copy, 4)
        assert len(sealed(copy)) == 2


def open_and_compact(folder: Path) -> None:
    opened(folder).compact()


@pytest.mark.parametrize("before", [0, 2], ids=["of single writers", "of a merged file"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_compaction_can_die_at_any_step_and_be_done_again(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    """However many steps it got before it died, the next one leaves every record once, and no rest."""
    if before:
        log_as_writers(folder, range(before))
        opened(folder).compact()
    log_as_writers(folder, range(before, 4))
    is_done, allowed = False, 0
    while not is_done:
        copy = tmp_path / f"{allowed}.collection"
        copy_live(folder, copy)
        is_done = done_or_dead(partial(open_and_compact, copy), allowed, monkeypatch)
        check_all_is_there_once(copy, 4)
        opened(copy).compact()
        check_all_is_there_once(copy, 4)
        assert len(sealed(copy)) == 2
        assert list(copy.glob("*/.*")) == []
        allowed += 1
    assert allowed > 10


def test_what_a_running_writer_has_not_finished_is_not_swept(folder: Path) -> None:
    """Temporary files of dead compactions and writers are taken away, those of the living stay."""
    log_as_writers(folder, range(2))
    running = opened(folder)
    running.recorder.child().push(i=2)
    own = folder / "records" / f".{running._store.backend.writer}-0.parquet.tmp"
    rest = [
        folder / "records" / f".merged-{'a' * 32}.parquet.tmp",
        folder / "nodes" / ".00000001-0-7.parquet.tmp",
    ]
    for path in (own, *rest):
        path.write_bytes(b"half of a file")
    opened(folder).compact()
    assert own.exists()
    assert not any(path.exists() for path in rest)
    running.close()


@given(st.randoms(), st.integers(1, 6))
def test_what_merges_left_counts_once(
    tmp_path_factory: pytest.TempPathFactory, dice: random.Random, merges: int
) -> None:
    """After merges of neighbours that stopped anywhere, each segment counts once, in the last file."""
    folder = tmp_path_factory.mktemp("merges")
    (folder / "records").mkdir()
    origins = [(writer, number) for writer in range(4) for number in range(dice.randint(1, 3))]
    files = [write_segments(folder, [origin]) for origin in origins]
    held = [[origin] for origin in origins]
    for _ in range(merges):
        first = dice.randrange(len(files))
        last = dice.randrange(first, len(files))
        if first == last:
            continue
        merged = [origin for each in held[first : last + 1] for origin in each]
        old = files[first : last + 1]
        files[first : last + 1] = [write_segments(folder, merged)]
        held[first : last + 1] = [merged]
        for path in dice.sample(old, dice.randint(0, len(old))):
            path.unlink()
    counting = SealedFiles(Folder(folder), "records")
    listing = counting.listing()
    assert {folder / "records" / str(name) for name in listing.files} == set(files)
    there = {path.name for path in (folder / "records").iterdir()}
    assert {str(name) for name in listing.covered} == there - {path.name for path in files}
    assert [file.path for file in counting.open(listing)] == files
    for writer, number in origins:
        assert counting.has(f"{writer:08x}", number)
        assert not counting.has(f"{writer:08x}", number + 3)


def write_segments(folder: Path, origins: list[tuple[int, int]]) -> Path:
    """A sealed file of these segments of writers, with one row of each."""
    writers = sorted({writer for writer, _ in origins})
    segments = {w: [(n, 1) for writer, n in origins if writer == w] for w in writers}
    said: list[dict[str, Any]] = [
        {"writer": f"{w:08x}", "started": w, "segments": segments[w]} for w in writers
    ]
    if len(writers) == 1:
        numbers = [number for _, number in origins]
        name = str(SealedName(said[0]["writer"], numbers[0], numbers[-1]))
    else:
        name = f"merged-{os.urandom(16).hex()}.parquet"
    several = {"merged": name.removesuffix(".parquet"), "writers": said}
    metadata = describe_file(**(said[0] if len(said) == 1 else several))
    table = pa.table({"_node": [writer for writer, _ in origins]})
    path = folder / "records" / name
    pq.write_table(table.replace_schema_metadata(metadata), path)
    return path


# --- at the same time -----------------------------------------------------------------------------


def test_readers_see_each_row_once_while_writers_come_and_go_and_files_are_merged(
    folder: Path,
) -> None:
    """Two threads read all the time: what they see is what was logged, in order, and only grows."""
    log_as_writers(folder, range(2))
    is_over = threading.Event()
    errors: list[BaseException] = []

    def read() -> None:
        try:
            reader, count = opened(folder), 0
            while not is_over.is_set():
                rows = [(row["i"], row["name"]) for row in reader.records]
                assert rows == [(i, f"w{i}") for i in range(len(rows))]
                assert len(rows) >= count
                count = len(rows)
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in readers:
        thread.start()
    try:
        for number in range(2, 40):
            log_as_writers(folder, [number])
            if number % 3 == 0:
                opened(folder).compact()
    finally:
        is_over.set()
        for thread in readers:
            thread.join()
    assert errors == []
    check_all_is_there_once(folder, 40)


@pytest.mark.parametrize("at", range(8))
def test_files_that_vanish_between_listing_and_opening_are_looked_for_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """A compaction just before a reader opens any of the files it listed costs it no row."""
    log_as_writers(folder, range(2))
    opened(folder).compact()
    log_as_writers(folder, range(2, 4))
    reader = opened(folder)
    opens = iter(range(100))
    original = sealed_files.open_sealed

    def open_late(*arguments: Any, **named: Any) -> Any:
        if next(opens) == at:
            with monkeypatch.context() as patch:
                patch.setattr(sealed_files, "open_sealed", original)
                opened(folder).compact()
        return original(*arguments, **named)

    monkeypatch.setattr(sealed_files, "open_sealed", open_late)
    assert [(row["i"], row["name"]) for row in reader.records] == [(i, f"w{i}") for i in range(4)]


def test_a_file_server_has_no_bytes_of_a_file_that_was_merged_away(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To other hosts a file that is removed while they read its footer is stale, and not damaged."""
    log_as_writers(folder, range(3))
    reader = opened(folder)

    def stale(_: pq.ParquetFile) -> Any:
        monkeypatch.undo()
        opened(folder).compact()
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(pq.ParquetFile, "metadata", property(stale))
    assert [(row["i"], row["name"]) for row in reader.records] == [(i, f"w{i}") for i in range(3)]
    assert len(sealed(folder)) == 2


def test_a_listing_from_the_middle_of_a_merge_is_not_believed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system may list neither the old files nor the new one, where both change at that time."""
    log_as_writers(folder, range(3))
    reader = opened(folder)
    original = Folder.sealed
    listed: Counter[str] = Counter()

    def torn(self: Folder, table: str) -> frozenset[str]:
        listed[table] += 1  # the first time is for the version
        names = original(self, table)
        return frozenset(list(names)[1:]) if listed[table] == 2 else names

    monkeypatch.setattr(Folder, "sealed", torn)
    assert [(row["i"], row["name"]) for row in reader.records] == [(i, f"w{i}") for i in range(3)]


@pytest.mark.parametrize("moment", ["before", "while it is sealed", "when it is merged"])
def test_a_writer_that_is_merged_while_its_live_file_is_read_counts_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Rows read from a live file, and then found in a merged file, are the same rows."""
    log_as_writers(folder, range(2))
    writer = opened(folder)
    writer.recorder.child(name="w2").push(i=2)
    reader = reading(folder)
    original = ForeignFiles._rows_of
    steps: list[Callable[[], object]] = [writer.close, opened(folder).compact]

    def read_live(self: Any, name: Any) -> Any:
        if self is not reader._store.reader._foreign:
            return original(self, name)
        if moment == "before":
            while steps:
                steps.pop(0)()
        found = original(self, name)
        while steps and moment != "before":
            steps.pop(0)()
            if moment == "while it is sealed":
                steps.clear()
        return found

    monkeypatch.setattr(ForeignFiles, "_rows_of", read_live)
    assert [(row["i"], row["name"]) for row in reader.records] == [(i, f"w{i}") for i in range(3)]


def test_live_files_whose_rows_were_merged_do_not_count(folder: Path, tmp_path: Path) -> None:
    """A copy that was made meanwhile can have a writer's live files and its merged rows."""
    live = tmp_path / "live"
    log_as_writers(folder, range(2))
    with opened(folder) as collection:
        collection.recorder.child(name="w2").push(i=2)
        shutil.copytree(folder / "live", live)
    opened(folder).compact()
    shutil.copytree(live, folder / "live", dirs_exist_ok=True)
    assert len(list((folder / "live").glob("*.arrow"))) == 2
    check_all_is_there_once(folder, 3)
    assert list((folder / "live").glob("*.arrow")) == []
    assert all(path.name.startswith("merged-") for path in sealed(folder))


def test_no_writer_gets_the_name_of_one_that_was_merged(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids of nodes are unique also when no file's name tells any more whose they are."""
    log_as_writers(folder, range(2))
    opened(folder).compact()
    (path,) = sealed_records(folder)
    used = [int(each["writer"], 16) for each in metadata_of(pq.read_schema(path))["writers"]]
    numbers: Iterator[int] = iter([*used, 1])
    monkeypatch.setattr(backend, "_random_writer", lambda: next(numbers))
    with opened(folder) as collection:
        collection.recorder.child(name="w2").push(i=2)
        assert collection._store.backend.writer == "00000001"
    check_all_is_there_once(folder, 3)
