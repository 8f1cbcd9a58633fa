"""A writer that others took for dead, and recovered, goes on: nothing is lost, nothing is doubled."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

import rigorous_recorder._live.table as live_table
from rigorous_recorder import ExperimentCollection
from rigorous_recorder._store import home

from .steps import in_a_child

#: What the writer does in the end.
ENDS = ["close", "kill"]


@pytest.fixture(params=["mapped", "write-behind"])
def backing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(home, "is_safe_to_map", lambda _: request.param == "mapped")
    monkeypatch.setattr(live_table, "FIRST_ROWS", 16)
    monkeypatch.setattr(live_table, "MOST_ROWS", 256)
    return str(request.param)


def lose_lock(collection: ExperimentCollection, folder: Path) -> None:
    """As where a lease on a file server ends: others can have the lock."""
    lock = collection._store.home._lock_file
    assert lock is not None
    held, lock._descriptor = lock._descriptor, os.open(os.devnull, os.O_RDONLY)
    os.close(held)


def replace_folder(collection: ExperimentCollection, folder: Path) -> None:
    """As where a backup is put in the folder's place."""
    collection._store.flush()
    shutil.copytree(folder, folder.with_name("backup"))
    shutil.rmtree(folder)
    folder.with_name("backup").rename(folder)


@pytest.mark.usefixtures("backing")
@pytest.mark.parametrize("merges", [False, True], ids=["recovered", "merged"])
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(
    "lose",
    [lose_lock, pytest.param(replace_folder, marks=pytest.mark.slow)],
    ids=["lost lock", "replaced folder"],
)
def test_what_it_logs_after_it_was_recovered_is_kept(
    tmp_path: Path, lose: Callable[[ExperimentCollection, Path], None], end: str, merges: bool
) -> None:
    """Others seal, and merge, what it has; it logs on, syncs, and closes or is killed."""
    folder = tmp_path / "study.collection"

    def log() -> None:
        collection = ExperimentCollection(folder, quiet=True)
        experiment = collection.new_experiment(lr=0.5).__enter__()
        for i in range(100):
            experiment.push(i=i)
        experiment.sync()
        lose(collection, folder)
        other = ExperimentCollection(folder, quiet=True)
        assert len(other) == 100
        if merges:
            other.compact()
        for i in range(100, 300):
            experiment.child(k=i).push(i=i)
        experiment.sync()
        assert sorted(row["i"] for row in collection.records) == list(range(300))
        for i in range(300, 700):
            experiment.push(i=i)
        collection._store.flush()
        assert sorted(row["i"] for row in other.records) == list(range(700))
        if end == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        collection.close()

    assert in_a_child(log) == (-signal.SIGKILL if end == "kill" else 0)
    for _ in range(2):
        reader = ExperimentCollection(folder, quiet=True)
        rows = list(reader.records)
        assert sorted(row["i"] for row in rows) == list(range(700))
        assert {row["lr"] for row in rows} == {0.5}
        assert all(row["k"] == row["i"] for row in rows if 100 <= row["i"] < 300)
        assert reader.verify() == []
        reader.compact()
