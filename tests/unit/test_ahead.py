"""Results that are worked out ahead, in threads."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._engines.ahead import ahead
from rigorous_recorder._engines.rows import _is_worth_a_thread
from rigorous_recorder.errors import DamagedFileWarning

MANY = 100
ROWS = 70_000


def test_the_results_are_in_order_and_only_a_few_are_worked_out_ahead() -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        return -item

    results = ahead(work, range(MANY))
    assert next(results) == 0
    assert len(begun) < MANY
    assert list(results) == [-item for item in range(1, MANY)]


def test_an_error_comes_where_its_result_would() -> None:
    def work(item: int) -> int:
        if item == 2:
            raise OSError(item)
        return item

    results = ahead(work, range(MANY))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(OSError, match="2"):
        next(results)


def test_whoever_stops_early_waits_for_what_is_being_read() -> None:
    ended: list[int] = []
    has_begun = threading.Event()
    may_end = threading.Event()

    def work(item: int) -> int:
        if item:
            has_begun.set()
            may_end.wait()
        ended.append(item)
        return item

    results = ahead(work, range(MANY))
    assert next(results) == 0
    has_begun.wait()
    threading.Timer(0.01, may_end.set).start()
    results.close()  # type: ignore[attr-defined]
    assert len(ended) > 1


def test_an_iterator_can_be_collected_in_one_of_its_own_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    last: list[Iterator[int]] = []
    is_last = threading.Event()
    is_gone = threading.Event()

    def work(item: int) -> int:
        if item == 1:
            is_last.wait()
            last.clear()
            is_gone.set()
        return item

    results = ahead(work, range(MANY))
    assert next(results) == 0
    last.append(results)
    del results
    is_last.set()
    is_gone.wait()
    assert not said


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("so_far", [0, 1, MANY - 1])
def test_a_forked_child_goes_on_by_itself(so_far: int) -> None:
    results = ahead(lambda item: -item, range(MANY))
    there = [next(results) for _ in range(so_far)]
    expected = [-item for item in range(MANY)]
    child = os.fork()
    if not child:
        os._exit(0 if there + list(results) == expected else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert there + list(results) == expected


@pytest.fixture
def many(tmp_path: Path) -> Iterator[ExperimentCollection]:
    """A collection of some groups of rows that are each read while others are given."""
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        for seed in range(4):
            with collection.new_experiment(seed=seed) as experiment:
                experiment.extend({"step": np.arange(ROWS), "loss": np.arange(ROWS) / ROWS})
            collection.save()
        yield collection


def test_rows_that_are_read_ahead_are_in_order(many: ExperimentCollection) -> None:
    assert _is_worth_a_thread(many.records.scan())
    found = [(row["seed"], row["step"], row["loss"]) for row in many.records]
    assert found == [(seed, step, step / ROWS) for seed in range(4) for step in range(ROWS)]


def test_whoever_leaves_a_loop_over_rows_leaves_no_thread(many: ExperimentCollection) -> None:
    before = set(threading.enumerate())
    for row in many.records:
        assert row["step"] == 0
        break
    gc.collect()
    assert set(threading.enumerate()) <= before


def test_damage_is_told_where_rows_are_read_ahead(
    many: ExperimentCollection, tmp_path: Path
) -> None:
    path = sorted((tmp_path / "study.collection" / "records").glob("*.parquet"))[2]
    data = bytearray(path.read_bytes())
    data[100] ^= 0xFF
    path.write_bytes(data)
    with pytest.warns(DamagedFileWarning, match=path.name):
        assert {row["seed"] for row in many.records} == {0, 1, 3}
