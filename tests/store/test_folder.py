"""The folder: which files count, crashes between any two steps, damage, other tools."""

from __future__ import annotations

import json
import shutil
import struct
import warnings
from collections.abc import Callable
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
from pyarrow import ipc

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._store import backend
from rigorous_recorder._store.folder import SealedName, counting
from rigorous_recorder.errors import (
    DamagedFileWarning,
    NewerFormatError,
    NotACollectionError,
    RigorousError,
)

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
    log_many_small_files,
    opened,
    reading,
)

Opener = Callable[..., ExperimentCollection]


@pytest.fixture(params=["mapped", "write-behind"])
def backing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where live rows are: in a mapped file, or in memory with a write-behind."""
    if request.param == "write-behind":
        monkeypatch.setattr(backend, "is_safe_to_map", lambda _: False)
    return str(request.param)


# --- the naming rule ------------------------------------------------------------------------------

ranges = st.tuples(st.integers(0, 30), st.integers(0, 6)).map(lambda r: (r[0], r[0] + r[1]))


@st.composite
def names_after_merges(draw: st.DrawFn) -> tuple[list[SealedName], list[SealedName]]:
    """All names that merges of neighbours, interrupted anywhere, leave; and those of the last."""
    count = draw(st.integers(1, 20))
    files = [SealedName("0000000a", n, n) for n in range(count)]
    every = set(files)
    for _ in range(draw(st.integers(0, 5))):
        first = draw(st.integers(0, len(files) - 1))
        last = draw(st.integers(first, len(files) - 1))
        merged = SealedName("0000000a", files[first].first, files[last].last)
        files[first : last + 1] = [merged]
        every.add(merged)
    gone = draw(st.sets(st.sampled_from(sorted(every - set(files))))) if every - set(files) else ()
    return sorted(every - set(gone)), files


@given(names_after_merges(), st.randoms())
def test_what_merges_left_counts_once(
    merged: tuple[list[SealedName], list[SealedName]], order: Any
) -> None:
    """After merges that stopped anywhere, the files of the last merge count, in any listing order."""
    there, last = merged
    order.shuffle(there)
    assert counting(there) == last


@given(st.lists(st.tuples(st.sampled_from("ab"), ranges)))
def test_counting_is_a_function_of_the_set_of_names(found: list[tuple[str, Any]]) -> None:
    """Of any names: none that counts is covered by another, none is left out that is not covered."""
    names = [SealedName(writer * 8, first, last) for writer, (first, last) in found]
    kept = counting(names)
    assert kept == counting(set(names)) == counting(reversed(names)) == counting(kept)

    def is_within(one: SealedName, other: SealedName) -> bool:
        return (
            one != other
            and one.writer == other.writer
            and other.first <= one.first <= one.last <= other.last
        )

    assert set(kept) == {n for n in names if not any(is_within(n, other) for other in names)}


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_names_of_files_are_read_back(first: int, span: int) -> None:
    """A file's name has the range, and covers the segments of its range and no other."""
    name = SealedName("00c0ffee", first, first + span)
    assert str(name).startswith(f"00c0ffee-{first}")
    assert name.covers("00c0ffee", first)
    assert name.covers("00c0ffee", first + span)
    assert not name.covers("00c0ffee", first + span + 1)
    assert not name.covers("00c0ffef", first)


# --- crashes --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_tables")
def test_a_crash_between_any_two_steps_doubles_and_misses_nothing(
    tmp_path: Path,
    folder: Path,
    open_collection: Opener,
    monkeypatch: pytest.MonkeyPatch,
    backing: str,
) -> None:
    """A copy of the folder before each step of seals, widening and close has what was pushed."""
    shots = Snapshots(folder, tmp_path)
    collection = open_collection()
    safe, begun = 0, 0
    bounds: list[tuple[int, int]] = []

    def shoot() -> None:
        before = len(shots.copies)
        shots.take()
        bounds.extend([(safe, begun)] * (len(shots.copies) - before))

    with before_every_step(monkeypatch, shoot):
        with collection.new_experiment() as experiment:
            for i in range(30):
                text = "more than twelve bytes " * (i % 4)
                begun = i + 1
                experiment.push({"i": i, "text": text, f"key_{i // 18}": i})
                if backing == "mapped":
                    safe = i + 1
                elif i % 6 == 0:  # a write-behind may lack what was pushed since its last flush
                    collection._store.flush()
                    safe = i + 1
        safe = begun
        collection.close()
    assert len(shots.copies) > 20
    for copy, (least, most) in zip(shots.copies, bounds, strict=True):
        unrecovered = ExperimentCollection.__new__(ExperimentCollection)
        unrecovered._is_quiet = True
        unrecovered._store = type(collection._store)(copy)
        for reader in (unrecovered, opened(copy)):
            rows = list(reader.records)
            assert [row["i"] for row in rows] == list(range(len(rows)))
            assert least <= len(rows) <= most
            assert all(row["experiment_number"] == 1 for row in rows)
        assert reader.verify() == []
        # A copy has nobody who lives in it: after recovery, everything is sealed.
        assert list((copy / "live").glob("*.arrow")) == []


@pytest.mark.usefixtures("small_tables")
def test_recovery_can_be_interrupted_and_done_again(
    tmp_path: Path, folder: Path, open_collection: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many steps a recovery got before it died, the next one ends with every record once."""
    collection = open_collection()
    with collection.new_experiment(lr=0.1) as experiment:
        for i in range(40):
            experiment.push(i=i)
        dead = tmp_path / "dead.collection"
        copy_live(folder, dead)
    is_done, allowed = False, 0
    while not is_done:
        copy = tmp_path / f"{allowed}.collection"
        shutil.copytree(dead, copy)
        is_done = done_or_dead(partial(opened, copy), allowed, monkeypatch)
        assert indexes(opened(copy)) == list(range(40))
        assert opened(copy).verify() == []
        assert sorted(path.name for path in (copy / "live").iterdir()) == ["experiments.lock"]
        allowed += 1
    assert allowed > 5


def test_files_with_other_names_do_not_count(folder: Path, open_collection: Opener) -> None:
    """What else lies in the folder (temporary files, notes) is neither read nor taken away."""
    with open_collection() as collection, collection.new_experiment() as experiment:
        experiment.push(i=0)
    (path,) = (folder / "records").glob("*.parquet")
    backwards = f"{path.stem.split('-')[0]}-9-7.parquet"
    for name in (
        ".abc.tmp",
        "notes.txt",
        backwards,
        "copy of a.parquet",
        f"{path.stem}.parquet.bak",
    ):
        (folder / "records" / name).write_bytes(path.read_bytes())
    before = files_below(folder)
    assert indexes(open_collection()) == [0]
    assert open_collection().verify() == []
    assert open_collection().compact() == 0
    assert files_below(folder) == {**before, Path("live/compact.lock"): b""}


# --- other tools ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_tables")
def test_a_sealed_folder_opens_without_this_library(folder: Path, open_collection: Opener) -> None:
    """Polars, pyarrow and DuckDB read records/*.parquet by a glob, with every value."""
    with open_collection() as collection, collection.new_experiment(lr=0.1) as experiment:
        for i in range(40):
            experiment.push(i=i, loss=i / 8, text=f"text {i} " * 3)
    pattern = str(folder / "records" / "*.parquet")
    expected = [(i, i / 8, f"text {i} " * 3) for i in range(40)]
    polars = pl.read_parquet(pattern).sort("i")
    assert polars.select("i", "loss", "text").rows() == expected
    arrow = pq.read_table(folder / "records").sort_by("i").to_pydict()
    assert list(zip(arrow["i"], arrow["loss"], arrow["text"], strict=True)) == expected
    by_duckdb = duckdb.sql(
        f"SELECT i, loss, text FROM read_parquet('{pattern}', union_by_name = true) ORDER BY i"
    )
    assert by_duckdb.fetchall() == expected
    files = map(pl.read_parquet, (folder / "nodes").glob("*.parquet"))
    nodes = pl.concat(files, how="diagonal_relaxed")
    (node,) = nodes.filter(pl.col("lr").is_not_null())["_node"].to_list()
    assert set(polars["_node"].to_list()) == {node}


def test_a_live_file_opens_while_it_fills(
    folder: Path, open_collection: Opener, backing: str
) -> None:
    """pyarrow and Polars read a live file; its rows are those with a node, at any time."""
    collection = open_collection()
    with collection.new_experiment() as experiment:
        for step in range(4):
            for i in range(10 * step, 10 * (step + 1)):
                experiment.push(i=i, text="ä" * i, flag=i % 2 == 0)
            collection._store.flush()
            (path,) = (folder / "live").glob("*.records.arrow")
            expected = [(i, "ä" * i, i % 2 == 0) for i in range(10 * (step + 1))]
            with pa.memory_map(str(path)) as file:
                table = ipc.open_file(file).read_all()
                nodes = table["_node"].to_pylist()
                # pyarrow has no filter for views; the rows that are there come first.
                arrow = table.slice(0, nodes.index(0)).to_pydict()
                rows = list(zip(arrow["i"], arrow["text"], arrow["flag"], strict=True))
            assert not any(nodes[nodes.index(0) :])
            assert rows == expected
            polars = pl.read_ipc(path).filter(pl.col("_node") != 0)
            assert polars.select("i", "text", "flag").rows() == expected


def test_the_folder_says_what_it_is(folder: Path, open_collection: Opener) -> None:
    """collection.json has format, version, id and created; README.txt tells how to read it."""
    with open_collection() as collection, collection.new_experiment() as experiment:
        experiment.push(i=0)
    info = json.loads((folder / "collection.json").read_text())
    assert set(info) == {"format", "version", "id", "created"}
    readme = (folder / "README.txt").read_text()
    for word in ("DuckDB", "Polars", "Spark", "_node = 0"):
        assert word in readme


# --- damage ---------------------------------------------------------------------------------------


DAMAGES = [flip_in_pages, cut, empty, garble]


@pytest.fixture
def damageable(tmp_path: Path, folder: Path, small_tables: None) -> Path:
    """A copy of a folder in which a dead writer left live files beside sealed ones."""
    log_many_small_files(folder, sessions=2)
    copy = tmp_path / "copy.collection"
    with opened(folder) as collection, collection.new_experiment() as experiment:
        for i in range(80, 104):
            experiment.push(i=i)
        experiment["late"] = 1
        copy_live(folder, copy)
    return copy


def test_a_sound_collection_has_no_problems(damageable: Path) -> None:
    """verify lists nothing where all is well, with live files and without, and changes nothing."""
    before = files_below(damageable)
    assert reading(damageable).verify() == []
    assert files_below(damageable) == before
    collection = opened(damageable)
    assert collection.verify() == []
    assert indexes(collection) == list(range(104))


@pytest.mark.parametrize("damage", DAMAGES)
def test_verify_lists_just_the_damaged_file_and_readers_go_on(
    damageable: Path, damage: Callable[[Path], None]
) -> None:
    """A damaged file of records is warned of by name and left out; every other row is read."""
    path = sorted((damageable / "records").glob("*.parquet"))[1]
    lost = pq.read_table(path)["i"].to_pylist()
    damage(path)
    collection = opened(damageable)
    (problem,) = collection.verify()
    assert problem.path == path
    assert problem.reason
    with pytest.warns(DamagedFileWarning, match=path.name):
        found = indexes(collection)
    assert found == [i for i in range(104) if i not in lost]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert sorted(opened(damageable).records.to_polars()["i"].to_list()) == sorted(found)
    assert any(path.name in str(each.message) for each in told)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_of_nodes_costs_no_record(
    damageable: Path, damage: Callable[[Path], None]
) -> None:
    """Where what was set on recorders can't be read, their records still are."""
    path = min((damageable / "nodes").glob("*.parquet"))
    damage(path)
    collection = opened(damageable)
    assert [problem.path for problem in collection.verify()] == [path]
    with pytest.warns(DamagedFileWarning, match=path.name):
        found = indexes(collection)
    assert found == list(range(104))


@pytest.mark.parametrize("table", ["records", "nodes"])
@pytest.mark.parametrize("damage", [cut, empty, garble])
def test_a_damaged_live_file_is_left_for_repair(
    damageable: Path, table: str, damage: Callable[[Path], None]
) -> None:
    """A live file that can't be read is warned of, listed, and kept; the rest is recovered."""
    (path,) = (damageable / "live").glob(f"*.{table}.arrow")
    damage(path)
    assert [problem.path for problem in reading(damageable).verify()] == [path]
    broken = path.read_bytes()
    with pytest.warns(DamagedFileWarning, match=path.name):
        collection = opened(damageable)
    assert path.read_bytes() == broken
    assert [problem.path for problem in collection.verify()] == [path]
    with pytest.warns(DamagedFileWarning, match=path.name):
        found = indexes(collection)
    assert found == list(range(96 if table == "records" else 104))


@pytest.mark.parametrize("table", ["records", "nodes"])
def test_warnings_that_are_errors_come_when_the_rest_is_recovered(
    damageable: Path, table: str
) -> None:
    """Whichever live file can't be read, the other one is sealed; the error names the first."""
    (path,) = (damageable / "live").glob(f"*.{table}.arrow")
    garble(path)
    with pytest.raises(DamagedFileWarning, match=path.name):
        opened(damageable)
    assert list((damageable / "live").glob("*.arrow")) == [path]


@pytest.mark.parametrize(
    "view", [(40, 0, 2**30), (2**30, 0, 0), (40, 7, 0), (40, 0, -5), (-3, 0, 0)]
)
def test_text_that_points_outside_its_file_is_damage(
    folder: Path, tmp_path: Path, view: tuple[int, int, int]
) -> None:
    """A live file whose text is said to be where no text is: a problem, never a crash."""
    copy = tmp_path / "copy.collection"
    with opened(folder) as collection, collection.new_experiment() as experiment:
        experiment.push(text="forty bytes that do not fit into a view.")
        copy_live(folder, copy)
    (path,) = (copy / "live").glob("*.records.arrow")
    data = path.read_bytes()
    size, buffer, offset = view
    sound = struct.pack("<i4s", 40, b"fort")
    assert data.count(sound) == 1
    broken = struct.pack("<i4sii", size, b"fort", buffer, offset)
    at = data.index(sound)
    path.write_bytes(data[:at] + broken + data[at + len(broken) :])
    assert [problem.path for problem in reading(copy).verify()] == [path]


@given(position=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_no_flipped_byte_stops_a_reader(shared_damageable: Path, position: int, flip: int) -> None:
    """Any byte of any file may be wrong: reading warns at most, or says which file it is."""
    paths = [p for p in sorted(shared_damageable.rglob("*")) if p.suffix in {".parquet", ".arrow"}]
    path = paths[position % len(paths)]
    sound = path.read_bytes()
    broken = bytearray(sound)
    broken[position % len(broken)] ^= flip
    path.write_bytes(broken)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DamagedFileWarning)
            collection = reading(shared_damageable)
            collection.verify()
            for row in collection.records:
                assert isinstance(dict(row), dict)
            collection.experiments  # noqa: B018 - that it can be read is what is tested
    except RigorousError as error:
        assert path.name in str(error)
    finally:
        path.write_bytes(sound)


@pytest.fixture(scope="module")
def shared_damageable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small folder with sealed and live files, made once."""
    folder = tmp_path_factory.mktemp("flips") / "study.collection"
    copy = folder.with_name("copy.collection")
    with opened(folder) as collection, collection.new_experiment(lr=0.1) as experiment:
        for i in range(20):
            experiment.push(i=i, text="longer than twelve bytes", some=[1, 2], d={"a": i})
        collection.save()
        for i in range(20):
            experiment.push(i=i, text="longer than twelve bytes", some=[1, 2], d={"a": i})
        copy_live(folder, copy)
    return copy


# --- what is no collection ------------------------------------------------------------------------


def test_a_newer_format_is_refused(folder: Path, open_collection: Opener) -> None:
    """A folder of a newer format is not touched; the message names the way out."""
    with open_collection() as collection, collection.new_experiment() as experiment:
        experiment.push(i=0)
    info = json.loads((folder / "collection.json").read_text())
    (folder / "collection.json").write_text(json.dumps({**info, "version": 2}))
    before = files_below(folder)
    with pytest.raises(NewerFormatError, match=r"format 2.*pip install --upgrade"):
        open_collection()
    assert files_below(folder) == before


def test_another_folder_is_refused(folder: Path, open_collection: Opener) -> None:
    """A folder with other things in it is not a collection, and is not touched."""
    folder.mkdir()
    (folder / "thesis.tex").write_text("the only copy")
    with pytest.raises(NotACollectionError, match=r"collection\.json"):
        open_collection()
    assert files_below(folder) == {Path("thesis.tex"): b"the only copy"}


def test_a_file_at_the_path_is_refused(folder: Path, open_collection: Opener) -> None:
    """A file where the folder should be is not a collection, and is not touched."""
    folder.write_text("something")
    with pytest.raises(NotACollectionError, match=str(folder)):
        open_collection()
    assert folder.read_text() == "something"


def test_an_empty_folder_becomes_a_collection(folder: Path, open_collection: Opener) -> None:
    """A folder that was made beforehand, with nothing in it, is used."""
    folder.mkdir()
    collection = open_collection()
    with collection.new_experiment() as experiment:
        experiment.push(i=0)
    assert indexes(open_collection()) == [0]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"version": "x", "id": 1}', "\x00"])
def test_a_damaged_description_is_a_clear_error(
    folder: Path, open_collection: Opener, text: str
) -> None:
    """Where collection.json can't be read, opening reports it; verify of an open one lists it."""
    collection = open_collection()
    with collection.new_experiment() as experiment:
        experiment.push(i=0)
    collection.close()
    (folder / "collection.json").write_text(text)
    before = files_below(folder)
    with pytest.raises(NotACollectionError, match=r"collection\.json"):
        open_collection()
    assert [problem.path for problem in collection.verify()] == [folder / "collection.json"]
    assert files_below(folder) == before


def test_a_collection_that_was_moved_is_the_same(tmp_path: Path, folder: Path) -> None:
    """A copied or moved folder is read as it was; a recorder of the old place is told it is gone."""
    log_many_small_files(folder, sessions=1)
    with opened(folder) as collection, collection.new_experiment() as experiment:
        place = experiment.__reduce__()
    moved = folder.rename(tmp_path / "moved.collection")
    assert indexes(opened(moved)) == list(range(40))
    rebuild, arguments = place
    with pytest.raises(NotACollectionError, match="not at"):
        rebuild(*arguments)
    assert isinstance(Recorder(), Recorder)
