"""Several collections as one flat table."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._store.union import unique_names
from rigorous_recorder.errors import (
    ArgumentError,
    ArgumentTypeError,
    NotACollectionError,
    ReadOnlyError,
    ReservedKeyError,
    UnknownExperimentError,
)

Row = dict[str, Any]


def log(collection: ExperimentCollection, lr: float, epochs: int) -> None:
    """Two experiments of two models each, records of the root itself, one experiment deleted."""
    collection.recorder["owner"] = f"owner of {lr}"
    for run in range(3):
        with collection.new_experiment(lr=lr, run=run) as experiment:
            for model in ("m1", "m2"):
                child = experiment.child(model=model)
                for epoch in range(epochs):
                    child.push(epoch=epoch, loss=lr / (1 + epoch))
    collection.delete(2)
    collection.recorder.push(note=f"on top of {lr}")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    with ExperimentCollection(folder / "old") as old:
        log(old, 0.1, 3)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "data"))


@pytest.fixture
def both(folder: Path) -> Iterator[tuple[ExperimentCollection, ExperimentCollection]]:
    """The union of a collection by its path, and of one that is being logged to; and the latter."""
    with ExperimentCollection(folder / "new") as new:
        log(new, 0.2, 2)
        yield ExperimentCollection.union([folder / "old", new]), new


def expected(folder: Path) -> list[Row]:
    """The rows of both collections, each with the name of its own."""
    return [
        {**row, "collection": name}
        for name in ("old", "new")
        for row in ExperimentCollection.open(folder / name, read_only=True).records
    ]


def present(rows: Any) -> list[Row]:
    """Rows without what is missing, sorted."""
    found = [{k: v for k, v in dict(row).items() if not pd.isna(v)} for row in rows]
    return sorted(found, key=lambda row: sorted(map(str, row.items())))


def test_every_engine_has_the_rows_of_both(
    both: tuple[ExperimentCollection, ExperimentCollection], folder: Path, tmp_path: Path
) -> None:
    """With the name of the collection, in the order given; those of the root and live ones, too."""
    union, _ = both
    rows = expected(folder)
    records = union.records
    assert [dict(row) for row in records] == rows
    assert len(records) == len(union) == len(rows) == 22
    assert [dict(records[at]) for at in (0, 12, 13, -1)] == [rows[at] for at in (0, 12, 13, -1)]
    assert [dict(row) for row in records[11:15]] == rows[11:15]
    assert "collection" in records.columns[6:]
    assert records.to_arrow().to_pylist() == records.to_arrow().select(records.columns).to_pylist()
    assert present(records.to_arrow().to_pylist()) == present(rows)
    assert present(union.sql("FROM records").to_arrow_table().to_pylist()) == present(rows)
    assert present(records.to_polars().to_dicts()) == present(rows)
    assert present(records.to_polars(lazy=True).collect().to_dicts()) == present(rows)
    assert present(records.to_pandas().astype(object).to_dict("records")) == present(rows)
    records.save_to(tmp_path / "flat.parquet")
    assert present(pq.read_table(tmp_path / "flat.parquet").to_pylist()) == present(rows)
    records.save_to(tmp_path / "flat.jsonl")
    lines = (tmp_path / "flat.jsonl").read_text().splitlines()
    assert present(map(json.loads, lines)) == present(rows)
    for wanted in ({"collection": "new"}, {"collection": "old", "model": "m1"}, {"owner": None}):
        found = [row for row in rows if all(row.get(k) == v for k, v in wanted.items())]
        assert [dict(row) for row in records.where(**wanted)] == found
    assert {row["collection"] for row in union[3]} == {"old", "new"}


def test_sql_has_the_column_in_every_table(
    both: tuple[ExperimentCollection, ExperimentCollection],
) -> None:
    """Records, experiments and nodes: each row is of one collection, but for what is above all."""
    union, _ = both
    per_table = "SELECT collection, count(*) FROM {} GROUP BY ALL ORDER BY ALL"
    assert union.sql(per_table.format("records")).fetchall() == [("new", 9), ("old", 13)]
    assert union.sql(per_table.format("experiments")).fetchall() == [("new", 2), ("old", 2)]
    assert union.sql(per_table.format("nodes")).fetchall() == [("new", 7), ("old", 7), (None, 1)]
    notes = "SELECT collection, owner, note FROM records WHERE note IS NOT NULL ORDER BY ALL"
    assert union.sql(notes).fetchall() == [
        ("new", "owner of 0.2", "on top of 0.2"),
        ("old", "owner of 0.1", "on top of 0.1"),
    ]
    assert union.sql("SELECT count(*), sum(epoch) FROM records").fetchall() == [(22, 16)]
    of_level = "SELECT collection, count(*), avg(lr) FROM level('lr') GROUP BY ALL ORDER BY ALL"
    assert union.sql(of_level).fetchall() == [("new", 2, 0.2), ("old", 2, 0.1)]
    rows = union.level("collection").to_arrow().select(["collection", "records"]).to_pylist()
    assert rows == [{"collection": "old", "records": 13}, {"collection": "new", "records": 9}]


def test_an_experiment_of_a_union_is_chosen_by_its_collection(
    both: tuple[ExperimentCollection, ExperimentCollection],
) -> None:
    """Numbers are those of each collection: one that several have names none of them alone."""
    union, new = both
    for wanted in (1, -1):
        with pytest.raises(ArgumentError, match=r"old, new; choose one by .*collection='old'"):
            union.experiment(wanted)
    found = [union.experiment(1, collection=name) for name in ("old", "new")]
    assert [each["collection"] for each in found] == ["old", "new"]
    assert [len(each.records) for each in found] == [6, 4]
    new.start(lr=7).finish()
    assert union.experiment(4)["lr"] == union.experiment(-1, collection="new")["lr"] == 7
    assert union.experiment(-1, collection="old").number == 3
    with pytest.raises(UnknownExperimentError, match="there is no experiment 4"):
        union.experiment(4, collection="old")
    with pytest.raises(ArgumentError, match="expected one of old, new"):
        union.experiment(1, collection="older")
    with pytest.raises(ArgumentError, match="this is a single one"):
        new.experiment(1, collection="new")


def test_experiments_stand_collection_by_collection(
    both: tuple[ExperimentCollection, ExperimentCollection],
) -> None:
    """Each has its own number, as in its collection, and its own end."""
    union, new = both
    with new.new_experiment() as experiment:
        experiment.push(epoch=0)
        told = [(row["collection"], row["experiment_number"]) for row in union.experiments]
        assert told == [("old", 1), ("old", 3), ("new", 1), ("new", 3), ("new", 4)]
        statuses = [(each.experiment_number, each.status) for each in union.overview()]
        assert statuses[-2:] == [(3, "finished"), (4, "running")]
    assert union.experiment_numbers == (1, 3, 4)
    last = union.experiment(-1)
    assert (last["collection"], last.status, len(last.records)) == ("new", "finished", 1)
    assert [len(each.records) for each in union.experiments] == [6, 6, 4, 4, 1]
    assert len({each.id for each in union.experiments}) == 5
    assert pickle.loads(pickle.dumps(last)).records[0]["collection"] == "new"
    assert [dict(row) for row in union.records.where("collection = 'new' and epoch > 0")] == [
        dict(row) for row in union.records.where(collection="new", epoch=1)
    ]
    assert union.experiments.to_arrow().column("collection").to_pylist()[-1] == "new"
    tree = union.tree(depth=1)
    assert [child.label for child in tree.children] == [
        'collection="old"  owner="owner of 0.1"',
        'collection="new"  owner="owner of 0.2"',
    ]
    assert [child.all_records for child in tree.children] == [13, 10]
    assert str(tree).startswith("2 collections: 23 records, ")
    assert "union of old, new: 5 experiments, 23 records" in repr(union)
    assert union.verify() == []
    assert union.size_on_disk() > new.size_on_disk()


def test_charts_distinguish_collections(
    both: tuple[ExperimentCollection, ExperimentCollection],
) -> None:
    """By the records of each, and by the values of its experiments, each of which counts once."""
    union, _ = both
    epochs = union.records.plot("epoch", "loss", by="collection").rows()
    assert [(r["by"]["collection"], r["x"], round(r["mean"], 3)) for r in epochs] == [
        ("new", 0, 0.2),
        ("new", 1, 0.1),
        ("old", 0, 0.1),
        ("old", 1, 0.05),
        ("old", 2, 0.033),
    ]
    runs = union.records.plot("run", "lr", by="collection").rows()
    assert [(r["by"]["collection"], r["x"], r["mean"], r["count"]) for r in runs] == [
        ("new", 0, 0.2, 1),
        ("new", 2, 0.2, 1),
        ("old", 0, 0.1, 1),
        ("old", 2, 0.1, 1),
    ]


def test_what_is_logged_to_any_of_them_is_followed_and_seen(
    both: tuple[ExperimentCollection, ExperimentCollection], folder: Path
) -> None:
    """Each row once, wherever it is stored meanwhile; attributes that are set later, too."""
    union, new = both
    with ExperimentCollection(folder / "old") as old:
        stop = Event()
        stop.set()
        assert len(list(union.records.follow(stop=stop))) == 22
        old.recorder.push(note="a")  # not followed yet
        new.recorder.push(note="b")
        assert len(list(union.records.follow(stop=stop))) == 24
        old.recorder.child(tag="x").push(step=1)
        rows = union.records.where(tag="x").follow(interval=0.01)
        new.recorder.child(tag="x").push(step=2)
        old.save()
        assert sorted((r["collection"], r["step"]) for r in islice(rows, 2)) == [
            ("new", 2),
            ("old", 1),
        ]
        new.save()
        new.recorder.child(tag="x").push(step=3)
        assert next(rows)["step"] == 3
        old.recorder["owner"] = "another"
        assert {row["owner"] for row in union.records.where(collection="old")} == {"another"}
        assert {row["owner"] for row in union.records.where(collection="new")} == {"owner of 0.2"}


def test_what_is_deleted_and_compacted_goes_from_the_union(
    both: tuple[ExperimentCollection, ExperimentCollection], folder: Path
) -> None:
    """A union that was read before is right after its files were merged."""
    union, _ = both
    assert len(union) == 22
    with ExperimentCollection(folder / "old") as old:
        old.delete(1)
    ExperimentCollection(folder / "old").compact()
    assert [dict(row) for row in union.records] == expected(folder)
    assert len(union) == union.sql("SELECT count(loss) + count(note) FROM records").fetchall()[0][0]


def test_names_are_unique_or_given(folder: Path, tmp_path: Path) -> None:
    """Equal names get the folders above them; a mapping has names of the user's."""
    a, b = Path("/data/a/study.collection"), Path("/data/b/study.collection")
    assert unique_names([a, b, Path("/c")]) == ["a/study", "b/study", "c"]
    assert unique_names([Path("/x/a/s"), Path("/y/a/s")]) == ["x/a/s", "y/a/s"]
    same = [Path("/data/study"), Path("/data/study.collection")]
    assert unique_names(same) == list(map(str, same))
    assert unique_names([]) == []
    with ExperimentCollection(tmp_path / "other" / "old") as other:
        other.recorder.push(step=0)
    paths = [folder / "old", str(tmp_path / "other" / "old.collection")]
    union = ExperimentCollection.union(paths)
    assert [each["collection"] for each in union.recorder.children] == ["data/old", "other/old"]
    named = ExperimentCollection.union({"baseline": paths[0], "new": other})
    assert set(named.records.to_arrow().column("collection").to_pylist()) == {"baseline", "new"}


def test_copies_of_one_collection_are_refused(folder: Path) -> None:
    """Their recorders can't be distinguished, whatever the copies say of themselves."""
    old = folder / "old.collection"
    copy = Path(shutil.copytree(old, folder / "copy"))
    for paths in ([old, old], [old, copy]):
        with pytest.raises(ArgumentError, match="are one collection, or copies of one"):
            ExperimentCollection.union(paths)
    info = json.loads((copy / "collection.json").read_text())
    (copy / "collection.json").write_text(json.dumps({**info, "id": "another"}))
    with pytest.raises(ArgumentError, match="old and copy are one collection, or copies of one"):
        ExperimentCollection.union([old, copy])


@pytest.mark.parametrize("kind", ["record", "attribute", "value of another kind"])
def test_a_key_of_the_users_is_not_hidden(
    both: tuple[ExperimentCollection, ExperimentCollection], folder: Path, kind: str
) -> None:
    """One that has the name of the column is refused, at once or when it is logged; another is given."""
    union, new = both
    if kind == "attribute":
        new.recorder.child(collection="mine").push(step=7)
    else:
        new.recorder.push(step=7, collection="mine" if kind == "record" else 1.5)
    for fails in (lambda: len(union), lambda: ExperimentCollection.union([folder / "old", new])):
        with pytest.raises(ArgumentError, match="new has its own key 'collection'.*key='study'"):
            fails()
    again = ExperimentCollection.union([folder / "old", new], key="study")
    (row,) = again.records.where(step=7)
    assert (row["study"], row["collection"]) == (
        "new",
        "mine" if kind != "value of another kind" else 1.5,
    )
    assert again.records.where(study="old")[0]["collection"] is None


def test_a_union_writes_nothing(
    both: tuple[ExperimentCollection, ExperimentCollection], folder: Path
) -> None:
    """Each call that would write says where to do it."""
    union, new = both
    before = {str(path): path.stat().st_mtime_ns for path in (folder / "old.collection").rglob("*")}
    for write in (
        union.new_experiment,
        lambda: union.resume(1),
        union.save,
        union.compact,
        lambda: union.delete(1),
        lambda: union.recorder.push(a=1),
        lambda: union.recorder.children[0].push(a=1),
        lambda: union.recorder.children[1].children[0].update(a=1),
        lambda: union.recorder.children[1].child(a=1),
        lambda: union.recorder.extend({"a": [1]}),
        lambda: union.experiment(1, collection="old").update(note="a"),
        lambda: union.start(lr=1),
        lambda: Recorder(a=1).push(b=1).set_parent(union.recorder),
        lambda: Recorder(a=1).set_parent(union.recorder.children[0]),
    ):
        with pytest.raises(ReadOnlyError, match="union of old, new is read-only; write to one"):
            write()
    with pytest.raises(ArgumentError, match="copy its collections one by one"):
        union.copy_to(folder / "copy")
    union.close()
    new.recorder.push(note="goes on")
    assert len(union) == 23
    union.reload()
    assert len(union) == 23
    after = {str(path): path.stat().st_mtime_ns for path in (folder / "old.collection").rglob("*")}
    assert after == before


def test_a_union_is_pickled_by_its_places(
    both: tuple[ExperimentCollection, ExperimentCollection],
) -> None:
    """With its records and recorders; what is logged since is in them."""
    union, new = both
    again, records, recorder = pickle.loads(
        pickle.dumps((union, union.records.where(collection="new"), union.recorder.children[1]))
    )
    new.recorder.push(note="since")
    assert (len(again), len(records), len(recorder.all_records)) == (23, 10, 10)
    assert repr(again) == repr(union)


def test_a_union_of_one_is_the_collection_and_its_name(folder: Path) -> None:
    """The same rows in the same order, with one column more."""
    one = ExperimentCollection.open(folder / "old", read_only=True)
    union = ExperimentCollection.union([one])
    assert [{**row, "collection": "old"} for row in one.records] == list(map(dict, union.records))
    assert union.records.to_arrow().drop_columns("collection").equals(one.records.to_arrow())


def test_what_is_no_collection_is_refused(folder: Path) -> None:
    """By the type, by a path with near ones, by the number, and by the key."""
    union = ExperimentCollection.union
    with pytest.raises(ArgumentTypeError, match="several collections"):
        union(str(folder / "old"))
    with pytest.raises(ArgumentTypeError, match="several collections"):
        union(7)  # type: ignore[arg-type]
    with pytest.raises(ArgumentTypeError, match="not a valid path"):
        union([7])  # type: ignore[list-item]
    with pytest.raises(ArgumentError, match="none is given"):
        union([])
    with pytest.raises(NotACollectionError, match="Did you mean .*old"):
        union([folder / "odl"])
    with pytest.raises(ArgumentError, match="a union already"):
        union([union([folder / "old"])])
    with pytest.raises(ReservedKeyError):
        union([folder / "old"], key="had_error")
    with pytest.raises(TypeError):
        union([folder / "old"], key=7)  # type: ignore[arg-type]
