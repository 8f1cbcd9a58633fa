"""`rigorous delete`: experiments go when that was meant, and only those."""

from __future__ import annotations

import io
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.cli.target import complete_experiment

from .conftest import Run, make_study


@pytest.fixture
def own_study(tmp_path: Path) -> Path:
    """A study that a test may change."""
    return make_study(tmp_path / "own")


def numbers(study: Path) -> tuple[int, ...]:
    with closing(ExperimentCollection(study, extension="")) as collection:
        return collection.experiment_numbers


def test_what_is_deleted_is_told(run: Run, own_study: Path) -> None:
    """With how many records that were, and what frees the space; then no command knows it."""
    result = run("delete", own_study, 1, "--yes")
    assert (result.code, result.out) == (0, "")
    told = f"experiment 1 deleted, with 6 records; `rigorous compact {own_study}` frees the space\n"
    assert result.err == told
    assert numbers(own_study) == (2,)
    assert len(run("tail", own_study, "-n", 99, "--no-follow").lines) == 6
    assert run("compact", own_study).code == 0
    assert [row["experiment_number"] for row in run("ls", own_study, "--json").json] == [2]


def test_several_are_deleted_at_once(run: Run, own_study: Path) -> None:
    """Each once, also where one is named twice."""
    result = run("delete", own_study, 1, 2, 1, "-y")
    assert result.err.startswith("experiment 1, 2 deleted, with 12 records")
    assert numbers(own_study) == ()


@pytest.mark.parametrize(("answer", "left"), [("y", (2,)), ("n", (1, 2)), ("", (1, 2))])
def test_it_asks_first(
    run: Run, own_study: Path, monkeypatch: pytest.MonkeyPatch, answer: str, left: tuple[int, ...]
) -> None:
    """Without a yes nothing is deleted, nor where nobody is there to answer."""
    monkeypatch.setattr("sys.stdin", io.StringIO(answer and f"{answer}\n"))
    result = run("delete", own_study, 1)
    assert "Delete experiment 1 with 6 records for good?" in result.err
    assert result.code == (0 if answer == "y" else 1)
    assert numbers(own_study) == left


def test_an_unknown_number_is_told(run: Run, own_study: Path) -> None:
    """With code 2, and without a question; the others named beside it stay."""
    result = run("delete", own_study, 1, 7, 8)
    assert (result.code, result.out) == (2, "")
    assert f"there is no experiment 7, 8 in {own_study}; `rigorous ls {own_study}`" in result.err
    assert numbers(own_study) == (1, 2)


def test_an_experiment_that_runs_is_told(run: Run, own_study: Path) -> None:
    """With code 2; it goes on, and those named beside it stay."""
    with closing(ExperimentCollection(own_study, extension="")) as collection:
        with collection.new_experiment() as experiment:
            assert experiment["experiment_number"] == 2
        with collection.new_experiment() as experiment:
            result = run("delete", own_study, 1, 3, "--yes")
            assert (result.code, result.out) == (2, "")
            assert "rigorous: experiment 3 still runs" in result.err
            experiment.push(epoch=1)
        assert collection.experiment_numbers == (1, 2, 3)


def test_numbers_are_completed(own_study: Path) -> None:
    """Those of the collection that was typed before; none where there is none."""
    for path, typed, offered in [
        (own_study, "", ["1", "2"]),
        (own_study, "2", ["2"]),
        (own_study, "7", []),
        ("nowhere", "", []),
        (None, "", []),
    ]:
        context = SimpleNamespace(params={"path": path}, args=[])
        assert complete_experiment(context, typed) == offered  # type: ignore[arg-type]
