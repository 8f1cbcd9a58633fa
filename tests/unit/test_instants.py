"""Times of experiments as timestamps, beside the seconds that are stored."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder.errors import ColumnError


def test_times_of_experiments_are_timestamps_where_they_are_named(tmp_path: Path) -> None:
    """In SQL's tables, conditions and the table of experiments; nowhere else, and never stored."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        before = dt.datetime.now(dt.UTC)
        with collection.new_experiment() as experiment:
            experiment.child(model="a").push(i=1)
            (running,) = collection.records.where("experiment_end is null").select("i")
        (row,) = collection.experiments.to_arrow().to_pylist()
        start, end = row["experiment_start"], row["experiment_end"]
        assert before - dt.timedelta(seconds=1) < start <= end <= dt.datetime.now(dt.UTC)
        assert abs(start.timestamp() - row["experiment_start_time"]) < 1e-5
        assert "experiment_attempt_start" not in row
        assert running["i"] == 1
        frame = collection.experiments.to_polars()
        assert frame["experiment_start"][0] == start
        assert collection.experiments.to_pandas()["experiment_end"][0] == end
        for table in ("records", "experiments", "level('model')"):
            ((found,),) = collection.sql(
                f"SELECT experiment_start FROM {table} WHERE experiment_end > TIMESTAMPTZ '2020-01-01'"
            ).fetchall()
            assert abs(found - start) < dt.timedelta(milliseconds=1)
        assert "experiment_start" not in collection.sql("FROM records").columns
        assert "experiment_start" not in collection.records.columns
        records = collection.records
        assert len(records.where("experiment_start > now() - INTERVAL 1 DAY", "i = 1")) == 1
        assert len(records.where("Experiment_Start < TIMESTAMP '2020-01-01'")) == 0
        assert len(collection.level("model").where("experiment_start > '2020-01-01'")) == 1


def test_a_key_of_that_name_is_the_key() -> None:
    """And without experiments there is no such column."""
    recorder = Recorder().push(experiment_start="mine")
    assert recorder.records.sql("SELECT experiment_start FROM records").fetchall() == [("mine",)]
    assert len(recorder.records.where("experiment_start = 'mine'")) == 1
    with pytest.raises(ColumnError, match="experiment_end"):
        len(recorder.records.where("experiment_end is null"))
