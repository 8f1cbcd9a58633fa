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


def test_what_is_deleted_is_reported(run: Run, own_study: Path) -> None:
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
    assert result.err.startswith("experiments 1, 2 deleted, with 12 records")
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


def test_an_unknown_number_is_reported(run: Run, own_study: Path) -> None:
    """With code 2, and without a question; the others named beside it stay."""
    result = run("delete", own_study, 1, 7, 8)
    assert (result.code, result.out) == (2, "")
    assert f"there is no experiment 7, 8 in {own_study}; `rigorous ls {own_study}`" in result.err
    assert numbers(own_study) == (1, 2)


def test_an_experiment_that_runs_is_reported(run: Run, own_study: Path) -> None:
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


@pytest.fixture
def search(tmp_path: Path) -> Path:
    """A study of a run that diverged and the one that was begun after it, which has its number."""
    path = tmp_path / "search.collection"
    with ExperimentCollection(path, quiet=True) as collection:
        with pytest.raises(ValueError, match="nan"), collection.new_experiment(lr=10.0) as run:
            run.push(loss=1.0)
            raise ValueError("nan\x1b[2J")
        with collection.new_experiment(lr=0.1) as run:
            run.push(loss=0.5)
    return path


def test_of_several_runs_with_a_number_one_is_named(run: Run, search: Path) -> None:
    """Without that nothing is deleted, and they are listed, with a yes or without."""
    for more in ([], ["--yes"]):
        result = run("delete", search, 1, *more)
        assert (result.code, result.out) == (2, "")
        assert "2 runs share the number 1" in result.err
        assert (
            "experiment 1 (error_number 1): failed (ValueError: nan\\x1b[2J), lr=10" in result.err
        )
        assert "experiment 1 (error_number 0): finished, lr=0.1, 1 record" in result.err
    assert (
        "(error_number 1) deleted, with 1 record;"
        in run(*("delete", search, 1, "--error-number", 1, "--yes")).err
    )
    (left,) = run("ls", search, "--json").json
    assert (left["error_number"], left["status"]) == (0, "finished")
    result = run("delete", search, 1, "--error-number", 1, "--yes")
    assert (result.code, "no run with error_number 1" in result.err) == (2, True)


def test_conditions_choose_the_run_that_is_deleted(
    run: Run, search: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of those that share a number, when others change between two looks at the runs."""
    overview = ExperimentCollection.overview
    monkeypatch.setattr(ExperimentCollection, "overview", lambda each: overview(each)[::-1])
    assert run("delete", search, "--where", "lr=0.1", "--yes").err.startswith("1 run deleted")
    (left,) = run("ls", search, "--json").json
    assert (left["error_number"], left["status"]) == (1, "failed")


def test_all_runs_with_a_number_can_be_deleted(
    run: Run, search: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is listed before the question."""
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    result = run("delete", search, 1, "--all-runs")
    listed = [line for line in result.err.splitlines() if line.startswith("experiment 1 (error")]
    assert len(listed) == 2
    assert "Delete experiment 1 with 2 records for good?" in result.err
    assert numbers(search) == ()


def test_conditions_on_a_shared_number_say_so(run: Run, search: Path, tmp_path: Path) -> None:
    """On standard error, with what takes one of the runs; the data are those of all."""
    result = run("tail", search, "--no-follow", "--where", "experiment_number=1", "-k", "lr")
    assert result.out == "lr=10.0\nlr=0.1\n"
    assert "2 runs share the number 1, and this is from all of them" in result.err
    result = run("export", search, tmp_path / "x.csv", "--where", "experiment_number=1")
    assert "2 runs share the number 1" in result.err
    one = ["--where", "experiment_number=1", "--where", "error_number=0"]
    result = run("tail", search, "--no-follow", *one, "-k", "lr")
    assert (result.out, result.err) == ("lr=0.1\n", "")
