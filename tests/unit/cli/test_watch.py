"""`rigorous watch`: an alert for each rule and run, once, while others log."""

from __future__ import annotations

import json
import math
import signal
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
        assert done.out.rstrip().endswith('experiment 1: "alert" is not null')
        with ExperimentCollection(tmp_path / "other", quiet=True) as other:
            other.recorder.push(loss=-1.0)
        both = run("watch", tmp_path / "other", place, "--when", "loss > 0", "--once")
        assert both.out.rstrip().endswith("experiment 1 of study: loss > 0")
        wrong = run("watch", place, "--when", "loss >")
        assert wrong.code != 0
        assert "loss >" in wrong.err
        started_run.finish()


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
