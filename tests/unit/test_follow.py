"""`records.follow` gives every row once, in order, wherever it is stored meanwhile."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rigorous_recorder import ExperimentCollection, Recorder, Records
from rigorous_recorder._store.node_ids import ROOT
from rigorous_recorder._store.store import FolderStore
from rigorous_recorder.errors import ArgumentError

LOGGER = """
import sys
from rigorous_recorder import ExperimentCollection
collection = ExperimentCollection(sys.argv[1])
recorder = collection.recorder.child(model="m1")
for line in sys.stdin:
    if line.startswith("push"):
        recorder.push(number=int(line.split()[1]))
    else:
        collection.save()
    print("done", flush=True)
"""


class Following:
    """Rows that come, told to stop where one that is waited for does not come."""

    def __init__(self, records: Records, **options: Any) -> None:
        self._stop = threading.Event()
        self._alarm = threading.Timer(30, self._stop.set)
        self._alarm.start()
        self._rows = records.follow(interval=0.01, stop=self._stop, **options)

    def take(self, count: int) -> list[int]:
        return [row["number"] for row in islice(self._rows, count)]

    def rest(self) -> list[int]:
        self._alarm.cancel()
        self._stop.set()
        return [row["number"] for row in self._rows]


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[ExperimentCollection]:
    with closing(ExperimentCollection(tmp_path / "study")) as opened:
        yield opened


def test_what_is_there_comes_first_and_then_what_is_logged(
    collection: ExperimentCollection,
) -> None:
    """Rows from before and after the begin come in the order in which they were logged."""
    recorder = collection.recorder.child(model="m1")
    for number in range(3):
        recorder.push(number=number)
    following = Following(collection.records)
    assert following.take(3) == [0, 1, 2]
    recorder.push(number=3)
    assert following.take(1) == [3]
    assert following.rest() == []


def test_a_row_has_what_it_inherits(collection: ExperimentCollection) -> None:
    """A row that comes has its parents' data, as any row has."""
    collection.recorder.child(model="m1").push(number=1)
    row = next(collection.records.follow())
    assert (row["model"], row["number"], row["nothing"]) == ("m1", 1, None)


@pytest.mark.parametrize("count", [0, 2, 5, 9])
def test_it_can_begin_with_the_last_rows(collection: ExperimentCollection, count: int) -> None:
    """Of the rows that are there only the last so many come, and then every new one."""
    recorder = collection.recorder.child()
    for number in range(5):
        recorder.push(number=number)
    following = Following(collection.records, last=count)
    there = list(range(5))[max(0, 5 - count) :]
    assert following.take(len(there)) == there
    recorder.push(number=5)
    # With none of the first ones the begin is at the first look: it is made by the first row.
    assert following.rest() == ([] if count == 0 else [5])


def test_only_rows_that_meet_the_conditions_come(collection: ExperimentCollection) -> None:
    """`where` holds for the rows that are there, for the last ones, and for those that come."""
    recorder = collection.recorder.child()
    for number in range(6):
        recorder.push(number=number, even=number % 2 == 0)
    following = Following(collection.records.where(even=True), last=2)
    assert following.take(2) == [2, 4]
    recorder.push(number=6, even=True).push(number=7, even=False)
    assert following.rest() == [6]


def test_only_rows_of_the_recorder_come(collection: ExperimentCollection) -> None:
    """The records of one recorder are followed without those beside it."""
    first, second = collection.recorder.child(), collection.recorder.child()
    following = Following(first.all_records)
    second.push(number=1)
    first.child().push(number=2)
    assert following.take(1) == [2]
    second.push(number=3)
    assert following.rest() == []


def test_rows_that_wait_come_when_their_recorder_has_a_parent(
    collection: ExperimentCollection,
) -> None:
    """And those behind them in the same files then, too: each once, in order."""
    store, recorder = collection._store, collection.recorder.child()
    following = Following(collection.records)
    recorder.push(number=0)
    waiting = [store.new_node() for _ in range(3)]
    for node in waiting:
        store.hold(node)
    for number, node in enumerate(waiting, 1):
        store.records.append(node, {"number": number})
        recorder.push(number=10 * number)
    assert following.take(1) == [0]
    store.set_attributes(waiting[0], {}, ROOT)
    assert following.take(2) == [1, 10]
    collection.save()
    recorder.push(number=40)  # in another file
    assert following.take(1) == [40]
    store.set_attributes(waiting[2], {}, ROOT)
    recorder.push(number=50)
    assert following.take(1) == [50]
    store.delete([waiting[1]])
    assert following.take(3) == [20, 3, 30]
    assert following.rest() == []


def test_rows_wait_for_each_other_where_some_were_dropped(tmp_path: Path) -> None:
    """Which of a file's rows those are that were given can't be known then: it is given as a whole."""
    writer = FolderStore(tmp_path / "study.collection")
    top, waiting, dropped = (writer.new_node() for _ in range(3))
    writer.set_attributes(top, {}, ROOT)
    for node in (waiting, dropped):
        writer.hold(node)
    for number, node in enumerate([top, waiting, dropped]):
        writer.records.append(node, {"number": number})
    writer.delete([dropped])
    writer.close()
    with closing(ExperimentCollection(tmp_path / "study")) as collection:
        collection.compact()
        following = Following(collection.records)
        recorder = collection.recorder.child()
        for number in (10, 11):
            recorder.push(number=number)
            assert following.take(1) == [number]
        collection._store.set_attributes(waiting, {}, ROOT)
        assert following.take(2) == [0, 1]
        assert following.rest() == []


def test_recorders_without_a_collection_are_followed() -> None:
    """It works the same in memory."""
    recorder = Recorder().push(number=1)
    following = Following(recorder.records)
    assert following.take(1) == [1]
    recorder.push(number=2)
    assert following.rest() == [2]


def test_rows_of_another_process_come_once_also_when_they_are_sealed(tmp_path: Path) -> None:
    """Live rows of another process come as it logs them, and not again from its Parquet file."""
    with (
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", LOGGER, str(tmp_path / "study")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
        closing(ExperimentCollection(tmp_path / "study")) as collection,
    ):
        assert process.stdin is not None
        assert process.stdout is not None

        def tell(line: str) -> None:
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            assert process.stdout.readline() == "done\n"

        following = Following(collection.records)
        tell("push 1")
        assert following.take(1) == [1]
        tell("save")
        tell("push 2")
        assert following.take(1) == [2]
        tell("push 3")
        tell("save")
        assert following.take(1) == [3]
        process.stdin.close()
        process.wait()
        collection.compact()
        assert following.rest() == []


def test_rows_come_once_when_those_of_several_writers_are_merged(tmp_path: Path) -> None:
    """What was given before a merge is not given again, and what was not is given from its file."""
    with closing(ExperimentCollection(tmp_path / "study")) as reader:
        following = Following(reader.records)
        for number in range(6):
            with closing(ExperimentCollection(tmp_path / "study")) as writer:
                writer.recorder.child(model="m1").push(number=number)
            if number in {1, 2}:
                assert following.take(number) == {1: [0], 2: [1, 2]}[number]
        assert reader.compact() > 0
        assert len(list((tmp_path / "study.collection" / "records").iterdir())) == 1
        assert following.take(3) == [3, 4, 5]
        assert following.rest() == []


@settings(max_examples=25)
@given(st.lists(st.sampled_from(["push", "push other", "save", "reopen", "compact", "take"])))
def test_every_row_comes_once_whatever_happens_meanwhile(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    """Sealing, compaction and new writers, between any two rows, lose none and double none."""
    folder = tmp_path_factory.mktemp("follow") / "study"
    reader = ExperimentCollection(folder)
    writers = [ExperimentCollection(folder), ExperimentCollection(folder)]
    following = Following(reader.records)
    logged, taken = 0, []
    for step in steps:
        if step.startswith("push"):
            writers[step == "push other"].recorder.child().push(number=logged)
            logged += 1
        elif step == "save":
            writers[0].save()
        elif step == "reopen":
            writers[0].close()
            writers[0] = ExperimentCollection(folder)
        elif step == "compact":
            reader.compact()
        else:
            taken += following.take(logged - len(taken))
    taken += following.rest()
    assert sorted(taken) == list(range(logged))
    for each in (reader, *writers):
        each.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"last": -1}, "the last -1 rows .* expected 0 or more, or None for all"),
        ({"interval": 0}, "0 seconds .* expected more than 0"),
        ({"interval": -1}, "-1 seconds .* expected more than 0"),
        ({"interval": float("nan")}, "nan seconds .* expected more than 0"),
    ],
)
def test_what_cant_be_followed_is_refused_at_the_call(options: Any, message: str) -> None:
    """Before the first row is requested."""
    with pytest.raises(ArgumentError, match=message):
        Recorder().push(x=1).records.follow(**options)
