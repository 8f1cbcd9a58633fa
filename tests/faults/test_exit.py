"""What is logged while the interpreter exits: stored until the process ends, or dropped and counted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rigorous_recorder import ExperimentCollection

#: Handlers that are registered before the library's own run after it.
HEAD = """
import atexit, shutil, sys, threading, logging
path = sys.argv[1]

def late():
    work()

atexit.register(late)
from rigorous_recorder import ExperimentCollection

collection = ExperimentCollection(path, quiet=True)
"""
HANDLER = """
def work():
    run.push(step=1)
    run.child(model="late").push(step=2)
    run["verdict"] = "late"

with collection.new_experiment() as run:
    run.push(step=0)
"""
DAEMON = """
def work():
    told.wait()
    ended.set()

pushed, ended, told = 0, threading.Event(), threading.Event()

def monitor():
    global pushed
    while True:
        run.push(step=pushed)
        pushed += 1
        if pushed > 200_000 or atexit_began.is_set():
            told.set()

atexit_began = threading.Event()
run = collection.new_experiment().__enter__()
threading.Thread(target=monitor, daemon=True).start()
atexit.register(atexit_began.set)
"""
FINALIZER = """
def work():
    pass

class Late:
    def __init__(self, run):
        self.run = run

    def __del__(self):
        self.run.push(step=1)

with collection.new_experiment() as run:
    run.push(step=0)
sys.modules["late"] = Late(run)
"""
NEVER_LOGGED = """
def work():
    collection.new_experiment(lr=0.1).__enter__().push(step=0)
"""
READ = """
import pyarrow.pandas_compat  # pyarrow loads it at its first use, and can't any more at exit
from rigorous_recorder._store import fragments

def work():
    print(collection.sql("SELECT lr, step FROM records").fetchall())
    print(len(collection), collection[1][0]["step"], collection.records.to_arrow()["step"][0])
    print(collection.records.to_polars()["step"][0], collection.level("lr").to_arrow().num_rows)

fragments._FRAGMENTS_OF_A_THREAD = 2
for _ in range(5):
    with collection.new_experiment(lr=0.1) as run:
        run.push(step=5)
    collection.save()
"""
CLOSED = """
def work():
    try:
        run.push(step=1)
    except ValueError as error:
        print(type(error).__name__, flush=True)

with collection.new_experiment() as run:
    run.push(step=0)
collection.close()
"""
GONE = """
def work():
    shutil.rmtree(path)
    open(path, "w").close()  # where a file is no folder can be made
    for step in range(7):
        run.push(step=step)

with collection.new_experiment() as run:
    run.push(step=0)
"""
FAULTY = """
def work():
    try:
        run.push(step=object())
    except TypeError as error:
        print(type(error).__name__, flush=True)
    run.push(step=1)

with collection.new_experiment() as run:
    run.push(step=0)
"""


def ended(code: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end, warnings being errors."""
    command = [sys.executable, "-W", "error", "-c", HEAD + code, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return tmp_path / "study.collection"


def test_an_exit_handler_that_runs_last_logs(study: Path) -> None:
    """Records, recorders and attributes are there, and the collection is whole."""
    done = ended(HANDLER, study)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    collection = ExperimentCollection(study, quiet=True)
    rows = [(row["step"], row["model"], row["verdict"]) for row in collection.records]
    assert sorted(rows) == [(0, None, "late"), (1, None, "late"), (2, "late", "late")]
    assert collection.verify() == []
    assert collection.overview()[0].status == "finished"


def test_a_daemon_thread_logs_to_the_end(study: Path) -> None:
    """Without a word, and each of its records is there once, in order, as far as it came."""
    done = ended(DAEMON, study)
    assert (done.returncode, done.stderr) == (0, "")
    steps = [row["step"] for row in ExperimentCollection(study, quiet=True).records]
    assert sorted(steps) == list(range(len(steps)))
    assert steps


def test_a_finalizer_logs_at_the_very_end(study: Path) -> None:
    """When modules are taken down."""
    done = ended(FINALIZER, study)
    assert (done.returncode, done.stderr) == (0, "")
    assert [row["step"] for row in ExperimentCollection(study, quiet=True).records] == [0, 1]


def test_what_is_logged_first_at_exit_is_stored(study: Path) -> None:
    """A collection that nobody had logged to before."""
    done = ended(NEVER_LOGGED, study)
    assert (done.returncode, done.stderr) == (0, "")
    (row,) = ExperimentCollection(study, quiet=True).records
    assert (row["lr"], row["step"]) == (0.1, 0)


def test_what_is_first_read_at_exit_is_whole(study: Path) -> None:
    """In every engine, also of many files, though no more threads can be started."""
    done = ended(READ, study)
    assert (done.returncode, done.stderr) == (0, "")
    rows, *others = done.stdout.splitlines()
    assert (rows, others) == (str([(0.1, 5)] * 5), ["5 5 5", "5 5"])


def test_a_collection_that_was_closed_stays_closed(study: Path) -> None:
    """By whoever closed it, not by the exit."""
    done = ended(CLOSED, study)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ClosedError\n", "")
    assert len(ExperimentCollection(study, quiet=True).records) == 1


def test_what_cannot_be_stored_is_counted_in_one_line(study: Path) -> None:
    """No traceback, no warning, and the exit code is the program's."""
    done = ended(GONE, study)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "7 records that were logged at exit could not be stored\n"


def test_a_value_that_is_refused_is_refused_at_exit_too(study: Path) -> None:
    """The user's own mistakes are errors to the last."""
    done = ended(FAULTY, study)
    assert (done.returncode, done.stdout, done.stderr) == (0, "UnsupportedTypeError\n", "")
    assert [row["step"] for row in ExperimentCollection(study, quiet=True).records] == [0, 1]
