"""`rigorous demo` logs a true study, and what it prints is what the records say."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections import defaultdict
from contextlib import closing
from statistics import fmean
from typing import TYPE_CHECKING, Any

import pytest

from rigorous_recorder import ExperimentCollection

pytest.importorskip("typer")
pytest.importorskip("rich")
pytest.importorskip("plotext")

from typer.testing import CliRunner

from rigorous_recorder.cli import main
from rigorous_recorder.cli.app import make_app
from rigorous_recorder.cli.demo import MEAN_REWARD_SQL

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

Record = dict[str, Any]
EPISODES = range(1, 11)


def run(*arguments: str, width: int = 200) -> Result:
    result = CliRunner().invoke(make_app(), arguments, env={"COLUMNS": str(width)})
    assert result.exit_code == 0, result.output
    return result


def read(folder: Path) -> list[Record]:
    collection = ExperimentCollection(folder, quiet=True)
    records = [dict(record) for record in collection.records]
    collection.close()
    return records


def by_episode(records: list[Record]) -> dict[tuple[int, int], list[Record]]:
    episodes = defaultdict(list)
    for record in records:
        episodes[record["experiment_number"], record["episode"]].append(record)
    return episodes


def printed_rows(output: str) -> list[list[float]]:
    """The numbers of the printed table, a list a row."""
    rows = re.findall(r"^│ *(\d+) │ *(\S+) │ *(\S+) │ *(\S+) │$", output, re.MULTILINE)
    return [[float(cell.replace(",", "")) for cell in row] for row in rows]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "study"


@pytest.fixture(scope="module")
def output(folder: Path) -> str:
    """What the demo prints the first time."""
    return run("demo", str(folder)).output


@pytest.fixture(scope="module")
def records(folder: Path, output: str) -> list[Record]:
    return read(folder)


def test_the_study_is_three_experiments_of_ten_episodes(records: list[Record]) -> None:
    """Three experiments are logged, each of them with the episodes 1 to 10."""
    assert set(by_episode(records)) == {(number, each) for number in (1, 2, 3) for each in EPISODES}
    assert {record["had_error"] for record in records} == {False}


def test_every_timestep_is_a_record(records: list[Record]) -> None:
    """An episode's records are its timesteps from 1 on, none left out and none doubled."""
    for episode in by_episode(records).values():
        timesteps = [record["timestep"] for record in episode]
        assert sorted(timesteps) == list(range(1, len(episode) + 1))


def test_the_late_total_reward_is_the_sum_of_the_rewards(records: list[Record]) -> None:
    """Every record of an episode carries its total reward, which was known only at its end."""
    for episode in by_episode(records).values():
        total = sum(record["reward"] for record in episode)
        assert {record["total_reward"] for record in episode} == {total}


def test_the_seed_is_the_number_of_the_experiment(records: list[Record]) -> None:
    """Each experiment can be run again from the seed that stands above its records."""
    assert {(each["experiment_number"], each["seed"]) for each in records} == {
        (1, 1),
        (2, 2),
        (3, 3),
    }


def test_the_printed_means_are_those_of_the_records(output: str, records: list[Record]) -> None:
    """The table says for each episode what a computation by hand over the records gives."""
    rows = printed_rows(output)
    assert [row[0] for row in rows] == list(EPISODES)
    for episode, mean_reward, mean_total, timesteps in rows:
        rewards = [record["reward"] for record in records if record["episode"] == episode]
        assert mean_reward == pytest.approx(fmean(rewards), abs=0.006)
        assert mean_total == pytest.approx(sum(rewards) / 3, abs=0.006)
        assert timesteps == len(rewards)


def test_the_agents_learn_visibly(output: str) -> None:
    """The mean total reward of the last three episodes is far above that of the first three."""
    totals = [row[2] for row in printed_rows(output)]
    assert fmean(totals[-3:]) > fmean(totals[:3]) + 50


def test_the_sql_is_printed_as_it_was_run(output: str, folder: Path) -> None:
    """The text of the query is in the output, word by word, in a call that can be pasted."""
    assert f'ExperimentCollection({str(folder)!r}).sql("""\n{MEAN_REWARD_SQL}\n""")' in output


def test_the_tree_shows_experiments_and_leaves_out_the_middle(
    output: str, folder: Path, records: list[Record]
) -> None:
    """Each experiment shows its first and last episodes, with count and total reward."""
    first = by_episode(records)[1, 1]
    total = first[0]["total_reward"]
    assert f"{folder}.collection: {len(records):,} records" in output
    assert f"episode 1: {len(first)} records, total_reward {total:g}" in output
    assert output.count("... 7 more ...") == output.count("episode 10:") == 3


def test_the_size_is_that_of_the_folder(output: str, records: list[Record]) -> None:
    """The bytes per record are the bytes on disk by the number of records."""
    match = re.search(r"On disk: ([\d,]+) bytes for ([\d,]+) records, ([\d.]+) bytes", output)
    assert match is not None
    size, count, each = (float(number.replace(",", "")) for number in match.groups())
    assert count == len(records)
    assert each == pytest.approx(size / count, abs=0.06)


def test_the_chart_is_as_wide_as_the_terminal(tmp_path: Path) -> None:
    """The chart fills the width that the terminal has, and no line is wider."""
    for width in (60, 120):
        output = run("demo", str(tmp_path / str(width)), width=width).output
        chart = output[output.index("mean total reward per episode") :].splitlines()
        assert max(map(len, chart)) == width


def test_a_second_run_adds_three_experiments_and_says_so(tmp_path: Path) -> None:
    """Experiments 1 to 3 stay as they were, and 4 to 6 come to them."""
    folder = tmp_path / "twice"
    run("demo", str(folder))
    before = by_episode(read(folder))
    again = run("demo", str(folder)).output
    after = by_episode(read(folder))
    assert "already has experiments up to 3" in " ".join(again.split())
    assert "Logged experiments 4, 5, 6." in again
    assert {number for number, _ in after} == {1, 2, 3, 4, 5, 6}
    for key, episode in before.items():
        assert after[key] == episode


def test_an_interrupted_experiment_is_made_up_for(tmp_path: Path) -> None:
    """The number, and so the seed, of an experiment that ended with an error is used again."""
    with pytest.raises(KeyboardInterrupt), closing(ExperimentCollection(tmp_path / "broken")) as c:
        with c.new_experiment(learning_rate=0.5, seed=1) as experiment:
            experiment.child(episode=1).push(timestep=1, reward=-1.0)
            raise KeyboardInterrupt
    assert "Logged experiments 1, 2, 3." in run("demo", str(tmp_path / "broken")).output
    seeds = {(each["experiment_number"], each["seed"]) for each in read(tmp_path / "broken")}
    assert seeds == {(1, 1), (2, 2), (3, 3)}


def test_the_default_folder_is_data_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument the study is logged to data/demo.collection."""
    monkeypatch.chdir(tmp_path)
    run("demo")
    assert (tmp_path / "data" / "demo.collection").is_dir()


def test_a_terminal_without_unicode_gets_plain_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the output can't hold box characters, tree, table and chart are drawn without."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "50")
    result = CliRunner(charset="ascii").invoke(make_app(), ["demo"])
    assert result.exit_code == 0, result.output
    assert result.output.isascii()


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
def test_without_its_extra_the_command_tells_the_install_line(
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


def test_a_folder_that_is_no_collection_is_told_in_one_line(
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
