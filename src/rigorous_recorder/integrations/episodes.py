"""Episodes of environments that step together: each is a child of a run."""

from __future__ import annotations

from typing import Any, Literal

from rigorous_recorder import Recorder, Run
from rigorous_recorder._lazy_imports import np

from .guest import guest
from .target import run_or_recorder

__all__ = ["AfterEnd", "Episodes"]

AfterEnd = Literal["resetting step", "next episode", "nothing"]


class Episodes:
    """Counts the rewards and steps of the running episode of each environment, and logs them.

    Counting does not depend on logging: an episode that can't be logged does not run on into the next.

    Args:
        recorder: a started run, or a recorder.
        number: how many environments there are.
        after_end: what follows the end of an episode: a step that only resets the environment, and
            counts nowhere; the first step of the next episode; or nothing that counts, until the
            environment is reset by its caller.
        steps: also log each step as a record.
        is_vector: whether a child has ``env``, the index of its environment.
    """

    def __init__(
        self,
        recorder: Recorder | Run,
        number: int,
        *,
        after_end: AfterEnd,
        steps: bool,
        is_vector: bool,
    ) -> None:
        self._recorder = run_or_recorder(recorder)
        self._after_end = after_end
        self._has_steps = steps
        self._is_vector = is_vector
        self._rewards = np.zeros(number)
        self._lengths = np.zeros(number, np.int64)
        self._episodes = np.zeros(number, np.int64)
        #: Where an episode has ended, and the next step counts nowhere.
        self._is_over = np.zeros(number, bool)
        self._children: dict[int, Recorder] = {}

    @guest
    def step(self, rewards: Any, terminated: Any, truncated: Any) -> None:
        """Count a step of all environments, and log those of their episodes that end with it."""
        counts = ~self._is_over
        rewards, terminated = np.asarray(rewards, np.float64), np.asarray(terminated, bool)
        truncated = np.asarray(truncated, bool)
        done = terminated | truncated
        self._rewards[counts] += rewards[counts]
        self._lengths[counts] += 1
        if self._after_end == "resetting step":
            self._is_over = done
        elif self._after_end == "nothing":
            self._is_over = self._is_over | done
        if self._has_steps:
            self._push(counts, rewards, terminated, truncated)
        for env in np.flatnonzero(done & counts).tolist():
            ends = {"terminated": bool(terminated[env]), "truncated": bool(truncated[env])}
            self._end(env, is_finished=True, **ends)

    @guest
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
        child = self._recorder.child(self._place(env))
        return self._children.setdefault(env, child)

    def _place(self, env: int) -> dict[str, int]:
        of_env = {"env": env} if self._is_vector else {}
        return {**of_env, "episode": int(self._episodes[env])}

    def _end(self, env: int, **ends: bool) -> None:
        totals = {
            "total_reward": float(self._rewards[env]),
            "episode_length": int(self._lengths[env]),
        }
        child, place = self._children.pop(env, None), self._place(env)
        self._rewards[env], self._lengths[env] = 0.0, 0
        self._episodes[env] += 1
        self._log_end(child, place, totals | ends)

    @guest
    def _log_end(
        self, child: Recorder | None, place: dict[str, int], ends: dict[str, float | bool]
    ) -> None:
        if child is None:
            self._recorder.child({**place, **ends})
        else:
            child.update(ends)

    @guest
    def reset(self, mask: Any = None) -> None:
        """Begin anew, where the mask says so; episodes that were running are logged as unfinished."""
        chosen = np.ones(len(self._lengths), bool) if mask is None else np.asarray(mask, bool)
        for env in np.flatnonzero(chosen & (self._lengths > 0)).tolist():
            self._end(env, is_finished=False)
        self._is_over[chosen] = False
