"""`rigorous demo` logs a small study, and what it prints is what the records say."""

from __future__ import annotations

import importlib.util
import io
import re
import sys
from contextlib import closing
from math import exp
from typing import TYPE_CHECKING

import pytest

from rigorous_recorder import ExperimentCollection

pytest.importorskip("typer")
pytest.importorskip("rich")
pytest.importorskip("plotext")

from typer.testing import CliRunner

from rigorous_recorder.cli import main
from rigorous_recorder.cli.app import make_app

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result


def run(*arguments: str, width: int = 200) -> Result:
    result = CliRunner().invoke(make_app(), arguments, env={"COLUMNS": str(width)})
    assert result.exit_code == 0, result.output
    return result


def test_the_demo_shows_what_it_logged_as_tree_table_and_chart(tmp_path: Path) -> None:
    """Three experiments of five epochs; each view is below the line that prints it again."""
    folder = str(tmp_path / "my study")
    output = run("demo", folder).output
    with closing(ExperimentCollection.open(folder)) as collection:
        rows = list(collection.records)
        assert str(collection.tree(children=3)) in output
    assert {(row["experiment_number"], row["epoch"]) for row in rows} == {
        (number, epoch) for number in (1, 2, 3) for epoch in range(1, 6)
    }
    assert [row["step"] for row in rows] == [*range(40)] * 3
    late = {(row["learning_rate"], row["epoch"]): row["accuracy"] for row in rows}
    assert late == {(rate, n): 1 - exp(-rate * n) for rate, n in late}
    assert "Logged experiments 1, 2, 3." in output
    assert f"rigorous show '{folder}' --children 3\n" in output
    assert f"print(ExperimentCollection.open('{folder}').records)\n" in output
    assert "experiment_number  learning_rate  epoch" in output
    assert f"rigorous plot '{folder}' -x step -y loss --by learning_rate\n" in output
    assert output.rstrip().splitlines()[-2].strip() == "+ learning_rate=0.9"


def test_the_chart_and_the_table_are_as_wide_as_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chart fills the width that the terminal has, and no line of the table is wider."""
    for width in (60, 120):
        monkeypatch.setenv("COLUMNS", str(width))
        output = run("demo", str(tmp_path / str(width)), width=width).output
        chart = output[output.index("loss over step") :].splitlines()
        assert max(map(len, chart)) == width
        table = output[output.index("experiment_number  ") : output.index("120 rows")]
        assert max(map(len, table.splitlines())) <= width


def test_a_second_run_adds_three_experiments(tmp_path: Path) -> None:
    """Experiments 1 to 3 stay as they were, and 4 to 6 come to them."""
    folder = str(tmp_path / "twice")
    outputs = [run("demo", folder).output for _ in range(2)]
    assert "Logged experiments 4, 5, 6." in outputs[1]
    with closing(ExperimentCollection.open(folder)) as collection:
        assert len(collection.records.where(experiment_number=[1, 2, 3])) == 120
        assert len(collection) == 240


def test_the_default_folder_is_data_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument the study is logged to data/demo.collection."""
    monkeypatch.chdir(tmp_path)
    run("demo")
    assert (tmp_path / "data" / "demo.collection").is_dir()


def test_a_terminal_without_unicode_gets_plain_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its encoding lacks is an escape, as in every command, and the chart is drawn without."""
    printed = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", printed)
    monkeypatch.setattr(sys, "argv", ["rigorous", "demo", str(tmp_path / "plain")])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert not exit_.value.code
    text = printed.buffer.getvalue().decode("ascii")
    assert "loss over step" in text
    assert "learning_rate=0.9" in text


@pytest.mark.parametrize("arguments", [["--help"], ["demo", "--help"], []])
def test_help_shows_an_example(arguments: list[str]) -> None:
    """Help, and a call without a command, name a command line to try."""
    assert "rigorous demo" in CliRunner().invoke(make_app(), arguments).output


def test_the_version_is_printed() -> None:
    """`rigorous --version` names the package and its version."""
    assert run("--version").output.startswith("rigorous-recorder ")


@pytest.fixture
def without_plotext(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotext", None)
    assert importlib.util.find_spec("plotext") is None


@pytest.mark.usefixtures("without_plotext")
def test_without_its_extra_the_command_names_the_install_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A missing package ends in exit code 2 and the line that installs it, not in a traceback."""
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[-1] == "pip install 'rigorous-recorder[cli]'"


def test_main_runs_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the extra installed, `main` runs the command that was typed."""
    monkeypatch.setattr(sys, "argv", ["rigorous", "--version"])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 0
    assert capsys.readouterr().out.startswith("rigorous-recorder ")


def test_a_folder_that_is_no_collection_is_reported_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error of the library ends the command with its message, and touches nothing."""
    stranger = tmp_path / "photos.collection" / "holiday.txt"
    stranger.parent.mkdir()
    stranger.write_text("sea")
    monkeypatch.setattr(sys, "argv", ["rigorous", "demo", str(stranger.parent)])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 2
    assert re.fullmatch(r"rigorous: .*photos.*\n", capsys.readouterr().err)
    assert [each.name for each in stranger.parent.iterdir()] == [stranger.name]


def test_the_demo_is_shown_in_the_browser_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page shows what was logged just before, and no page is opened without the option."""
    shown: list[list[int]] = []

    def view(paths: list[Path]) -> None:
        shown.extend(
            [each.number for each in ExperimentCollection(path).experiments] for path in paths
        )

    monkeypatch.setattr(sys.modules["rigorous_recorder.cli.demo"], "view_page", view)
    folder = str(tmp_path / "study")
    run("demo", folder)
    assert shown == []
    assert f"rigorous view {folder}" in run("demo", folder, "--view").output
    assert shown == [[1, 2, 3, 4, 5, 6]]
