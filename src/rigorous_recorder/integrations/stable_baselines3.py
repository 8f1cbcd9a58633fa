"""Stable-Baselines3: the logger's rows, and each episode as a child of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from rigorous_recorder import Recorder, Run

from .guest import Capture, Host, Place, guest, push, set_attributes
from .requirement import required

with required("stable-baselines3>=2.3"):
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.logger import KVWriter
    from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

__all__ = ["RigorousCallback", "RigorousWriter"]

_PLAIN: Final = (bool, int, float, str)


class RigorousWriter(KVWriter):
    """An output format: ``Logger(None, [RigorousWriter(run)])``.

    A record is a row, and ``step``; keys that exclude "rigorous" are left out.
    """

    def __init__(self, recorder: Recorder | Run) -> None:
        self._recorder = recorder
        #: What was logged before it is dumped.
        self.early: dict[str, Any] = {}

    @guest
    def write(self, key_values: Any, key_excluded: Any, step: int = 0) -> None:
        """Log a row; the dict is cleared after the call."""
        early, self.early = self.early, {}
        new = {key: each for key, each in key_values.items() if not _is_in(early, key, each)}
        self._push(new, key_excluded, step)

    def write_early(self, key_values: Any, step: int) -> None:
        """Log what was recorded and not dumped yet; the next dump does not log it again."""
        new = {k: each for k, each in key_values.items() if not _is_in(self.early, k, each)}
        self.early |= new
        self._push(new, {}, step)

    def _push(self, fields: Mapping[str, Any], excluded: Any, step: int) -> None:
        found = {
            key: each for key, each in fields.items() if "rigorous" not in excluded.get(key, ())
        }
        if found:
            push(self._recorder, {"step": step, **found})

    def close(self) -> None:
        """Nothing to close: the run ends with the process, or where the caller ends it."""


def _is_in(known: Mapping[str, Any], key: str, value: Any) -> bool:
    return key in known and known[key] is value


class RigorousCallback(BaseCallback):
    """Logs a training: ``model.learn(10_000, callback=RigorousCallback("data/study"))``.

    Each ``learn`` is a child with ``training`` (0, 1, ...), ``algorithm`` and ``hyperparameters``.
    Its records are the rows of the model's logger, but the values of an on-policy update are a
    record at the step of the update. Each episode that the Monitor reports is a child with ``env``,
    ``episode``, ``step``, ``total_reward``, ``episode_length``, ``episode_time`` and ``is_success``.

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
        self._has_episodes, self._trainings = episodes, 0
        self._training: Recorder | None = None
        self._writer: RigorousWriter | None = None
        self._episodes: dict[int, int] = {}

    @guest
    def _on_training_start(self) -> None:
        self._remove_writer()  # of a training that an exception has ended
        self._training = self._host.recorder.child(training=self._trainings)
        self._trainings += 1
        set_attributes(self._training, _attributes(self.model))
        self._episodes = {}
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
                self._training.child({**place, **_of_episode(info)})

    @guest
    def _on_rollout_start(self) -> None:
        if isinstance(self.model, OnPolicyAlgorithm) and self._writer is not None:
            values = self.logger.name_to_value.items()
            updates = {key: each for key, each in values if key.startswith("train/")}
            self._writer.write_early(updates, self.num_timesteps)

    @guest
    def _on_training_end(self) -> None:
        if self._writer is not None:
            self._writer.write_early(dict(self.logger.name_to_value), self.num_timesteps)
        self._remove_writer()

    def _remove_writer(self) -> None:
        formats = self.logger.output_formats
        formats[:] = [each for each in formats if each is not self._writer]


def _of_episode(info: Mapping[str, Any]) -> dict[str, Any]:
    names = {"total_reward": "r", "episode_length": "l", "episode_time": "t"}
    success = {"is_success": info["is_success"]} if "is_success" in info else {}
    return {name: info["episode"][short] for name, short in names.items()} | success


def _attributes(model: Any) -> dict[str, Any]:
    known = {
        k: v for k, v in vars(model).items() if isinstance(v, _PLAIN) and not k.startswith("_")
    }
    found: dict[str, Any] = {"algorithm": type(model).__name__, "hyperparameters": known}
    if model.num_timesteps:
        found["first_step"] = model.num_timesteps
    return found
