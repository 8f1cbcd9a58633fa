"""Repair: a new collection with all that can be read, whatever is wrong with the old one."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import ipc

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.errors import (
    ArgumentError,
    NewerFormatError,
    NotACollectionError,
)

from .folders import (
    copy_live,
    cut,
    empty,
    files_below,
    garble,
    indexes,
    log_many_small_files,
    opened,
)


@pytest.fixture
def old(folder: Path, tmp_path: Path, small_tables: None) -> Path:
    """Merged files, files of finished writers, and live ones of a dead writer: records 0 to 103."""
    log_many_small_files(folder, sessions=1)
    opened(folder).compact()
    with opened(folder) as collection, collection.new_experiment(session=1) as experiment:
        for i in range(40, 80):
            experiment.push(i=i, text=f"text number {i}")
    copy = tmp_path / "old.collection"
    with opened(folder) as collection, collection.new_experiment(session=2) as experiment:
        for i in range(80, 104):
            experiment.push(i=i, text=f"text number {i}")
        copy_live(folder, copy)
    return copy


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """Where the repaired collection is made."""
    return tmp_path / "new.collection"


def in_pages(path: Path, column: str) -> None:
    """Flip a byte in the data of a column of the first row group."""
    data = bytearray(path.read_bytes())
    meta = pq.read_metadata(path)
    at = pq.read_schema(path).names.index(column)
    chunk = meta.row_group(0).column(at)
    data[chunk.data_page_offset + chunk.total_compressed_size - 30] ^= 0xFF
    path.write_bytes(data)


def one_with(folder: Path, index: int) -> Path:
    """The sealed file that has that record."""
    found = (folder / "records").glob("*.parquet")
    return next(path for path in found if index in pq.ParquetFile(path).read()["i"].to_pylist())


def test_a_sound_collection_is_copied(old: Path, new: Path) -> None:
    """Sealed files byte for byte, live rows as sealed files; nothing is lost, nothing is changed."""
    before = files_below(old)
    assert ExperimentCollection.repair(old, new) == []
    after = files_below(new)
    sealed = {path: data for path, data in before.items() if path.suffix == ".parquet"}
    assert sealed.items() <= after.items()
    assert after[Path("collection.json")] == before[Path("collection.json")]
    assert not list((new / "live").iterdir())
    assert files_below(old) == before
    collection = opened(new)
    assert collection.verify() == []
    assert indexes(collection) == list(range(104))
    assert list(collection.records) == list(opened(old).records)
    with collection.new_experiment() as experiment:
        experiment.push(i=104)
    assert indexes(collection) == list(range(105))
    collection.close()


def test_a_lost_column_costs_its_values_alone(old: Path, new: Path) -> None:
    """Rows of which one column can't be read are saved without it."""
    path = one_with(old, 50)
    hit = pq.ParquetFile(path).read_row_group(0)["i"].to_pylist()
    in_pages(path, "text")
    (problem,) = ExperimentCollection.repair(old, new)
    rows = pq.ParquetFile(path).metadata.num_rows
    assert problem[2:] == (rows, rows, ("text",))
    assert problem.path == path
    collection = opened(new)
    assert collection.verify() == []
    for i, row in enumerate(collection.records):
        assert row["i"] == i
        if i >= 40:
            assert row["text"] == (None if i in hit else f"text number {i}")
    assert (new / "records" / path.name).exists()


def test_rows_that_nobody_knows_whose_they_are_are_lost(old: Path, new: Path) -> None:
    """Without _node a row group is lost, and the segments tell how many rows are left."""
    path = one_with(old, 50)
    hit = pq.ParquetFile(path).read_row_group(0)["i"].to_pylist()
    in_pages(path, "_node")
    (problem,) = ExperimentCollection.repair(old, new)
    assert problem.rows == problem.readable + len(hit)
    collection = opened(new)
    assert collection.verify() == []
    assert indexes(collection) == [i for i in range(104) if i not in hit]


@pytest.mark.parametrize("damage", [cut, empty, garble])
def test_a_lost_footer_costs_its_file(old: Path, new: Path, damage: object) -> None:
    """What is in a file without a footer is lost, and said to be; all others are there."""
    path = one_with(old, 50)
    hit = pq.ParquetFile(path).read()["i"].to_pylist()
    damage(path)  # type: ignore[operator]
    (problem,) = ExperimentCollection.repair(old, new)
    assert (problem.path, problem.rows, problem.readable) == (path, None, 0)
    assert opened(new).verify() == []
    assert indexes(opened(new)) == [i for i in range(104) if i not in hit]


def test_a_lost_description_is_written_anew(old: Path, new: Path) -> None:
    """Without collection.json the id is the one that the files tell."""
    said = json.loads((old / "collection.json").read_text())
    (old / "collection.json").unlink()
    (problem,) = ExperimentCollection.repair(old, new)
    assert problem.path == old / "collection.json"
    assert json.loads((new / "collection.json").read_text())["id"] == said["id"]
    assert indexes(opened(new)) == list(range(104))
    assert opened(new).verify() == []


def test_verify_of_a_folder_that_is_none_is_reported(tmp_path: Path) -> None:
    """A misspelt name is not a collection in which all is well."""
    (tmp_path / "other.collection").mkdir()
    for name in ("nowhere", "other"):
        with pytest.raises(NotACollectionError, match="nothing to verify"):
            ExperimentCollection.verify_folder(tmp_path / name)


def test_who_opens_what_lost_its_description_is_pointed_to_repair(old: Path, new: Path) -> None:
    """Not to move it away; and what the message names saves all of it."""
    (old / "collection.json").unlink()
    with pytest.raises(NotACollectionError, match=r"ExperimentCollection\.repair") as error:
        opened(old)
    assert "Choose another path" not in str(error.value)
    ExperimentCollection.repair(old, new)
    assert indexes(opened(new)) == list(range(104))


def test_swapped_files_get_their_names_again(old: Path, new: Path) -> None:
    """Files that lie under each other's names are sound under their own: nothing is lost."""
    one, two = one_with(old, 50), one_with(old, 0)
    data = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(data)
    problems = ExperimentCollection.repair(old, new)
    assert {each.path for each in problems} == {one, two}
    assert all(each.rows == each.readable for each in problems)
    assert indexes(opened(new)) == list(range(104))
    assert opened(new).verify() == []


@pytest.mark.parametrize("cut_column", [None, "i", "text"])
def test_a_cut_live_file_gives_what_is_before_the_cut(
    old: Path, new: Path, cut_column: str | None
) -> None:
    """Its rows are read without its end; of a column that is cut off the values are missing."""
    path = max((old / "live").glob("*.records.arrow"), key=lambda each: each.name)
    data = path.read_bytes()
    image = pa.py_buffer(data)
    at = len(data) - 10
    if cut_column is not None:
        (column,) = ipc.open_file(image).read_all().column(cut_column).chunks
        at = column.buffers()[1].address - image.address
    path.write_bytes(data[:at])
    (problem,) = ExperimentCollection.repair(old, new)
    assert problem.path == path
    assert problem.readable == problem.rows == 8
    assert problem.columns == {None: (), "i": ("i", "text"), "text": ("text",)}[cut_column]
    assert opened(new).verify() == []
    lost = range(0) if cut_column != "i" else range(96, 104)
    assert indexes(opened(new)) == [None if i in lost else i for i in range(104)]


def test_what_one_flipped_view_costs(old: Path, new: Path) -> None:
    """One text of a live file that points to nowhere is missing, and nothing else."""
    path = max((old / "live").glob("*.records.arrow"), key=lambda each: each.name)
    data = bytearray(path.read_bytes())
    at = data.index(b"text", data.index(b"text") + 1)
    while data[at : at + 4] != b"text" or data[at - 4 : at] != (14).to_bytes(4, "little"):
        at = data.index(b"text", at + 1)
    data[at + 10] ^= 0xFF  # a high byte of the offset
    path.write_bytes(data)
    (problem,) = ExperimentCollection.repair(old, new)
    assert problem.columns == ("text",)
    rows = list(opened(new).records)
    assert [row["i"] for row in rows] == list(range(104))
    assert sum(row["text"] is None for row in rows[40:]) == 1
    assert opened(new).verify() == []


def test_a_damaged_merge_gives_way_to_what_it_was_made_of(old: Path, new: Path) -> None:
    """Of a damaged file only those segments are written that no sound file has."""
    whole = one_with(old, 0)
    writer = whole.name.split("-")[0]
    part = pq.ParquetFile(whole).read_row_group(0)
    assert part.num_rows == 40
    in_pages(whole, "i")
    (problem,) = ExperimentCollection.repair(old, new)
    assert problem.columns == ("i",)
    assert (new / "records" / whole.name).exists()
    assert writer in whole.name
    assert len(opened(new)) == 104


def test_what_is_there_is_not_replaced(old: Path, new: Path) -> None:
    """A repaired collection is a new one; nothing is left where it can't be made."""
    new.mkdir()
    with pytest.raises(ArgumentError, match="already exists"):
        ExperimentCollection.repair(old, new)
    assert list(new.iterdir()) == []
    with pytest.raises(NotACollectionError, match="nothing to repair"):
        ExperimentCollection.repair(new, new.with_name("other"))
    assert {path.name for path in new.parent.iterdir()} == {
        "new.collection",
        "old.collection",
        "study.collection",
    }


def test_a_newer_format_is_not_repaired(old: Path, new: Path) -> None:
    """What a newer version wrote is left to that."""
    path = old / "collection.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 2}))
    with pytest.raises(NewerFormatError):
        ExperimentCollection.repair(old, new)
    assert not new.exists()
