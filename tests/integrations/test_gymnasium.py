"""Gymnasium's episodes as children, in every autoreset mode."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest

from rigorous_recorder import ExperimentCollection, Recorder

gym = pytest.importorskip("gymnasium", reason="gymnasium is not installed")
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv  # noqa: E402

from rigorous_recorder.integrations.gymnasium import RecordEpisodes, RecordVectorEpisodes  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


class Countdown(gym.Env):  # type: ignore[misc,name-defined]
    """Ends after so many steps; the reward of a step is its number."""

    observation_space = gym.spaces.Discrete(2)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, length: int, *, truncates: bool = False) -> None:
        self.length, self.truncates, self.at = length, truncates, 0

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.at = 0
        return 0, {}

    def step(self, action: Any) -> Any:
        self.at += 1
        is_end = self.at >= self.length
        return 0, float(self.at), is_end and not self.truncates, is_end and self.truncates, {}


def episodes(study: ExperimentCollection, *keys: str) -> list[tuple[Any, ...]]:
    return [tuple(row[key] for key in keys) for row in study.level("episode")]


def test_episodes_of_one_environment(study: ExperimentCollection) -> None:
    """Each with its total and length; a reset before the end is told from an end."""
    with study.new_experiment() as run:
        env = RecordEpisodes(gym.wrappers.TimeLimit(Countdown(3), 5), run, steps=True)
        for _ in range(2):
            env.reset(seed=1)
            infos = [env.step(0)[4] for _ in range(3)]
        assert infos == [{}, {}, {}]
        env.reset()
        env.step(0)
        env.reset()
        env.step(0)
        env.close()
        assert env.unwrapped.length == 3
    keys = ("episode", "total_reward", "episode_length", "terminated", "is_finished")
    assert episodes(study, *keys) == [
        (0, 6.0, 3, True, True),
        (1, 6.0, 3, True, True),
        (2, 1.0, 1, None, False),
        (3, 1.0, 1, None, False),
    ]
    rows = [(row["timestep"], row["reward"]) for row in study.records.where(episode=1)]
    assert rows == [(1, 1.0), (2, 2.0), (3, 3.0)]


def makers(*lengths: int) -> list[Callable[[], Any]]:
    return [lambda length=length: Countdown(length, truncates=length == 2) for length in lengths]


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize("steps", [True, False])
def test_no_step_is_lost_or_counted_twice(
    study: ExperimentCollection, mode: Any, *, steps: bool
) -> None:
    """The step that resets an environment belongs to no episode, and the last reward to its own."""
    with study.new_experiment() as run:
        env = RecordVectorEpisodes(
            SyncVectorEnv(makers(2, 3), autoreset_mode=mode), run, steps=steps
        )
        env.reset()
        for _ in range(12):
            env.step(np.zeros(2, int))
        env.close()
    found = episodes(study, "env", "episode", "total_reward", "episode_length", "truncated")
    number = {AutoresetMode.NEXT_STEP: (4, 3), AutoresetMode.SAME_STEP: (6, 4)}[mode]
    assert [each for each in found if each[0] == 0] == [
        (0, n, 3.0, 2, True) for n in range(number[0])
    ]
    assert [each for each in found if each[0] == 1] == [
        (1, n, 6.0, 3, False) for n in range(number[1])
    ]
    if steps:
        last = [row["reward"] for row in study.records.where(env=1, episode=number[1] - 1)]
        assert last == [1.0, 2.0, 3.0]


def test_a_reset_with_a_mask_ends_only_the_masked_episodes(study: ExperimentCollection) -> None:
    """The others go on; an environment that has ended counts no step until it is reset."""
    with study.new_experiment() as run:
        vector = SyncVectorEnv(makers(2, 9), autoreset_mode=AutoresetMode.DISABLED)
        env = RecordVectorEpisodes(vector, run)
        env.reset()
        for _ in range(2):
            env.step(np.zeros(2, int))
        env.reset(options={"reset_mask": np.array([True, False])})
        for _ in range(2):
            env.step(np.zeros(2, int))
        env.close()
    found = episodes(study, "env", "episode", "total_reward", "is_finished")
    assert sorted(found) == [(0, 0, 3.0, True), (0, 1, 3.0, True), (1, 0, 10.0, False)]


def test_what_cannot_be_logged_ends_with_its_episode(
    study: ExperimentCollection, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An episode whose last step is lost has its total and its end, and the next begins at 0."""
    lost = []

    def push(self: Recorder, **fields: Any) -> None:
        if (fields["timestep"], len(lost)) == (2, 0):
            lost.append(fields)
            raise OSError("disk")
        real(self, **fields)

    real = Recorder.push
    monkeypatch.setattr(Recorder, "push", push)
    with study.new_experiment() as run:
        env = RecordEpisodes(Countdown(2), run, steps=True)
        for _ in range(2):
            env.reset()
            env.step(0)
            env.step(0)
    found = episodes(study, "episode", "total_reward", "episode_length", "is_finished", "records")
    assert found == [(0, 3.0, 2, True, 1), (1, 3.0, 2, True, 2)]
    assert capsys.readouterr().err.count("could not log: OSError: disk") == 1


def recorded(length: int, recorder: Recorder) -> Any:
    return RecordEpisodes(Countdown(length), recorder)


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_environments_in_processes_of_their_own(study: ExperimentCollection, context: str) -> None:
    """Each logs to the recorder that its wrapper was made with."""
    with study.new_experiment() as run:
        made = [
            functools.partial(recorded, 2 + number, run.child(env=number)) for number in range(2)
        ]
        env = AsyncVectorEnv(made, context=context)
        env.reset()
        for _ in range(7):
            env.step(np.zeros(2, int))
        env.close()
    assert sorted(episodes(study, "env", "episode", "total_reward", "is_finished")) == [
        (0, 0, 3.0, True),
        (0, 1, 3.0, True),
        (0, 2, 1.0, False),
        (1, 0, 6.0, True),
        (1, 1, 6.0, True),
    ]


def test_totals_are_those_of_the_own_wrapper_of_gymnasium(study: ExperimentCollection) -> None:
    """For a real environment, with random actions."""
    with study.new_experiment() as run:
        inner = RecordVectorEpisodes(gym.make_vec("CartPole-v1", num_envs=3), run)
        env = gym.wrappers.vector.RecordEpisodeStatistics(inner, buffer_length=1000)
        env.action_space.seed(1)
        env.reset(seed=1)
        for _ in range(300):
            env.step(env.action_space.sample())
        wanted = list(env.return_queue), list(env.length_queue)
    rows = [row for row in study.level("episode") if row["is_finished"]]
    found = [row["total_reward"] for row in rows], [row["episode_length"] for row in rows]
    assert tuple(map(sorted, found)) == tuple(map(sorted, wanted))
    assert len(rows) > 20


def test_a_thousand_environments_cost_little(study: ExperimentCollection) -> None:
    """At most 5 us of CPU time for each record."""

    class Still(gym.vector.VectorEnv):  # type: ignore[misc,name-defined]
        num_envs = 1000
        metadata: ClassVar[dict[str, Any]] = {"autoreset_mode": AutoresetMode.NEXT_STEP}
        ends = np.zeros(1000, bool)

        def reset(self, **_: Any) -> Any:
            return np.zeros(1000), {}

        def step(self, actions: Any) -> Any:
            return actions, np.ones(1000), self.ends, self.ends, {}

    with study.new_experiment() as run:
        env = RecordVectorEpisodes(Still(), run, steps=True)
        env.reset()
        env.step(np.zeros(1000))
        start = time.process_time()
        for _ in range(50):
            env.step(np.zeros(1000))
        spent = time.process_time() - start
    assert len(study.records) == 51_000
    assert spent / 50_000 < 5e-6
