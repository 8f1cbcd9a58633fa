"""Collections, records and experiments go to other processes; fields that wait for a commit go along."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark import cloudpickle

from rigorous_recorder import ExperimentCollection, Recorder, Records
from rigorous_recorder.errors import NotACollectionError, NotPicklableError

WORKERS = 3
PATIENCE = 120

Opener = Callable[..., ExperimentCollection]

copies = pytest.mark.parametrize(
    "copied",
    [
        copy.deepcopy,
        lambda thing: pickle.loads(pickle.dumps(thing)),
        lambda thing: pickle.loads(cloudpickle.dumps(thing)),
    ],
    ids=["deepcopy", "pickle", "cloudpickle"],
)


def train(collection: ExperimentCollection, seed: int) -> str:
    with collection.new_experiment(seed=seed) as experiment:
        for step in range(5):
            experiment.push(step=step)
    collection.close()
    return str(collection._store.folder.path)


def begin(experiment: Any) -> int:
    with experiment as recorder:
        recorder.push(step=0)
        return int(recorder["experiment_number"])


def count(records: Records) -> int:
    return len(records)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_take_a_collection_records_and_experiments(
    open_collection: Opener, folder: Path, method: str
) -> None:
    """As arguments of a pool's tasks; what each of them logs is there when it has ended."""
    collection = open_collection(quiet=True)
    collection.recorder["study"] = "a"
    context = multiprocessing.get_context(method)
    with context.Pool(WORKERS) as pool:
        tasks = pool.starmap_async(train, [(collection, seed) for seed in range(WORKERS)])
        assert tasks.get(PATIENCE) == [str(folder)] * WORKERS
        numbers = pool.map_async(begin, [collection.new_experiment(seed=9), collection.resume(1)])
        assert sorted(numbers.get(PATIENCE)) == [1, WORKERS + 1]
        counts = pool.map_async(count, [collection.records, collection.records.where(seed=9)])
        assert counts.get(PATIENCE) == [5 * WORKERS + 2, 1]
        pool.close()
        pool.join()
    assert len(collection) == 5 * WORKERS + 2
    assert {row["study"] for row in collection.records} == {"a"}


@copies
def test_a_copy_of_a_collection_is_another_way_into_it(
    open_collection: Opener, folder: Path, copied: Callable[[Any], Any]
) -> None:
    """With its options; also of a closed one, and of one whose folder is not there yet."""
    collection = open_collection(quiet=True)
    early = copied(collection)
    with collection.new_experiment() as experiment:
        experiment.push(i=0).sync()
        late = copied(collection)
        assert [row["i"] for row in late.records] == [row["i"] for row in early.records] == [0]
        late.close()
        experiment.push(i=1)
    collection.close()
    again = copied(collection)
    assert again._is_quiet
    assert type(again) is ExperimentCollection
    with again.new_experiment() as experiment:
        experiment.push(i=2)
    assert [row["i"] for row in early.records] == [0, 1, 2]
    assert repr(again).startswith(f"<ExperimentCollection {folder}: 2 experiments, 3 records")
    again.close()
    early.close()


@copies
def test_a_copy_of_records_has_the_same_rows(
    open_collection: Opener, copied: Callable[[Any], Any]
) -> None:
    """Of a collection they are read anew, with what is logged later; of one in memory they are all."""
    collection = open_collection(quiet=True)
    with collection.new_experiment() as experiment:
        child = experiment.child(k=1).push(i=0).push(i=1)
        for records in (collection.records, experiment.all_records, child.records):
            view = records.where(k=1, i=1)
            found = copied(records), copied(view)
            assert [[dict(row) for row in each] for each in found] == [
                [dict(row) for row in each] for each in (records, view)
            ]
        experiment.child(k=1).push(i=1)
        assert len(copied(collection.records.where(i=1))) == 2
    top = Recorder(a=1)
    low = top.child(k=np.arange(3)).push(i=0)
    low.child().push(i=1)
    for records in (top.all_records, low.records, low.all_records, low.all_records.where(i=1)):
        assert str(list(copied(records))) == str(list(records))


@copies
def test_an_experiment_that_was_begun_is_not_copied(
    open_collection: Opener, copied: Callable[[Any], Any]
) -> None:
    """One that was not is begun by whoever has the copy; the error has what to pass instead."""
    collection = open_collection(quiet=True)
    experiment = collection.new_experiment(seed=1)
    other = copied(experiment)
    with experiment as recorder:
        recorder.push(i=0)
        with pytest.raises(NotPicklableError, match="pass its recorder"):
            copied(experiment)
        assert begin(other) == 2
        assert begin(copied(collection.new_experiment(resume="auto", seed=2))) == 3
    assert begin(copied(collection.resume(1))) == 1
    assert {row["seed"] for row in collection.experiments} == {1, 2}


def test_records_of_a_collection_that_is_another_by_now_are_refused(
    open_collection: Opener, folder: Path
) -> None:
    """Ids of recorders mean nothing there."""
    collection = open_collection(quiet=True)
    with collection.new_experiment() as experiment:
        experiment.push(i=0)
        data = pickle.dumps(experiment.records)
    collection.close()
    folder.rename(folder.with_name("moved.collection"))
    with pytest.raises(NotACollectionError):
        pickle.loads(data)


# --- fields that wait for a commit ---------------------------------------------------------------


def check(recorder: Recorder) -> None:
    assert recorder.pending.keys() == {"x", "y", "z", "t", "d", "array"}
    assert type(recorder.pending["x"]) is int
    assert recorder.pending["array"].tolist() == [0, 1, 2]
    expected = {"a": 1, "x": 1, "y": 0.5, "z": None, "t": "text", "d": {"k": [1, True]}}
    recorder.commit()
    row = dict(recorder.records[1])
    assert {key: row.get(key) for key in expected} == expected
    assert recorder.pending == {}


@copies
def test_a_copy_of_a_recorder_in_memory_waits_for_the_same_commit(
    copied: Callable[[Any], Any],
) -> None:
    """What was added stays added, in the copy and in the original, each for itself."""
    recorder = Recorder(a=1).push(i=0)
    recorder.add({"x": 1, "y": 0.5, "z": None, "t": "text", "d": {"k": [1, True]}})
    recorder.add(array=np.arange(3))
    child = recorder.child(k=1).add(w=b"bytes")
    found = copied(recorder)
    (other,) = found.children
    assert dict(other.pending) == {"w": b"bytes"}
    other.add(v=1)
    assert dict(child.pending) == {"w": b"bytes"}
    check(found)
    check(recorder)


def test_a_saved_recorder_waits_for_the_same_commit(tmp_path: Path) -> None:
    """As a pickle of it does."""
    recorder = Recorder(a=1).push(i=0)
    recorder.add({"x": 1, "y": 0.5, "z": None, "t": "text", "d": {"k": [1, True]}})
    recorder.add(array=np.arange(3))
    recorder.save_to(tmp_path / "saved.pickle")
    check(Recorder.load_from(tmp_path / "saved.pickle"))
