"""Accelerate's tracking with our tracker."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection, Status

torch = pytest.importorskip("torch", reason="torch is not installed")
accelerate = pytest.importorskip("accelerate", reason="accelerate is not installed")
from rigorous_recorder.integrations.accelerate import RigorousTracker  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_two_trainings_log_each_value_once(study: ExperimentCollection) -> None:
    """Accelerate has a tracker twice after the second init_trackers."""
    accelerator = accelerate.Accelerator(cpu=True, log_with=RigorousTracker(study, {"m": 1}))
    for training in range(2):
        accelerator.init_trackers("p", config={"lr": 0.1, "cls": Path, "no": None, "n": {"a": 1}})
        values: dict[str, Any] = {}
        for step in range(3):
            values["loss"] = torch.tensor(float(step), requires_grad=True)
            accelerator.log(values, step=step)
        accelerator.log({"training": training})
        accelerator.end_training()
    for number in (1, 2):
        rows = list(study[number])
        assert [(row["step"], row["loss"]) for row in rows[:3]] == [(0, 0.0), (1, 1.0), (2, 2.0)]
        assert [row["training"] for row in rows[3:]] == [number - 1]
        experiment = study.experiment(number)
        assert experiment.status is Status.FINISHED
        assert (experiment["config"]["lr"], experiment["config"]["n"], experiment["m"]) == (
            0.1,
            {"a": 1},
            1,
        )
        assert experiment["config"]["cls"].endswith("Path")
    accelerator.log({"late": 1})
    assert study[2][-1]["late"] == 1  # after the end it is a record of that run


def test_a_run_of_the_caller_and_a_failure(
    study: ExperimentCollection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Accelerate calls nothing at an error; a place that can't be written ends no training."""
    with pytest.raises(ValueError, match="bad"):
        with study.new_experiment() as run:
            accelerator = accelerate.Accelerator(cpu=True, log_with=RigorousTracker(run))
            accelerator.init_trackers("p")
            accelerator.log({"loss": 0.5, "odd": object()}, step=0)
            assert accelerator.get_tracker("rigorous", unwrap=True) is run
            raise ValueError("bad")
    assert study.experiment(1).status is Status.FAILED
    assert [row["loss"] for row in study.records] == [0.5]
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "study"
    accelerator = accelerate.Accelerator(cpu=True, log_with=RigorousTracker(place))
    accelerator.init_trackers("p")
    accelerator.log({"loss": 0.5})
    accelerator.get_tracker("rigorous", unwrap=True).child(part="p").push(a=1)
    accelerator.end_training()
    assert capsys.readouterr().err.count("could not log") == 1


def test_a_copy_logs_to_the_same_run(study: ExperimentCollection) -> None:
    """Also one that is made for another process."""
    with study.new_experiment() as run:
        for copied in (copy.deepcopy, lambda tracker: pickle.loads(pickle.dumps(tracker))):
            copied(RigorousTracker(run)).log({"loss": 0.5}, step=0)
    assert [row["loss"] for row in study.records] == [0.5, 0.5]
