"""Optuna's trials as children, with what they reported."""

from __future__ import annotations

import math
import multiprocessing
import pickle
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection, Recorder

optuna = pytest.importorskip("optuna", reason="optuna is not installed")
from rigorous_recorder.integrations.optuna import OptunaCallback  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)


def trials(study: ExperimentCollection) -> list[Any]:
    return list(study.level("trial").sort("trial"))


def objective(trial: Any) -> float:
    x = trial.suggest_float("x", -1, 1)
    trial.suggest_categorical("kind", ["a", None, True])
    trial.suggest_int("n", 1, 2**40, log=True)
    for step in (0, 5, 10):
        trial.report(math.nan if step == 5 else x * step, step)
    trial.set_user_attr("note", [1])
    if trial.number == 1:
        raise optuna.TrialPruned
    if trial.number == 2:
        raise ValueError
    if trial.number == 4:
        raise KeyboardInterrupt
    return x


@pytest.mark.parametrize("jobs", [1, 2])
def test_trials_of_all_ends_are_logged_once(study: ExperimentCollection, jobs: int) -> None:
    """Completed, pruned and failed ones, with parameters as they are, and values at their steps."""
    search = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    with study.new_experiment() as run:
        callback = OptunaCallback(run)
        search.optimize(objective, 4, callbacks=[callback], catch=(ValueError,), n_jobs=jobs)
        with pytest.raises(KeyboardInterrupt):
            search.optimize(objective, 1, callbacks=[callback])
        assert len(run.children) == 4  # Optuna calls no callback for what was interrupted
        run.child(study_name=search.study_name)  # of the caller
        callback.log_study(search)
        callback.log_study(search)
    assert "── trial=0  x=" in str(study.tree())  # first of all: it tells trials apart
    found = trials(study)
    assert [row["state"] for row in found] == ["complete", "pruned", "fail", "complete", "fail"]
    for row, trial in zip(found, search.get_trials(), strict=True):
        assert {key: row[key] for key in ("x", "kind", "n")} == trial.params
        assert row["value"] == trial.value or (row["value"] is None and trial.value is None)
        assert row["trial_duration"] >= 0
        assert row["user_attrs"] == {"note": [1]}
    own = [(row["step"], row["value"]) for row in study.records.where(trial=0)]
    assert [step for step, _ in own] == [0, 5, 10]
    assert math.isnan(own[1][1])
    assert own[2][1] == 10 * search.get_trials()[0].params["x"]


def test_several_objectives_and_a_stored_study(study: ExperimentCollection, tmp_path: Any) -> None:
    """A study of any storage is imported; asked trials are logged, too."""
    storage = f"sqlite:///{tmp_path / 'optuna.db'}"
    search = optuna.create_study(storage=storage, directions=["minimize"] * 2, study_name="s")
    for _ in range(2):
        trial = search.ask()
        search.tell(trial, [trial.suggest_float("x", 0, 1), 2.0])
    with study.new_experiment() as run:
        OptunaCallback(run).log_study(optuna.load_study(study_name="s", storage=storage))
    assert [row["values"][1] for row in trials(study)] == [2.0, 2.0]


def test_constraints_and_parameters_of_known_names(study: ExperimentCollection) -> None:
    """A constraint has its name and value; a parameter takes no attribute's name."""

    def named(trial: Any) -> float:
        trial.suggest_categorical("state", ["on"])
        trial.suggest_float("depth", 0, 1)
        if hasattr(trial, "set_constraint"):
            trial.set_constraint("memory", -0.5)
        return float(trial.suggest_int("value", 7, 7)) / 2

    sampler = optuna.samplers.NSGAIISampler(seed=0, constraints_func=lambda _: (0.25, -1.0))
    with study.new_experiment() as run:
        optuna.create_study().optimize(named, 1, callbacks=[OptunaCallback(run)])
        search = optuna.create_study(sampler=sampler, study_name="of two")
        search.optimize(named, 1, callbacks=[OptunaCallback(run)])
    own, sampled = study.level("trial")
    assert (own["params_state"], own["state"]) == ("on", "complete")
    assert (own["params_value"], own["value"]) == (7, 3.5)
    assert sampled["constraints"].items() >= {"0": 0.25, "1": -1.0}.items()
    assert sampled["study_name"] == "of two"
    if hasattr(optuna.Trial, "set_constraint"):
        assert own["constraints"] == {"memory": -0.5}


def optimize(storage: str, callback: Any) -> None:
    search = optuna.load_study(study_name="s", storage=storage)
    search.optimize(lambda trial: trial.suggest_float("x", 0, 1), 2, callbacks=[callback])
    callback.log_study(search)


def test_processes_with_one_storage_log_each_trial_once(
    study: ExperimentCollection, tmp_path: Any
) -> None:
    """Although each of them logs at its end what is not logged yet."""
    storage = f"sqlite:///{tmp_path / 'optuna.db'}"
    optuna.create_study(storage=storage, study_name="s")
    with study.new_experiment() as run:
        callback = pickle.loads(pickle.dumps(OptunaCallback(run)))
        for _ in range(2):
            process = multiprocessing.get_context("spawn").Process(
                target=optimize, args=(storage, callback)
            )
            process.start()
            process.join()
            assert process.exitcode == 0
        callback.log_study(optuna.load_study(study_name="s", storage=storage))
    assert [row["trial"] for row in trials(study)] == [0, 1, 2, 3]


def test_a_trial_that_could_not_be_logged_is_logged_later(
    study: ExperimentCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that fails keeps none of the others from being logged."""
    search = optuna.create_study()
    search.optimize(lambda trial: trial.suggest_float("x", 0, 1), 3)

    def child(self: Any, data: Any) -> Any:
        if data["trial"] == 1:
            raise OSError("disk")
        return real(self, data)

    real = Recorder.child
    with study.new_experiment() as run:
        callback = OptunaCallback(run)
        with monkeypatch.context() as patch:
            patch.setattr(Recorder, "child", child)
            callback.log_study(search)
        assert [each["trial"] for each in run.children] == [0, 2]
        callback.log_study(search)
    assert [row["trial"] for row in trials(study)] == [0, 1, 2]


def test_a_failure_to_log_does_not_end_the_study(
    study: ExperimentCollection, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error in a callback of Optuna's would end it."""
    run = study.start()
    callback = OptunaCallback(run)
    monkeypatch.setattr(callback, "_recorder", None)
    search = optuna.create_study()
    search.optimize(lambda trial: trial.suggest_float("x", 0, 1), 3, callbacks=[callback])
    assert len(search.trials) == 3
    assert capsys.readouterr().err.count("could not log") == 1
    run.finish()
