"""Collections that somebody made to mislead: links, pipes, files under other names, absurd content."""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import ipc

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._store.folder import Folder, SealedName
from rigorous_recorder._store.footer import metadata_of
from rigorous_recorder._store.salvage import salvage_live
from rigorous_recorder._store.sealed_files import SealedFiles
from rigorous_recorder._store.verify import sealed_problem
from rigorous_recorder.errors import (
    DamagedFileError,
    DamagedFileWarning,
    NotACollectionError,
)

from .folders import (
    copy_live,
    files_below,
    indexes,
    log_as_writers,
    log_many_small_files,
    opened,
    reading,
)

DEEP = "[" * 200_000


@pytest.fixture(autouse=True)
def _no_hang() -> Iterator[None]:
    """What waits for ever, on a pipe for one, is an error."""
    signal.alarm(60)
    yield
    signal.alarm(0)


@pytest.fixture
def two_files(folder: Path) -> Path:
    """A collection of two writers with one record each, 0 and 1."""
    log_as_writers(folder, range(2))
    return folder


def sealed(folder: Path, table: str = "records") -> list[Path]:
    """The sealed files of a table, in reading order."""
    paths = (folder / table).glob("*.parquet")
    return sorted(paths, key=lambda path: metadata_of(pq.read_schema(path))["started"])


def retell(path: Path, **said: Any) -> None:
    """Let a sealed file say other things of itself."""
    table = pq.read_table(path)
    described = {**metadata_of(table.schema), **said}
    metadata = {b"rigorous": json.dumps(described).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), path)


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_link(path: Path) -> None:
    outside = path.parents[2] / path.name
    path.symlink_to(outside)


def make_link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def make_endless_link(path: Path) -> None:
    path.symlink_to("/dev/zero")


NOT_FILES = [make_pipe, make_link, make_link_to_itself, make_endless_link, Path.mkdir]


@pytest.mark.parametrize("make", NOT_FILES)
@pytest.mark.parametrize("table", ["records", "nodes"])
def test_what_is_no_file_is_never_opened(
    two_files: Path, table: str, make: Callable[[Path], None]
) -> None:
    """A pipe, a folder or a link, also to a sound file outside, is warned of, listed and not read."""
    path = sealed(two_files, table)[0]
    shutil.move(path, two_files.parent / path.name)
    make(path)
    collection = opened(two_files)
    assert [problem.path for problem in collection.verify()] == [path]
    with pytest.warns(DamagedFileWarning, match=rf"{path.name}.*which is not opened"):
        assert indexes(collection) == ([1] if table == "records" else [0, 1])
    collection.overview()
    assert collection.size_on_disk() < 100_000


def test_a_link_is_reported_with_the_way_to_a_file(two_files: Path) -> None:
    """Tools for large files check them out as links: the warning has what to do there."""
    path = sealed(two_files)[0]
    kept = shutil.move(path, two_files.parent / path.name)
    path.symlink_to(kept)
    with pytest.warns(DamagedFileWarning, match=r"git annex unlock.*dvc config cache\.type copy"):
        assert indexes(opened(two_files)) == [1]
    (problem,) = opened(two_files).verify()
    assert "git annex unlock" in problem.reason


@pytest.mark.parametrize("make", NOT_FILES)
def test_a_live_file_that_is_no_file_is_never_opened(
    folder: Path, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    """A live file in whose place something else stands is warned of and left as it is."""
    copy = tmp_path / "copy.collection"
    with opened(folder) as collection, collection.new_experiment() as experiment:
        experiment.push(i=0)
        copy_live(folder, copy)
    (path,) = (copy / "live").glob("*.records.arrow")
    shutil.move(path, tmp_path / path.name)
    make(path)
    with pytest.warns(DamagedFileWarning, match=path.name):
        found = opened(copy)
    with pytest.warns(DamagedFileWarning, match=path.name):
        assert indexes(found) == []
    assert [problem.path for problem in found.verify()] == [path]
    assert os.path.lexists(path)


@pytest.mark.parametrize("place", ["records", "nodes", "live"])
def test_a_folder_of_a_collection_is_no_link(two_files: Path, tmp_path: Path, place: str) -> None:
    """A collection whose folder leads elsewhere is refused; its own folder may be reached by links."""
    collection = opened(two_files)
    (two_files / place).rename(tmp_path / place)
    (two_files / place).symlink_to(tmp_path / place)
    with pytest.raises(NotACollectionError, match=f"{place} is a symbolic link"):
        opened(two_files)
    assert any("symbolic link" in problem.reason for problem in collection.verify())
    (two_files / place).unlink()
    (tmp_path / place).rename(two_files / place)
    (tmp_path / "link.collection").symlink_to(two_files)
    assert indexes(opened(tmp_path / "link.collection")) == [0, 1]


@pytest.mark.parametrize("make", NOT_FILES)
def test_a_description_that_is_no_file_is_never_opened(
    two_files: Path, make: Callable[[Path], None]
) -> None:
    """collection.json is a file, or what is there is no collection."""
    path = two_files / "collection.json"
    shutil.move(path, two_files.parents[1] / path.name)
    make(path)
    with pytest.raises(NotACollectionError, match=r"collection\.json"):
        opened(two_files)


@pytest.mark.parametrize("name", ["experiments.lock", "compact.lock", "00000000.lock"])
@pytest.mark.parametrize("make", NOT_FILES)
def test_a_lock_that_is_no_file_is_not_opened_elsewhere(
    two_files: Path, name: str, make: Callable[[Path], None]
) -> None:
    """Nothing outside is made or locked, nothing hangs, and reading goes on."""
    path = two_files / "live" / name
    path.unlink(missing_ok=True)
    make(path)
    outside = two_files.parents[1] / name
    with opened(two_files) as collection:
        assert indexes(collection) == [0, 1]
        collection.overview()
        for work in (collection.compact, lambda: collection.new_experiment().__enter__()):
            try:
                work()
            except DamagedFileError as error:
                assert name in str(error)
                assert "remove it" in str(error)
    assert not outside.exists()
    assert indexes(opened(two_files)) == [0, 1]


def test_what_is_written_goes_through_no_link(folder: Path, tmp_path: Path) -> None:
    """A link where a temporary file is to be written is taken away, not written through."""
    copy, outside = tmp_path / "copy.collection", tmp_path / "important.txt"
    outside.write_text("the only copy")
    with opened(folder) as collection, collection.new_experiment() as experiment:
        experiment.push(i=0)
        copy_live(folder, copy)
    for table in ("records", "nodes"):
        (live,) = (copy / "live").glob(f"*.{table}.arrow")
        target = live.name.split(".")[0] + ".parquet"
        (copy / table / f".{target}.tmp").symlink_to(outside)
    assert indexes(opened(copy)) == [0]
    assert outside.read_text() == "the only copy"
    assert not (copy / "records" / target).is_symlink()
    assert opened(copy).verify() == []


# --- files that are not what their name says -------------------------------------------------------


def test_swapped_files_are_left_out(two_files: Path) -> None:
    """Two sealed files that were given each other's name are damaged, by what their footers say."""
    one, two = sealed(two_files)
    spare = two_files / "spare"
    one.rename(spare)
    two.rename(one)
    spare.rename(two)
    collection = opened(two_files)
    assert {problem.path for problem in collection.verify()} == {one, two}
    with pytest.warns(DamagedFileWarning, match="belongs to another file") as told:
        assert indexes(collection) == []
    assert all(any(path.name in str(each.message) for each in told) for path in (one, two))


@pytest.mark.parametrize("number", ["007", "7-7", "9-7", "\u0663", "00", "+1", "1_0", "9" * 40])
def test_names_that_are_spelled_otherwise_are_none(two_files: Path, number: str) -> None:
    """A file whose name tells its number in another way is as any other that is not ours."""
    path = sealed(two_files)[0]
    writer = path.name.split("-")[0]
    (path.parent / f"{writer}-{number}.parquet").write_bytes(path.read_bytes())
    (two_files / "live" / f"{writer}-{number}.records.arrow").write_bytes(b"nothing")
    collection = opened(two_files)
    assert indexes(collection) == [0, 1]
    assert collection.verify() == []
    collection.compact()
    assert indexes(collection) == [0, 1]


def test_a_file_of_the_other_table_is_left_out(two_files: Path) -> None:
    """What was set on recorders is no record, though its name is that of a file of records."""
    one = sealed(two_files)[0]
    shutil.copy(two_files / "nodes" / one.name, one)
    with pytest.warns(DamagedFileWarning, match=f"{one.name}.*of the nodes"):
        assert indexes(opened(two_files)) == [1]


@pytest.mark.parametrize(
    "said",
    [
        {"writer": "ffffffff"},
        {"segments": [[1, 1]]},
        {"segments": []},
        {"segments": [["0", 1]]},
        {"segments": [[0, -1]]},
        {"segments": [[0, 1.5]]},
        {"segments": {"0": 1}},
        {"segments": [[0, 1]] * 2 + [[7, 1]]},
        {"segments": [[0, 1, 0, 0]]},
        {"segments": [[0, 1, 0, 0, 1]]},
        {"segments": [[0, 1, 0, -1, 1]]},
        {"segments": [[0, 1, 0, -1, -1]]},
        {"segments": [[0, 1, 0, 1, 1]]},
        {"segments": [[0, 1, 0, "0", 1]]},
        {"segments": [[0, 1, 0, 0, 1, 1]]},
        {"started": None},
        {"started": "now"},
        {"started": 1e300},
        {"writer": ["a"]},
        {"table": "../records"},
        {"writers": []},
        {"writers": [{"writer": "../../etc", "started": 0, "segments": [[0, 1]]}]},
    ],
)
def test_absurd_footers_are_damage(two_files: Path, said: dict[str, Any]) -> None:
    """A file that has in its metadata what can't be is warned of, listed and left out."""
    path = sealed(two_files)[0]
    retell(path, **said)
    collection = opened(two_files)
    with pytest.warns(DamagedFileWarning, match=path.name):
        assert indexes(collection) == [1]
    assert [problem.path for problem in collection.verify()] == [path]


@pytest.mark.parametrize("where", ["schema", "field"])
def test_deeply_nested_metadata_is_damage(two_files: Path, where: str) -> None:
    """JSON that is nested without end in a file's metadata stops no reader."""
    path = sealed(two_files)[0]
    table = pq.read_table(path)
    if where == "schema":
        table = table.replace_schema_metadata({b"rigorous": DEEP.encode()})
    else:
        fields = [table.schema.field(0), table.schema.field(1).with_metadata({b"rigorous": DEEP})]
        table = table.cast(pa.schema(fields, table.schema.metadata))
    pq.write_table(table, path)
    with pytest.warns(DamagedFileWarning, match=path.name):
        assert indexes(opened(two_files)) == [1]


@pytest.mark.parametrize(
    "text", [DEEP, '{"version": 1e999, "id": "x"}', '{"version": 1, "id": 7}', "1" * 5000]
)
def test_absurd_descriptions_are_a_clear_error(two_files: Path, text: str) -> None:
    """A collection.json of absurd content is an error that names it and says what can be done."""
    (two_files / "collection.json").write_text(text)
    with pytest.raises(NotACollectionError, match=r"collection\.json.*repair"):
        opened(two_files)
    assert ExperimentCollection.find(two_files.parent) == []


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("int", ["text"]),
        ("array[float32,2]", [[1.0, 2.0, 3.0]]),
        ("array[float32,2x0]", [[1.0]]),
        ("datetime[../../etc/passwd]", [5]),
        ("datetime[]", [5]),
        ("array[bool,99999999999]", [True]),
        ("nonsense", [1]),
        ([], [1]),
    ],
)
def test_a_column_of_another_type_than_its_kind_is_damage(
    two_files: Path, kind: Any, values: list[Any]
) -> None:
    """A column whose kind its values are not of is no trouble for whoever reads the others."""
    path = sealed(two_files)[0]
    table = pq.read_table(path)
    said = {b"rigorous": json.dumps({"key": "i", "kind": kind}).encode()}
    field = pa.field("i", pa.array(values).type, metadata=said)
    schema = pa.schema([table.schema.field(0), field], table.schema.metadata)
    pq.write_table(pa.Table.from_arrays([table.column(0), pa.array(values)], schema=schema), path)
    with pytest.warns(DamagedFileWarning, match=path.name):
        assert indexes(opened(two_files)) == [1]


def test_a_damaged_file_hides_no_sound_ones(folder: Path) -> None:
    """A file that can't be read takes the place of no others, though its name has their range."""
    log_many_small_files(folder, sessions=1)
    with opened(folder) as collection, collection.new_experiment() as experiment:
        experiment.push(i=40)
        collection.save()
        experiment.push(i=41)
        collection.save()
    path = sealed(folder)[-1]
    writer = path.name.split("-")[0]
    trap = folder / "records" / str(SealedName(writer, 0, 99))
    trap.write_bytes(b"PAR1 and nothing else")
    before = files_below(folder / "records")
    with pytest.warns(DamagedFileWarning, match=trap.name):
        assert indexes(opened(folder)) == list(range(42))
    with pytest.warns(DamagedFileWarning, match=trap.name):
        opened(folder).compact()
    with pytest.warns(DamagedFileWarning, match=trap.name):
        assert indexes(opened(folder)) == list(range(42))
    assert before[Path(trap.name)] == trap.read_bytes()


def test_a_damaged_file_costs_no_live_rows(folder: Path, tmp_path: Path) -> None:
    """A live file stays, and is read, where the sealed one with its number can't be read."""
    copy = tmp_path / "copy.collection"
    with opened(folder) as collection, collection.new_experiment() as experiment:
        experiment.push(i=0)
        copy_live(folder, copy)
    (live,) = (copy / "live").glob("*.records.arrow")
    trap = copy / "records" / (live.name.split(".")[0] + ".parquet")
    trap.write_bytes(b"nothing")
    with pytest.warns(DamagedFileWarning, match=trap.name):
        assert indexes(reading(copy)) == [0]


def test_a_zeroed_place_in_a_live_file_is_reported(folder: Path, tmp_path: Path) -> None:
    """Rows before a place that was zeroed are read; that others stand behind it is not hidden."""
    copy = tmp_path / "copy.collection"
    with opened(folder) as collection, collection.new_experiment() as experiment:
        for i in range(10):
            experiment.push(i=i)
        copy_live(folder, copy)
        node = experiment._node
    (path,) = (copy / "live").glob("*.records.arrow")
    data = path.read_bytes()
    nodes = node.to_bytes(8, "little", signed=True)
    assert data.count(nodes * 10) == 1
    at = data.index(nodes * 10)
    path.write_bytes(data[: at + 32] + bytes(8) + data[at + 40 :])
    with pytest.warns(DamagedFileWarning, match=rf"{path.name}.*the first 4 rows"):
        collection = opened(copy)
    with pytest.warns(DamagedFileWarning, match=rf"{path.name}.*the first 4 rows"):
        assert indexes(collection) == [0, 1, 2, 3]
    (problem,) = collection.verify()
    assert (problem.path, problem.rows, problem.readable) == (path, 9, 9)


def test_values_that_are_none_are_missing_and_reported(folder: Path, tmp_path: Path) -> None:
    """JSON that is none any more, a date that there is not: missing, with a warning; verify lists it."""
    copy = tmp_path / "copy.collection"
    with opened(folder) as collection, collection.new_experiment() as experiment:
        for i in range(3):
            experiment.push(i=i, deep={"key": i})
        copy_live(folder, copy)
    (path,) = (copy / "live").glob("*.records.arrow")
    data = path.read_bytes()
    assert data.count(b'{"key":1}') == 1
    path.write_bytes(data.replace(b'{"key":1}', b'{"key"!1}'))
    collection = reading(copy)
    with pytest.warns(DamagedFileWarning, match="1 values can't be read as json"):
        assert [row["deep"] for row in collection.records] == [{"key": 0}, None, {"key": 2}]
    (problem,) = collection.verify()
    assert problem.path == path
    assert "deep" in problem.reason


# --- checksums ------------------------------------------------------------------------------------

#: Looks in a footer, as the least value of a column, like the room for checksums.
ROOM = "rigorous.checksums\x18\x08" + "0" * 8


@pytest.mark.parametrize("text", ["rigorous.checksums", "rigorous.checked", ROOM])
def test_what_looks_like_checksums_is_a_key_and_a_value_like_any_other(
    folder: Path, text: str
) -> None:
    """It is sealed, read, merged and verified; what stands where in a footer is not up to users."""
    logged = [{"t": text, text: 1}, {"t": text, "b": text.encode()}]
    for row in logged:
        with opened(folder) as collection, collection.new_experiment() as experiment:
            experiment.push(row)
    for _ in range(2):
        rows = zip(opened(folder).records, logged, strict=True)
        assert all({key: row[key] for key in said} == said for row, said in rows)
        assert not opened(folder).verify()
        opened(folder).compact()


@pytest.mark.parametrize(
    "merged", [pytest.param(False, marks=pytest.mark.slow), True], ids=["sealed", "merged"]
)
def test_every_changed_byte_of_a_sealed_file_is_seen(folder: Path, merged: bool) -> None:
    """Whatever byte behind the first four is another, verify lists the file: pages, headers, footer."""
    for number in range(2):
        with opened(folder) as collection, collection.new_experiment() as experiment:
            experiment.push(i=number, text=ROOM, array=np.ones((2, 3), "float32"), many=[1, "a"])
    if merged:
        opened(folder).compact()
    path = next((folder / "records").glob("*.parquet"))
    sound = path.read_bytes()
    files = SealedFiles(Folder(folder), "records", lambda _path, _error: None)
    assert sealed_problem(files, path) is None
    for at in range(4, len(sound)):
        path.write_bytes(sound[:at] + bytes([sound[at] ^ 1 << at % 8]) + sound[at + 1 :])
        assert sealed_problem(files, path) is not None, at


def test_a_file_is_sound_only_with_its_nodes(two_files: Path) -> None:
    """A query that joins by _node alone reads a file only where that column is as it was written."""
    path = sealed(two_files)[0]
    files = SealedFiles(Folder(two_files), "records")
    assert [file.is_sound([]) for file in files.open(files.listing())] == [True, True]
    data = bytearray(path.read_bytes())
    data[5:17] = bytes(range(200, 212))
    path.write_bytes(data)
    files.forget()
    assert [file.is_sound([]) for file in files.open(files.listing())] == [False, True]
    collection = opened(two_files)
    with pytest.warns(DamagedFileWarning, match=path.name):
        assert collection.sql("SELECT name FROM records").fetchall() == [("w1",)]
    with pytest.warns(DamagedFileWarning, match=path.name):
        assert opened(two_files).sql("SELECT count(*) FROM records").fetchall() == [(1,)]


def test_a_view_that_no_value_stands_for_is_not_followed(folder: Path, tmp_path: Path) -> None:
    """Where a live file says that no text is, no text is looked for, whatever stands there."""
    copy = tmp_path / "copy.collection"
    with opened(folder) as collection, collection.new_experiment() as experiment:
        for i in range(3):
            experiment.push(i=i, text="longer than twelve bytes")
        copy_live(folder, copy)
    (path,) = (copy / "live").glob("*.records.arrow")
    image = pa.py_buffer(path.read_bytes())
    (column,) = ipc.open_file(image).read_all().column("text").chunks
    validity, views = (buffer.address - image.address for buffer in column.buffers()[:2])
    data = bytearray(image)
    data[validity] = 0b101
    data[views + 16 : views + 32] = struct.pack("<iiii", -796, -918, 100_728_832, 20)
    path.write_bytes(data)
    text = "longer than twelve bytes"
    assert [row["text"] for row in reading(copy).records] == [text, None, text]
    assert salvage_live(path, Folder(copy).lives("records")[0]).readable == 3
