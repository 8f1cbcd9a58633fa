"""Stable-Baselines3's learn with our callback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection, Status

gym = pytest.importorskip("gymnasium", reason="gymnasium is not installed")
sb3 = pytest.importorskip("stable_baselines3", reason="stable-baselines3 is not installed")
from stable_baselines3.common.callbacks import BaseCallback, EvalCallback  # noqa: E402
from stable_baselines3.common.env_util import make_vec_env  # noqa: E402
from stable_baselines3.common.logger import KVWriter, Logger  # noqa: E402

from rigorous_recorder.integrations.stable_baselines3 import (  # noqa: E402
    RigorousCallback,
    RigorousWriter,
)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


class Count(gym.Env):  # type: ignore[misc,name-defined]
    """Episodes of five steps with a reward of 1 each."""

    observation_space = gym.spaces.Box(0, 10, (1,))
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        self.at = 0
        return self.observation_space.low, {}

    def step(self, action: Any) -> Any:
        self.at += 1
        info = {"is_success": self.at == 5, "lives": self.at - 2}
        return self.observation_space.low, 1.0, self.at == 5, False, info


class Keeps(KVWriter):  # type: ignore[misc]
    """The rows as they were when they were written."""

    def __init__(self) -> None:
        self.rows: list[Any] = []

    def write(self, key_values: Any, key_excluded: Any, step: int = 0) -> None:
        self.rows.append((step, dict(key_values)))

    def close(self) -> None:
        pass


class Fails(BaseCallback):  # type: ignore[misc]
    def __init__(self, error: BaseException, at: int) -> None:
        super().__init__()
        self.error, self.at = error, at

    def _on_step(self) -> bool:
        if self.n_calls == self.at:
            raise self.error
        return True


def ppo(envs: int = 2) -> Any:
    options = {"n_steps": 8, "batch_size": 8, "n_epochs": 1, "seed": 0, "device": "cpu"}
    monitor = {"info_keywords": ("lives",)}
    return sb3.PPO("MlpPolicy", make_vec_env(Count, envs, monitor_kwargs=monitor), **options)


def updates(study: ExperimentCollection, **where: Any) -> list[tuple[int, int]]:
    """The step and number of each update of the policy."""
    rows = study.records.where(**where)
    return [(r["step"], r["train/n_updates"]) for r in rows if r["train/n_updates"] is not None]


def test_rows_updates_and_episodes(study: ExperimentCollection) -> None:
    """An update is logged once, at its step, and the last one is not lost."""
    model, kept, callback = ppo(), Keeps(), RigorousCallback(study, {"m": 1})
    model.set_logger(Logger(None, [kept]))
    model.learn(48, callback=callback)
    model.learn(16, callback=callback, reset_num_timesteps=False)
    assert updates(study, training=0) == [(16, 1), (32, 2), (48, 3)]
    assert updates(study, training=1) == [(64, 4)]
    own = [(step, row["rollout/ep_rew_mean"]) for step, row in kept.rows]
    rows = [row for row in study.records if row["time/iterations"] is not None]
    assert [(row["step"], row["rollout/ep_rew_mean"]) for row in rows] == own
    losses = [row["train/loss"] for row in study.records if row["train/loss"] is not None]
    assert losses[:2] == [row["train/loss"] for _, row in kept.rows[1:3]]
    episodes = list(study.level("episode").where(training=0))
    assert [(row["env"], row["episode"], row["step"]) for row in episodes] == [
        (env, number, 10 * number + 10) for number in range(4) for env in (0, 1)
    ]
    keys = ("total_reward", "episode_length", "is_success", "lives")
    assert {tuple(row[key] for key in keys) for row in episodes} == {(5.0, 5, True, 3)}
    (first, second) = study.level("training")
    settings = first["hyperparameters"]
    assert first["algorithm"] == "PPO"
    assert [settings[key] for key in ("gamma", "clip_range", "n_envs")] == [0.99, 0.2, 2]
    assert (
        not {"num_timesteps", "start_time", "policy"} & settings.keys()
    )  # of a state, not settings
    assert second["first_step"] == 48
    assert study.experiment(1).status is Status.RUNNING


def test_an_update_is_whole_where_rows_are_rarer(study: ExperimentCollection) -> None:
    """Also what is the same object in each update, such as a rate that does not change."""
    with study.new_experiment() as run:
        ppo().learn(48, callback=RigorousCallback(run), log_interval=2)
    assert updates(study) == [(16, 1), (32, 2), (48, 3)]
    rows = [row for row in study.records if row["train/n_updates"] is not None]
    assert [(row["train/clip_range"], row["train/learning_rate"]) for row in rows] == 3 * [
        (0.2, 0.0003)
    ]
    assert [row["step"] for row in study.records if row["time/iterations"] is not None] == [32]


def test_an_evaluation_repeats_no_update(study: ExperimentCollection, tmp_path: Path) -> None:
    """Its row has the values of the update before, too."""
    evaluates = EvalCallback(make_vec_env(Count, 1), eval_freq=8, n_eval_episodes=1, verbose=0)
    with study.new_experiment() as run:
        ppo().learn(48, callback=[RigorousCallback(run, episodes=False), evaluates])
    assert updates(study) == [(16, 1), (32, 2), (48, 3)]
    evaluations = [row for row in study.records if row["eval/mean_reward"] is not None]
    assert [(row["step"], row["eval/mean_reward"]) for row in evaluations] == [
        (16, 5.0),
        (32, 5.0),
        (48, 5.0),
    ]
    assert {row["episode"] for row in study.records} == {None}


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt()])
def test_an_error_loses_no_update_and_doubles_nothing_after_it(
    study: ExperimentCollection, error: BaseException
) -> None:
    """Stable-Baselines3 calls nothing, and a logger of the user's stays."""
    model = ppo()
    model.set_logger(Logger(None, [Keeps()]))
    with study.new_experiment() as run:
        callback = RigorousCallback(run)
        with pytest.raises(type(error)):
            model.learn(48, callback=[callback, Fails(error, 17)])
        model.learn(32, callback=callback)
    assert updates(study, training=0) == [(16, 1), (32, 2)]
    assert updates(study, training=1)[-1] == (32, 4)
    assert len(model.logger.output_formats) == 1


def test_off_policy_and_a_writer_alone(
    study: ExperimentCollection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was recorded after the last row is logged at the end; a failure ends no training."""
    options = {"learning_starts": 4, "device": "cpu", "buffer_size": 100}
    with study.new_experiment() as run:
        sb3.DQN("MlpPolicy", Count(), **options).learn(30, callback=RigorousCallback(run))
        logger = Logger(None, [RigorousWriter(run.child(writer="alone"))])
        logger.record("kept", 1.0)
        logger.record("other", 2.0, exclude="rigorous")
        logger.dump(3)
    rows = list(study.records.where(algorithm="DQN"))
    assert [row["step"] for row in rows] == [20, 32]
    assert rows[-1]["train/n_updates"] == 7
    assert rows[0]["hyperparameters"]["train_freq"] == {"frequency": 4, "unit": "STEP"}
    (alone,) = study.records.where(writer="alone")
    assert (alone["step"], alone["kept"], alone["other"]) == (3, 1.0, None)
    (tmp_path / "file").touch()
    model = ppo().learn(16, callback=RigorousCallback(tmp_path / "file" / "study"))
    assert model.num_timesteps == 16
    assert "could not log" in capsys.readouterr().err
