"""The keys that a collection sets on experiments can't be set inside of one by anybody else."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._keys import FIRST_KEYS
from rigorous_recorder.errors import ReservedKeyError

Opener = Callable[..., ExperimentCollection]


def commit(recorder: Recorder, key: str) -> None:
    try:
        recorder.add(**{key: 9})  # refused at once, or with the record
        recorder.commit()
    finally:
        assert key not in recorder.pending


WAYS: dict[str, Callable[[Recorder, str], object]] = {
    "push": lambda recorder, key: recorder.push(**{key: 9}),
    "push of a dict": lambda recorder, key: recorder.push({key: 9, "x": 1}),
    "push of text": lambda recorder, key: recorder.push({key: "9"}),
    "add": commit,
    "update": lambda recorder, key: recorder.update({key: 9}),
    "item": lambda recorder, key: recorder.__setitem__(key, None),
    "child": lambda recorder, key: recorder.child(**{key: 9}),
    "extend": lambda recorder, key: recorder.extend({key: [1, 2]}),
    "extend by a frame": lambda recorder, key: recorder.extend(pl.DataFrame({key: [1, 2]})),
    "a recorder": lambda recorder, key: Recorder({key: 9}).set_parent(recorder),
    "a tree": lambda recorder, key: Recorder(a=1).child({key: 9}).push(x=1).parent.set_parent(recorder),  # type: ignore[union-attr]
    "records": lambda recorder, key: Recorder(a=1).push({key: 9}).set_parent(recorder),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("key", ["experiment_number", "had_error", "experiment_error_message"])
def test_a_reserved_key_is_refused_in_an_experiment(
    open_collection: Opener, way: Callable[[Recorder, str], object], key: str
) -> None:
    """At any depth, by name, and nothing is half done: the run goes on with its number."""
    collection = open_collection()
    with collection.new_experiment(seed=1) as experiment:
        for recorder in (experiment, experiment.child(model="m"), collection.recorder.children[0]):
            with pytest.raises(ReservedKeyError, match=f"^{key}: .* choose another key"):
                way(recorder, key)
            recorder.push(x=5)
            with pytest.raises(ReservedKeyError):
                way(recorder, key)
    assert [(row["experiment_number"], row["x"]) for row in collection.records] == 3 * [(1, 5)]
    assert collection.experiments[0]["had_error"] is False
    with collection.new_experiment() as experiment:
        assert experiment["experiment_number"] == 2


def test_all_of_them_are_refused_and_nothing_else(open_collection: Opener) -> None:
    """Also in new_experiment; names that are only like them are a user's own."""
    collection = open_collection()
    with collection.new_experiment() as experiment:
        for key in FIRST_KEYS:
            with pytest.raises(ReservedKeyError):
                experiment.push({key: 1})
            with pytest.raises(ReservedKeyError):
                collection.new_experiment({key: 1})
        experiment.push(experiment=1, attempt=2, error_type="x", Experiment_Number=3)
        experiment["error_message"] = "mine"
    (row,) = collection.records
    assert (row["experiment"], row["error_message"], row["experiment_number"]) == (1, "mine", 1)


def test_a_pickled_recorder_refuses_as_well(open_collection: Opener) -> None:
    """In another process it is below the same experiment."""
    with open_collection().new_experiment() as experiment:
        other = pickle.loads(pickle.dumps(experiment.child(a=1)))
        for way in (WAYS["push"], WAYS["update"], WAYS["child"]):
            with pytest.raises(ReservedKeyError):
                way(other, "experiment_number")


def test_outside_of_collections_they_are_keys_as_any(tmp_path: Path) -> None:
    """In memory, saved and loaded; what was saved from a collection among them."""
    recorder = Recorder(experiment_number=3).push(had_error=True)
    recorder["error_number"] = 1
    recorder.add(experiment_duration=2.0).commit()
    recorder.save_to(tmp_path / "x.pickle")
    rows = Recorder.load_from(tmp_path / "x.pickle").all_records
    assert [dict(row) for row in rows] == [
        {"experiment_number": 3, "error_number": 1, "had_error": True},
        {"experiment_number": 3, "error_number": 1, "experiment_duration": 2.0},
    ]


def test_trees_that_have_them_move_below_the_root(open_collection: Opener, tmp_path: Path) -> None:
    """So the experiments of another collection, or of an old version, come into this one."""
    old = ExperimentCollection(tmp_path / "old", quiet=True)
    for seed in (1, 2):
        with old.new_experiment(seed=seed) as experiment:
            experiment.push(x=seed)
    old.recorder.save_to(tmp_path / "old.pickle")
    collection = open_collection()
    for experiment in Recorder.load_from(tmp_path / "old.pickle").children:
        experiment.set_parent(collection.recorder)
    assert [(row["experiment_number"], row["seed"]) for row in collection.experiments] == [
        *((1, 1), (2, 2))
    ]
    with collection.new_experiment() as experiment:
        assert experiment["experiment_number"] == 3
        moved: Any = Recorder.load_from(tmp_path / "old.pickle")
        with pytest.raises(ReservedKeyError):
            moved.set_parent(experiment)
        Recorder(b=1).push(x=3).set_parent(experiment)
    assert [row["x"] for row in collection.records] == [1, 2, 3]


def test_only_what_moves_must_be_free_of_them(open_collection: Opener) -> None:
    """What stays behind may have them."""
    top = Recorder(experiment_number=7)
    low = top.child(a=1).push(x=1)
    with open_collection().new_experiment() as experiment:
        low.set_parent(experiment)
        assert experiment.all_records[0]["experiment_number"] == 1
