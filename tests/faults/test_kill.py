"""What a process logged is there after its death, however it died."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import rigorous_recorder._live.table as live_table
from rigorous_recorder import ExperimentCollection
from rigorous_recorder._store import backend

from . import THOROUGH, nursery, training
from .steps import die, in_a_child
from .training import Plan, fields_of

ROOT = Path(__file__).parents[2]


def start(plan: Plan) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", training.__name__, json.dumps(plan)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )


def run(plan: Plan) -> tuple[int, int, str]:
    """Its exit code, how many pushes returned, and what it wrote to standard error."""
    with start(plan) as process:
        said, errors = process.communicate(timeout=60)
    return process.returncode, len(said.splitlines()), errors.decode()


def check_kept(folder: Path, plan: Plan, reported: int) -> int:
    """Check that every reported record is there, once, in order, as logged; how many there are."""
    collection = ExperimentCollection(folder, quiet=True)
    rows = list(collection.records.where(seed=plan["seed"]))
    assert [row["i"] for row in rows] == list(range(len(rows)))
    # A process that goes on is killed between a push and its report at times.
    is_by_itself = plan["end"] in {"kill", "term", "exit_now", "sys_exit", "raise", "leave_open"}
    assert reported <= len(rows) <= (reported if is_by_itself else plan["records"])
    for index, row in enumerate(rows):
        expected = fields_of(plan["shape"], plan["seed"], index)
        assert {key: row[key] for key in expected} == expected
        assert row["episode"] == index // 50
    assert collection.verify() == []
    return len(rows)


def killed_plan(folder: Path, seed: int) -> Plan:
    dice = random.Random(seed)
    # Some seal every few records, some grow several times, some do neither.
    rows = dice.choice([0, 16, 64, 4096])
    return Plan(
        folder=str(folder),
        seed=seed,
        shape=dice.choice(["plain", "keys", "text", "mixed", "sparse"]),
        records=dice.randrange(1, 1_500),
        end="kill",
        rows=rows,
    )


def test_every_pushed_record_survives_a_kill(tmp_path: Path) -> None:
    """Six attempts killed at random records lose nothing and count their errors."""
    folder = tmp_path / "study"
    for seed in range(6):
        plan = killed_plan(folder, seed)
        code, reported, errors = run(plan)
        assert (code, reported) == (-signal.SIGKILL, plan["records"]), errors
        check_kept(folder, plan, reported)
    collection = ExperimentCollection(folder)
    assert len(collection.experiments) == 6
    for number, row in enumerate(collection.experiments, start=1):
        assert (row["experiment_number"], row["error_number"]) == (1, number)
        assert (row["had_error"], row["experiment_end_time"]) == (True, None)
        assert row["experiment_duration"] is None
    with collection.new_experiment() as experiment:
        assert experiment["experiment_number"] == 1
        assert experiment["error_number"] == 7
    collection.close()


@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 64))]
)
def test_a_kill_from_outside_leaves_whole_records(tmp_path: Path, seed: int) -> None:
    """Killed by another process, in the middle of whatever it does, it leaves only whole rows."""
    folder = tmp_path / "study"
    dice = random.Random(1000 + seed)
    plan = Plan(
        folder=str(folder),
        seed=seed,
        shape=["plain", "keys", "mixed", "sparse"][seed % 4],
        records=200_000,
        end="go_on",
        rows=[16, 128][seed % 2],
    )
    last = dice.randrange(300, 1_500)
    with start(plan) as process:
        assert process.stdout is not None
        reported = next(n for n, _ in enumerate(process.stdout, 1) if n == last)
        process.kill()
        reported += sum(line.endswith(b"\n") for line in process.stdout)
    assert process.returncode == -signal.SIGKILL
    check_kept(folder, plan, reported)


@pytest.mark.parametrize(
    "kills",
    [8, pytest.param(520 if THOROUGH else 70, marks=pytest.mark.slow)],
    ids=lambda kills: f"{kills} kills",
)
@pytest.mark.parametrize("twin", ["native", "pure"])
def test_kills_at_random_instants(tmp_path: Path, twin: str, kills: int) -> None:
    """Whatever it was doing, opening and recovering included, nothing is lost, doubled, changed."""
    command = [sys.executable, "-m", nursery.__name__, str(tmp_path / "a"), str(kills), str(kills)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "RIGOROUS_RECORDER_PURE": "1" if twin == "pure" else ""},
        capture_output=True,
        check=False,
        timeout=600,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    sys.stdout.write(f"{found}\n")
    trouble = {key: found[key] for key in ("lost", "doubled", "changed", "damaged")}
    assert trouble == {"lost": 0, "doubled": 0, "changed": 0, "damaged": 0}
    assert found["kills"] == kills
    assert found["records"] > 20 * kills


def test_records_that_got_to_disk_have_what_they_inherit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where live rows are in memory, no record is saved before what was set on its recorder."""
    monkeypatch.setattr(backend, "is_safe_to_map", lambda _: False)
    monkeypatch.setattr(live_table, "MOST_ROWS", 16)

    def log_and_die() -> None:
        collection = ExperimentCollection(tmp_path / "study", quiet=True)
        experiment = collection.new_experiment(lr=0.1).__enter__()
        model = experiment.child(model="m")
        for i in range(100):
            model.push(i=i)
        experiment["late"] = "said before the seal"
        collection._store.records.seal()
        die()

    assert in_a_child(log_and_die) == -signal.SIGKILL
    rows = list(ExperimentCollection(tmp_path / "study", quiet=True).records)
    assert [row["i"] for row in rows] == list(range(100))
    assert {(row["lr"], row["model"], row["late"]) for row in rows} == {
        (0.1, "m", "said before the seal")
    }


def test_opening_reports_in_one_line_what_was_recovered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The next open says once, in one line, how many records it recovered and where."""
    plan = Plan(
        folder=str(tmp_path / "study"), seed=1, shape="plain", records=1234, end="kill", rows=0
    )
    run(plan)
    path = tmp_path / "study.collection"
    ExperimentCollection(tmp_path / "study")
    assert capsys.readouterr().err == f"recovered 1,234 records of a killed process in {path}\n"
    ExperimentCollection(tmp_path / "study")
    assert capsys.readouterr().err == ""


def test_a_quiet_open_reports_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With quiet, recovery is silent."""
    plan = Plan(
        folder=str(tmp_path / "study"), seed=1, shape="plain", records=10, end="kill", rows=0
    )
    run(plan)
    collection = ExperimentCollection(tmp_path / "study", quiet=True)
    assert len(collection) == 10
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("end", "code", "row_of_the_experiment"),
    [
        ("term", -signal.SIGTERM, {"error_number": 1, "had_error": True}),
        ("exit_now", 3, {"error_number": 1, "had_error": True}),
        ("sys_exit", 4, {"error_number": 1, "had_error": True}),
        ("raise", 1, {"error_number": 1, "had_error": True}),
        ("leave_open", 0, {"error_number": 0, "had_error": False}),
    ],
)
def test_other_ends_keep_every_record(
    tmp_path: Path, end: str, code: int, row_of_the_experiment: dict[str, object]
) -> None:
    """Whichever way a process ends, its records are there and the status of the experiment is right."""
    folder = tmp_path / "study"
    plan = Plan(folder=str(folder), seed=5, shape="mixed", records=300, end=end, rows=64)
    found, reported, errors = run(plan)
    assert (found, reported) == (code, 300), errors
    check_kept(folder, plan, reported)
    (row,) = ExperimentCollection(folder, quiet=True).experiments
    assert {key: row[key] for key in row_of_the_experiment} == row_of_the_experiment
    is_over = end not in {"term", "exit_now"}
    assert (row["experiment_end_time"] is not None) == is_over
    assert (row["experiment_duration"] is not None) == is_over


@pytest.mark.parametrize("end", ["sys_exit", "raise", "leave_open"])
def test_an_exit_without_close_leaves_only_sealed_files(tmp_path: Path, end: str) -> None:
    """When Python exits by itself everything is sealed, and nothing is left to recover."""
    folder = tmp_path / "study"
    plan = Plan(folder=str(folder), seed=5, shape="plain", records=100, end=end, rows=0)
    run(plan)
    live = tmp_path / "study.collection" / "live"
    assert [path.name for path in live.iterdir()] == ["experiments.lock"]


def test_a_reader_sees_a_killed_writers_rows_before_recovery(
    tmp_path: Path, pushes_of_a_killed_process: Callable[[ExperimentCollection], int]
) -> None:
    """A collection that was open before the kill reads what the dead process left, at once."""
    collection = ExperimentCollection(tmp_path / "study", quiet=True)
    pushed = pushes_of_a_killed_process(collection)
    assert [row["i"] for row in collection.records] == list(range(pushed))
    with collection.new_experiment() as experiment:
        assert (experiment["experiment_number"], experiment["error_number"]) == (1, 2)
    collection.close()


@pytest.fixture
def pushes_of_a_killed_process() -> Callable[[ExperimentCollection], int]:
    """Logs to a collection in another process that is killed; gives the number of records."""

    def push(collection: ExperimentCollection) -> int:
        folder = str(collection._store.folder.path)
        plan = Plan(folder=folder, seed=2, shape="plain", records=77, end="kill", rows=0)
        return run(plan)[1]

    return push
