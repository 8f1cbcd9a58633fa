"""Damage in a column of a sealed file: every reader gives all else, and reports what is missing."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.errors import DamagedFileWarning

from .folders import opened

ROWS = 200
KEYS = ("i", "loss", "big", "shared", "lr")

Columns = dict[str, list[Any]]


def big(i: int) -> str:
    """Text that is in few records alike, so that its column chunk has a dictionary."""
    return f"text {i % 50:030d}"


def logged() -> list[dict[str, Any]]:
    """The flat table, as it was logged; ``shared`` is an attribute, and a key of some records."""
    return [
        {
            "i": i,
            "loss": i / 8,
            "big": big(i),
            "shared": "own" if i % 2 else "inherited",
            "lr": 0.1 if i < ROWS // 2 else 0.2,
        }
        for i in range(ROWS)
    ]


@pytest.fixture
def collection(folder: Path) -> Path:
    """Two recorders of one experiment, each with records of one sealed file."""
    with opened(folder) as collection, collection.new_experiment(shared="inherited") as experiment:
        for half in range(2):
            recorder = experiment.child(lr=0.1 * (half + 1))
            for i in range(half * ROWS // 2, (half + 1) * ROWS // 2):
                more = {"shared": "own"} if i % 2 else {}
                recorder.push(i=i, loss=i / 8, big=big(i), kept=True, **more)
    return folder


def chunk_of(path: Path, name: str) -> Any:
    row_group = pq.read_metadata(path).row_group(0)
    chunks = map(row_group.column, range(row_group.num_columns))
    return next(each for each in chunks if each.path_in_schema == name)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)


def in_data_page(path: Path, name: str) -> None:
    chunk = chunk_of(path, name)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    flip(path, start + chunk.total_compressed_size - 1)


def in_dictionary_page(path: Path, name: str) -> None:
    chunk = chunk_of(path, name)
    assert chunk.has_dictionary_page, "the column has no dictionary: nothing would be tried"
    flip(path, (chunk.dictionary_page_offset + chunk.data_page_offset) // 2 + 8)


def in_page_header(path: Path, name: str) -> None:
    chunk = chunk_of(path, name)
    flip(path, (chunk.dictionary_page_offset or chunk.data_page_offset) + 1)


def the_file(folder: Path, table: str = "records") -> Path:
    (path,) = (folder / table).glob("*.parquet")
    return path


# --- every reader --------------------------------------------------------------------------------


def of_rows(rows: Any) -> Columns:
    found = [dict(row) for row in rows]
    return {key: [row.get(key) for row in found] for key in KEYS}


def of_table(table: Any) -> Columns:
    return {key: table[key].to_pylist() for key in KEYS}


def by_sql(collection: ExperimentCollection) -> Columns:
    return of_table(collection.sql(f"SELECT {', '.join(KEYS)} FROM records").to_arrow_table())


def by_star(collection: ExperimentCollection) -> Columns:
    return of_table(collection.sql("SELECT * FROM records").to_arrow_table())


def by_index(collection: ExperimentCollection) -> Columns:
    return of_rows(collection.records[i] for i in range(len(collection.records)))


def by_frame(frame: pl.DataFrame) -> Columns:
    return {key: frame[key].to_list() for key in KEYS}


def by_pandas(collection: ExperimentCollection) -> Columns:
    frame = collection.records.to_pandas()
    table = pa.Table.from_pandas(frame[list(KEYS)], preserve_index=False)
    return of_table(table)


def by_lines(collection: ExperimentCollection) -> Columns:
    path = collection._store.folder.path.parent / "all.jsonl"
    collection.records.save_to(path)
    return of_rows(map(json.loads, path.read_text().splitlines()))


def by_parquet(collection: ExperimentCollection) -> Columns:
    path = collection._store.folder.path.parent / "all.parquet"
    collection.records.save_to(path)
    return of_table(pq.read_table(path))


def by_csv(collection: ExperimentCollection) -> Columns:
    path = collection._store.folder.path.parent / "all.csv"
    collection.records.save_to(path)
    return by_frame(pl.read_csv(path))


def by_following(collection: ExperimentCollection) -> Columns:
    rows = collection.records.follow()
    return of_rows(next(rows) for _ in range(ROWS))


READERS: dict[str, Callable[[ExperimentCollection], Columns]] = {
    "sql": by_sql,
    "star": by_star,
    "rows": lambda collection: of_rows(collection.records),
    "index": by_index,
    "slice": lambda collection: of_rows(collection.records[:]),
    "to_arrow": lambda collection: of_table(collection.records.to_arrow()),
    "stream": lambda collection: of_table(pa.table(collection.records)),
    "polars": lambda collection: by_frame(collection.records.to_polars()),
    "lazy": lambda collection: by_frame(collection.records.to_polars(lazy=True).collect()),
    "pandas": by_pandas,
    "lines": by_lines,
    "parquet": by_parquet,
    "csv": by_csv,
    "follow": by_following,
    "where": lambda collection: of_table(collection.records.where(kept=True).to_arrow()),
}


def told_by(action: Callable[[], Any]) -> tuple[Any, list[str]]:
    """What an action gives, and the texts of its warnings."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = action()
    assert all(each.category is DamagedFileWarning for each in told)
    return found, list(dict.fromkeys(str(each.message) for each in told))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("damage", "key"),
    [
        (in_data_page, "big"),
        (in_dictionary_page, "big"),
        (in_page_header, "loss"),
        (in_data_page, "shared"),
    ],
)
def test_a_damaged_column_costs_its_values_alone(
    collection: Path, damage: Callable[[Path, str], None], key: str, reader: str
) -> None:
    """Whoever reads it gets all else, no inherited value in its place, and one warning of it."""
    path = the_file(collection)
    damage(path, key)
    found, told = told_by(lambda: READERS[reader](opened(collection)))
    expected = [row | {key: None} for row in logged()]
    assert found == of_rows(expected)
    (text,) = told
    for part in (str(path), f"{key!r}", "row group 0", f"{ROWS:,} rows"):
        assert part in text
    assert len(opened(collection).records) == ROWS
    (problem,) = opened(collection).verify()
    assert (problem.readable, problem.columns) == (ROWS, (key,))


UNUSED: dict[str, Callable[[ExperimentCollection], Any]] = {
    "len": lambda collection: len(collection.records),
    "sql": lambda collection: collection.sql("SELECT count(loss) FROM records").fetchall()[0][0],
    "lazy": lambda collection: (
        collection.records.to_polars(lazy=True).select(pl.col("loss").count()).collect().item()
    ),
    "where": lambda collection: len(collection.records.where(lr=0.1)) * 2,
    "scope": lambda collection: len(collection[1]),
    "plot": lambda collection: sum(collection.records.plot("i", "loss").curves[0].count),
    "subquery": lambda collection: len(
        collection.sql("SELECT * FROM (SELECT i, loss FROM records)").fetchall()
    ),
}


@pytest.mark.parametrize("use", UNUSED)
def test_a_damaged_column_that_is_not_read_costs_nothing(collection: Path, use: str) -> None:
    """Warnings are errors here: nothing is read of it, and so nothing is reported."""
    in_data_page(the_file(collection), "big")
    assert UNUSED[use](opened(collection)) == ROWS


COUNTS: dict[str, Callable[[ExperimentCollection], int]] = {
    "len": lambda collection: len(collection.records),
    "collection": len,
    "rows": lambda collection: sum(1 for _ in collection.records),
    "slice": lambda collection: len(collection.records[:]),
    "sql": lambda collection: collection.sql("SELECT count(*) FROM records").fetchall()[0][0],
    "sql of a column": lambda collection: len(collection.sql("SELECT i FROM records").fetchall()),
    "to_arrow": lambda collection: collection.records.to_arrow().num_rows,
    "polars": lambda collection: collection.records.to_polars().height,
    "lazy": lambda collection: (
        collection.records.to_polars(lazy=True).select(pl.len()).collect().item()
    ),
    "lazy of a column": lambda collection: (
        collection.records.to_polars(lazy=True).select("i").collect().height
    ),
    "pandas": lambda collection: len(collection.records.to_pandas()),
}


@pytest.mark.parametrize("count", COUNTS)
def test_rows_that_nobody_can_place_are_in_no_answer(collection: Path, count: str) -> None:
    """Where ``_node`` is damaged all readers leave the same rows out, count none, and report it."""
    path = the_file(collection)
    in_data_page(path, "_node")
    with opened(collection) as more, more.new_experiment() as experiment:
        experiment.push(i=-1)
    found, told = told_by(lambda: COUNTS[count](opened(collection)))
    assert found == 1
    assert any(str(path) in text and f"{ROWS:,} rows" in text for text in told)


# --- attributes ----------------------------------------------------------------------------------


def attributes(folder: Path) -> Path:
    """Three files of nodes: what was set first, what a later process set, and None of another."""
    with opened(folder) as collection, collection.new_experiment(lr=0.1, seed=1) as experiment:
        experiment.child(model="a").push(i=0)
        experiment.child(model="b").push(i=1)
    with opened(folder) as collection:
        experiment = collection.recorder.children[0]
        experiment["lr"] = 0.5
        experiment.children[0]["lr"] = 0.7
    return folder


ATTRIBUTES: dict[str, Callable[[ExperimentCollection], list[Any]]] = {
    "rows": lambda collection: [(row["lr"], row["seed"]) for row in collection.records],
    "sql": lambda collection: collection.sql("SELECT lr, seed FROM records ORDER BY i").fetchall(),
    "nodes": lambda collection: collection.sql(
        "SELECT lr, seed FROM nodes WHERE model IS NOT NULL ORDER BY model"
    ).fetchall(),
    "to_arrow": lambda collection: [
        (row["lr"], row["seed"]) for row in collection.records.to_arrow().to_pylist()
    ],
    "lazy": lambda collection: (
        collection.records.to_polars(lazy=True).select("lr", "seed").collect().rows()
    ),
}


@pytest.mark.parametrize("reader", ATTRIBUTES)
def test_no_older_value_stands_in_for_a_damaged_one(folder: Path, reader: str) -> None:
    """Neither what was set before, nor what ancestors have: the value is unknown, and reported."""
    attributes(folder)
    assert ATTRIBUTES[reader](opened(folder)) == [(0.7, 1), (0.5, 1)]
    later = max((folder / "nodes").glob("*.parquet"), key=lambda path: path.stat().st_mtime_ns)
    in_page_header(later, "lr")
    found, told = told_by(lambda: ATTRIBUTES[reader](opened(folder)))
    assert found == [(None, 1), (None, 1)]
    assert any(str(later) in text and "'lr'" in text for text in told)


@pytest.mark.parametrize("reader", ATTRIBUTES)
def test_what_was_set_after_a_damaged_value_counts(folder: Path, reader: str) -> None:
    """A later value is the latest one, whatever can't be read before it."""
    attributes(folder)
    earlier = min((folder / "nodes").glob("*.parquet"), key=lambda path: path.stat().st_mtime_ns)
    in_page_header(earlier, "lr")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedFileWarning)
        assert ATTRIBUTES[reader](opened(folder)) == [(0.7, 1), (None, 1)]


@pytest.mark.parametrize("reader", ATTRIBUTES)
def test_a_damaged_time_costs_what_has_several_times(folder: Path, reader: str) -> None:
    """Nobody knows which value is the latest, where there are several: it is unknown."""
    attributes(folder)
    later = max((folder / "nodes").glob("*.parquet"), key=lambda path: path.stat().st_mtime_ns)
    in_page_header(later, "_time")
    found, told = told_by(lambda: ATTRIBUTES[reader](opened(folder)))
    assert found == [(None, 1), (None, 1)]
    assert any(str(later) in text and "'_time'" in text for text in told)


NOTHING: dict[str, Callable[[ExperimentCollection], list[Any]]] = {
    "rows": lambda collection: [row["gone"] for row in collection.records],
    "experiments": lambda collection: [row["gone"] for row in collection.experiments],
    "sql": lambda collection: [
        value for (value,) in collection.sql("SELECT gone FROM records").fetchall()
    ],
    "to_arrow": lambda collection: collection.records.to_arrow()["gone"].to_pylist(),
    "to_polars": lambda collection: collection.records.to_polars()["gone"].to_list(),
    "lazy": lambda collection: (
        collection.records.to_polars(lazy=True).select("gone").collect()["gone"].to_list()
    ),
}


@pytest.mark.parametrize("reader", NOTHING)
def test_a_damaged_none_of_a_key_without_values_is_none(folder: Path, reader: str) -> None:
    """Whether it was taken back is unknown, and there is nothing that it could hide."""
    with opened(folder) as collection, collection.new_experiment(gone=None) as experiment:
        experiment.push(i=0)
    in_page_header(the_file(folder, "nodes"), "gone:null")
    found, told = told_by(lambda: NOTHING[reader](opened(folder)))
    assert found == [None]
    assert any("'gone'" in text for text in told)


SCOPES: dict[str, Callable[[ExperimentCollection], Any]] = {
    "collection": lambda collection: collection.records,
    "experiment": lambda collection: collection.recorder.children[0].all_records,
    "own": lambda collection: collection.recorder.children[0].records,
    "beside what was deleted": lambda collection: (collection.delete(2), collection.records)[1],
}


@pytest.mark.parametrize("scope", SCOPES)
def test_no_inherited_value_stands_in_for_a_damaged_one_in_any_scope(
    folder: Path, scope: str
) -> None:
    """Also where no value of the key can be read: a column that can't be read is in use."""
    with opened(folder) as collection:
        for _ in range(2):
            with collection.new_experiment(lr=0.1) as experiment:
                for i in range(4):
                    experiment.push(i=i, lr=i + 0.5)
    in_data_page(the_file(folder), "lr")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedFileWarning)
        records = SCOPES[scope](opened(folder))
        nothing = [None] * len(records)
        assert len(nothing) >= 4
        assert [row["lr"] for row in records] == nothing
        assert records.to_arrow()["lr"].to_pylist() == nothing
        assert [value for (value,) in records.sql("SELECT lr FROM records").fetchall()] == nothing
        assert len(records.where(lr=0.1)) == 0
        lazy = records.to_polars(lazy=True)
        assert lazy.filter(pl.col("lr") == 0.1).collect().height == 0
        assert lazy.select("lr").collect()["lr"].to_list() == nothing


@pytest.mark.parametrize("keys", [6, 600], ids=["with few keys", "with sparse keys"])
def test_an_experiment_begins_beside_a_damaged_attribute(tmp_path: Path, keys: int) -> None:
    """The value that can't be read is missing, the number counts on."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        with collection.new_experiment(lr=0.5) as experiment:
            for number in range(keys):
                experiment[f"k{number}"] = number
    (file,) = (tmp_path / "c.collection" / "nodes").glob("*.parquet")
    in_data_page(file, "lr")
    with warnings.catch_warnings(), ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        warnings.simplefilter("ignore", DamagedFileWarning)
        with collection.new_experiment(lr=0.25) as experiment:
            assert experiment["experiment_number"] == 2
        first, second = collection.experiments
        assert (first.get("lr"), first["k5"], second["lr"]) == (None, 5, 0.25)


def test_an_experiment_begins_while_files_of_sparse_attributes_are_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that were listed before are read from the one that they were merged into."""
    for _ in range(2):
        with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
            with collection.new_experiment(lr=0.5) as experiment:
                for number in range(600):
                    experiment[f"k{number}"] = number
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        reader = collection._store.reader
        listed = reader.node_fragments()
        ExperimentCollection(tmp_path / "c", quiet=True).compact()
        monkeypatch.setattr(reader, "node_fragments", lambda: listed)
        run = collection.start()
        monkeypatch.undo()
        assert run.number == 3
        run.finish()
