"""Gymnasium: each episode is a child of a run, for single and vector environments."""

from __future__ import annotations

from typing import Any, Final

from rigorous_recorder import Recorder, Run

from .episodes import AfterEnd, Episodes
from .requirement import required

with required("gymnasium>=1.2"):
    import gymnasium as gym
    import numpy as np
    from gymnasium.vector import AutoresetMode

__all__ = ["RecordEpisodes", "RecordVectorEpisodes"]

_AFTER_END: Final[dict[Any, AfterEnd]] = {
    AutoresetMode.NEXT_STEP: "resetting step",
    AutoresetMode.SAME_STEP: "next episode",
    AutoresetMode.DISABLED: "nothing",
}


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
        self._of_run = Episodes(
            recorder, 1, after_end="resetting step", steps=steps, is_vector=False
        )

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
        after_end = _AFTER_END.get(env.metadata.get("autoreset_mode"), "resetting step")
        self._of_run = Episodes(
            recorder, env.num_envs, after_end=after_end, steps=steps, is_vector=True
        )

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
