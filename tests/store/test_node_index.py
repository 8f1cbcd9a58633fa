"""The index of the nodes: it saves time, and never changes an answer."""

from __future__ import annotations

import os
import random
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._store import node_index
from rigorous_recorder._store.parquet_fragment import ParquetFragment
from rigorous_recorder.errors import DamagedFileWarning

from ..faults.steps import ENDLESS, Board, die, every_step, in_a_child

# Python 3.12 warns of every fork of a process with threads.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also few nodes have an index."""
    monkeypatch.setattr(node_index, "_LEAST_UPDATES", 1)


def opened(folder: Path, *, read_only: bool = False) -> ExperimentCollection:
    if read_only:
        return ExperimentCollection.open(folder, read_only=True)
    return ExperimentCollection(folder, extension="", quiet=True)


def index_of(folder: Path) -> Path:
    return folder / "index.parquet"


def log(folder: Path, rate: float) -> None:
    """Two models, of which one gets an attribute late, with sparse keys of each."""
    with opened(folder) as collection, collection.new_experiment(rate=rate) as run:
        for model in range(2):
            recorder = run.child(model=f"model{model}")
            for episode in range(3):
                recorder.child(episode=episode).push(step=0, loss=0.5 + episode)
        recorder["score"] = rate * 2
        run.update({f"norm/{at}": float(at) for at in range(40)})


def answers(folder: Path, **options: Any) -> list[Any]:
    """What is answered in a process that knows nothing yet."""
    with opened(folder, **options) as found:
        rows = [dict(row) for row in found.records]
        where = found.records.where(episode=1).to_arrow().to_pylist()
        return [rows, where, list(rows[-1]), [dict(row) for row in found.experiments]]


def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The columns that are read of files of nodes, from now on."""
    found: list[str] = []
    read = ParquetFragment._read

    def counted(file: ParquetFragment, group: int, names: list[str]) -> Any:
        found.extend(names if file.is_of_nodes else [])
        return read(file, group, names)

    monkeypatch.setattr(ParquetFragment, "_read", counted)
    return found


def test_with_an_index_only_columns_in_use_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(folder, 0.1)
    first = answers(folder)
    assert index_of(folder).is_file()
    read = reads(monkeypatch)
    with opened(folder) as found:
        found.sql("SELECT model, avg(loss) FROM records GROUP BY ALL").fetchall()
        assert read == ["model"]
        found.records.to_polars(lazy=True).select(
            "rate"
        ).collect()  # knows the types of all columns
    assert "rate" in read
    assert {"episode", "score"}.isdisjoint(read)
    assert answers(folder) == first


def late(folder: Path) -> None:
    """Another process sets an attribute of an experiment that has ended."""
    with opened(folder) as collection:
        collection.experiment(collection.experiment_numbers[0])["late"] = "x"


def again(folder: Path) -> None:
    with opened(folder) as collection, collection.resume(collection.experiment_numbers[-1]) as run:
        run.child(model="model1").push(step=9, loss=9.0)


def delete(folder: Path) -> None:
    with opened(folder) as collection:
        if len(collection.experiment_numbers) > 1:
            collection.delete(collection.experiment_numbers[0])


def merge(folder: Path) -> None:
    with opened(folder) as collection:
        collection.compact()


Change = Callable[[Path], None]
CHANGES: list[Change] = [partial(log, rate=0.2), late, again, delete, merge]


def check_after(changes: Iterable[Change], folder: Path) -> None:
    """The first answers write an index, which those of a read-only collection use."""
    log(folder, 0.1)
    for change in changes:
        answers(folder)
        change(folder)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(node_index, "_LEAST_UPDATES", 1 << 40)
            expected = answers(folder)
        assert answers(folder) == expected
        assert answers(folder, read_only=True) == expected


def test_answers_are_those_without_an_index_after_each_change(folder: Path) -> None:
    check_after([CHANGES[0], late, again, delete, merge], folder)


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(changes=st.lists(st.sampled_from(CHANGES), min_size=1, max_size=5))
def test_answers_are_those_without_an_index_after_any_changes(changes: list[Change]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        check_after(changes, Path(folder) / "c")


@pytest.fixture
def indexed(folder: Path) -> Iterator[tuple[Path, list[Any]]]:
    """A collection with an index, and its answers."""
    log(folder, 0.1)
    yield folder, answers(folder)
    index = index_of(folder)
    assert index.is_file()
    assert index_of(folder).with_name(".index.parquet.tmp").exists() is False


def test_a_damaged_index_is_written_again(indexed: tuple[Path, list[Any]]) -> None:
    """It is neither used nor reported, since nothing is lost."""
    folder, expected = indexed
    whole, chance = index_of(folder).read_bytes(), random.Random(3)
    for at in [len(whole) - 1, len(whole) - 6, *chance.sample(range(4, len(whole)), 8)]:
        damaged = bytearray(whole)
        damaged[at] ^= 1 << chance.randrange(8)
        index_of(folder).write_bytes(damaged)
        with opened(folder) as found:
            assert [dict(row) for row in found.records] == expected[0]
            assert found.verify() == []
        assert index_of(folder).read_bytes() == whole
    for data in (b"", whole[: len(whole) // 2]):
        index_of(folder).write_bytes(data)
        assert answers(folder) == expected


def test_an_index_in_place_of_a_link_leaves_its_target(
    indexed: tuple[Path, list[Any]], tmp_path: Path
) -> None:
    folder, expected = indexed
    target = tmp_path / "target"
    index_of(folder).rename(target)
    before = target.read_bytes()
    index_of(folder).symlink_to(target)
    assert answers(folder) == expected
    assert (index_of(folder).is_symlink(), target.read_bytes()) == (False, before)


def damage(path: Path, name: str) -> None:
    """Flip a bit of a column."""
    group = pq.read_metadata(path).row_group(0)
    (chunk,) = (
        each for each in map(group.column, range(group.num_columns)) if each.path_in_schema == name
    )
    data = bytearray(path.read_bytes())
    data[chunk.data_page_offset + chunk.total_compressed_size // 4] ^= 1
    path.write_bytes(data)


def test_a_damaged_attribute_is_reported_where_it_is_used(indexed: tuple[Path, list[Any]]) -> None:
    """Not where other attributes are; its values are missing, rather than inherited or former."""
    folder, _ = indexed
    with opened(folder) as collection:
        collection.experiment(-1)["model"] = "inherited"
    merge(folder)
    answers(folder)
    (path,) = (folder / "nodes").glob("*.parquet")
    with opened(folder) as found:
        expected = found.sql("SELECT sum(episode), sum(rate) FROM records").fetchall()
    damage(path, "model")
    with opened(folder) as found, warnings.catch_warnings():
        warnings.simplefilter("error")
        assert found.sql("SELECT sum(episode), sum(rate) FROM records").fetchall() == expected
    with opened(folder) as found, pytest.warns(DamagedFileWarning, match="model"):
        assert {row["model"] for row in found.records} == {None}


def test_a_read_only_collection_uses_an_index_and_writes_none(folder: Path) -> None:
    log(folder, 0.1)
    expected = answers(folder, read_only=True)
    assert not index_of(folder).exists()
    answers(folder)
    before = index_of(folder).stat().st_mtime_ns
    assert answers(folder, read_only=True) == expected
    assert index_of(folder).stat().st_mtime_ns == before


def test_an_index_has_no_values_and_goes_with_what_was_deleted(folder: Path) -> None:
    log(folder, 0.1)
    with opened(folder) as collection, collection.new_experiment() as run:
        run.child(secret="value that is deleted").push(step=1)
    answers(folder)
    assert b"value that is deleted" not in index_of(folder).read_bytes()
    with opened(folder) as collection:
        collection.delete(collection.experiment_numbers[-1])
        collection.compact()
    assert not index_of(folder).exists()
    answers(folder)
    assert b"secret" not in index_of(folder).read_bytes()


def test_of_two_processes_that_write_an_index_one_does(indexed: tuple[Path, list[Any]]) -> None:
    """What a process left that died while it wrote one is removed after a minute."""
    folder, expected = indexed
    index_of(folder).unlink()
    unfinished = folder / ".index.parquet.tmp"
    unfinished.write_bytes(b"PAR1 of another process")
    assert answers(folder) == expected
    assert (index_of(folder).exists(), unfinished.exists()) == (False, True)
    os.utime(unfinished, (0, 0))
    assert answers(folder) == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_a_process_can_die_at_any_step_of_writing_an_index(indexed: tuple[Path, list[Any]]) -> None:
    folder, expected = indexed
    for at in [*range(12), ENDLESS]:
        index_of(folder).unlink(missing_ok=True)
        (folder / ".index.parquet.tmp").unlink(missing_ok=True)
        board = Board()

        def step(name: str, at: int = at, board: Board = board) -> None:
            if board.count(name) == at:
                die()

        def work() -> None:
            with opened(folder) as found, every_step(step):
                assert [dict(row) for row in found.records] == expected[0]

        code = in_a_child(work)
        with opened(folder) as found:
            assert [dict(row) for row in found.records] == expected[0]
        if not code:
            break
        assert code == -9
    assert at >= 4
    assert index_of(folder).is_file()
