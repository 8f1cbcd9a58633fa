"""Processes of one training, as launchers start them, in one run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rigorous_recorder import ExperimentCollection, Status
from rigorous_recorder.integrations import ranks

SCRIPT = """
import sys
from rigorous_recorder.integrations.ranks import rank_and_size, run_of_ranks

rank, size = rank_and_size()
with run_of_ranks(sys.argv[1], {"lr": 0.1}, ranks=sys.argv[2]) as recorder:
    for step in range(2):
        recorder.push(step=step, loss=step + 10 * rank)
    recorder.child(part="p").push(inner=rank)
    recorder["done"] = True
"""


def test_ranks_of_launchers(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchrun's come first, since it can run in a job of SLURM's."""
    for name in (name for pair in ranks._RANKS for name in pair):
        monkeypatch.delenv(name, raising=False)
    assert ranks.rank_and_size() == (0, 1)
    for name, value in (("SLURM_PROCID", "1"), ("SLURM_NTASKS", "4")):
        monkeypatch.setenv(name, value)
    assert ranks.rank_and_size() == (1, 4)
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert ranks.rank_and_size() == (3, 8)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["each", "first"])
def test_processes_of_slurm(study: ExperimentCollection, tmp_path: Path, which: str) -> None:
    """Each is a child of the run of rank 0, or that one logs alone."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(tmp_path / "study"), which]
    others = {k: v for k, v in os.environ.items() if k not in {"RANK", "WORLD_SIZE"}}
    slurm = {"SLURM_NTASKS": "2", "SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0"}
    started = [
        subprocess.Popen(command, env={**others, **slurm, "SLURM_PROCID": rank}) for rank in "10"
    ]
    assert [each.wait() for each in started] == [0, 0]
    experiment = study.experiment(1)
    assert experiment.status is Status.FINISHED
    assert (experiment["ranks"], experiment["lr"]) == (2, 0.1)
    assert "SLURM_JOB_ID=7" in experiment["process_group"]
    rows = [row for row in study.records if row["loss"] is not None]
    if which == "first":
        assert [(row["step"], row["loss"]) for row in rows] == [(0, 0), (1, 1)]
        return
    assert sorted((row["rank"], row["loss"]) for row in rows) == [(0, 0), (0, 1), (1, 10), (1, 11)]
    assert sorted(row["inner"] for row in study.records if row["part"]) == [0, 1]


def test_a_rank_that_finds_no_run_logs_nothing(
    study: ExperimentCollection, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is reported, and its training goes on; a run that ended long ago is not one to join."""
    monkeypatch.setattr(ranks, "_STARTED", time.time() + 1000)
    with study.new_experiment(process_group="g"):
        pass
    monkeypatch.setenv("RANK", "1")
    with ranks.run_of_ranks(study, group="g", timeout=0) as recorder:
        recorder.push(loss=1)
        recorder.add(a=1).commit()
        recorder.child(x=1).extend({"a": [1]})["b"] = 1
        recorder.update(c=1)
        recorder["best"] = 0.5
        recorder["best"] += 1
        assert (recorder["best"], recorder["c"], recorder.get("x")) == (1.5, 1, None)
    assert len(study.records) == 0
    assert recorder.pending == {}
    assert "this rank logs nothing" in capsys.readouterr().err


@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_place_that_cannot_be_written_stops_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rank: str
) -> None:
    """In no rank; an exception of the training itself is raised."""
    (tmp_path / "study.collection").touch()
    monkeypatch.setenv("RANK", rank)
    with pytest.raises(ValueError, match="bad"):
        with ranks.run_of_ranks(tmp_path / "study", {"lr": 0.1}, timeout=0) as recorder:
            recorder.push(loss=1)
            raise ValueError("bad")
    assert "could not log" in capsys.readouterr().err
