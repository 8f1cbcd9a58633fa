"""Transformers and TRL: a callback for ``Trainer(callbacks=...)``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from rigorous_recorder import Recorder, Run

from .guest import guest, push, set_attributes
from .host import Capture, Host, Place
from .requirement import required

with required("transformers>=4.57"):
    from transformers import TrainerCallback
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

__all__ = ["RigorousCallback"]


class RigorousCallback(TrainerCallback):
    """Logs what a trainer logs: ``Trainer(..., callbacks=[RigorousCallback("data/study")])``.

    Each training is a child with the attribute ``training`` (0, 1, ...), the trainer's ``args``, and
    ``model_config`` as JSON. Its records have ``step``, ``epoch`` and what one call logged: of the
    training, of each evaluation and prediction, and the summary at the end. Only the process of
    rank 0 logs. The completions that TRL's trainers write with ``log_completions=True`` are the
    records of a child with ``table="completions"``.

    Args:
        place: a collection or its path, in which a run begins with the first training; or a started
            run or a recorder, which the caller ends. By default ``rigorous.collection`` in the
            trainer's ``output_dir``; so with this module imported ``report_to="rigorous"`` works, too.
        info: attributes of the run that begins. A training that goes on from a checkpoint is a new
            attempt at the last run with the same info that did not finish.
        capture: what the run that begins records of itself; see ``new_experiment``.
        nan_losses: log a loss that is NaN or infinite, by setting ``logging_nan_inf_filter`` of the
            trainer's args to False. With it the trainer logs 0.0, or the mean of the others.
    """

    def __init__(
        self,
        place: Place | Run | Recorder | None = None,
        info: Mapping[str, Any] | None = None,
        *,
        capture: Capture = True,
        nan_losses: bool = True,
    ) -> None:
        super().__init__()
        self._given = (place, info, {"capture": capture})
        self._host: Host | None = None
        self._nan_losses = nan_losses
        self._trainings = 0
        self._training: Recorder | None = None
        self._completions: Recorder | None = None
        self._seen: set[Path] = set()

    @guest
    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Begin a training, and before the first one a run."""
        if not state.is_world_process_zero:
            return
        if self._nan_losses:
            args.logging_nan_inf_filter = False
        self._seen = set(_completions_below(args))
        host = self._host_of(args, is_resumed=state.global_step > 0)
        self._training = host.recorder.child(training=self._trainings)
        self._trainings += 1
        self._completions = None
        set_attributes(self._training, _attributes(args, state, kwargs.get("model")))

    def _host_of(self, args: Any, *, is_resumed: bool = False) -> Host:
        if self._host is None:
            place, info, options = self._given
            where = Path(args.output_dir) / "rigorous" if place is None else place
            self._host = Host(where, info, resume="auto" if is_resumed else None, **options)
        return self._host

    @guest
    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Log a record."""
        if "train_loss" in (logs or {}):  # others may have taken it out of the summary
            logs = {"total_flos": state.total_flos, **logs}
        self._push(args, state, logs)

    @guest
    def on_predict(self, args: Any, state: Any, control: Any, metrics: Any, **_: Any) -> None:
        """Log the metrics of a prediction, which come in no other call."""
        self._push(args, state, metrics)

    def _push(self, args: Any, state: Any, logs: Mapping[str, Any] | None) -> None:
        if not state.is_world_process_zero:
            return
        fields = {"step": state.global_step, "epoch": state.epoch, **(logs or {})}
        if fields["epoch"] is not None:
            fields["epoch"] = float(fields["epoch"])  # an int before the first step
        push(self._training or self._host_of(args).recorder, fields)

    @guest
    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Log the completions that TRL wrote after the last record."""
        if getattr(args, "log_completions", False):
            self._log_completions(args)

    @guest
    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Log the last completions; the run ends with the process, since a trainer can go on."""
        self._log_completions(args)

    def _log_completions(self, args: Any) -> None:
        if self._training is None:
            return  # it is logged by another process, or could not begin, which is reported
        for path in sorted(_completions_below(args)):
            if path not in self._seen:
                self._seen.add(path)
                if self._completions is None:
                    self._completions = self._training.child(table="completions")
                self._completions.extend(pq.read_table(path))


INTEGRATION_TO_CALLBACK["rigorous"] = RigorousCallback  # a class in report_to is refused


def _completions_below(args: Any) -> list[Path]:
    return list((Path(args.output_dir) / "completions").glob("completions_*.parquet"))


def _attributes(args: Any, state: Any, model: Any) -> dict[str, Any]:
    """What a training begins with."""
    found: dict[str, Any] = {"args": args.to_dict()}
    config: Any = getattr(model, "config", None)
    if hasattr(config, "to_json_string"):
        found["model_config"] = config.to_json_string()
    if hasattr(model, "num_parameters"):
        found["model_parameters"] = model.num_parameters()
    if state.global_step:
        found["first_step"] = state.global_step
    if state.trial_params:
        found |= {"trial_name": state.trial_name, "trial_params": dict(state.trial_params)}
    return found
