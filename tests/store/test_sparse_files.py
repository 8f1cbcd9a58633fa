"""Sealed files with sparse columns: every reader finds what it finds in a column for each key."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._live.column import Column
from rigorous_recorder._store import densify
from rigorous_recorder._store.footer import columns_in, metadata_of
from rigorous_recorder._values.sparse import SparseKind
from rigorous_recorder.errors import DamagedFileWarning

from ..sparse import make_all_sparse, make_sparse
from .folders import opened

EPISODES = 4


def log(folder: Path, *, sessions: int = 1) -> None:
    """Records that have few of many keys, of all kinds that can be sparse, and others."""
    for session in range(sessions):
        with opened(folder) as collection, collection.new_experiment(lr=0.1) as experiment:
            for episode in range(EPISODES):
                parent = experiment.child({"episode": episode, f"note/{episode}": {"a": [episode]}})
                for i in range(12):
                    parent.push(
                        {
                            "i": 12 * (EPISODES * session + episode) + i,
                            f"loss/{i % 7}": math.nan if i == 5 else -0.0 if i == 6 else i / 2,
                            f"flag/{i % 3}": bool(i % 2),
                            f"none/{i % 4}": None,
                            f"text/{i % 5}": "longer than a view " * (i % 3),
                            f"json/{i % 2}": {"a": i},
                            "of two kinds": i if i % 2 else str(i),
                            "array": [1.5, i],
                        }
                    )
                parent["total"] = episode / 2


def is_of_half(column: Column) -> bool:
    return isinstance(column.key, str) and len(column.key) % 2 == 0


def plain(rows: Any) -> list[str]:
    """Rows as text, NaN included, whatever the order of their keys."""
    return [repr(sorted(dict(row).items(), key=lambda item: item[0])) for row in rows]


def answers(folder: Path) -> dict[str, list[str]]:
    """What each reader finds in a collection."""
    collection = ExperimentCollection(folder, extension="", quiet=True)
    records = collection.records
    grouped = """
        SELECT episode, sum("loss/3") AS a, max("loss/5") AS b, count("flag/1") AS c, min("text/2") AS d
        FROM records GROUP BY ALL ORDER BY ALL
    """
    return {
        "rows": plain(records),
        "arrow": plain(records.to_arrow().to_pylist()),
        "polars": plain(records.to_polars().rows(named=True)),
        "lazy": plain(records.to_polars(lazy=True).collect().rows(named=True)),
        "pandas": plain(records.to_pandas().to_dict("records")),
        "sql": sorted(plain(collection.sql("SELECT * FROM records").to_arrow_table().to_pylist())),
        "grouped": plain(collection.sql(grouped).to_arrow_table().to_pylist()),
        "where": plain(records.where(**{"flag/1": True})),
        "text": plain(records.where('"loss/3" > 1 AND "text/3" IS NOT NULL')),
        "path": plain(records.where(**{"json/1.a": 3})),
        "experiments": plain(collection.experiments),
        "level": plain(collection.level("episode").to_arrow().to_pylist()),
    }


def stored_keys(folder: Path, table: str) -> list[set[str]]:
    """The keys in sparse columns of each file of a table, by its metadata."""
    found = [
        metadata_of(pq.read_schema(file)) for file in sorted((folder / table).glob("*.parquet"))
    ]
    return [{key for keys in each.get("sparse", {}).values() for key in keys} for each in found]


@pytest.mark.filterwarnings("ignore::rigorous_recorder.errors.MixedKindsWarning")
def test_sparse_files_have_the_same_rows(tmp_path: Path) -> None:
    """Also once they are merged with others, and without deleted records."""
    folder = tmp_path / "study.collection"
    log(folder, sessions=3)
    before = answers(folder)
    make_all_sparse(folder, is_of_half)
    for table in ("records", "nodes"):
        make_sparse(min((folder / table).glob("*.parquet")))
    assert answers(folder) == before
    assert opened(folder).verify() == []

    log(folder)  # files with columns of their own, which are merged with the others
    opened(folder).delete(2)
    before = answers(folder)
    assert opened(folder).compact() > 0
    assert answers(folder) == before
    assert opened(folder).verify() == []
    for table in ("records", "nodes"):
        (file,) = (folder / table).glob("*.parquet")
        kinds = [column.kind for column in columns_in(pq.read_schema(file)).stored]
        assert any(isinstance(kind, SparseKind) for kind in kinds)


def test_keys_of_deleted_records_leave_the_metadata(tmp_path: Path) -> None:
    folder = tmp_path / "study.collection"
    for key in ("one", "other"):
        with opened(folder) as collection, collection.new_experiment({key: 1}) as experiment:
            experiment.push({f"{key}/loss": 0.5, "step": 1})
    make_all_sparse(folder)
    collection = opened(folder)
    collection.delete(1)
    collection.compact()
    assert stored_keys(folder, "records") == [{"other/loss", "step"}]
    assert "one" not in stored_keys(folder, "nodes")[0]
    assert [row["experiment_number"] for row in collection.experiments] == [2]
    with collection.new_experiment() as experiment:
        assert experiment["experiment_number"] == 3
    collection.close()


def test_a_damaged_sparse_column_costs_its_keys_only(tmp_path: Path) -> None:
    """They are listed, and missing; everything else is read, and repaired."""
    folder = tmp_path / "study.collection"
    log(folder)
    make_all_sparse(folder)
    (file,) = (folder / "records").glob("*.parquet")
    found = pq.read_metadata(file).row_group(0)
    chunks = {found.column(at).path_in_schema: found.column(at) for at in range(found.num_columns)}
    damaged = bytearray(file.read_bytes())
    damaged[chunks["_sparse_float.key_value.value"].data_page_offset + 40] ^= 1
    file.write_bytes(damaged)

    collection = opened(folder)
    (problem,) = collection.verify()
    assert set(problem.columns) == {f"loss/{number}" for number in range(7)}
    assert problem.readable == problem.rows == 12 * EPISODES
    with pytest.warns(DamagedFileWarning, match="_sparse_float"):
        rows = [dict(row) for row in collection.records]
    assert [row["i"] for row in rows] == list(range(12 * EPISODES))
    assert not any(
        key.startswith("loss/") and value is not None for row in rows for key, value in row.items()
    )

    ExperimentCollection.repair(folder, tmp_path / "new.collection", extension="")
    repaired = opened(tmp_path / "new.collection")
    assert repaired.verify() == []
    assert plain(repaired.records) == plain(rows)


def test_one_key_of_many_is_read_from_one_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many keys are read: a sparse column is read once."""
    folder = tmp_path / "study.collection"
    with opened(folder) as collection, collection.new_experiment() as experiment:
        for i in range(60):
            experiment.push({"i": i, f"loss/{i}": i / 2})
    read: list[int] = []
    whole = densify.unpacked

    def counting(maps: Any, keys: Any) -> Any:
        if loss := [key for key in keys if key.startswith("loss/")]:
            read.append(len(loss))
        return whole(maps, keys)

    monkeypatch.setattr(densify, "unpacked", counting)
    make_all_sparse(folder)
    records = opened(folder).records
    assert records.select("loss/7").to_arrow()["loss/7"].drop_null().to_pylist() == [3.5]
    assert read == [1]
    read.clear()
    assert records.to_arrow().num_columns > 60
    assert read == [60]
