"""`rigorous watch`: an alert for each rule and run, once, while others log."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.errors import ArgumentError

from .conftest import Run
from .test_processes import RIGOROUS, started


def test_rules_alert_once_for_each_run(tmp_path: Path) -> None:
    """NaN, a condition and silence; runs that had ended before are left alone; a command is run."""
    out = tmp_path / "out"
    rules = ["loss is nan", "loss = 11", "no record for 0.2 s"]
    last = "loss = 12"  # whose line is printed when the commands of the others have ended
    command = f'echo "$RIGOROUS_EXPERIMENT $RIGOROUS_RULE $RIGOROUS_RECORD" >> {out}; exit 3'
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        with collection.new_experiment() as old:
            old.push(loss=math.nan)
        run = collection.start(lr=0.1)
        run.push(step=0, loss=math.nan)
        watching = [*RIGOROUS, "watch", str(tmp_path / "study"), "--interval", "0.05"]
        options = [word for rule in [*rules, last] for word in ("--when", rule)]
        with started(*watching, *options, "--run", command) as process:
            assert process.stdout is not None
            first, second = process.stdout.readline(), process.stdout.readline()
            run.push(step=1, loss=math.nan)
            run.push(step=2, loss=11.0)
            third = process.stdout.readline()
            run.push(step=3, loss=12.0)
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=60)
        run.finish()
    # Which of the first two comes first depends on the machine.
    assert {line.split("  ", 1)[1] for line in (first, second)} == {
        "experiment 2: loss is nan\n",
        "experiment 2: no record for 0.2 s\n",
    }
    assert third.endswith("experiment 2: loss = 11\n")
    assert rest == ""
    assert errors.count("the command ended with 3") >= 3
    lines = out.read_text().splitlines()[:3]
    assert sorted(line.split(" {")[0] for line in lines) == sorted(f"2 {rule}" for rule in rules)
    record = json.loads(lines[2][lines[2].index("{") :])
    assert (record["step"], record["loss"], record["lr"]) == (2, 11.0, 0.1)


def test_it_can_end_after_the_first_alert(tmp_path: Path, run: Run) -> None:
    """And a rule that is no condition is refused at once."""
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        started_run = collection.start()
        started_run.push(loss=1.0)
        started_run.alert("late", "the job is behind", "warn")
        place = tmp_path / "study"
        done = run("watch", place, "--when", '"alert" is not null', "--once")
        assert done.out.rstrip().endswith(
            'experiment 1: "alert" is not null: late: the job is behind'
        )
        with ExperimentCollection(tmp_path / "other", quiet=True) as other:
            other.recorder.push(loss=-1.0)
        both = run("watch", tmp_path / "other", place, "--when", "loss > 0", "--once")
        assert both.out.rstrip().endswith("experiment 1 of study: loss > 0")
        wrong = run("watch", place, "--when", "loss >")
        assert wrong.code != 0
        assert "loss >" in wrong.err
        for silence in ("no record for 10 ms", "no records for 2 months", "no record in 3 h"):
            wrong = run("watch", place, "--when", silence)
            assert wrong.code == 2
            assert "such as 'no record for 10 min'" in wrong.err
        started_run.finish()


def test_killed_runs_are_watched_once_they_are_resumed(tmp_path: Path) -> None:
    """Until then they are as silent as any that has ended."""
    body = f"""
import os
from rigorous_recorder import ExperimentCollection
collection = ExperimentCollection({str(tmp_path / "study")!r}, quiet=True)
for number in range(2):
    collection.start(number=number).push(loss=20.0)
os._exit(1)
"""
    subprocess.run([sys.executable, "-c", body], check=False)
    rules = ["loss > 10", "no record for 0.1 s"]
    options = ["--interval", "0.05", *(word for rule in rules for word in ("--when", rule))]
    with (
        ExperimentCollection(tmp_path / "study", quiet=True) as collection,
        started(*RIGOROUS, "watch", str(tmp_path / "study"), *options) as process,
    ):
        assert process.stdout is not None
        running = collection.start()
        assert process.stdout.readline().endswith("experiment 2: no record for 0.1 s\n")
        with collection.resume(1) as resumed:
            assert process.stdout.readline().endswith("experiment 1: no record for 0.1 s\n")
            resumed.push(loss=30.0)
            assert process.stdout.readline().endswith("experiment 1: loss > 10\n")
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
        running.finish()
    assert rest == ""
    assert process.returncode == 130


def test_a_training_that_hangs_is_silent_though_it_is_captured(tmp_path: Path) -> None:
    """What it uses and writes is logged by others."""
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        run = collection.start()
        run.push(loss=1.0)
        ends = threading.Event()
        system = run.child(part="system")

        def monitor() -> None:
            while not ends.wait(0.01):
                system.push({"cpu/percent": 1.0})

        thread = threading.Thread(target=monitor)
        thread.start()
        watching = [*RIGOROUS, "watch", str(tmp_path / "study"), "--once", "--interval", "0.05"]
        with started(*watching, "--when", "no record for 0.3 s") as process:
            out, _ = process.communicate(timeout=60)
        ends.set()
        thread.join()
        run.finish()
    assert out.endswith("experiment 1: no record for 0.3 s\n")


def test_each_title_of_an_alert_is_told_once_and_given_to_the_command(tmp_path: Path) -> None:
    """As values of variables, whatever is in them: nothing of it is run."""
    title, text = (
        "it's $(touch pwned) `touch pwned`; touch pwned\n",
        'more "\0\x1b[31m' + "x" * 200_000,
    )
    command = 'echo "[$RIGOROUS_ALERT][$RIGOROUS_ALERT_LEVEL][${#RIGOROUS_RECORD}]" >> out'
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        run = collection.start()
        for _ in range(3):
            run.alert(title, text, "error")
        run.alert("another")
        run.alert("last")
        options = ["--when", '"alert" is not null', "--run", command]
        with started(*RIGOROUS, "watch", "study", *options, cwd=tmp_path) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(3)]
            # The line of the last one is printed before its command runs.
            assert eventually(lambda: (tmp_path / "out").read_text().count("[last]") == 1)
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=60)
        run.finish()
    assert [line.split("null: ")[1][:7] for line in lines] == ["it's $(", "another", "last\n"]
    assert "\x1b" not in lines[0]
    assert rest + errors == ""
    assert not (tmp_path / "pwned").exists()
    first, second, last = (tmp_path / "out").read_text().replace("\n]", "]").splitlines()
    assert first.startswith(f"[{title.strip()}][ERROR][")
    assert 50 < int(first.rsplit("[", 1)[1][:-1]) < 1000
    assert second.startswith("[another][INFO][")
    assert last.startswith("[last][INFO][")


def eventually(is_true: Callable[[], bool]) -> bool:
    """Whether it is true within a minute; what a command has done has no event."""
    end = time.monotonic() + 60
    while not is_true() and time.monotonic() < end:
        time.sleep(0.02)
    return is_true()


def test_an_alert_is_a_record_of_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a child, in order, and reported; another level is refused."""
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        run = collection.start()
        run.alert("first")
        run.alert("second", "more about it", "error")
        with pytest.raises(ArgumentError, match=r"level='loud'.*info, warn, error"):
            run.alert("x", level="loud")  # type: ignore[arg-type]
        run.finish()
        rows = list(collection.records.where(part="alerts"))
    found = [(row["alert"], row["alert/text"], row["alert/level"]) for row in rows]
    assert found == [("first", "", "INFO"), ("second", "more about it", "ERROR")]
    assert "second: more about it" in capsys.readouterr().err
