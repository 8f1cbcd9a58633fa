"""What a number of an experiment names, where several runs share it; and the numbers as keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from rigorous_recorder import ExperimentCollection, Recorder, _runs
from rigorous_recorder.errors import (
    ArgumentError,
    ArgumentTypeError,
    ReadOnlyError,
    RecordIndexError,
    RigorousError,
    RunningError,
    UnknownExperimentError,
)

Opener = Callable[..., ExperimentCollection]


def run(collection: ExperimentCollection, lr: float, *, fails: bool = False) -> int:
    """A run with one record, which may fail; its number."""
    try:
        with collection.new_experiment(lr=lr) as experiment:
            experiment.push(loss=lr)
            if fails:
                raise ArithmeticError("diverged")
    except ArithmeticError:
        pass
    return int(experiment["experiment_number"])


def runs_of(collection: ExperimentCollection) -> list[tuple[int, int, float]]:
    return [
        (row["experiment_number"], row["error_number"], row["lr"]) for row in collection.experiments
    ]


@pytest.fixture
def search(open_collection: Opener) -> ExperimentCollection:
    """Three runs of a search; the second diverged, so the third has its number."""
    collection = open_collection(quiet=True)
    assert [run(collection, 0.1), run(collection, 10.0, fails=True), run(collection, 0.01)] == [
        *(1, 2, 2)
    ]
    return collection


def test_to_delete_one_of_two_runs_leaves_the_other(search: ExperimentCollection) -> None:
    """The failed one goes, the good one after it stays, and the other way round."""
    assert search.delete(2, error_number=1) == 1
    assert runs_of(search) == [(1, 0, 0.1), (2, 0, 0.01)]
    assert [row["lr"] for row in search[2]] == [0.01]
    assert run(search, 0.5) == 3
    search.delete(3, error_number=0)
    assert run(search, 0.6) == 4


def test_the_good_one_of_two_runs_can_be_deleted(search: ExperimentCollection) -> None:
    """Its number is not given again, though one that failed has it still."""
    assert search.delete(2, error_number=0) == 1
    assert runs_of(search) == [(1, 0, 0.1), (2, 1, 10.0)]
    assert run(search, 0.5) == 3


def test_it_is_refused_to_delete_one_of_several_runs_unnamed(search: ExperimentCollection) -> None:
    """The message lists them, with what distinguishes them; nothing is deleted."""
    with pytest.raises(ArgumentError) as refused:
        search.delete(1, 2)
    first, *listed = str(refused.value).splitlines()
    assert first.startswith("2 runs share the number 2; choose one of them by error_number=")
    assert listed == [
        "  experiment 2 (error_number 1): failed (ArithmeticError: diverged), lr=10, 1 record",
        "  experiment 2 (error_number 0): finished, lr=0.01, 1 record",
    ]
    assert len(search.experiments) == 3
    assert search.delete(1, 2, all_runs=True) == 3
    assert run(search, 0.5) == 3


@pytest.mark.parametrize("wanted", [{"error_number": 1}, {"error_number": np.int64(0)}, {}])
def test_a_number_of_one_run_needs_no_choice(
    search: ExperimentCollection, wanted: dict[str, Any]
) -> None:
    """Given all the same, the error number must be that of the run."""
    if wanted.get("error_number") == 1:
        with pytest.raises(UnknownExperimentError, match="no run with error_number 1:\n.* lr=0.1"):
            search.delete(1, **wanted)
    else:
        assert search.delete(1, **wanted) == 1
    assert len(search.experiments) == 2 + (wanted.get("error_number") == 1)


@pytest.mark.parametrize(
    ("numbers", "options"),
    [((1, 2), {"error_number": 0}), ((2,), {"error_number": 0, "all_runs": True})],
)
def test_an_error_number_is_of_one_number(
    search: ExperimentCollection, numbers: tuple[int, ...], options: dict[str, Any]
) -> None:
    """Beside another choice it is refused."""
    with pytest.raises(ArgumentError, match="chooses one run of one number"):
        search.delete(*numbers, **options)
    assert len(search.experiments) == 3


def test_a_run_is_deleted_beside_one_that_runs(open_collection: Opener) -> None:
    """Of those that share a number only what is deleted must have ended."""
    collection = open_collection(quiet=True)
    run(collection, 10.0, fails=True)
    with collection.new_experiment(lr=0.1) as experiment:
        with pytest.raises(RunningError):
            collection.delete(1, all_runs=True)
        with pytest.raises(ArgumentError, match="error_number 2.: running, lr=0.1"):
            collection.delete(1)
        assert collection.delete(1, error_number=1) == 1
        experiment.push(loss=0.0)
    assert runs_of(collection) == [(1, 0, 0.1)]
    assert run(collection, 0.2) == 2


def test_resume_takes_the_last_of_several_runs_and_reports_it(
    search: ExperimentCollection, open_collection: Opener, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless an error number chooses another; a quiet collection says nothing."""
    with open_collection().resume(2) as attempt:
        assert attempt["lr"] == 0.01
    told = capsys.readouterr().err
    assert "2 runs share the number 2: the last, experiment 2 (error_number 0), is resumed" in told
    assert "error_number=..." in told
    with open_collection().resume(2, error_number=1) as attempt:
        assert attempt["lr"] == 10.0
    with open_collection().resume(1):
        pass
    with search.resume(2):
        pass
    assert capsys.readouterr().err == ""
    with pytest.raises(UnknownExperimentError, match="no run with error_number 7"):
        search.resume(2, error_number=7).__enter__()


def test_the_records_of_a_number_are_those_of_all_its_runs(search: ExperimentCollection) -> None:
    """As the first README has it; the error number takes one."""
    assert [row["lr"] for row in search[2]] == [10.0, 0.01]
    assert [row["lr"] for row in search[2].where(error_number=0)] == [0.01]


def test_a_collection_is_iterated_by_its_numbers(search: ExperimentCollection) -> None:
    """Each once, in order, as the keys that it takes."""
    assert list(search) == [1, 2]
    assert list(reversed(search)) == [2, 1]
    assert {number: len(search[number]) for number in search} == {1: 1, 2: 2}
    assert [number in search for number in (0, 1, 2, 3, np.int64(2))] == [
        *(False, True, True, False, True)
    ]
    assert [thing in search for thing in (True, "1", None, 1.0, -1)] == 5 * [False]
    assert isinstance(iter(search), Iterator)


def test_an_empty_collection_has_no_numbers(open_collection: Opener) -> None:
    """And makes no folder when its numbers are read."""
    collection = open_collection()
    assert (list(collection), 1 in collection) == ([], False)
    with pytest.raises(UnknownExperimentError):
        collection.resume(1).__enter__()


@pytest.mark.parametrize(
    ("call", "kind", "builtin"),
    [
        (lambda c: c[7], UnknownExperimentError, KeyError),
        (lambda c: c["x"], UnknownExperimentError, KeyError),
        (lambda c: c.resume(7).__enter__(), UnknownExperimentError, KeyError),
        (lambda c: c.delete(7), UnknownExperimentError, KeyError),
        (lambda _: Recorder().set_parent(5), ArgumentTypeError, TypeError),
        (lambda c: c.records[9], RecordIndexError, IndexError),
        (lambda c: c.records["loss"], ArgumentTypeError, TypeError),
        (lambda c: c.records[0].update(loss=1), ReadOnlyError, TypeError),
    ],
)
def test_errors_have_one_base(
    search: ExperimentCollection, call: Any, kind: type, builtin: type
) -> None:
    """And are the builtin that fits; the text of a ``KeyError`` is not in quotes."""
    with pytest.raises(kind) as refused:
        call(search)
    assert isinstance(refused.value, RigorousError)
    assert isinstance(refused.value, builtin)
    assert str(refused.value) == refused.value.args[0]


def test_of_many_numbers_only_some_are_listed() -> None:
    """Where the number does not exist."""
    known = list(range(1, 10_001))
    with pytest.raises(UnknownExperimentError) as refused:
        _runs.nth_number(known, 20_000)
    first, last = (", ".join(map(str, some)) for some in (known[:10], known[-10:]))
    assert str(refused.value) == f"there is no experiment 20000; there are {first}, ..., {last}"


def test_to_begin_an_experiment_looks_at_few_of_those_before(
    open_collection: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only at those with the highest number, also where they are in sealed files."""
    collection = open_collection(quiet=True)
    looked: list[int] = []
    past = _runs.Runs._past

    def count(self: Any, positions: Any) -> Any:
        looked.append(len(positions))
        return past(self, positions)

    for number in range(1, 30):
        assert run(collection, 0.1) == number
        if number % 10 == 0:
            collection.save()
    monkeypatch.setattr(_runs.Runs, "_past", count)
    for is_saved in (False, True):
        if is_saved:
            collection.save()
        assert run(collection, 0.1, fails=True) == 30
        collection.save()
    assert run(collection, 0.1) == 30
    assert run(collection, 0.1) == 31
    assert max(looked) <= 3


def run_of(context: Any, *, fails: bool) -> Recorder:
    """A run, begun or resumed, that pushes a record and ends."""
    with suppress(ZeroDivisionError), context as recorder:
        recorder.push(is_good=not fails)
        if fails:
            raise ZeroDivisionError
    return recorder


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("resumed", [1, 2])
def test_no_two_runs_of_a_number_have_one_error_number(
    open_collection: Opener, resumed: int, *, fails: bool
) -> None:
    """Also where one of them is resumed, however it ends, and others are begun after it."""
    collection = open_collection()
    for _ in range(2):
        run_of(collection.new_experiment(), fails=True)
    run_of(collection.resume(1, error_number=resumed), fails=fails)
    run_of(collection.new_experiment(), fails=True)
    run_of(collection.new_experiment(), fails=False)
    runs = [(row["experiment_number"], row["error_number"]) for row in collection.experiments]
    assert len(set(runs)) == len(runs)
    for number, error_number in runs[1:]:
        collection.delete(number, error_number=error_number)
    (left,) = collection.experiments
    assert (left["experiment_number"], left["error_number"]) == runs[0]


def test_the_recorder_of_an_attempt_has_how_it_ended(open_collection: Opener) -> None:
    """As that of an experiment that was never resumed: without an error, or with which one."""
    collection = open_collection()
    run_of(collection.new_experiment(), fails=True)
    failed = run_of(collection.resume(1), fails=True)
    assert failed["had_error"] is True
    assert failed["experiment_error_type"] == "ZeroDivisionError"
    good = run_of(collection.resume(1), fails=False)
    assert (good["had_error"], good["error_number"]) == (False, 0)
    assert good["experiment_end_time"] == collection.experiments[0]["experiment_end_time"]
