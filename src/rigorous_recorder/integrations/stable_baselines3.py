"""Stable-Baselines3: the logger's rows, and each episode as a child of a run."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final, Literal

from rigorous_recorder import Recorder, Run

from .guest import guest, set_attributes
from .host import Capture, Host, Place
from .requirement import required
from .stable_baselines3_writer import RigorousWriter

with required("stable-baselines3>=2.3"):
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

__all__ = ["RigorousCallback", "RigorousWriter"]

_EPISODE: Final = {"r": "total_reward", "l": "episode_length", "t": "episode_time"}
_NO_SETTINGS: Final = {"policy", "env", "verbose", "tensorboard_log"}


class RigorousCallback(BaseCallback):
    """Logs a training: ``model.learn(10_000, callback=RigorousCallback("data/study"))``.

    Each ``learn`` is a child with ``training`` (0, 1, ...), ``algorithm`` and ``hyperparameters``.
    Its records are the rows of the model's logger, but the values of an on-policy update are a
    record at the step of the update. Each episode that the Monitor reports is a child with ``env``,
    ``episode``, ``step``, ``total_reward``, ``episode_length``, ``episode_time``, ``is_success`` and
    what the Monitor's ``info_keywords`` name.

    Args:
        place: a collection or its path, in which a run begins with the first call; or a started run
            or a recorder, which the caller ends.
        info: attributes of the run that begins.
        episodes: whether to log episodes.
        resume: "auto" to continue the run that this program began before; see
            ``ExperimentCollection.new_experiment``.
        capture: what the run that begins records of itself; see ``new_experiment``.
    """

    def __init__(
        self,
        place: Place | Run | Recorder,
        info: Mapping[str, Any] | None = None,
        *,
        episodes: bool = True,
        resume: Literal["auto"] | None = None,
        capture: Capture = True,
    ) -> None:
        super().__init__()
        self._host = Host(place, info, resume=resume, capture=capture)
        self._has_episodes, self._trainings, self._updates = episodes, 0, 0
        self._training: Recorder | None = None
        self._writer: RigorousWriter | None = None
        self._episodes: dict[int, int] = {}

    @guest
    def _on_training_start(self) -> None:
        self._remove_writer()  # of a training that an exception has ended
        self._training = self._host.recorder.child(training=self._trainings)
        self._trainings += 1
        set_attributes(self._training, _attributes(self.model))
        self._episodes, self._updates = {}, self.model._n_updates
        before, self._writer = self._writer, RigorousWriter(self._training)
        if before is not None:  # a logger of the user's has its last values still
            self._writer.early = before.early
        self.logger.output_formats.append(self._writer)

    def _on_step(self) -> bool:
        if self._has_episodes:
            self._log_episodes()
        return True

    @guest
    def _log_episodes(self) -> None:
        for env, info in enumerate(self.locals.get("infos", ())):
            if "episode" in info and self._training is not None:
                number = self._episodes.get(env, 0)
                self._episodes[env] = number + 1
                place = {"env": env, "episode": number, "step": self.num_timesteps}
                totals = {name: info["episode"][key] for key, name in _EPISODE.items()}
                set_attributes(self._training.child({**place, **totals}), _keywords(info))

    @guest
    def _on_rollout_start(self) -> None:
        if isinstance(self.model, OnPolicyAlgorithm):
            self._write_early("train/")

    def _write_early(self, start: str) -> None:
        """Log what is not dumped yet, of keys with this start."""
        if self._writer is None:
            return
        if self.model._n_updates != self._updates:
            self._updates = self.model._n_updates
            self._writer.forget("train/")  # these are of a new update, also where they are equal
        values = self.logger.name_to_value.items()
        found = {key: each for key, each in values if key.startswith(start)}
        self._writer.write_early(found, self.num_timesteps)

    @guest
    def _on_training_end(self) -> None:
        self._write_early("")
        self._remove_writer()

    def _remove_writer(self) -> None:
        formats = self.logger.output_formats
        formats[:] = [each for each in formats if each is not self._writer]


def _keywords(info: Mapping[str, Any]) -> dict[str, Any]:
    """What a Monitor with ``info_keywords`` reports of an episode, and whether it succeeded."""
    success = {"is_success": info["is_success"]} if "is_success" in info else {}
    return success | {key: each for key, each in info["episode"].items() if key not in _EPISODE}


def _attributes(model: Any) -> dict[str, Any]:
    """The algorithm and its arguments, which the model has as attributes of the same names."""
    names = [*inspect.signature(type(model)).parameters, "n_envs"]
    known = {name: _setting(vars(model)[name]) for name in names if name in vars(model)}
    found: dict[str, Any] = {"algorithm": type(model).__name__}
    found["hyperparameters"] = {k: v for k, v in known.items() if k not in _NO_SETTINGS}
    if model.num_timesteps:
        found["first_step"] = model.num_timesteps
    return found


def _setting(value: Any) -> Any:
    """A schedule of one value is that value, as it was given."""
    return getattr(getattr(value, "value_schedule", value), "val", value)
