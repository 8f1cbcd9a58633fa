"""Forks beside threads that read: a child finds no lock held by a thread that it does not have."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from rigorous_recorder import ExperimentCollection, Recorder

from ..faults import THOROUGH

Opener = Callable[..., ExperimentCollection]

READERS = 3
CHILDREN = 8
#: A child that needs longer hangs; it is ended by its alarm then.
PATIENCE = 30

# Python 3.12 warns of every fork of a process with threads; what these tests do is just that.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")


@pytest.fixture(autouse=True)
def _many_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize(
    "forks", [25, pytest.param(1_000 if THOROUGH else 200, marks=pytest.mark.slow)]
)
def test_children_read_though_threads_of_the_parent_read(
    open_collection: Opener, forks: int
) -> None:
    """Each child finds out anew what the threads were finding out when it was forked."""
    collection = open_collection()
    is_over = threading.Event()
    with collection.new_experiment(lr=0.5) as experiment:
        for number in range(CHILDREN):
            experiment.child(k=number).push(i=number)
        look(collection, experiment)
        readers = [
            threading.Thread(
                target=read, args=[collection, experiment, number, is_over], daemon=True
            )
            for number in range(READERS)
        ]
        for each in readers:
            each.start()
        ended = Counter(in_a_child(lambda: look(collection, experiment)) for _ in range(forks))
        is_over.set()
        for each in readers:
            each.join(PATIENCE)
    assert ended == {0: forks}


def read(
    collection: ExperimentCollection, experiment: Recorder, number: int, is_over: threading.Event
) -> None:
    turn = 0
    while not is_over.is_set():
        experiment[f"late {number}"] = turn  # all that is known of nodes is found out anew
        look(collection, experiment)
        turn += 1


def look(collection: ExperimentCollection, experiment: Recorder) -> None:
    """Read in every way that asks who is below whom, and what they know."""
    assert collection.records.where(k=3)[0]["i"] == 3
    assert collection.records[0]["lr"] == 0.5
    assert len(experiment.children) == CHILDREN
    assert str(collection.tree()).count("1 record") >= CHILDREN
    assert [each.records for each in collection.overview()] == [CHILDREN]


def in_a_child(work: Callable[[], object]) -> int:
    """Do some work in a forked child; its exit code, or minus the signal that ended it."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        signal.alarm(PATIENCE)
        work()
        code = 0
    finally:
        os._exit(code)
