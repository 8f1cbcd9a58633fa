"""Nobody waits for tensors on a device, and each value is in its row all the same."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from tests.unit.devices.pretended import CUDA, Column, Tensor, column

ROOT = Path(__file__).parents[3]


# --- nobody waits ------------------------------------------------------------------------------


def test_push_add_and_commit_do_not_ask(recorder: Recorder, asked: list[Any]) -> None:
    """Neither push nor add nor commit asks a tensor on a device for its value."""
    for step in range(20):
        recorder.push(step=step, loss=Tensor(step))
        recorder.push({"step": step, "loss": Tensor(step)})
        recorder.add(grad=Tensor([1, step])).add(step=step).commit()
        recorder.add(loss=Tensor(step)).push(step=step)
    assert asked == []


def test_many_are_fetched_before_they_are_too_many(recorder: Recorder, asked: list[Any]) -> None:
    """A run that never syncs keeps no more than some thousands of tensors."""
    for step in range(2_500):
        recorder.push(loss=Tensor(step))
    assert column(recorder.records, "loss") == list(range(2_500))
    assert len(asked) >= 2_500


@pytest.mark.parametrize(
    "read",
    [
        lambda r: r.records[3],
        lambda r: list(r.all_records),
        lambda r: r.records.to_arrow(),
        lambda r: r.records.sql("select avg(loss) from records").fetchall(),
        lambda r: list(r.records.where(loss=3.0)),
        lambda r: pickle.dumps(Recorder().set_parent(r)) and r.records.to_arrow(),
    ],
    ids=["row", "all", "arrow", "sql", "where", "pickle"],
)
def test_reading_asks_once_for_each(
    recorder: Recorder, asked: list[Any], read: Callable[[Recorder], Any]
) -> None:
    """Reading in the same process fetches what waits, once, however often it is read."""
    for step in range(10):
        recorder.push(step=step, loss=Tensor(step))
    read(recorder)
    read(recorder)
    assert sorted(asked) == list(range(10))


@pytest.mark.parametrize("finish", ["sync", "save", "close"])
def test_sync_points_ask(collection: ExperimentCollection, asked: list[Any], finish: str) -> None:
    """Sync, save and close fetch what waits; then it is there for every reader."""
    recorder = Recorder().set_parent(collection.recorder)
    for step in range(10):
        recorder.push(step=step, loss=Tensor(step))
    getattr(recorder if finish == "sync" else collection, finish)()
    assert sorted(asked) == list(range(10))
    Tensor.fails = True
    assert column(collection.records, "loss") == list(range(10))


def test_the_end_of_an_experiment_asks(collection: ExperimentCollection, asked: list[Any]) -> None:
    """What an experiment logged is fetched when it ends."""
    with collection.new_experiment() as experiment:
        experiment.push(loss=Tensor(1.5))
        assert asked == []
    assert asked == [1.5]


# --- the right value in the right row ------------------------------------------------------------


@pytest.mark.usefixtures("tiny")
def test_values_find_their_rows(recorder: Recorder) -> None:
    """After widening, growth and seals every value is in its own row, beside the plain ones."""
    for step in range(300):
        fields: dict[str, Any] = {"step": step, f"key{step // 40}": step}
        if step % 3:
            fields["loss"] = Tensor(step)
        if step % 5 == 0:
            fields["count"] = Tensor(step, "int64")
        if step % 7 == 0:
            fields["grad"] = Tensor([step, -step])
        if step % 11 == 0:
            fields["flag"] = Tensor(step % 2, "bool")
        recorder.push(fields)
    rows = list(recorder.records)
    assert [row["step"] for row in rows] == list(range(300))
    for step, row in enumerate(rows):
        assert row["loss"] == (step if step % 3 else None)
        assert row["count"] == (step if step % 5 == 0 else None)
        assert row["flag"] == (bool(step % 2) if step % 11 == 0 else None)
        assert step % 7 or row["grad"].tolist() == [step, -step]


@pytest.mark.usefixtures("tiny")
def test_values_of_many_threads_find_their_rows(recorder: Recorder) -> None:
    """Threads that push tensors, and others that read and sync meanwhile, lose and mix nothing."""
    done = threading.Event()

    def push(thread: int) -> None:
        for step in range(150):
            recorder.push(
                {"thread": thread, "step": step, f"k{step // 40}": 1, "loss": Tensor(step)}
            )

    def read() -> None:
        while not done.is_set():
            recorder.sync()
            for row in recorder.records:
                assert row["loss"] == row["step"]

    reader = threading.Thread(target=read)
    pushers = [threading.Thread(target=push, args=(number,)) for number in range(3)]
    for each in (reader, *pushers):
        each.start()
    for each in pushers:
        each.join()
    done.set()
    reader.join()
    for thread in range(3):
        rows = list(recorder.records.where(thread=thread))
        assert [(row["step"], row["loss"]) for row in rows] == [(s, s) for s in range(150)]


@pytest.mark.usefixtures("tiny")
def test_later_changes_do_not_matter(recorder: Recorder) -> None:
    """A tensor that is changed in place after it was logged has the value of that moment."""
    loss = Tensor(0)
    for _ in range(50):
        recorder.push(loss=loss)
        loss += 1
    recorder.add(loss=loss)
    loss += 1
    recorder.commit()
    assert column(recorder.records, "loss") == list(range(51))


def test_arrays_of_many_shapes_are_stored(recorder: Recorder) -> None:
    """Arrays of one shape, and those of other shapes after them, are kept as they were."""
    given = [[1, 2], [3, 4], [5], [6, 7, 8], [9, 10]]
    for each in given:
        recorder.push(x=Tensor(each))
    found = column(recorder.records, "x")
    assert [each.tolist() for each in found] == given
    assert {each.dtype.name for each in found} == {"float32"}


def test_devices_and_kinds_meet_in_one_record(recorder: Recorder) -> None:
    """Tensors of several devices, dtypes and shapes in one record keep what each of them is."""
    recorder.push(
        a=Tensor(1.5, place=(CUDA, 0)),
        b=Tensor(2, "int32", place=(10, 1)),
        c=Tensor([3], place=(8, 0)),
        d=Tensor(True, "bool"),
        e=5,
    )
    recorder.push(a=Tensor(6, "int64"), b="text")
    first, second = recorder.records
    assert (first["a"], first["b"], first["d"], first["e"]) == (1.5, 2, True, 5)
    assert first["c"].tolist() == [3]
    assert (type(first["b"]), type(first["d"]), type(second["a"])) == (int, bool, int)
    assert (second["a"], second["b"]) == (6, "text")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -0.0])
def test_special_numbers_are_stored(number: float) -> None:
    """NaN, infinity and the sign of zero come through."""
    recorder = Recorder()
    recorder.push(x=Tensor(number))
    assert str(recorder.records[0]["x"]) == str(number)


# --- where a value is read at once ----------------------------------------------------------------


@pytest.mark.parametrize(
    "say",
    [
        lambda r, t: r.update(x=t),
        lambda r, t: r.push(x=[t]),
        lambda r, t: r.push(x={"y": t}),
        lambda r, t: r.child(x=t),
    ],
    ids=["update", "list", "dict", "child"],
)
def test_data_and_containers_read_at_once(
    asked: list[Any], say: Callable[[Recorder, Any], Any]
) -> None:
    """What is set on a node, and what is within a list or dict, is read when it is set."""
    recorder = Recorder()
    say(recorder, Tensor(1.5))
    assert asked == [1.5]


@pytest.mark.parametrize("place", [(1, 0), (3, 0), (11, 0), None, "x", ()])
def test_what_is_on_no_device_is_read_at_once(asked: list[Any], place: Any) -> None:
    """Memory that the processor reads itself, and whoever says nonsense, take the ordinary way."""
    recorder = Recorder()
    recorder.push(x=Tensor(1.5, place=place))
    assert asked == [1.5]
    assert recorder.records[0]["x"] == 1.5


def test_a_uint64_is_read_at_once(recorder: Recorder, asked: list[Any]) -> None:
    """A uint64 may be of one kind of ints or another, which its number decides."""
    recorder.push(x=Tensor(7, "uint64"))
    assert asked == [7]
    recorder.push(x=Tensor(2**64 - 1, "uint64"))
    assert [row["x"] for row in recorder.records] == [7, 2**64 - 1]


def test_columns_on_a_device_are_extended(recorder: Recorder, asked: list[Any]) -> None:
    """Extend takes columns on a device, and lists of tensors, which it fetches together."""
    recorder.extend({"x": Column([1, 2]), "y": [Tensor(3), Tensor(4)]})
    assert column(recorder.records, "x") == [1, 2]
    assert column(recorder.records, "y") == [3, 4]
    assert len(asked) == 3
