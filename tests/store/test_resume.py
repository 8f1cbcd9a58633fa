"""Experiments that go on after a crash: which one does, its attempts, and how they are told apart."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from rigorous_recorder import ExperimentCollection, Recorder, _lifecycle, _resumption
from rigorous_recorder._keys import ERROR_KEYS
from rigorous_recorder._store import backend
from rigorous_recorder.cli.app import make_app
from rigorous_recorder.errors import (
    ArgumentError,
    ClosedError,
    PendingRecordWarning,
    ReservedKeyError,
    RunningError,
)

from ..faults import THOROUGH
from .folders import copy_live, done_or_dead, opened

WORKERS = 6
PATIENCE = 60

Opener = Callable[..., ExperimentCollection]
Slurm = Callable[..., None]

# Python 3.12 warns of every fork of a process with threads; what these tests do is just that.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")

#: Trains from one step to another, is killed in the middle, waits to be killed, or ends well.
TRAIN = """
import json, os, signal, sys
from rigorous_recorder import ExperimentCollection

plan = json.loads(sys.argv[1])
collection = ExperimentCollection(plan["folder"], quiet=True)
if plan["number"]:
    run = collection.resume(plan["number"])
else:
    run = collection.new_experiment(plan["info"], resume=plan["resume"])
with run as experiment:
    model = experiment.child(model="m")
    for step in range(*plan["steps"]):
        model.push(step=step, loss=plan["loss"])
    print("running", flush=True)
    if plan["end"] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if plan["end"] == "wait":
        sys.stdin.read()
"""


class Mishap(Exception):
    """What goes wrong in these experiments."""


@pytest.fixture(autouse=True)
def _no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests may run in a job of SLURM themselves."""
    for name in list(os.environ):
        if name.startswith("SLURM_"):
            monkeypatch.delenv(name)


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch) -> Slurm:
    """Makes this process a part of a job."""

    def set_job(job: int, *, restarts: int = 0, task: int = 0, tasks: int = 1) -> None:
        for name, value in job_environment(job, restarts, task, tasks).items():
            monkeypatch.setenv(name, value)

    return set_job


def job_environment(job: int, restarts: int = 0, task: int = 0, tasks: int = 1) -> dict[str, str]:
    """What SLURM says to a task of a job; of restarts only where there were any."""
    said = {"SLURM_JOB_ID": job, "SLURM_PROCID": task, "SLURM_NTASKS": tasks}
    said |= {"SLURM_RESTART_COUNT": restarts} if restarts else {}
    return {name: str(value) for name, value in said.items()}


def train(folder: Path, steps: tuple[int, int], end: str, **more: Any) -> subprocess.Popen[str]:
    """A process that trains."""
    plan = {"folder": str(folder), "steps": steps, "end": end}
    plan |= {"number": None, "info": {}, "resume": None, "loss": 1.0} | more
    environment = os.environ | plan.pop("environment", {})
    return subprocess.Popen(
        [sys.executable, "-c", TRAIN, json.dumps(plan)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def trained(*args: Any, **more: Any) -> int:
    """The exit code of a process that trains and ends by itself."""
    with train(*args, **more) as process:
        process.communicate(timeout=PATIENCE)
    return process.returncode


def forked(work: Callable[[], object]) -> int:
    """The exit code of a forked child that does some work."""
    child = os.fork()
    if not child:
        code = 1
        try:
            work()
            code = 0
        except BaseException as error:  # noqa: BLE001 - told, and the exit code says it
            sys.__stderr__.write(f"in the forked child: {error!r}\n")  # type: ignore[union-attr]
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def crash(folder: Path, info: dict[str, Any] | None = None, **options: Any) -> None:
    """A process that is killed in its experiment, after one record."""

    def work() -> None:
        with ExperimentCollection(folder, quiet=True).new_experiment(info, **options) as run:
            run.push(step=0)
            os.kill(os.getpid(), signal.SIGKILL)

    assert forked(work) == -signal.SIGKILL


def fail(collection: ExperimentCollection, *, number: int | None = None, **options: Any) -> int:
    """An attempt that ends with an error; the number of its experiment."""
    run = collection.resume(number) if number else collection.new_experiment(**options)
    found = 0
    with pytest.raises(Mishap), run as _experiment:
        found = _experiment["experiment_number"]
        _experiment.push(step=0)
        raise Mishap("boom")
    return found


def told(collection: ExperimentCollection) -> list[tuple[Any, ...]]:
    """Of each experiment its number, error number, attempt, and what became of it."""
    return [
        (row["experiment_number"], row["error_number"], row["experiment_attempt"], str(each.status))
        for row, each in zip(collection.experiments, collection.overview(), strict=True)
    ]


# --- resumed by number ----------------------------------------------------------------------------


def test_killed_processes_are_gone_on_with_by_others(folder: Path, open_collection: Opener) -> None:
    """Killed twice and resumed twice: one experiment, three attempts, every record in its own."""
    assert trained(folder, (0, 6), "kill", loss=1.0) == -signal.SIGKILL
    collection = open_collection(quiet=True)
    assert told(collection) == [(1, 1, None, "crashed")]
    begun = collection.experiments[0]["experiment_start_time"]

    assert trained(folder, (4, 9), "kill", loss=2.0, number=1) == -signal.SIGKILL
    assert told(collection) == [(1, 2, 2, "crashed")]
    assert collection.overview()[0].duration is None

    assert trained(folder, (8, 10), "end", loss=3.0, number=-1) == 0
    for each in (collection, open_collection()):
        assert told(each) == [(1, 0, 3, "finished")]
        seen = [(row["experiment_attempt"], row["step"], row["loss"]) for row in each.records]
        assert sorted(seen) == [
            *((1, step, 1.0) for step in range(6)),
            *((2, step, 2.0) for step in range(4, 9)),
            *((3, step, 3.0) for step in range(8, 10)),
        ]
        for row in each.records:
            assert (row["experiment_number"], row["had_error"], row["model"]) == (1, False, "m")
            assert row["experiment_start_time"] == begun
            took = row["experiment_end_time"] - row["experiment_start_time"]
            assert row["experiment_duration"] == pytest.approx(took)
        (overview,) = each.overview()
        assert (overview.records, overview.attempts) == (13, 3)
        assert overview.keys == ["model", "step", "loss"]
        assert each.verify() == []
    starts = {
        row["experiment_attempt"]: row["experiment_attempt_start_time"]
        for row in collection.records
    }
    assert starts[1] is None  # the experiment's own start
    assert begun < starts[2] < starts[3] < collection.records[0]["experiment_end_time"]


def test_the_last_attempt_of_each_step_is_found_in_sql(open_collection: Opener) -> None:
    """Steps that were done again are distinguished by their attempt, in SQL, frames and by where."""
    collection = open_collection(quiet=True)
    for attempt, steps in enumerate([range(5), range(3, 8), range(7, 9)], start=1):
        run = collection.resume(1) if attempt > 1 else collection.new_experiment(lr=0.1)
        with pytest.raises(Mishap), run as _experiment:
            for step in steps:
                _experiment.push(step=step, loss=attempt)
            raise Mishap
    expected = [
        *((step, 1) for step in range(3)),
        *((step, 2) for step in range(3, 7)),
        (7, 3),
        (8, 3),
    ]
    query = (
        "SELECT step, arg_max(loss, experiment_attempt) FROM records GROUP BY step ORDER BY step"
    )
    assert collection.sql(query).fetchall() == expected
    window = """
        SELECT step, loss FROM records
        QUALIFY experiment_attempt = max(experiment_attempt) OVER (
            PARTITION BY experiment_number, step)
        ORDER BY step"""
    assert collection.sql(window).fetchall() == expected
    frame = collection.records.to_polars().sort("experiment_attempt")
    last = frame.unique("step", keep="last").sort("step")
    assert last.select("step", "loss").rows() == expected
    assert [row["step"] for row in collection.records.where(experiment_attempt=2)] == [
        3,
        4,
        5,
        6,
        7,
    ]
    nodes = collection.sql(
        "SELECT experiment_attempt FROM nodes WHERE experiment_attempt > 1 ORDER BY ALL"
    )
    assert nodes.fetchall() == [(2,), (3,)]


def test_one_that_runs_is_not_resumed(folder: Path, open_collection: Opener) -> None:
    """Neither here nor in another process, the first time or resumed; when it is dead, it is."""
    collection, other = open_collection(quiet=True), open_collection(quiet=True)
    with collection.new_experiment():
        for each in (collection, other):
            with pytest.raises(RunningError, match="experiment 1 is still running"), each.resume(1):
                pass
    with collection.resume(1) as _experiment:
        assert _experiment["experiment_attempt"] == 2
        for each in (collection, other):
            with pytest.raises(ValueError, match="still running"), each.resume(-1):
                pass
    with train(folder, (0, 3), "wait", number=1) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        assert told(collection) == [(1, 1, 3, "running")]
        with pytest.raises(RunningError), collection.resume(1):
            pass
        with collection.new_experiment() as beside:
            assert (beside["experiment_number"], beside["error_number"]) == (2, 1)
        process.kill()
        process.wait()
    assert told(collection) == [(1, 1, 3, "crashed"), (2, 0, None, "finished")]
    with collection.resume(1) as _experiment:
        assert (_experiment["experiment_attempt"], _experiment["error_number"]) == (4, 2)
    assert told(collection) == [(1, 0, 4, "finished"), (2, 0, None, "finished")]


def test_an_attempt_is_dead_though_the_process_of_an_earlier_one_lives(
    open_collection: Opener, folder: Path
) -> None:
    """Only the last attempt can be running: a notebook that had the first one does not hold it."""
    collection = open_collection(quiet=True)
    fail(collection)
    assert trained(folder, (0, 3), "kill", number=1) == -signal.SIGKILL
    for each in (collection, open_collection(quiet=True)):
        assert told(each) == [(1, 2, 2, "crashed")]
    with collection.resume(1) as _experiment:
        assert _experiment["experiment_attempt"] == 3


def test_a_finished_experiment_is_trained_on(open_collection: Opener) -> None:
    """It is as just begun meanwhile, with its first start; then it has ended again, later."""
    collection = open_collection(quiet=True)
    with collection.new_experiment(lr=0.1) as _experiment:
        _experiment.push(step=0)
    (before,) = collection.experiments
    with collection.new_experiment():
        pass
    with collection.resume(1) as _experiment:
        _experiment.push(step=1)
        row = collection.experiments[0]
        assert (row["error_number"], row["had_error"]) == (1, True)
        assert (row["experiment_end_time"], row["experiment_duration"]) == (None, None)
        assert row["experiment_start_time"] == before["experiment_start_time"]
        assert [row["experiment_attempt"] for row in collection[1]] == [1, 2]
        assert [row["lr"] for row in collection[1]] == [0.1, 0.1]
    after = collection.experiments[0]
    assert (after["error_number"], after["had_error"]) == (0, False)
    assert after["experiment_end_time"] > before["experiment_end_time"]
    assert after["experiment_duration"] > before["experiment_duration"]
    assert [row["experiment_attempt"] for row in collection.experiments] == [2, None]
    with collection.new_experiment() as _experiment:
        assert _experiment["experiment_number"] == 3


def test_an_experiment_that_is_not_there_is_not_resumed(
    folder: Path, open_collection: Opener
) -> None:
    """The message is that of collection[n]; nothing is made; negative numbers count from the end."""
    collection = open_collection(quiet=True)
    with pytest.raises(KeyError):
        collection.resume(-1)
    assert not folder.exists()
    for _ in range(2):
        with collection.new_experiment():
            pass
    for number in (0, 3, -3, "1", None):
        with pytest.raises(KeyError) as by_item:
            collection[number]  # type: ignore[index]
        with pytest.raises(KeyError) as by_resume:
            collection.resume(number)  # type: ignore[arg-type]
        assert str(by_resume.value) == str(by_item.value)
    with collection.resume(-2) as _experiment:
        assert _experiment["experiment_number"] == 1


def test_of_several_with_one_number_the_last_is_resumed(open_collection: Opener) -> None:
    """Those that failed and were begun anew are left as they are."""
    collection = open_collection(quiet=True)
    assert [fail(collection, which=n) for n in range(3)] == [1, 1, 1]
    with collection.resume(1) as _experiment:
        assert (_experiment["which"], _experiment["error_number"]) == (2, 4)
    assert told(collection) == [
        (1, 1, None, "failed"), (1, 2, None, "failed"), (1, 0, 2, "finished"),
    ]  # fmt: skip
    assert [row["experiment_attempt"] for row in collection.records] == [None, None, 1]


def test_an_error_in_a_resumed_attempt_is_reported_and_counted(
    open_collection: Opener, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line names the experiment; errors back to back count on, over attempts of all kinds."""
    collection = open_collection()
    fail(collection)
    fail(collection, number=1)
    said = capsys.readouterr().err
    assert said.count("\n") == 2
    assert "experiment 1 (error_number 2) ended with Mishap: boom" in said
    assert told(collection) == [(1, 2, 2, "failed")]
    with collection.resume(1):
        assert told(collection) == [(1, 3, 3, "running")]
    assert told(collection) == [(1, 0, 3, "finished")]
    fail(collection, number=1)
    assert told(collection) == [(1, 1, 4, "failed")]
    (row,) = {(row["had_error"], row["error_number"]) for row in collection.records}
    assert row == (True, 1)


def test_the_number_of_a_resumed_experiment_is_its_own(open_collection: Opener) -> None:
    """One that was resumed goes on by that: when it fails, a new experiment has another number."""
    collection = open_collection(quiet=True)
    fail(collection)
    fail(collection, number=1)
    assert fail(collection) == 2
    assert fail(collection) == 2  # never resumed: begun anew
    assert fail(collection, number=1) == 1
    assert told(collection) == [
        (1, 3, 3, "failed"), (2, 1, None, "failed"), (2, 2, None, "failed"),
    ]  # fmt: skip


def test_a_forked_child_that_leaves_the_block_does_not_end_a_resumed_experiment(
    open_collection: Opener,
) -> None:
    """Only the process that resumed it ends it; the child's records are of the attempt."""
    collection = open_collection(quiet=True)
    fail(collection)
    run = collection.resume(1)
    _experiment = run.__enter__()

    def leave() -> None:
        _experiment.push(who="child")
        run.__exit__(None, None, None)

    assert forked(leave) == 0
    assert told(collection) == [(1, 2, 2, "running")]
    run.__exit__(None, None, None)
    assert told(collection) == [(1, 0, 2, "finished")]
    assert [(row["who"], row["experiment_attempt"]) for row in collection.records] == [
        (None, 1),
        ("child", 2),
    ]


def test_attributes_of_an_attempt_are_those_of_its_records(open_collection: Opener) -> None:
    """It knows what the experiment knows; what is set on it changes no record before it."""
    collection = open_collection(quiet=True)
    fail(collection, lr=0.1, size=3)
    with collection.resume(1) as _experiment:
        assert (_experiment["experiment_number"], _experiment["lr"]) == (1, 0.1)
        assert _experiment.get("size") == 3
        _experiment["lr"] = 0.01
        _experiment["accuracy"] = 0.9
        assert _experiment.parent is not None
        _experiment.parent["verdict"] = "good"
        _experiment.child(model="m").push(step=1)
        same = pickle.loads(pickle.dumps(_experiment))
        elsewhere = open_collection().recorder.children[0].children[0]
        for each in (same, elsewhere):
            assert (each["experiment_number"], each["experiment_attempt"]) == (1, 2)
            assert (each["lr"], each["size"], each["accuracy"]) == (0.01, 3, 0.9)
    first, second = collection.records
    assert (first["lr"], first["accuracy"], first["verdict"]) == (0.1, None, "good")
    assert (second["lr"], second["accuracy"], second["verdict"]) == (0.01, 0.9, "good")
    (row,) = collection.experiments
    assert (row["lr"], row["size"], row["accuracy"], row["verdict"]) == (0.01, 3, 0.9, "good")
    query = "SELECT experiment_number, lr, accuracy, had_error FROM experiments"
    assert collection.sql(query).fetchall() == [(1, 0.01, 0.9, False)]
    cleared = dict.fromkeys(ERROR_KEYS)  # of the attempt before
    stored = collection.experiments.to_arrow().drop_columns(
        ["experiment_start", "experiment_end", "experiment_attempt_start"]
    )
    assert stored.to_pylist() == [{**row, **cleared, "status": "finished"}]


def test_pending_fields_of_a_resumed_attempt_are_reported(open_collection: Opener) -> None:
    """As at the end of any experiment."""
    collection = open_collection(quiet=True)
    fail(collection)
    with pytest.warns(PendingRecordWarning, match="reward"), collection.resume(1) as _experiment:
        child = _experiment.child()
        child.add(reward=1)


def test_a_closed_collection_resumes_nothing(open_collection: Opener) -> None:
    """The experiment stays as it ended."""
    collection = open_collection(quiet=True)
    fail(collection)
    collection.close()
    with pytest.raises(ClosedError), collection.resume(1):
        pass
    with pytest.raises(ClosedError), collection.new_experiment(resume="auto"):
        pass
    assert told(open_collection()) == [(1, 1, None, "failed")]


def test_a_process_that_dies_while_it_resumes_leaves_a_finished_experiment_finished(
    folder: Path, open_collection: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the attempt and what is set on the experiment: as it ended, and resumable."""
    collection = open_collection(quiet=True)
    with collection.new_experiment() as _experiment:
        _experiment.push(step=0)

    def die(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patched:
        patched.setattr(Recorder, "_set", die)
        work = ExperimentCollection(folder, quiet=True).resume(1).__enter__
        assert forked(work) == -signal.SIGKILL
    (found,) = collection.overview()
    assert (found.status, found.error_number, found.records) == ("finished", 0, 1)
    with collection.resume(1) as _experiment:
        assert _experiment["experiment_attempt"] == 3
    assert collection.overview()[0].status == "finished"


def test_attempts_show_in_tables_trees_and_on_the_command_line(
    folder: Path, open_collection: Opener
) -> None:
    """Attempts have a line of their own in the tree, experiments one row each in tables."""
    collection = open_collection(quiet=True)
    fail(collection, lr=0.1)
    with collection.resume(1) as _experiment:
        _experiment["host"] = "n2"
        _experiment.push(step=1).push(step=2)
    with collection.new_experiment(lr=0.2):
        pass
    assert str(collection.tree()).splitlines()[1:] == [
        "├── experiment 1  lr=0.1: 3 records, 1 of its own",
        '│   └── attempt 2  host="n2": 2 records',
        "└── experiment 2  lr=0.2: 0 records",
    ]
    shown = repr(collection.experiments)
    assert "2 experiments" in shown
    assert "experiment_attempt_start_time" not in shown
    listed = CliRunner().invoke(make_app(), ["ls", str(folder)]).output.splitlines()
    assert [line.split()[:4] for line in listed[1:]] == [
        ["1", "0", "2", "finished"],
        ["2", "0", "1", "finished"],
    ]
    as_json = CliRunner().invoke(make_app(), ["ls", str(folder), "--json"]).output.splitlines()
    assert [json.loads(line)["attempts"] for line in as_json] == [2, 1]


def test_a_recorder_that_has_the_key_of_attempts_is_none(open_collection: Opener) -> None:
    """A user's own recorder below an experiment is not taken for an attempt at it."""
    collection = open_collection(quiet=True)
    with collection.new_experiment(lr=0.1) as _experiment:
        below = _experiment.child(lr=9).push(step=0)
        # As an old collection, or a tree that was moved, may have it.
        collection._store.set_attributes(below._node, {"experiment_attempt": 7})
    assert [(row["lr"], row["experiment_attempt"]) for row in collection.experiments] == [
        (0.1, None)
    ]
    assert [each.attempts for each in collection.overview()] == [1]
    with collection.resume(1) as _experiment:
        assert _experiment["experiment_attempt"] == 2


def test_the_value_of_the_last_attempt_counts_where_its_clock_is_behind(
    open_collection: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node whose clock is an hour slow resumes, and ends, what another one began."""
    fail(open_collection(quiet=True))
    now = time.time_ns
    slow = open_collection(quiet=True)
    with monkeypatch.context() as patched:
        patched.setattr(time, "time_ns", lambda: now() - 3_600 * 10**9)
        with slow.resume(1) as _experiment:
            _experiment.push(step=1)
            assert told(slow) == [(1, 2, 2, "running")]
    for each in (slow, open_collection()):
        assert told(each) == [(1, 0, 2, "finished")]
        assert sorted(row["experiment_attempt"] for row in each.records) == [1, 2]


# --- resume="auto" --------------------------------------------------------------------------------


INFO: dict[str, Any] = {
    "lr": 0.1,
    "seed": 3,
    "flag": True,
    "nothing": None,
    "nan": float("nan"),
    "text": "ä" * 40,
    "sizes": (1, 2),
    "options": {"a": [1, float("nan")]},
    "weights": np.arange(2_000).reshape(2, 1_000),
}


def test_the_same_script_goes_on_with_its_experiment(folder: Path, open_collection: Opener) -> None:
    """Same info of any kind: first begun, then gone on with until it ends well, then begun again."""
    crash(folder, INFO, resume="auto")
    crash(folder, INFO, resume="auto")
    collection = open_collection(quiet=True)
    assert told(collection) == [(1, 2, 2, "crashed")]
    with collection.new_experiment(INFO, resume="auto") as _experiment:
        assert (_experiment["experiment_number"], _experiment["experiment_attempt"]) == (1, 3)
    assert told(collection) == [(1, 0, 3, "finished")]
    with collection.new_experiment(INFO, resume="auto") as _experiment:
        assert (_experiment["experiment_number"], _experiment["experiment_attempt"]) == (2, 1)
    assert [row["experiment_attempt"] for row in collection.records] == [1, 2]


def test_it_goes_on_where_files_were_merged(folder: Path, open_collection: Opener) -> None:
    """What an experiment was begun with is known from merged files too."""
    for _ in range(3):
        with open_collection(quiet=True) as collection:
            assert fail(collection, **INFO, resume="auto") == 1
        assert open_collection(quiet=True).compact() >= 0
    assert len(list(folder.glob("nodes/*.parquet"))) == 1
    assert told(open_collection()) == [(1, 3, 3, "failed")]


@pytest.mark.parametrize(
    "other",
    [
        {"lr": 0.2, "seed": 1},
        {"lr": 0.1},
        {"lr": 0.1, "seed": 1, "more": 1},
        {"lr": 0.1, "seed": True},
        {"lr": 0.1, "seed": 1.0},
        {"lr": 0.1, "seed": None},
        {},
    ],
    ids=str,
)
def test_other_info_is_another_experiment(open_collection: Opener, other: dict[str, Any]) -> None:
    """Another value, another kind of it, a key more or less: a new experiment, a new number."""
    collection = open_collection(quiet=True)
    fail(collection, lr=0.1, seed=1, resume="auto")
    assert fail(collection, **other, resume="auto") == 2
    assert fail(collection, seed=1, lr=0.1, resume="auto") == 1
    assert fail(collection, **other, resume="auto") == 2
    assert told(collection) == [(1, 2, 2, "failed"), (2, 2, 2, "failed")]


def test_what_was_set_later_is_not_the_info(open_collection: Opener) -> None:
    """Results, and info that was changed meanwhile, don't make it another experiment."""
    collection = open_collection(quiet=True)
    with pytest.raises(Mishap), collection.new_experiment(lr=0.1, resume="auto") as _experiment:
        _experiment.update(lr=0.05, accuracy=0.9)
        raise Mishap
    collection.save()
    assert fail(collection, lr=0.1, resume="auto") == 1
    assert fail(collection, lr=0.05, resume="auto") == 2
    assert [row["lr"] for row in collection.records] == [0.05, 0.05]


def test_one_that_runs_is_not_gone_on_with(folder: Path, open_collection: Opener) -> None:
    """Beside a running one with the same info a new one begins; each is gone on with later."""
    collection = open_collection(quiet=True)
    with train(folder, (0, 3), "wait", resume="auto", info={"lr": 0.1}) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        assert fail(collection, lr=0.1, resume="auto") == 2
        process.kill()
        process.wait()
    for number in (2, 1):
        with collection.new_experiment(lr=0.1, resume="auto") as _experiment:
            assert _experiment["experiment_number"] == number
    assert told(collection) == [(1, 0, 2, "finished"), (2, 0, 2, "finished")]


def test_a_number_is_not_shared_with_one_that_waits_to_go_on(open_collection: Opener) -> None:
    """While it waits, other experiments have other numbers; one that was given up is not resumed."""
    collection = open_collection(quiet=True)
    assert fail(collection, lr=0.1, resume="auto") == 1
    assert fail(collection, lr=0.2) == 2
    assert fail(collection, lr=0.3) == 2  # as ever: the one before is given up for it
    assert fail(collection, lr=0.2, resume="auto") == 3
    assert fail(collection, lr=0.3, resume="auto") == 2
    assert fail(collection, lr=0.1, resume="auto") == 1
    assert fail(collection, lr=0.4) == 4


def begin_at_once(number: int, folder: Path, start: Barrier, end: Barrier) -> None:
    with ExperimentCollection(folder, quiet=True) as collection:
        start.wait(PATIENCE)
        with collection.new_experiment(lr=0.1, resume="auto") as _experiment:
            for step in range(20):
                _experiment.push(who=number, step=step)
            end.wait(PATIENCE)


@pytest.mark.parametrize("is_mapped", [True, False], ids=["mapped", "write-behind"])
@pytest.mark.parametrize("crashed", [0, 1, WORKERS - 1])
def test_processes_that_begin_at_once_have_each_an_experiment_of_their_own(
    folder: Path,
    open_collection: Opener,
    crashed: int,
    is_mapped: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However many there are to go on with, each is taken by one; the others begin new ones."""
    monkeypatch.setattr(backend, "is_safe_to_map", lambda _: is_mapped)
    collection = open_collection(quiet=True)
    runs = [collection.new_experiment(lr=0.1, resume="auto") for _ in range(crashed)]
    for run in runs:
        run.__enter__()
    for run in runs:
        run.__exit__(Mishap, Mishap(), None)
    context = multiprocessing.get_context("fork")
    start, end = context.Barrier(WORKERS), context.Barrier(WORKERS)
    workers = [
        context.Process(target=begin_at_once, args=(number, folder, start, end))
        for number in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE)
    assert [worker.exitcode for worker in workers] == [0] * WORKERS
    assert sorted(told(collection)) == [
        (number, 0, 2 if number <= crashed else 1, "finished") for number in range(1, WORKERS + 1)
    ]
    seen = {
        (row["experiment_number"], row["experiment_attempt"], row["who"])
        for row in collection.records
    }
    assert len(seen) == WORKERS
    assert Counter(row["who"] for row in collection.records) == dict.fromkeys(range(WORKERS), 20)


def test_one_that_ends_while_it_is_looked_at_has_ended(
    open_collection: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs when it is found, and ends before its lock is tried: how it ended counts."""
    collection, other = open_collection(quiet=True), open_collection(quiet=True)
    for how, expected in [("auto", (3, 1, 1)), ("by number", (2, 1, 2))]:
        with collection.new_experiment(lr=0.1, resume="auto"):
            pass
        last = collection.new_experiment(lr=0.1, resume="auto")
        last.__enter__()

        def end_it(*_: Any, last: Any = last) -> bool:
            last.__exit__(None, None, None)
            return False

        number = collection.experiment_numbers[-1]
        run = other.new_experiment(lr=0.1, resume="auto") if how == "auto" else other.resume(number)
        with monkeypatch.context() as patched:
            for module in (_lifecycle, _resumption):
                patched.setattr(module, "is_running", end_it)
            with run as found:
                assert (
                    found["experiment_number"] - number + 2,
                    found["error_number"],
                    found["experiment_attempt"],
                ) == expected


@pytest.mark.parametrize(
    "key",
    [
        "experiment_attempt",
        "experiment_attempt_start_time",
        "experiment_job",
        "experiment_job_restarts",
    ],
)
def test_keys_of_attempts_are_reserved(open_collection: Opener, key: str) -> None:
    """What the collection sets itself can't be given; the message names the key."""
    with pytest.raises(ReservedKeyError, match=key):
        open_collection().new_experiment({key: 1})


@pytest.mark.parametrize("wrong", [1, True, False, "AUTO", "never", [1]], ids=str)
def test_resume_is_auto_or_nothing(open_collection: Opener, wrong: Any) -> None:
    """A number is told where to go; data under that key is given as a mapping."""
    collection = open_collection()
    with pytest.raises(ArgumentError, match=r"collection.resume\(number\)"):
        collection.new_experiment(resume=wrong)
    with collection.new_experiment({"resume": wrong}) as _experiment:
        assert _experiment["resume"] == wrong


def go_on_to_the_end(folder: Path) -> None:
    with opened(folder) as collection, collection.new_experiment(INFO, resume="auto") as run:
        for step in (0, 1, 2):
            run.push(step=step)


@pytest.mark.slow
@pytest.mark.parametrize("is_mapped", [True, False], ids=["mapped", "write-behind"])
def test_a_process_that_goes_on_can_die_at_any_step_and_be_gone_on_with(
    folder: Path, tmp_path: Path, is_mapped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recovering, resuming, ending, sealing: whenever it dies, the next goes on with the same one."""
    crash(folder, INFO, resume="auto")
    monkeypatch.setattr(backend, "is_safe_to_map", lambda _: is_mapped)
    allowed, is_done, ends = 0, False, Counter[str]()
    while not is_done:
        copy = tmp_path / f"{allowed}.collection"
        copy_live(folder, copy)
        is_done = done_or_dead(partial(go_on_to_the_end, copy), allowed, monkeypatch)
        with opened(copy) as collection:
            (before,) = collection.overview()
            ends[before.status] += 1
            with collection.new_experiment(INFO, resume="auto") as run:
                has_ended = before.status == "finished"
                assert run["experiment_number"] == (2 if has_ended else 1)
                assert run["experiment_attempt"] == (1 if has_ended else before.attempts + 1)
            rows = list(collection[1])
            steps = {row["experiment_attempt"]: [] for row in rows}
            for row in rows:
                steps[row["experiment_attempt"]].append(row["step"])
            assert steps[1] == [0]
            assert steps.get(2, []) == [0, 1, 2][: len(steps.get(2, []))]
            assert len(steps.get(2, [])) == 3 or not has_ended
            assert [each.status for each in collection.overview()] == ["finished"] * (1 + has_ended)
            assert collection.verify() == []
        allowed += 1
    assert allowed > 8
    assert ends["crashed"] > 4
    assert ends["finished"] > 1


# --- under SLURM ----------------------------------------------------------------------------------


def test_a_requeued_job_goes_on(folder: Path, open_collection: Opener, slurm: Slurm) -> None:
    """Killed and started again with the same job id, twice: one experiment, three attempts."""
    common = {"info": {"lr": 0.1}, "resume": "auto"}
    for restarts, steps in enumerate([(0, 5), (4, 8)]):
        environment = job_environment(1234, restarts)
        assert trained(folder, steps, "kill", environment=environment, **common) == -signal.SIGKILL
    slurm(1235)
    crash(folder, {"lr": 0.1}, resume="auto")  # meanwhile another job does the same
    assert trained(folder, (7, 9), "end", environment=job_environment(1234, 2), **common) == 0
    collection = open_collection(quiet=True)
    assert told(collection) == [(1, 0, 3, "finished"), (2, 1, 1, "crashed")]
    jobs = [
        (row["experiment_job"], row["experiment_job_restarts"]) for row in collection.experiments
    ]
    assert jobs == [("slurm 1234", 2), ("slurm 1235", 0)]
    query = """
        SELECT experiment_attempt, experiment_job_restarts, min(step), max(step), count(*)
        FROM records WHERE experiment_number = 1 GROUP BY ALL ORDER BY ALL"""
    assert collection.sql(query).fetchall() == [(1, 0, 0, 4, 5), (2, 1, 4, 7, 4), (3, 2, 7, 8, 2)]


def test_a_requeued_job_goes_on_with_its_only_experiment_whatever_the_info(
    open_collection: Opener, slurm: Slurm
) -> None:
    """Info may name the node: what is new is set on the attempt alone, also of the third."""
    collection = open_collection(quiet=True)
    for restarts, host in enumerate(["n1", "n2", "n1", "n3"]):
        slurm(7, restarts=restarts)
        assert fail(collection, lr=0.1, host=host, resume="auto") == 1
    slurm(8)
    assert fail(collection, lr=0.1, host="n3", resume="auto") == 2
    rows = collection[1]
    assert [row["host"] for row in rows] == ["n1", "n2", "n1", "n3"]
    assert [row["experiment_attempt"] for row in rows] == [1, 2, 3, 4]
    first, *later = collection.recorder.children[0], *collection.recorder.children[0].children
    assert first["host"] == "n1"
    own = collection.sql("SELECT host, lr FROM nodes WHERE experiment_attempt > 1 ORDER BY host")
    assert own.fetchall() == [("n1", 0.1), ("n2", 0.1), ("n3", 0.1)]
    assert len(later) == 3


@pytest.mark.parametrize("said", ["often", float("nan"), [1], None])
def test_restarts_that_are_no_number_count_as_none(
    open_collection: Opener, slurm: Slurm, said: Any
) -> None:
    """Whatever somebody set under that key, a requeued job goes on."""
    collection = open_collection(quiet=True)
    slurm(7)
    assert fail(collection, lr=0.1, resume="auto") == 1
    first = collection.recorder.children[0]
    collection._store.set_attributes(first._node, {"experiment_job_restarts": said})
    slurm(7, restarts=1)
    assert fail(collection, lr=0.2, resume="auto") == 1


def test_without_a_requeue_other_info_is_another_experiment(
    open_collection: Opener, slurm: Slurm
) -> None:
    """In a session of hours in one job, or in a script that goes on after an error, all differ."""
    collection = open_collection(quiet=True)
    slurm(7)
    assert fail(collection, lr=0.1, resume="auto") == 1
    assert fail(collection, lr=0.2, resume="auto") == 2
    assert fail(collection, lr=0.1, resume="auto") == 1
    slurm(9)
    assert fail(collection, lr=0.1, resume="auto") == 3
    slurm(9, restarts=1)
    assert fail(collection, lr=0.1, resume="auto") == 3
    assert fail(collection, lr=0.2, resume="auto") == 4  # the one of before has begun anew since


def test_a_job_of_several_runs_goes_on_with_each(open_collection: Opener, slurm: Slurm) -> None:
    """A loop over settings that is killed in the second: requeued, the second one goes on."""
    collection = open_collection(quiet=True)
    slurm(7)
    with collection.new_experiment(lr=0.1, resume="auto"):
        pass
    assert fail(collection, lr=0.2, resume="auto") == 2
    slurm(7, restarts=1)
    with collection.new_experiment(lr=0.1, resume="auto") as _experiment:
        assert _experiment["experiment_number"] == 3  # the first was finished: it is done again
    with collection.new_experiment(lr=0.2, resume="auto") as _experiment:
        assert _experiment["experiment_number"] == 2
    with collection.new_experiment(lr=0.3, resume="auto") as _experiment:
        assert _experiment["experiment_number"] == 4


def test_tasks_of_an_array_are_jobs_of_their_own(
    open_collection: Opener, slurm: Slurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each task goes on with its own, in whatever order they are started again."""
    collection = open_collection(quiet=True)
    for task in (0, 1, 2):
        slurm(100 + task)
        monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "100")
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", str(task))
        assert fail(collection, lr=0.1, resume="auto") == task + 1
    for task in (1, 0, 2):
        slurm(100 + task, restarts=1)
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", str(task))
        assert fail(collection, lr=0.1, resume="auto") == task + 1
    assert [row["experiment_attempt"] for row in collection.experiments] == [2, 2, 2]


def test_tasks_of_one_job_have_each_their_own(open_collection: Opener, slurm: Slurm) -> None:
    """Two tasks of srun share the job's id and go on with their own, by their rank."""
    collection = open_collection(quiet=True)
    for restarts, order in enumerate([(0, 1), (1, 0)]):
        for task in order:
            slurm(7, restarts=restarts, task=task, tasks=2)
            assert fail(collection, lr=0.1, resume="auto") == task + 1
    jobs = [row["experiment_job"] for row in collection.experiments]
    assert jobs == ["slurm 7.0", "slurm 7.1"]
    slurm(8, task=0, tasks=1)
    assert fail(collection, resume="auto") == 3
    assert collection.experiments[-1]["experiment_job"] == "slurm 8"


def test_an_experiment_of_a_job_is_not_gone_on_with_outside_of_it(
    open_collection: Opener, slurm: Slurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for its job; by its number it can be resumed anywhere."""
    collection = open_collection(quiet=True)
    assert fail(collection, lr=0.1, resume="auto") == 1
    slurm(7)
    assert fail(collection, lr=0.1, resume="auto") == 2
    monkeypatch.delenv("SLURM_JOB_ID")
    assert fail(collection, lr=0.1, resume="auto") == 1
    with collection.resume(2) as _experiment:
        assert _experiment["experiment_job"] == "slurm 7"
    assert told(collection) == [(1, 2, 2, "failed"), (2, 0, 2, "finished")]


#: Says every step whose push has returned, and goes on until it is killed.
PREEMPTED = """
import os, sys
from rigorous_recorder import ExperimentCollection

collection = ExperimentCollection(sys.argv[1], quiet=True)
with collection.new_experiment(lr=0.1, host=sys.argv[2], resume="auto") as experiment:
    for step in range(int(sys.argv[3]), 10**9):
        experiment.push(step=step, process=int(sys.argv[2]))
        os.write(1, b"%d\\n" % step)
"""


PREEMPTIONS = 60 if THOROUGH else 20


@pytest.mark.slow
def test_nothing_is_lost_over_many_preemptions_at_any_time(
    folder: Path, open_collection: Opener
) -> None:
    """Processes of one job, each killed at some time: one experiment has all they logged."""
    dice = random.Random(5)
    reported, first = {}, 0
    for restarts in range(PREEMPTIONS):
        with subprocess.Popen(
            [sys.executable, "-c", PREEMPTED, str(folder), str(restarts), str(first)],
            env=os.environ | job_environment(7, restarts),
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            if dice.random() < 0.5:
                process.stdout.readline()  # half of them log for sure, the others may be killed before
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(dice.uniform(0, 0.5))
            process.kill()
            said = process.stdout.read().split()
        if said:
            reported[restarts] = int(said[-1])
            first = max(0, int(said[-1]) - 10)
    with open_collection(quiet=True) as collection:
        (overview,) = collection.overview()
        assert (overview.experiment_number, overview.status) == (1, "crashed")
        assert overview.attempts >= overview.error_number  # some died while they resumed
        query = """
            SELECT process, min(experiment_attempt), max(experiment_attempt), min(step), max(step),
                   count(*), count(DISTINCT step), any_value(experiment_job_restarts), any_value(host)
            FROM records GROUP BY process ORDER BY process"""
        rows = collection.sql(query).fetchall()
        assert len({row[1] for row in rows}) == len(rows) >= PREEMPTIONS / 3
        for by, least, greatest, begin, end, count, steps, restarts, host in rows:
            assert least == greatest  # all records of a process are of one attempt
            assert count == steps == end - begin + 1
            assert (restarts, host) == (by, str(by))
            assert end >= reported.pop(by, 0)
        assert not reported
        assert collection.verify() == []
