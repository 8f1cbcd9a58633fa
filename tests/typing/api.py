"""What a type checker sees of the public face; mypy runs over this file, nothing executes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, assert_type

import duckdb
import pandas as pd
import polars as pl

from rigorous_recorder import (
    Curves,
    Difference,
    Experiment,
    ExperimentCollection,
    ExperimentOverview,
    Experiments,
    Level,
    LevelView,
    Recorder,
    RecordKeeper,
    Records,
    RecordsView,
    Row,
    Run,
    Status,
    Tree,
    register_stop,
)

recorder = Recorder({"a": 1}, b=2)
assert_type(recorder, Recorder)
assert_type(RecordKeeper(), Recorder)
assert_type(recorder.set_parent(Recorder()), Recorder)
assert_type(recorder.child(episode=1), Recorder)
assert_type(recorder.SubRecorder(episode=1), Recorder)
assert_type(recorder.push(x=1).push({"y": 2}).add(z=3).commit(), Recorder)
assert_type(recorder.extend({"x": [1, 2]}), Recorder)
assert_type(recorder.sync(), Recorder)
assert_type(recorder.parent, Recorder | None)
assert_type(recorder.children, list[Recorder])
assert_type(recorder.records, Records)
assert_type(recorder.all_records[0], Row)
assert_type(recorder.all_records[:2], list[Row])
assert_type(recorder.all_records[0]["x"], Any)
assert_type(recorder.records.where(x=1), Records)
assert_type(recorder.records.select("x", "y"), Records)
assert_type(recorder.records.sort("x", "y", descending=[True, False]).head(3), RecordsView)
assert_type(recorder.records.tail().select("x").to_polars(), pl.DataFrame)
assert_type(recorder.records.head(2)[0], Row)
assert_type(recorder.level("x").where("x > 1", y=2), Level)
assert_type(recorder.level("x").sort("x", descending=True).head(3).select("x"), LevelView)
assert_type(recorder.level("x", attempts="all").to_polars(lazy=True), pl.LazyFrame)
assert_type(recorder.records.where("x > 1", "y < 2", z=[1, 2]), Records)
assert_type(recorder.records.to_pandas(), pd.DataFrame)
assert_type(recorder.records.to_polars(), pl.DataFrame)
assert_type(recorder.records.columns, tuple[str, ...])
assert_type(recorder.records.follow(last=10, interval=0.5), Iterator[Row])
assert_type(recorder.records.plot("x", "y", by="z", band="sem", out="x.png"), Curves)
assert_type(len(recorder.records), int)
assert_type(Recorder.load_from("x.pickle"), Recorder)

collection = ExperimentCollection("data/study", quiet=True)
with collection.new_experiment(learning_rate=0.1) as experiment:
    assert_type(experiment, Recorder)
with collection.new_experiment({"learning_rate": 0.1}, resume="auto") as experiment:
    assert_type(experiment, Recorder)
with collection.resume(-1, capture=["environment", "console"]) as experiment:
    assert_type(experiment, Recorder)
assert_type(
    ExperimentCollection.open(Path("data/study"), read_only=True, quiet=True), ExperimentCollection
)
union = ExperimentCollection.union([collection, "data/other", Path("data/third")], key="study")
assert_type(union, ExperimentCollection)
assert_type(
    ExperimentCollection.union({"old": "data/old", "new": collection}), ExperimentCollection
)
assert_type(collection.records, Records)
assert_type(collection[1], Records)
assert_type(collection.experiment_numbers, tuple[int, ...])
assert_type(collection.experiments, Experiments)
assert_type(collection.experiments[0], Experiment)
assert_type(collection.experiment(-1, error_number=1), Experiment)
assert_type(collection.experiment(1).recorder, Recorder)
assert_type(collection.experiment(1).records, Records)
assert_type(collection.experiment(1).status, Status)
assert_type(collection.experiment(1).tags, tuple[str, ...])
assert_type(collection.experiment(1)["lr"], Any)
assert_type(collection.experiments.where("lr > 0", status="failed").sort("lr"), Experiments)
assert_type(collection.experiments.sql("FROM experiments"), duckdb.DuckDBPyRelation)
assert_type(collection.experiment(1).diff(collection.experiment(2)), list[Difference])
run = collection.start(lr=0.1)
assert_type(run, Run)
assert_type(run.recorder, Recorder)
assert_type(run.experiment, Experiment)
assert_type(run.push(x=1), Recorder)
assert_type(run.finish("pruned"), None)
assert_type(run.fail(ValueError("diverged")), None)
assert_type(collection.resume(-1).start(), Run)
register_stop(StopIteration, "stopped")
assert_type(collection.experiments.to_polars(), pl.DataFrame)
assert_type(collection.tree(depth=1), Tree)
assert_type(collection.overview(), list[ExperimentOverview])
assert_type(collection.size_on_disk(), int)
assert_type(collection.delete(1, -1), int)
assert_type(ExperimentCollection.find("data"), list[Path])
assert_type(recorder.tree(children=3).children, list[Tree])
assert_type(collection.recorder, Recorder)
assert_type(collection.sql("FROM records"), duckdb.DuckDBPyRelation)
