"""Ray's Tune and Train with our callbacks."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rigorous_recorder import ExperimentCollection, Status

ray = pytest.importorskip("ray", reason="ray is not installed")
pytest.importorskip("torch", reason="torch is not installed")
train = pytest.importorskip("ray.train", reason="ray[train] is not installed")
tune = pytest.importorskip("ray.tune", reason="ray[tune] is not installed")
from rigorous_recorder.integrations.ray import RayTrainCallback, RayTuneCallback  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module", autouse=True)
def _cluster() -> Iterator[None]:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def test_trials_of_tune(study: ExperimentCollection, tmp_path: Path) -> None:
    """Results as they were reported, at their own iterations; a failed trial, too."""

    def objective(config: Any) -> None:
        for step in range(3):
            if config["x"] == 2 and step == 1:
                raise ValueError("bad")
            nested = {"n": {"a": step}, "vector": np.arange(2.0), "odd": math.nan}
            tune.report({"loss": np.float32(config["x"] + step), **nested})

    tuner = tune.Tuner(
        objective,
        param_space={"x": tune.grid_search([1, 2]), "kind": None},
        run_config=tune.RunConfig(
            storage_path=str(tmp_path), verbose=0, callbacks=[RayTuneCallback(study, {"m": 1})]
        ),
    )
    tuner.fit()
    assert study.experiment(1).status is Status.FINISHED
    trials = {row["config"]["x"]: row for row in study.level("trial")}
    assert {x: row["state"] for x, row in trials.items()} == {1: "complete", 2: "failed"}
    assert "bad" in trials[2]["error"]
    assert "\x1b" not in trials[2]["error"]  # Ray colors it
    rows = list(study.records.where(trial=trials[1]["trial"]))
    assert [(row["training_iteration"], row["loss"]) for row in rows] == [
        (1, 1.0),
        (2, 2.0),
        (3, 3.0),
    ]
    assert rows[2]["n"] == {"a": 2}
    assert (rows[0]["vector"].tolist(), math.isnan(rows[0]["odd"])) == ([0.0, 1.0], True)
    assert rows[0]["pid"] is None


class Population(tune.Trainable):  # type: ignore[misc,name-defined]
    """Reports the rate that it has."""

    def setup(self, config: Any) -> None:
        self.at = 0

    def reset_config(self, new_config: Any) -> bool:
        return True

    def step(self) -> Any:
        self.at += 1
        return {"score": self.config["rate"], "at": self.at}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        (Path(checkpoint_dir) / "at").write_text(json.dumps(self.at))

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.at = json.loads((Path(checkpoint) / "at").read_text())


def test_configurations_that_a_scheduler_changes(
    study: ExperimentCollection, tmp_path: Path
) -> None:
    """A result has the one that it was made with, and its trial the first one."""
    scheduler = tune.schedulers.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=1,
        hyperparam_mutations={"rate": [100.0]},
        resample_probability=1.0,
        synch=True,
    )
    tune.Tuner(
        Population,
        param_space={"rate": tune.grid_search([1.0, 2.0])},
        tune_config=tune.TuneConfig(
            scheduler=scheduler, metric="score", mode="max", reuse_actors=True
        ),
        run_config=tune.RunConfig(
            storage_path=str(tmp_path),
            stop={"training_iteration": 2},
            verbose=0,
            callbacks=[RayTuneCallback(study)],
        ),
    ).fit()
    rows = list(study.records)
    assert [row["config"]["rate"] for row in rows] == [row["score"] for row in rows]
    assert {row["score"] for row in rows} == {1.0, 2.0, 100.0}
    assert sorted(row["config"]["rate"] for row in study.level("trial")) == [1.0, 2.0]


def test_a_trial_that_recovers_and_a_search_that_is_interrupted(
    study: ExperimentCollection, tmp_path: Path
) -> None:
    """The error is not one of the trial; after Ctrl-C Tune returns, but the run is stopped."""
    driver, mended = os.getpid(), tmp_path / "mended"

    def objective(config: Any) -> None:
        for step in range(2):
            tune.report({"step": step})
            if config["x"] == 0 and not mended.exists():
                mended.touch()
                raise ValueError("bad")
        if config["x"] == 1:
            os.kill(driver, signal.SIGINT)
            time.sleep(60)

    tune.Tuner(
        objective,
        param_space={"x": tune.grid_search([0, 1, 2])},
        tune_config=tune.TuneConfig(max_concurrent_trials=1),
        run_config=tune.RunConfig(
            storage_path=str(tmp_path),
            failure_config=tune.FailureConfig(max_failures=1),
            verbose=0,
            callbacks=[RayTuneCallback(study)],
        ),
    ).fit()
    assert study.experiment(1).status is Status.STOPPED
    rows = [(row["config"]["x"], row["state"], row["error"]) for row in study.level("trial")]
    assert rows == [(0, "complete", None), (1, None, None)]
    assert [row["step"] for row in study.records] == [0, 0, 1, 0, 1]


def test_a_search_that_is_restored(study: ExperimentCollection, tmp_path: Path) -> None:
    """What failed runs again, in a run of its own, since the first one was over."""
    mended = tmp_path / "mended"

    def objective(config: Any) -> None:
        for step in range(2):
            if config["x"] == 1 and not mended.exists():
                raise ValueError("bad")
            tune.report({"loss": config["x"] + step})

    callback = RayTuneCallback(tmp_path / "study", {"m": 1})
    config = tune.RunConfig(name="e", storage_path=str(tmp_path), verbose=0, callbacks=[callback])
    tune.Tuner(objective, param_space={"x": tune.grid_search([0, 1])}, run_config=config).fit()
    mended.touch()
    tune.Tuner.restore(str(tmp_path / "e"), objective, restart_errored=True).fit()
    first, second = study.experiments
    assert [first.status, second.status, second["m"]] == [Status.FINISHED, Status.FINISHED, 1]
    assert {row["config"]["x"]: row["state"] for row in study.level("trial")[:2]} == {
        0: "complete",
        1: "failed",
    }
    rows = [(row["config"]["x"], row["state"], row["loss"]) for row in second.records]
    assert rows == [(1, "complete", 1), (1, "complete", 2)]


def test_reports_of_train(study: ExperimentCollection, tmp_path: Path) -> None:
    """Of each worker, in the process of the controller; an error of one is an attribute."""
    from ray.train.torch import TorchTrainer

    def loop(config: Any) -> None:
        rank = train.get_context().get_world_rank()
        for step in range(3):
            train.report({"loss": config["x"] + step + 10 * rank})
        raise ValueError("bad")

    with study.new_experiment() as run:
        trainer = TorchTrainer(
            loop,
            train_loop_config={"x": 1},
            scaling_config=train.ScalingConfig(num_workers=2),
            run_config=train.RunConfig(
                storage_path=str(tmp_path), callbacks=[RayTrainCallback(run, ranks="each")]
            ),
        )
        with pytest.raises(Exception, match="bad"):
            trainer.fit()
    found = sorted((row["report"], row["rank"], row["loss"]) for row in study.records)
    assert found[:4] == [(0, 0, 1), (0, 1, 11), (1, 0, 2), (1, 1, 12)]  # Ray may lose the last one
    experiment = study.experiment(1)
    assert experiment["config"] == {"x": 1}
    assert any("bad" in each for each in experiment["worker_errors"].values())
