"""``where``: conditions narrow what is read, in every engine alike."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from rigorous_recorder import ExperimentCollection, Recorder, Records
from rigorous_recorder.errors import UnkeepableTypeError, UnkeepableValueError

Conditions = dict[str, Any]


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExperimentCollection]:
    """Experiments in a sealed file and in a live one; a key of a parent is a record's own, too."""
    with ExperimentCollection(tmp_path_factory.mktemp("where") / "c", quiet=True) as found:
        for number in range(2):
            with found.new_experiment(rate=0.1 * (1 + number)) as experiment:
                for model in ("a", "b"):
                    recorder = experiment.child(model=model, tag="of the parent")
                    for step in range(3):
                        recorder.push(i=100 * number + 10 * (model == "b") + step, step=step)
                    recorder.push(i=100 * number + 10 * (model == "b") + 3, tag="own")
            if not number:
                found.save()
        yield found


def _rows(records: Records) -> list[int]:
    return [row["i"] for row in records]


def _followed(records: Records) -> list[int]:
    stop = Event()
    stop.set()
    return [row["i"] for row in records.follow(stop=stop)]


def _saved(suffix: str) -> Callable[[Records, Path], list[int]]:
    def load(records: Records, folder: Path) -> list[int]:
        records.save_to(folder / f"x{suffix}")
        return _rows(Recorder.load_from(folder / f"x{suffix}").all_records)

    return load


def _plotted(records: Records) -> list[int]:
    return [x for curve in records.plot("i", "i", points=None).curves for x in curve.x]


ENGINES: dict[str, Callable[[Records, Path], list[int]]] = {
    "rows": lambda records, _: _rows(records),
    "slices": lambda records, _: [row["i"] for row in records[:]],
    "indices": lambda records, _: [records[at]["i"] for at in range(len(records))],
    "sql": lambda records, _: [i for (i,) in records.sql("SELECT i FROM records").fetchall()],
    "arrow": lambda records, _: records.to_arrow()["i"].to_pylist(),
    "polars": lambda records, _: records.to_polars()["i"].to_list(),
    "lazy polars": lambda records, _: (
        records.to_polars(lazy=True).select("i").collect()["i"].to_list()
    ),
    "pandas": lambda records, _: records.to_pandas()["i"].tolist(),
    "follow": lambda records, _: _followed(records),
    "parquet": _saved(".parquet"),
    "jsonl": _saved(".jsonl"),
    "plot": lambda records, _: _plotted(records),
}

CHAINS: list[list[Conditions]] = [
    [{"model": "a"}],
    [{"model": "a"}, {"rate": 0.2}],
    [{"model": "a"}, {"model": "a"}],
    [{"step": 1}, {"step": 1.0}],
    [{"tag": "own"}, {"model": "b"}],
    [{"model": "b"}, {"tag": "of the parent"}, {"step": 2}],
    [{"step": None}, {"tag": "own"}],
    [{"model": "a", "step": 0}, {"experiment_number": 2}],
]
NOTHING: list[list[Conditions]] = [
    [{"model": "a"}, {"model": "b"}],
    [{"step": 1}, {"step": 2}],
    [{"tag": "own"}, {"tag": "of the parent"}],
    [{"step": None}, {"step": 1}],
    [{"step": 1}, {"step": None}],
    [{"step": 1}, {"step": True}],
    [{"experiment_number": 1}, {"experiment_number": 2}],
    [{"model": "a"}, {"model": "b"}, {"model": "a"}],
]


def _wanted(records: Records, chain: list[Conditions]) -> list[int]:
    """What the rows of the whole table say, one by one."""
    return [
        row["i"]
        for row in records
        if all(
            row[key] == value and isinstance(row[key], bool) == isinstance(value, bool)
            for conditions in chain
            for key, value in conditions.items()
        )
    ]


def _narrowed(records: Records, chain: list[Conditions]) -> Records:
    for conditions in chain:
        records = records.where(**conditions)
    return records


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("chain", CHAINS)
def test_all_conditions_of_a_chain_hold(
    collection: ExperimentCollection, chain: list[Conditions], engine: str, tmp_path: Path
) -> None:
    """Whichever keys they are about, and in whatever order."""
    wanted = _wanted(collection.records, chain)
    assert wanted
    for each in (chain, chain[::-1]):
        assert ENGINES[engine](_narrowed(collection.records, each), tmp_path) == wanted


@pytest.mark.parametrize("engine", [each for each in ENGINES if each != "plot"])
@pytest.mark.parametrize("chain", NOTHING)
def test_conditions_that_exclude_each_other_leave_nothing(
    collection: ExperimentCollection, chain: list[Conditions], engine: str, tmp_path: Path
) -> None:
    """A later condition does not replace an earlier one on the same key."""
    records = _narrowed(collection.records, chain)
    assert ENGINES[engine](records, tmp_path) == _wanted(collection.records, chain) == []
    assert len(records) == 0


def test_an_experiments_records_are_not_widened(collection: ExperimentCollection) -> None:
    """``collection[n]`` stays that experiment."""
    first = collection[1]
    assert len(first) == 8
    assert len(first.where(experiment_number=1)) == 8
    assert len(first.where(experiment_number=2)) == 0
    assert len(first.where(model="a")) == 4


@pytest.mark.parametrize("is_deep", [True, False])
def test_conditions_narrow_a_part_of_the_tree(
    collection: ExperimentCollection, *, is_deep: bool
) -> None:
    """Of a recorder's own records as of all below it."""
    model = collection.recorder.children[0].children[1]
    records = model.all_records if is_deep else model.records
    assert _rows(records.where(model="b")) == [10, 11, 12, 13]
    assert _rows(records.where(model="b").where(step=1)) == [11]
    assert _rows(records.where(model="b").where(model="a")) == []
    assert _rows(records.where(experiment_number=2)) == []


def test_what_is_changed_later_changes_no_condition() -> None:
    """A list, a dict, an array belongs to the condition once it was given."""
    values: dict[str, Any] = {"a": [1, 2], "b": {"x": [1]}, "c": np.array([1.0, 2.0])}
    recorder = Recorder().push(values)
    records = recorder.records.where(**values)
    values["a"].append(3)
    values["b"]["x"].append(3)
    values["c"][0] = 3
    assert len(records) == 1


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (range(2), UnkeepableTypeError),
        ({1, 2}, UnkeepableTypeError),
        (lambda epoch: epoch > 1, UnkeepableTypeError),
        (1j, UnkeepableTypeError),
        (int, UnkeepableTypeError),
        ([object()], UnkeepableTypeError),
        ("\ud800", UnkeepableValueError),
        (dt.timedelta.max, UnkeepableValueError),
    ],
)
def test_a_value_that_no_record_has_is_refused_at_once(value: Any, error: type[Exception]) -> None:
    """The message is about conditions, not about logging."""
    records = Recorder().push(epoch=1).records
    with pytest.raises(error, match=r"where\(epoch=.*: no record can have this value") as told:
        records.where(epoch=value)
    assert "kept" not in str(told.value)
    assert "stored" not in str(told.value)
