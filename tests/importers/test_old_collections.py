"""Collections of version 1.4.4 are imported with their experiments and trees."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.importers import import_runs

OLD = Path(__file__).parents[1] / "data" / "collection_1.4.4"


def test_a_collection_has_its_experiments_and_tree(tmp_path: Path) -> None:
    """Each record once, with what was above it; what has been added since is imported alone."""
    source = tmp_path / "study.collection"
    shutil.copytree(OLD, source)
    with ExperimentCollection(tmp_path / "new") as collection:
        done = import_runs(tmp_path / "study.collection", collection)
        assert (done.records, done.sources, done.report.losses) == (24, {"pickle": 1}, [])
        assert [each.status.value for each in collection.experiments] == [
            "finished",
            "failed",
            "finished",
        ]
        assert all(each["experiment_duration"] < 1 for each in collection.records)
        rows = [
            tuple(row[key] for key in ("run", "model", "lr", "training", "index", "loss"))
            for row in collection.records
        ]
        names = ["study.collection 1", "study.collection 2", "study.collection 2"]
        wanted = [
            (name, model, 0.5, True, index, place + index / 4)
            for place, name in enumerate(names)
            for model in ("m1", "m2")
            for index in range(3)
        ]
        assert [row for row in rows if row[3]] == wanted
        tests = [
            (row["model"], row["step"], row["accuracy"])
            for row in collection.records.where(testing=True)
        ]
        assert tests == [("m1", 9, 0.5), ("m2", 9, 0.5)] * 3
        first = collection.recorder.children[0]
        assert [len(child.children) for child in first.children] == [2, 2]
        (source / "collection_id.txt").touch()
        (source / "records.pickle").touch()
        assert import_runs(source, collection).records == 0


def test_a_pickle_that_is_not_of_records_is_reported(tmp_path: Path) -> None:
    """Nothing in it is executed."""
    (tmp_path / "collection_id.txt").write_text("1")
    for value in ({"rigorous_recorder": 1}, [1], print):
        (tmp_path / "records.pickle").write_bytes(pickle.dumps(value))
        with ExperimentCollection(tmp_path / "new") as collection:
            done = import_runs(tmp_path, collection, format="pickle")
            assert "can't be read" in str(done.report.losses[0])
            assert len(collection.records) == 0


def test_steps_of_a_pickled_recorder_are_steps(tmp_path: Path) -> None:
    """As in collections, and its recorders are those that were logged to."""
    with ExperimentCollection(tmp_path / "new") as collection:
        done = import_runs(OLD.parent / "record_keeper_1.4.4.pickle", collection)
        assert (done.records, done.report.losses) == (3, [])
        rows = [(row["model"], row["step"], row["loss"]) for row in collection.records]
        assert ("m1", 1, 0.25) in rows
        assert "metric.step" not in collection.records.columns
