"""Gymnasium: each episode is a child of a run, for single and vector environments."""

from __future__ import annotations

from typing import Any, Final

from rigorous_recorder import Recorder, Run

from .guest import guest
from .requirement import required

with required("gymnasium>=1.2"):
    import gymnasium as gym
    import numpy as np
    from gymnasium.vector import AutoresetMode

__all__ = ["RecordEpisodes", "RecordVectorEpisodes"]

_NEXT: Final = AutoresetMode.NEXT_STEP


class _Episodes:
    """Counts the rewards and steps of the running episode of each environment."""

    def __init__(
        self,
        recorder: Recorder | Run,
        number: int,
        mode: AutoresetMode,
        *,
        steps: bool,
        is_vector: bool,
    ) -> None:
        self._mode = mode
        self._recorder = recorder
        self._has_steps = steps
        self._is_vector = is_vector
        self._rewards = np.zeros(number)
        self._lengths = np.zeros(number, np.int64)
        self._episodes = np.zeros(number, np.int64)
        #: Where an episode has ended: the next step is that of a reset, and counts nowhere.
        self._is_over = np.zeros(number, bool)
        self._children: dict[int, Recorder] = {}

    @guest
    def step(self, rewards: Any, terminated: Any, truncated: Any) -> None:
        """Count a step of all environments, and log those of their episodes that end with it."""
        counts = ~self._is_over
        rewards, terminated = np.asarray(rewards, np.float64), np.asarray(terminated, bool)
        truncated = np.asarray(truncated, bool)
        self._rewards[counts] += rewards[counts]
        self._lengths[counts] += 1
        if self._has_steps:
            self._push(counts, rewards, terminated, truncated)
        done = terminated | truncated
        for env in np.flatnonzero(done & counts).tolist():
            self._end(env, is_finished=True, terminated=terminated[env], truncated=truncated[env])
        if self._mode == AutoresetMode.DISABLED:
            self._is_over |= done  # until they are reset
        elif self._mode == AutoresetMode.NEXT_STEP:
            self._is_over = done

    def _push(self, counts: Any, rewards: Any, terminated: Any, truncated: Any) -> None:
        steps = self._lengths.tolist()
        ends = list(zip(rewards.tolist(), terminated.tolist(), truncated.tolist(), strict=True))
        for env in np.flatnonzero(counts).tolist():
            child = self._children.get(env) or self._begin(env)
            reward, is_terminated, is_truncated = ends[env]
            child.push(
                timestep=steps[env],
                reward=reward,
                terminated=is_terminated,
                truncated=is_truncated,
            )

    def _begin(self, env: int) -> Recorder:
        of_env = {"env": env} if self._is_vector else {}
        child = self._recorder.child({**of_env, "episode": int(self._episodes[env])})
        return self._children.setdefault(env, child)

    def _end(self, env: int, *, is_finished: bool, **ends: Any) -> None:
        child = self._children.get(env) or self._begin(env)
        child.update(
            total_reward=float(self._rewards[env]),
            episode_length=int(self._lengths[env]),
            is_finished=is_finished,
            **{name: bool(end) for name, end in ends.items()},
        )
        self._children.pop(env, None)
        self._rewards[env], self._lengths[env] = 0.0, 0
        self._episodes[env] += 1

    @guest
    def reset(self, mask: Any = None) -> None:
        """Begin anew, where the mask says so; episodes that were running are logged as unfinished."""
        chosen = np.ones(len(self._lengths), bool) if mask is None else np.asarray(mask, bool)
        for env in np.flatnonzero(chosen & (self._lengths > 0)).tolist():
            self._end(env, is_finished=False)
        self._is_over[chosen] = False


class RecordEpisodes(gym.Wrapper[Any, Any, Any, Any]):
    """An environment each of whose episodes is a child of a run.

    A child has ``episode`` (from 0), and from its end on ``total_reward``, ``episode_length``,
    ``terminated``, ``truncated`` and ``is_finished``, which is False if ``reset`` or ``close``
    came before the end. Nothing is added to ``info``.

    Args:
        env: the environment; put it inside of wrappers that change rewards, to log the original ones.
        recorder: a started run, or a recorder.
        steps: also log each step as a record, with ``timestep`` from 1 and ``reward``.
    """

    def __init__(self, env: Any, recorder: Recorder | Run, *, steps: bool = False) -> None:
        super().__init__(env)
        self._of_run = _Episodes(recorder, 1, _NEXT, steps=steps, is_vector=False)

    def step(self, action: Any) -> Any:
        """Step the environment."""
        found = self.env.step(action)
        _, reward, terminated, truncated, _ = found
        self._of_run.step([reward], [terminated], [truncated])
        return found

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Reset the environment."""
        found = self.env.reset(seed=seed, options=options)
        self._of_run.reset()
        return found

    def close(self) -> None:
        """Close the environment; a running episode is logged as unfinished."""
        self._of_run.reset()
        self.env.close()


class RecordVectorEpisodes(gym.vector.VectorWrapper):
    """As ``RecordEpisodes``, for a vector environment; each child also has ``env``, its index.

    Every autoreset mode is counted right: a step that only resets an environment belongs to no
    episode, and a reset with a mask ends only the masked episodes.
    """

    def __init__(self, env: Any, recorder: Recorder | Run, *, steps: bool = False) -> None:
        super().__init__(env)
        mode = env.metadata.get("autoreset_mode", _NEXT)
        self._of_run = _Episodes(recorder, env.num_envs, mode, steps=steps, is_vector=True)

    def step(self, actions: Any) -> Any:
        """Step all environments."""
        found = self.env.step(actions)
        _, rewards, terminated, truncated, _ = found
        self._of_run.step(rewards, terminated, truncated)
        return found

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> Any:
        """Reset all environments, or those of ``options["reset_mask"]``."""
        mask = (options or {}).get("reset_mask")
        mask = None if mask is None else np.array(mask)  # the environment takes it out of options
        found = self.env.reset(seed=seed, options=options)
        self._of_run.reset(mask)
        return found

    def close(self, **options: Any) -> None:
        """Close all environments; running episodes are logged as unfinished."""
        if not self.env.closed:
            self._of_run.reset()
        self.env.close(**options)
