"""``level``: each recorder that has a key once, with what it inherits, and how many records it has."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection, Level, Recorder
from rigorous_recorder.errors import (
    ArgumentError,
    ArgumentTypeError,
    ColumnError,
    RecordIndexError,
    RigorousError,
)


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExperimentCollection]:
    """Two seeds of two episodes of other lengths; one records nothing, one has a deeper recorder."""
    with ExperimentCollection(tmp_path_factory.mktemp("level") / "c", quiet=True) as found:
        for seed, rewards in enumerate([(500.0, 0.0), (40.0, 20.0)]):
            with found.new_experiment(seed=seed) as experiment:
                for number, reward in enumerate(rewards):
                    episode = experiment.child(episode=number, total_reward=reward)
                    for step in range(int(reward)):
                        episode.push(step=step)
                    if seed:
                        episode.child(part="deep").push(step=-1)
            found.save()
        yield found


WANTED = [
    {"seed": 0, "episode": 0, "total_reward": 500.0, "records": 500},
    {"seed": 0, "episode": 1, "total_reward": 0.0, "records": 0},
    {"seed": 1, "episode": 0, "total_reward": 40.0, "records": 41},
    {"seed": 1, "episode": 1, "total_reward": 20.0, "records": 21},
]
_NAMES = list(WANTED[0])


def test_every_engine_has_a_row_for_each_recorder(collection: ExperimentCollection) -> None:
    """A mean over it is the mean of the recorders, not of their records."""
    level = collection.level("episode")
    assert [{key: row[key] for key in _NAMES} for row in level] == WANTED
    assert level.to_arrow().select(_NAMES).to_pylist() == WANTED
    assert level.to_polars().select(_NAMES).to_dicts() == WANTED
    assert level.to_polars(lazy=True).select(_NAMES).collect().to_dicts() == WANTED
    assert level.to_pandas()[_NAMES].to_dict("records") == WANTED
    assert level.to_polars()["total_reward"].mean() == 140.0
    assert (len(level), level[2]["total_reward"], level[-1]["seed"]) == (4, 40.0, 1)
    assert level.columns[-1] == "records"
    assert level.schema == level.to_arrow().schema
    assert level.sql("SELECT avg(total_reward) FROM level").fetchall() == [(140.0,)]
    assert "total_reward" in str(level)
    assert "<table" in level._repr_html_()
    assert len(pickle.loads(pickle.dumps(level))) == 4
    curve = level.plot("episode", "total_reward").curves[0]
    assert (curve.mean, curve.count) == ([270.0, 10.0], [2, 2])


QUERIES = {
    "SELECT avg(total_reward) FROM level('episode')": [(140.0,)],
    'SELECT avg(total_reward), sum(records) FROM LEVEL ("episode") l': [(140.0, 562)],
    "SELECT count(*) FROM level('seed')": [(2,)],
    "SELECT l.total_reward, count(*) FROM records JOIN level('episode') AS l USING (seed, episode)"
    " WHERE step >= 0 GROUP BY ALL ORDER BY 1": [(20.0, 20), (40.0, 40), (500.0, 500)],
    "SELECT (SELECT max(total_reward) FROM level('episode')) - min(step) FROM records": [(501.0,)],
    "WITH best AS (SELECT seed, max(total_reward) AS r FROM level('episode') GROUP BY 1)"
    " SELECT avg(r) FROM best": [(270.0,)],
    "SELECT s.seed, e.episode FROM level('seed') s JOIN level('episode') e USING (seed)"
    " WHERE e.records = 0": [(0, 1)],
    "SELECT count(*) FROM experiments WHERE seed IN (SELECT seed FROM level('episode'))": [(2,)],
    "CREATE TABLE kept AS FROM level('episode'); SELECT count(*) FROM kept": [(4,)],
}


@pytest.mark.parametrize("query", QUERIES)
def test_sql_has_levels_wherever_it_has_tables(
    collection: ExperimentCollection, query: str
) -> None:
    """In joins, subqueries, and statements that can't be parsed here."""
    assert collection.sql(query).fetchall() == QUERIES[query]


def test_rows_are_sorted_cut_and_selected_alike_in_every_engine(
    collection: ExperimentCollection,
) -> None:
    """As records are: missing values and NaN last, equal ones in order; a later cut is of the rest."""
    level = collection.level("episode")
    by_reward = level.sort("seed", "total_reward", descending=[True, False])
    for view, wanted in (
        (by_reward, [20.0, 40.0, 0.0, 500.0]),
        (by_reward.head(3).tail(2), [40.0, 0.0]),
        (level.head(3).sort("records", descending=True), [500.0, 40.0, 0.0]),
        (level.tail(1), [20.0]),
        (level.where(seed=1).sort("total_reward").select("total_reward"), [20.0, 40.0]),
        (level.head(0), []),
    ):
        assert [row["total_reward"] for row in view] == wanted
        assert len(view) == len(wanted)
        assert view.to_arrow()["total_reward"].to_pylist() == wanted
        assert view.to_polars()["total_reward"].to_list() == wanted
        assert view.to_pandas()["total_reward"].tolist() == wanted
        found = view.sql("SELECT total_reward FROM level").fetchall()
        assert [reward for (reward,) in found] == wanted
        assert [row["total_reward"] for row in pickle.loads(pickle.dumps(view))] == wanted
    selected = level.select("records", "seed")
    assert (selected.columns, dict(selected[0])) == (
        ("records", "seed"),
        {"records": 500, "seed": 0},
    )
    assert "500" in str(selected)
    for call, message in (
        (lambda: level.sort("reward"), "no column 'reward'; did you mean 'total_reward'"),
        (lambda: level.select("step"), "no column 'step'"),
        (lambda: selected.select("episode"), "no column 'episode'"),
        (level.sort, "at least one key"),
        (lambda: level.sort("seed", descending=[True, True]), "1 keys, and descending= is of 2"),
        (lambda: level.head(-1), "expected 0 or more"),
    ):
        with pytest.raises((ColumnError, ArgumentError), match=message):
            call()


@pytest.mark.filterwarnings("ignore::rigorous_recorder.errors.MixedKindsWarning")
def test_a_level_is_sorted_and_selected_by_paths(tmp_path: Path) -> None:
    """A key with values of several kinds has all of its columns."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        for lr in (0.1, math.nan, None, 0.01, "auto"):
            collection.recorder.child(seed=1, config={"lr": lr})
        level = collection.level("seed").sort("config.lr").select("config.lr")
        assert [row["config.lr"] for row in level.head(2)] == [0.01, 0.1]
        assert level.columns == ("config.lr", "config.lr:str")
        assert level.to_arrow()["config.lr:str"].to_pylist().count("auto") == 1
        assert sum(row["config.lr"] == "auto" for row in level) == 1
        runs = collection.experiments.sort
        with pytest.raises(ArgumentError, match="1 keys, and descending= is of 2"):
            runs("seed", descending=[True, False])


def test_a_part_has_the_level_of_its_recorders(collection: ExperimentCollection) -> None:
    """With what it inherits from above; conditions choose among them."""
    first, second = collection.recorder.children
    assert [row["total_reward"] for row in second.level("episode")] == [40.0, 20.0]
    assert second.level("part")[0]["total_reward"] == 40.0
    assert second.all_records.sql("SELECT sum(records) FROM level('episode')").fetchall()[0] == (
        62,
    )
    assert len(first.level("part")) == 0
    level = collection.level("episode")
    for narrowed, wanted in (
        (level.where(seed=1), [40.0, 20.0]),
        (level.where("total_reward between 1 and 100", episode=[0, 1]), [40.0, 20.0]),
        (level.where(seed=0).where("episode = 1"), [0.0]),
        (level.where(part=None, seed=0), [500.0, 0.0]),
    ):
        assert [row["total_reward"] for row in narrowed] == wanted
        assert narrowed.to_arrow()["total_reward"].to_pylist() == wanted
    sums = "SELECT sum(total_reward), sum(records) FROM level('episode')"
    assert collection.records.where(seed=1).sql(sums).fetchall()[0] == (60.0, 62)
    assert collection[1].sql(sums).fetchall()[0] == (500.0, 500)
    assert collection.records.where("step < 0").sql(sums).fetchall()[0] == (560.0, 2)


def test_the_last_attempt_of_a_resumed_experiment_counts(tmp_path: Path) -> None:
    """Of recorders that an attempt repeated; all are there on request."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        with collection.new_experiment(seed=1) as experiment:
            for number in range(3):
                experiment.child(episode=number, reward=1.0).push(step=0)
        with collection.resume(-1) as attempt:
            for number in range(2, 4):
                attempt.child(episode=number, reward=5.0).push(step=0).push(step=1)
        level = collection.level("episode")
        assert [(row["episode"], row["reward"]) for row in level] == [
            (0, 1.0),
            (1, 1.0),
            (2, 5.0),
            (3, 5.0),
        ]
        assert collection.sql(
            "SELECT sum(reward), sum(records) FROM level('episode')"
        ).fetchall() == [(12.0, 6)]
        assert len(collection.level("episode", attempts="all")) == 5
        assert [row["records"] for row in collection.level("seed")] == [7]
        assert len(collection.level("experiment_number")) == 1


def test_updates_moves_and_deleted_runs_are_seen(tmp_path: Path) -> None:
    """It is what recorders know now; a key named ``records`` keeps its name."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        with collection.new_experiment() as experiment:
            episode = experiment.child(episode=0)
            other = experiment.child(episode=1, records="mine").push(x=1)
        level = collection.level("episode")
        episode["reward"] = 3
        episode["episode"] = 7
        assert [(row["episode"], row["reward"]) for row in level] == [(7, 3), (1, None)]
        assert level[1]["records"] == "mine"
        assert level[1]["records_"] == 1
        other["episode"] = None
        assert [row["episode"] for row in level] == [7]
        with collection.new_experiment() as experiment:
            experiment.child(episode=9)
        collection.delete(1)
        assert [row["episode"] for row in level] == [9]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda c: c.level("epsode"), ColumnError, r"level\('epsode'\).*did you mean 'episode'"),
        (lambda c: c.sql("FROM level('epsode')"), ColumnError, "did you mean 'episode'"),
        (lambda c: c.sql("SELECT 1 FROM level('a''b')"), ColumnError, 'no column "a\'b"'),
        (lambda c: c.level("step"), ColumnError, "records have 'step' themselves"),
        (lambda c: c.level(3), ArgumentTypeError, "the key of a level is text"),
        (lambda c: c.level("episode", attempts="first"), ArgumentError, "one of last, all"),
        (lambda c: c.level("episode").where(modle=1), ColumnError, "no column 'modle'"),
        (lambda c: c.level("episode").where("x ="), ArgumentError, "one SQL condition"),
        (lambda c: c.level("episode")[9], RecordIndexError, "row 9 of 4"),
        (lambda c: c.recorder.level("epsode"), ColumnError, "did you mean 'episode'"),
    ],
)
def test_a_level_that_is_not_there_is_reported(
    collection: ExperimentCollection, call: Any, error: type[RigorousError], message: str
) -> None:
    """With near names, where it is written."""
    with pytest.raises(error, match=message):
        call(collection)


def test_a_level_of_nothing_is_empty() -> None:
    """Nothing was logged yet, so nothing is wrong."""
    recorder = Recorder()
    level: Level = recorder.level("episode")
    assert (len(level), list(level), level.to_arrow().num_rows) == (0, [], 0)
    recorder.child(episode=1)
    assert [row["episode"] for row in level] == [1]
