"""Runs chosen by ranges of numbers, by attributes and by when they began; a prompt; files of text."""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path

import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder.cli import output, sql
from rigorous_recorder.errors import DamagedFileError

from .conftest import Ran, Run


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six runs, of which each second one failed, so that they have the numbers 1, 2, 2, 3, 3, 4."""
    monkeypatch.chdir(tmp_path)
    with ExperimentCollection("runs", quiet=True) as collection:
        for seed in range(6):
            try:
                with collection.new_experiment(seed=seed, lr=0.1 * (seed // 3)) as run:
                    run.push(step=seed)
                    if seed % 2:
                        raise ZeroDivisionError
            except ZeroDivisionError:
                continue
    return tmp_path / "runs"


def words(ran: Ran) -> str:
    """What was reported, without the box that it stands in."""
    return " ".join(ran.err.replace("│", "").split())


def numbers(run: Run, path: Path | str = "runs") -> list[tuple[int, int]]:
    listed = run("ls", path, "--json").json
    return [(each["experiment_number"], each["error_number"]) for each in listed]


@pytest.mark.usefixtures("runs")
def test_delete_takes_ranges_and_asks_with_the_parameters(run: Run) -> None:
    """Of a range those that are there; one without any is refused, as is what is no range."""
    assert numbers(run) == [(1, 0), (2, 1), (2, 0), (3, 1), (3, 0), (4, 1)]
    assert run("delete", "runs", "4-9", "--yes").err.startswith("experiment 4 deleted, with 1 ")
    result = run("delete", "runs", "2-3", "--all-runs")
    assert "experiment 2 (error_number 1): failed (ZeroDivisionError), seed=1, lr=0" in result.err
    assert "Delete experiments 2, 3 with 4 records for good?" in result.err
    assert run("delete", "runs", "7-9").code == 2
    assert "expected one such as 3, or 2-5" in words(run("delete", "runs", "2:5"))
    assert len(numbers(run)) == 5


@pytest.mark.usefixtures("runs")
def test_delete_by_conditions_lists_the_runs_and_takes_no_other(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All conditions hold; the status is one of them; runs that share a number are distinguished."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    result = run("delete", "runs", "--where", "status=failed")
    assert result.err.count("failed (ZeroDivisionError)") == 3
    assert "Delete 3 runs with 3 records for good?" in result.err
    assert len(numbers(run)) == 6
    chosen = ["--where", "status=failed", "--where", "seed=1", "--yes"]
    assert run("delete", "runs", *chosen).err.startswith("1 run deleted, with 1 record;")
    assert numbers(run) == [(1, 0), (2, 0), (3, 1), (3, 0), (4, 1)]
    assert run("delete", "runs", "2-3", "--where", "status=failed", "--yes").code == 0
    assert numbers(run) == [(1, 0), (2, 0), (3, 0), (4, 1)]
    for typed, message in {
        "sed=1": "there is no column 'sed'; did you mean 'seed'?",
        "seed=77": "no run has seed=77; nothing is deleted",
        "seed": "expected key=value",
    }.items():
        result = run("delete", "runs", "--where", typed, "--yes")
        assert (result.code, message in words(result)) == (2, True)
    assert "name experiments by their numbers" in words(run("delete", "runs"))
    assert len(numbers(run)) == 4


def test_delete_finds_values_inside_of_dicts(run: Run, tmp_path: Path) -> None:
    """By their path, as other commands do."""
    with ExperimentCollection(tmp_path / "c") as collection:
        for lr in (0.1, 0.5):
            with collection.new_experiment(config={"optim": {"lr": lr}}):
                pass
    result = run("delete", tmp_path / "c", "--where", "config.optim.lr=0.5", "--yes")
    assert (result.code, numbers(run, tmp_path / "c")) == (0, [(1, 0)])
    result = run("delete", tmp_path / "c", "--where", "config.optim.rl=0.1", "--yes")
    assert "did you mean 'config.optim.lr'" in words(result)


@pytest.mark.usefixtures("runs")
def test_show_takes_numbers_and_ranges(run: Run) -> None:
    """Each run is a tree, also those that share a number."""
    heads = [line for line in run("show", "runs", "2-3").lines if line.startswith("experiment")]
    assert [head.split()[1] for head in heads] == ["2", "2", "3", "3"]
    assert run("show", "runs", "9").code == 2


@pytest.mark.usefixtures("runs")
def test_since_takes_runs_by_when_they_began(run: Run) -> None:
    """An age or a date, for all commands that choose runs."""
    cut = ExperimentCollection.open("runs", read_only=True).experiments[3]["experiment_start_time"]
    exact = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(cut)) + f"{cut % 1:.6f}"[1:]
    assert len(run("ls", "runs", "--since", exact, "--json").json) in {2, 3}  # a microsecond off
    for when, rows in (("2h", 6), ("2020-01-31", 6), ("2100-01-01", 0)):
        since = ["--since", when]
        assert len(run("ls", "runs", *since, "--json").json) == rows
        assert len(run("ls", ".", *since, "--json").json) == bool(rows)
        assert len(run("tail", "runs", "--no-follow", *since).lines) == rows
        counted = run("sql", "runs", "SELECT count(*) AS n FROM records", *since, "--json").json
        assert counted == [{"n": rows}]
        assert len(run("export", "runs", "-", "--format", "jsonl", *since).lines) == rows
    assert run("plot", "runs", "-x", "step", "-y", "seed", "--since", "2h", "--json").code == 0
    assert "an age, such as 2h or 3d" in words(run("ls", "runs", "--since", "soon"))


@pytest.mark.usefixtures("runs")
def test_sql_without_a_query_reads_one_after_the_other(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to each semicolon, over several lines; one that fails is reported, and the rest goes on."""
    typed = "SELECT count(*) AS n\nFROM records;\n\nSELECT nothing;\nSELECT 7 AS seven"
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    result = run("sql", "runs", "--json")
    assert result.json == [{"n": 6}, {"seven": 7}]
    assert (result.code, "nothing" in result.err) == (1, True)
    monkeypatch.setattr(sys, "stdin", io.StringIO("SELECT 1 AS one;\nExit;\nSELECT nothing;"))
    result = run("sql", "runs", "--json")
    assert (result.code, result.json) == (0, [{"one": 1}])


def test_sql_on_a_narrow_terminal_shows_what_records_have_themselves(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the first of the inherited columns, where not all fit."""
    with ExperimentCollection(tmp_path / "c") as collection:
        with collection.new_experiment({f"setting_{n}": n for n in range(20)}) as experiment:
            experiment.push(epoch=0, loss=0.5)
    for module in (sql, output):
        monkeypatch.setattr(module, "is_terminal", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    head, *_ = run("sql", tmp_path / "c", "FROM records").lines
    assert head.split() == ["experiment_number", "setting_0", "setting_1", "epoch", "loss"]


class _Terminal(io.StringIO):
    """A person at the keyboard, who also types Ctrl-C."""

    def isatty(self) -> bool:
        return True

    def readline(self, *_: object) -> str:
        line = super().readline()
        if line == "^C\n":
            raise KeyboardInterrupt
        return line


@pytest.mark.usefixtures("runs")
def test_ctrl_c_at_the_prompt_drops_what_is_typed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next line begins a query; one that fails does not fail the session of a person."""
    typed = "SELECT one\n^C\nSELECT nothing;\nSELECT 7 AS seven;\n\\q\nSELECT 8"
    monkeypatch.setattr(sys, "stdin", _Terminal(typed))
    result = run("sql", "runs", "--json")
    assert (result.code, "nothing" in result.err) == (0, True)
    assert '{"seven": 7}' in result.out
    assert "8" not in result.out


@pytest.mark.usefixtures("runs")
def test_export_to_standard_output_is_the_file(run: Run) -> None:
    """CSV where nothing else is requested."""
    assert run("export", "runs", "same.csv").code == 0
    assert run("export", "runs", "-").out == Path("same.csv").read_text()
    lines = run("export", "runs", "-", "--format", "jsonl", "--where", "seed=3")
    assert [row["step"] for row in lines.json] == [3]
    assert not Path("-").exists()
    assert "only for standard output" in words(run("export", "runs", "x.csv", "--format", "csv"))


@pytest.mark.parametrize("name", ["a.tsv", "a.csv.gz", "a.tsv.gz", "a.jsonl.gz", "A.CSV.GZ"])
def test_text_files_of_each_kind_come_back(tmp_path: Path, name: str) -> None:
    """Also compressed; twice the same is the same file, and one that is cut is reported."""
    top = Recorder(model="tab\there").push(step=1, text="a,b\n日本").push(step=2, text=None)
    top.all_records.save_to(tmp_path / name)
    assert [*Recorder.load_from(tmp_path / name).records] == [*top.all_records]
    data = (tmp_path / name).read_bytes()
    assert data.startswith(b"\x1f\x8b") == name.lower().endswith(".gz")
    top.all_records.save_to(tmp_path / name)
    assert (tmp_path / name).read_bytes() == data
    assert len([*tmp_path.iterdir()]) == 1
    if name == "a.csv.gz":
        (tmp_path / name).write_bytes(data[:-12])
        with pytest.raises(DamagedFileError):
            Recorder.load_from(tmp_path / name)
