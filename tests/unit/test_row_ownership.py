"""A row, and what is in it, belongs to whoever read it: a change shows nowhere else."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from rigorous_recorder import ExperimentCollection, Recorder, Records
from rigorous_recorder._rows.implementation import fresh

from ..property.strategies import exact

CFG: dict[str, Any] = {"lr": 0.1, "layers": [1, {"size": 2}]}
ABOVE: dict[str, Any] = {"cfg": CFG, "tags": ["a", "b"], "weights": np.array([1.0, 2.0])}
OWN: dict[str, Any] = {"seen": [1, 2], "info": {"a": {}}, "image": np.zeros((2, 2), "uint8")}


def _spoil(value: Any) -> None:
    """Change a value and all that is in it."""
    if isinstance(value, np.ndarray):
        value[...] = 99
    elif isinstance(value, dict):
        for each in value.values():
            _spoil(each)
        value["new"] = 1
        value.pop("lr", None)
    elif isinstance(value, list):
        for each in value:
            _spoil(each)
        value.append("new")


def _spoil_all(row: Any) -> None:
    for value in row.values():
        _spoil(value)


@pytest.fixture(params=["in memory", "live", "sealed"])
def parent(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Recorder]:
    """A recorder with five records below it, of which the last has lists of other shapes."""
    if request.param == "in memory":
        yield _filled(Recorder())
        return
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        with collection.new_experiment() as experiment:
            parent = _filled(experiment.child())
            if request.param == "sealed":
                collection.save()
            yield parent


def _filled(top: Recorder) -> Recorder:
    parent = top.child(copy.deepcopy(ABOVE))
    for i in range(4):
        parent.push(i=i, **copy.deepcopy(OWN))
    return parent.push(i=4)


def _expected(i: int) -> dict[str, Any]:
    return {**ABOVE, "i": i, **(OWN if i < 4 else {})}


def _require_unspoilt(records: Records) -> None:
    for found in (list(records), [records[i] for i in range(5)], records[:]):
        for i, row in enumerate(found):
            shown = {key: exact(row[key]) for key in _expected(i)}
            assert shown == {key: exact(value) for key, value in _expected(i).items()}


def _by_index(records: Records) -> Iterator[Any]:
    return (records[i] for i in range(5))


def _by_index_again(records: Records) -> Iterator[Any]:
    return (records[i] for i in (0, 0, 0, 1, -1))


def _followed(records: Records) -> Iterator[Any]:
    stop = Event()
    stop.set()
    return records.follow(stop=stop)


LOOPS: dict[str, Callable[[Records], Any]] = {
    "iteration": iter,
    "a list of them": list,
    "index": _by_index,
    "index again": _by_index_again,
    "slice": lambda records: records[1:4],
    "slice backwards": lambda records: records[::-1],
    "reversed": reversed,
    "follow": _followed,
    "where": lambda records: iter(records.where(i=2)),
}


@pytest.mark.parametrize("loop", LOOPS)
def test_a_change_in_a_row_shows_in_no_other(parent: Recorder, loop: str) -> None:
    """Neither in the rows of the same loop nor in those that are read later."""
    records = parent.all_records
    for row in LOOPS[loop](records):
        i = row["i"]
        assert {key: exact(row[key]) for key in _expected(i)} == {
            key: exact(value) for key, value in _expected(i).items()
        }
        _spoil_all(row)
    _require_unspoilt(records)
    _require_unspoilt(parent.all_records)


def test_a_change_of_attributes_that_were_read_changes_none(parent: Recorder) -> None:
    """Whatever way they were read: to set one is ``recorder[key] = value``."""
    (top,) = [parent.parent]
    assert top is not None
    for data in (parent.local_data, dict(parent.items()), top.children[0].local_data):
        _spoil_all(data)
    for key in ABOVE:
        _spoil(parent[key])
        _spoil(parent.get(key))
    for value in parent.values():
        _spoil(value)
    assert {key: exact(parent[key]) for key in ABOVE} == {
        key: exact(value) for key, value in ABOVE.items()
    }
    _require_unspoilt(parent.all_records)


def test_a_change_of_what_waits_changes_no_record() -> None:
    """``pending`` shows what the next record has, and is no way to change it."""
    recorder = Recorder().add(copy.deepcopy(OWN))
    _spoil_all(recorder.pending)
    recorder.commit()
    assert {key: exact(recorder.records[0][key]) for key in OWN} == {
        key: exact(value) for key, value in OWN.items()
    }


def test_a_change_in_the_row_of_an_experiment_shows_in_no_other(tmp_path: Path) -> None:
    """Nor in the list of experiments that is requested next."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        collection.recorder["cfg"] = copy.deepcopy(CFG)
        for _ in range(2):
            with collection.new_experiment() as experiment:
                experiment.push(x=1)
        for row in collection.experiments:
            assert row["cfg"] == CFG
            _spoil_all(row)
        assert [row["cfg"] for row in collection.experiments] == [CFG, CFG]


def test_a_key_that_has_lists_and_numbers(tmp_path: Path) -> None:
    """A list under a key that has numbers in other rows is a row's own, too."""
    top = Recorder(x=[1])
    low = top.child(x=0.5).push(i=0)
    top.push(i=1).push(i=2)
    for row in top.all_records:
        _spoil_all(row)
    assert [row["x"] for row in top.all_records] == [0.5, [1], [1]]
    assert low["x"] == 0.5


def test_fresh_is_what_was_copied() -> None:
    """The rows above are compared with copies that are equal."""
    assert exact(fresh(ABOVE)) == exact(ABOVE)
