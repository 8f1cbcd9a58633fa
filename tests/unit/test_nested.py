"""Values inside of dicts, by their paths: in files, in every engine, and on the command line."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from rigorous_recorder import ExperimentCollection, Records
from rigorous_recorder.errors import ArgumentError, ArgumentTypeError, ColumnError

CONFIGS: list[Any] = [
    {"lr": 0.1, "optim": {"name": "adam"}},
    {"lr": 1, "optim": {"name": "sgd", "decay": 3}},
    {"lr": "auto", "a.b": 7},
    None,
]
#: Of each experiment the first record has what it inherits, the second a dict of its own.
LR = [0.1, None, 1.0, None, None, None, None, None]
DEPTH = [None, 2, None, 2, None, 2, None, 2]


def _log(collection: ExperimentCollection) -> None:
    for number, config in enumerate(CONFIGS):
        with collection.new_experiment(config=config, seed=number) as run:
            run.push(i=2 * number, scores={"f1": number / 2, "ok": number > 1})
            child = run.child(config={"depth": 2})
            child.push(i=2 * number + 1)


@pytest.fixture(params=["live", "sealed", "own dicts", "one own dict"])
def collection(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Runs with nested configurations, as attributes; or also as values of records."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        if "own" not in request.param:
            _log(collection)
        else:
            for number, config in enumerate(CONFIGS):
                is_inherited = request.param == "one own dict" and number != 1
                inherited = {"config": config} if is_inherited else {}
                with collection.new_experiment(inherited, seed=number) as run:
                    own = {} if is_inherited else {"config": config}
                    scores = {"f1": number / 2, "ok": number > 1}
                    run.push(own, i=2 * number, scores=scores)
                    run.push(i=2 * number + 1, config={"depth": 2})
        if request.param != "live":
            collection.save()
        yield collection


def _by_sql(records: Records, name: str) -> list[Any]:
    return [
        value for (value,) in records.sql(f'SELECT "{name}" FROM records ORDER BY i').fetchall()
    ]


def _filtered(records: Records, name: str) -> list[Any]:
    lazy = records.unnest(name).to_polars(lazy=True)
    return list(lazy.filter(pl.col("i") >= 0).select("i", name).collect().sort("i")[name])


#: What gives the values of a path, in order of ``i``.
ENGINES: dict[str, Callable[[Records, str], list[Any]]] = {
    "sql": _by_sql,
    "arrow": lambda records, name: records.unnest("config").to_arrow()[name].to_pylist(),
    "polars": lambda records, name: records.unnest().to_polars()[name].to_list(),
    "lazy polars": _filtered,
    "pandas": lambda records, name: [
        None if pd.isna(each) else each for each in records.unnest(name).to_pandas()[name]
    ],
}


@pytest.mark.filterwarnings("ignore::rigorous_recorder.errors.MixedKindsWarning")
def test_a_path_is_a_column_in_every_engine(collection: Any) -> None:
    """Numbers meet; another kind has a column of its own; a nearer dict hides the other whole."""
    expected = {
        "config.lr": LR,
        "config.lr:str": [*[None] * 4, "auto", *[None] * 3],
        "config.depth": DEPTH,
        "config.a.b": [*[None] * 4, 7, *[None] * 3],
        "config.optim.name": ["adam", None, "sgd", *[None] * 5],
    }
    for engine, read in ENGINES.items():
        found = {name: read(collection.records, name) for name in expected}
        assert found == expected, engine


@pytest.mark.filterwarnings("ignore::rigorous_recorder.errors.MixedKindsWarning")
def test_a_path_is_selected_like_a_key(collection: Any) -> None:
    """Alone, so that nothing else is read; every engine agrees, and rows have the exact values."""
    records = collection.records.select("config.lr", "i", "config.depth", "config.optim")
    assert records.columns == ("config.lr", "config.lr:str", "i", "config.depth", "config.optim")
    rows = [dict(row) for row in records]
    assert [row.get("config.lr") for row in rows] == [0.1, None, 1, None, "auto", *[None] * 3]
    assert type(rows[2]["config.lr"]) is int
    assert (rows[0]["config.optim"], rows[1]) == ({"name": "adam"}, {"i": 1, "config.depth": 2})
    assert (records[2], list(records[2:4])) == (rows[2], rows[2:4])
    records[0]["config.optim"]["name"] = "changed"
    assert records[0] == rows[0] == pickle.loads(pickle.dumps(records))[0]
    table = records.to_arrow().to_pylist()
    assert [row["config.lr"] for row in table] == LR
    assert [row["config.depth"] for row in table] == DEPTH
    assert records.to_polars().to_dicts() == table
    assert records.to_polars(lazy=True).collect().to_dicts() == table
    assert records.sql("FROM records ORDER BY i").to_arrow_table().to_pylist() == table
    assert records.to_pandas()["config.optim"][0] == '{"name":"adam"}'
    assert "config.lr:str" in str(records)
    last = collection.records.sort("i").select("config.depth", "i").tail(2)
    assert (list(last)[1], last.columns) == ({"config.depth": 2, "i": 7}, ("config.depth", "i"))
    (one,) = collection.records.where(**{"config.lr": 1}).select("config.lr")
    assert one == {"config.lr": 1}


@pytest.mark.filterwarnings("ignore::rigorous_recorder.errors.MixedKindsWarning")
def test_conditions_find_paths(collection: Any) -> None:
    """By value, by choice, by SQL, and where nothing is there; together with other keys."""

    def found(*conditions: str, **values: Any) -> list[int]:
        return [row["i"] for row in collection.records.where(*conditions, **values)]

    assert found(**{"config.lr": 1}) == [2]
    assert found(**{"config.lr": [0.1, "auto"]}) == [0, 4]
    assert found('"config.lr" < 0.5 or "config.depth" = 2') == [0, 1, 3, 5, 7]
    assert found(**{"config.optim": {"name": "adam"}}) == [0]
    assert found(**{"config.optim.name": None}) == [1, 3, 4, 5, 6, 7]
    assert found('"scores.f1" >= 0.5', **{"config.optim.decay": 3}) == [2]
    assert len(pickle.loads(pickle.dumps(collection.records.where(**{"config.lr": 1})))) == 1
    query = 'SELECT i FROM records WHERE "scores.ok" ORDER BY i'
    assert collection.sql(query).fetchall() == [(4,), (6,)]


@pytest.mark.filterwarnings("ignore::rigorous_recorder.errors.MixedKindsWarning")
def test_charts_and_tables_of_experiments_know_paths(tmp_path: Path) -> None:
    """As x, y and ``by``; a value of a dict counts once for the recorder that has it."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        _log(collection)
        curves = collection.records.plot("i", "scores.f1", by="config.optim.name").curves
        assert [(curve.by, curve.mean) for curve in curves] == [
            ({"config.optim.name": "adam"}, [0.0]),
            ({"config.optim.name": "sgd"}, [0.5]),
            ({"config.optim.name": None}, [1.0, 1.5]),
        ]
        for _ in range(3):
            collection.recorder.children[0].push(i=-1)
        (curve,) = collection.records.where("seed < 2").plot("seed", "config.lr").curves
        assert (curve.x, curve.mean) == ([0, 1], [0.1, 1.0])
        query = 'SELECT seed, "config.lr", "config.optim.decay" FROM experiments ORDER BY seed'
        assert collection.sql(query).fetchall() == [
            (0, 0.1, None),
            (1, 1.0, 3),
            (2, None, None),
            (3, None, None),
        ]
        query = "SELECT seed, \"config.lr\" FROM level('seed') WHERE \"config.optim.name\" = 'sgd'"
        assert collection.sql(query).fetchall() == [(1, 1.0)]
        level = collection.level("seed")
        query = "SELECT seed FROM level WHERE \"config.optim.name\" = 'sgd'"
        assert level.sql(query).fetchall() == [(1,)]
        query = 'SELECT count(*) FROM nodes WHERE "config.depth" = 2'
        assert collection.sql(query).fetchall() == [(4,)]
        by_lr = collection.records.where("i >= 0").sort("config.lr", descending=True)
        assert [row["seed"] for row in by_lr][:2] == [1, 0]
        with pytest.raises(ColumnError, match=r"no column 'scores\.f2'; did you mean 'scores\.f1'"):
            collection.records.plot("i", "scores.f2")


@pytest.mark.filterwarnings("ignore::rigorous_recorder.errors.MixedKindsWarning")
def test_experiments_are_selected_and_sorted_by_paths(tmp_path: Path) -> None:
    """In conditions and queries, also where none of a selection has a value."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        _log(collection)
        runs = collection.experiments

        def seeds(found: Any) -> list[int]:
            return [run["seed"] for run in found]

        assert seeds(runs.where(**{"config.lr": 1.0})) == [1]
        assert seeds(runs.where(**{"config.lr": [0.1, 1]})) == [0, 1]
        assert seeds(runs.where('"config.lr" < 0.5')) == [0]
        assert seeds(runs.where(seed=2).where(**{"config.lr": 1.0})) == []
        assert seeds(runs.sort("config.lr", descending=True))[:2] == [1, 0]
        query = 'SELECT "config.optim.name" FROM experiments WHERE seed = 1'
        assert runs.sql(query).fetchall() == [("sgd",)]
        with pytest.raises(ColumnError, match=r"no column 'config\.lt'; did you mean 'config\.lr'"):
            runs.where(**{"config.lt": 1.0})


def test_a_real_key_wins_over_a_path(tmp_path: Path) -> None:
    """Also where it is the key of a dict itself."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        with collection.new_experiment({"a": {"b": {"c": 1}}, "x": {"y": 1}}) as run:
            run.push({"a.b": {"c": 2}, "x.y": 3})
            run.push({"x.y": None})
        assert collection.sql('SELECT "a.b.c", "x.y" FROM records').fetchall() == [
            (2, 3),
            (None, None),
        ]
        assert len(collection.records.where(**{"x.y": 3})) == 1
        assert collection.records.unnest("a", "x").columns[6:] == ("a", "x", "a.b", "x.y", "a.b.c")


def test_rows_and_files_keep_the_dict(tmp_path: Path) -> None:
    """Stored once, read back as it was; an exported file has both."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        _log(collection)
        records = collection.records.unnest()
        assert records[0] == collection.records[0]
        assert records[0]["config"] == CONFIGS[0]
        records.where(seed=0).save_to(tmp_path / "x.parquet")
        table = pq.read_table(tmp_path / "x.parquet")
        assert table["config.lr"].to_pylist() == [0.1, None]
        assert table["config"].to_pylist()[0] == '{"lr":0.1,"optim":{"name":"adam"}}'
        assert "config.lr" not in collection.records.columns
        assert pickle.loads(pickle.dumps(records)).columns == records.columns


@pytest.mark.filterwarnings("ignore::rigorous_recorder.errors.MixedKindsWarning")
def test_paths_that_are_nowhere_are_reported_with_near_ones(collection: Any) -> None:
    """As keys are."""
    with pytest.raises(ColumnError, match=r"no column 'config\.lrr'; did you mean .*'config"):
        len(collection.records.where(**{"config.lrr": 1}))
    with pytest.raises(ColumnError, match=r"no column 'confi'; did you mean 'config'"):
        collection.records.unnest("confi").to_arrow()
    with pytest.raises(ArgumentError, match="unnest.*Spark.*get_json_object"):
        collection.records.unnest().to_spark(None)
    with pytest.raises(ArgumentError, match="paths.*Spark.*get_json_object"):
        collection.records.select("config.lr").to_spark(None)
    with pytest.raises(ColumnError, match=r"no column 'config\.lt'; did you mean"):
        collection.records.select("i", "config.lt")
    with pytest.raises(ArgumentTypeError, match="unnest takes keys"):
        collection.records.unnest(["config"])
