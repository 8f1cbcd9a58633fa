"""Commands that change what is known of an experiment, and the one that compares some."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from rigorous_recorder import Experiment, ExperimentCollection

from .conftest import Run


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Three experiments, the last two of which have one number."""
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        for lr in (0.1, 0.01, 0.001):
            config = {"depth": 3, "optim": {"name": "adam", "lr": lr}}
            run = collection.start(config=config, seed=7, lr=lr)
            for step in range(3):
                run.child(model="m1").push(step=step, loss=lr * step, note=f"step {step}")
            run.push(loss=int(lr * 1000))
            if lr == 0.01:
                run.fail(ValueError("diverged"))
            else:
                run.finish()
    return tmp_path / "study"


def of(study: Path, number: int) -> Experiment:
    with closing(ExperimentCollection.open(study, read_only=True)) as collection:
        return collection.experiment(number)


def test_set_sets_attributes_of_every_record(run: Run, study: Path) -> None:
    """JSON where it is some, else text; null takes back; the key goes up to the first equals sign."""
    words = [
        "note=best so far",
        "acc=0.93",
        "ok=true",
        'tags=["a", "b"]',
        'n="5"',
        "f=a=b",
        "x=NaN",
    ]
    result = run("set", study, 1, *words)
    assert (result.code, result.out) == (0, "")
    assert result.err.startswith('experiment 1: note="best so far", acc=0.93, ok=True')
    expected = {
        "note": "best so far",
        "acc": 0.93,
        "ok": True,
        "tags": ["a", "b"],
        "n": "5",
        "f": "a=b",
        "x": "NaN",
    }
    assert expected.items() <= of(study, 1).items()
    with closing(ExperimentCollection.open(study, read_only=True)) as collection:
        assert [row["acc"] for row in collection[1]] == 4 * [0.93]
        assert {row["acc"] for row in collection[2]} == {None}
    assert "removed: acc" in run("set", study, 1, "acc=null").err
    assert of(study, 1)["acc"] is None


def test_the_latest_of_several_runs_is_changed_unless_one_is_named(run: Run, study: Path) -> None:
    """And it is reported which."""
    result = run("set", study, 2, "note=good")
    assert (
        "2 runs share the number 2; this is the latest, experiment 2 (error_number 0)" in result.err
    )
    assert run("set", study, 2, "note=bad", "--error-number", 1).code == 0
    with closing(ExperimentCollection.open(study, read_only=True)) as collection:
        assert [each["note"] for each in collection.experiments] == [None, "bad", "good"]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["set", 1, "note"], "sets nothing; expected key=value"),
        (["set", 1, "=5"], "sets nothing; expected key=value"),
        (["set", 1, "tags+=paper"], "by `rigorous tag COLLECTION NUMBER +paper`"),
        (["set", 1, "had_error=false"], "had_error"),
        (["set", 9, "a=1"], "there is no experiment 9"),
        (["tag", 1, "best"], "expected +best or -best"),
        (["tag", 1, "+"], "neither adds nor removes a tag"),
        (["rename", 9, "x"], "there is no experiment 9"),
        (["archive", 1, 9], "there is no experiment 9"),
        (["archive", 1, 2, "--error-number", 0], "name one alone"),
        (["archive"], "name experiments by their numbers, or by --where"),
        (["archive", "--where", "lr=77"], "no run has lr=77; nothing is archived"),
        (["archive", "--where", "lr=0.1", "--error-number", 0], "exclude each other"),
        (["diff", 1], "expected two or more experiments"),
        (["diff", 1, 1], "expected two or more experiments"),
        (["diff", 1, 9], "there is no experiment 9"),
    ],
    ids=str,
)
def test_what_cant_be_done_is_refused_and_changes_nothing(
    run: Run, study: Path, command: list[object], words: str
) -> None:
    """With code 2, and the way out."""
    name, *rest = command
    before = dict(of(study, 1))
    result = run(name, study, *rest)
    assert (result.code, result.out) == (2, "")
    assert words in " ".join(result.err.split())
    assert dict(of(study, 1)) == before


def test_tags_are_put_on_and_taken_off(run: Run, study: Path) -> None:
    """Those that it has then are printed, one a line; without changes nothing is written."""
    assert run("tag", study, 1, "+paper", "+best", "+paper").lines == ["paper", "best"]
    assert run("tag", study, 1, "-paper", "+new", "-nothing").lines == ["best", "new"]
    assert run("tag", study, 1).lines == ["best", "new"]
    assert of(study, 1).tags == ("best", "new")
    assert run("tag", study, 1, "-best", "-new").lines == []
    assert of(study, 1)["tags"] is None


def test_an_experiment_is_renamed_and_archived(run: Run, study: Path) -> None:
    """`ls` shows the name and the tags; archived ones are listed with --all."""
    assert run("rename", study, 1, "baseline").err == "experiment 1 is 'baseline' now\n"
    run("tag", study, 1, "+paper")
    head, first, *_ = run("ls", study).lines
    assert head.split() == [
        *("experiment", "error_number", "attempts", "status", "start", "duration", "records"),
        *("error", "name", "tags", "keys"),
    ]
    assert "baseline" in first
    assert "paper" in first
    assert "archived" in run("archive", study, 1).err
    result = run("ls", study)
    assert [line.split()[0] for line in result.lines[1:]] == ["2", "2"]
    assert result.err == "1 archived; --all lists them, too\n"
    assert [each["status"] for each in run("ls", study, "--json").json] == ["failed", "finished"]
    whole = run("ls", study, "--all", "--json").json
    assert [each["is_archived"] for each in whole] == [True, False, False]
    assert (whole[0]["name"], whole[0]["tags"]) == ("baseline", ["paper"])
    assert run("archive", study, "1-2", "--undo").code == 0
    assert len(run("ls", study).lines) == 4
    frame = ExperimentCollection.open(study, read_only=True).experiments.to_arrow()
    assert frame["archived"].to_pylist() == [False, None, None]


def test_runs_are_archived_by_conditions(run: Run, study: Path) -> None:
    """Each run by itself, also of a number that several share; numbers narrow the choice."""

    def listed() -> list[tuple[int, str]]:
        found = run("ls", study, "--json").json
        return [(each["experiment_number"], each["status"]) for each in found]

    every = listed()
    assert every == [(1, "finished"), (2, "failed"), (2, "finished")]
    assert run("archive", study, "1", "--where", "status=failed").code == 2
    assert "experiment 2 archived" in run("archive", study, "--where", "status=failed").err
    assert listed() == [every[0], every[2]]
    assert run("archive", study, "1-2", "--where", "status=finished").code == 0
    assert listed() == []
    assert run("archive", study, "--where", "archived=true", "--undo").code == 0
    assert listed() == every


def test_diff_shows_what_differs_and_last_numbers(run: Run, study: Path) -> None:
    """Nested attributes by their parts; of int and float the one that was logged last."""
    assert run("diff", study, 1, 2, "--json").json == [
        {"key": "config.optim.lr", "of": "attribute", "values": {"1": 0.1, "2": 0.001}},
        {"key": "lr", "of": "attribute", "values": {"1": 0.1, "2": 0.001}},
        {"key": "step", "of": "last record", "values": {"1": 2, "2": 2}},
        {"key": "loss", "of": "last record", "values": {"1": 100, "2": 1}},
    ]
    head, *rows = run("diff", study, 1, 2).lines
    assert head.split("  ")[0] == "key"
    assert len(rows) == 4
    with closing(ExperimentCollection.open(study, read_only=True)) as collection:
        one, two, three = collection.experiments
        assert [tuple(each) for each in one.diff(two, three)][:2] == [
            ("config.optim.lr", "attribute", (0.1, 0.01, 0.001)),
            ("lr", "attribute", (0.1, 0.01, 0.001)),
        ]
        assert [each.of for each in one.diff()] == 2 * ["last record"]
        with pytest.raises(TypeError, match="takes experiments"):
            one.diff(2)  # type: ignore[arg-type]


def test_environments_are_shown_and_compared(run: Run, tmp_path: Path) -> None:
    """A run without one says how to get it; texts of several lines are indented."""
    with closing(ExperimentCollection(tmp_path / "study", quiet=True)) as collection:
        collection.start(lr=0.1).finish()
        collection.start(lr=0.1, capture=True).finish()
    shown = run("show", tmp_path / "study", "--environment").lines
    assert shown[:2] == [
        "experiment 1 (error_number 0)",
        "  nothing was captured: start the run with capture=True",
    ]
    assert shown[2] == "experiment 2 (error_number 0)"
    assert [line for line in shown if line.startswith("    version: 3.")]
    assert shown.index("  machine") < shown.index("  packages")
    one, two = run("show", tmp_path / "study", "--environment", "--json").json
    assert one == {"experiment_number": 1, "error_number": 0, "environment": {}}
    assert "pyarrow" in two["environment"]["packages"]
    (found,) = (
        each
        for each in run("diff", tmp_path / "study", 1, 2, "--json").json
        if each["key"] == "machine.cpu_cores"
    )
    assert found["of"] == "environment"
    assert found["values"]["1"] is None
    assert "exclude each other" in run("show", tmp_path / "study", "--environment", "--errors").err
    assert [line for line in shown if line.startswith("    pip-freeze.txt: ")]
    only_one = run("diff", tmp_path / "study", 1, 2)
    assert "machine" not in only_one.out
    assert "no environment was captured of experiment 1" in only_one.err
    assert "--console" in run("show", tmp_path / "study", "--console", "--errors").err
    assert run("show", tmp_path / "study", 1, "--console").out == ""


def test_texts_of_an_environment_are_compared_by_lines(run: Run, tmp_path: Path) -> None:
    """The uncommitted changes, and each file of dependencies: what differs is below the table."""
    with closing(ExperimentCollection(tmp_path / "study", quiet=True)) as collection:
        for commit, changes, lock in ("a", "+x\n+y\n", "numpy 1\n"), ("b", "+x\n+z\n", "numpy 2\n"):
            environment = {"git": {"commit": commit, "diff": changes}}
            attributes = {
                "experiment_environment": environment,
                "experiment_dependencies": {"uv.lock": f"{lock}{'same' * 10}\n"},
            }
            with collection.new_experiment() as recorder:
                recorder.child(attributes)
    lines = [line.split() for line in run("diff", tmp_path / "study", 1, 2).lines]
    assert lines[1:4] == [
        ["git.commit", "environment", "a", "b"],
        ["git.diff", "environment", "2", "lines", "2", "lines"],
        ["dependencies.uv.lock", "environment", "2", "lines", "2", "lines"],
    ]
    assert lines[5:10] == [
        ["git.diff:", "experiment", "1,", "experiment", "2"],
        ["@@", "-1,2", "+1,2", "@@"],
        ["+x"],
        ["-+y"],
        ["++z"],
    ]
    assert lines[-3:] == [["-numpy", "1"], ["+numpy", "2"], ["same" * 10]]
