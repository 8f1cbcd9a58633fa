"""Ray: a callback for Tune's ``Tuner``, and that for Train's ``RunConfig``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from rigorous_recorder import Recorder, Run

from .guest import guest, push, set_attributes
from .host import Capture, Host, Place
from .ray_train import RayTrainCallback
from .requirement import required

with required("ray[train,tune]>=2.50"):
    from ray.tune.logger import LoggerCallback

__all__ = ["RayTrainCallback", "RayTuneCallback"]

_COLOR: Final = re.compile(r"\x1b\[[0-9;]*m")
#: What Tune adds to the results that a trial reports.
_OF_TUNE: Final = frozenset(
    {
        "checkpoint_dir_name",
        "config",
        "date",
        "done",
        "experiment_tag",
        "hostname",
        "iterations_since_restore",
        "node_ip",
        "pid",
        "should_checkpoint",
        "time_since_restore",
        "time_this_iter_s",
        "time_total_s",
        "timestamp",
        "training_iteration",
        "trial_id",
    }
)


class RayTuneCallback(LoggerCallback):
    """Logs trials: ``tune.RunConfig(callbacks=[RayTuneCallback("data/study")])``.

    A trial is a child with ``trial``, its number from 0 in the order of their starts, ``trial_id``,
    ``config``, and at its end ``state``: "complete", or "failed" with ``error``. A record is a result
    that it reported: ``training_iteration``, ``time_total_s`` and its metrics, and ``config`` where a
    scheduler has given the trial another one. A trial that goes on after a failure goes on in its
    child. After Ctrl-C, with which Tune ends normally, the run that began here is stopped.

    Args:
        place: a collection or its path, in which a run begins with the first trial and ends with the
            last; or a started run or a recorder, which the caller ends.
        info: attributes of the run that begins.
        resume: "auto" to continue the run that this program began before, as with ``Tuner.restore``;
            see ``ExperimentCollection.new_experiment``.
        capture: what the run that begins records of itself; see ``new_experiment``.
    """

    def __init__(
        self,
        place: Place | Run | Recorder,
        info: Mapping[str, Any] | None = None,
        *,
        resume: Literal["auto"] | None = None,
        capture: Capture = True,
    ) -> None:
        super().__init__()
        self._host = Host(place, info, resume=resume, capture=capture)
        self._trials: dict[str, Recorder] = {}
        self._configs: dict[str, Any] = {}
        self._ended: set[str] = set()

    @guest
    def log_trial_start(self, trial: Any) -> None:
        """Begin the child of a trial."""
        self._of(trial)

    def _of(self, trial: Any) -> Recorder:
        name = trial.trial_id
        if name not in self._trials:
            number = len(self._trials)
            self._trials[name] = self._host.recorder.child(trial=number, trial_id=name)
            self._configs[name] = trial.config
            set_attributes(self._trials[name], {"config": trial.config})
        return self._trials[name]

    @guest
    def log_trial_result(self, iteration: int, trial: Any, result: Mapping[str, Any]) -> None:
        """Log a result; the iteration that Tune hands over is one of its control loop."""
        own = {key: result[key] for key in ("training_iteration", "time_total_s") if key in result}
        metrics = {key: value for key, value in result.items() if key not in _OF_TUNE}
        recorder = self._of(trial)
        # A new one is set before the last result with the old one is handed over.
        is_new = trial.config is not self._configs[trial.trial_id]
        config = {"config": result.get("config")} if is_new else {}
        push(recorder, {**own, **metrics, **config})

    @guest
    def log_trial_end(self, trial: Any, failed: bool = False) -> None:
        """Set the state of a trial."""
        self._ended.add(trial.trial_id)
        self._of(trial).update(state="failed" if failed else "complete")

    @guest
    def on_experiment_end(self, trials: Any, **info: Any) -> None:
        """Set the errors of trials, which Tune knows only now; end the run that began here."""
        for trial in trials:
            if trial.status == trial.ERROR:  # others may have an error that they recovered from
                self._of(trial).update(error=_COLOR.sub("", str(trial.get_error())))
        # After Ctrl-C those that ran are terminated as well, but have no end of their own.
        is_whole = (
            all(trial.is_finished() for trial in trials) and self._trials.keys() <= self._ended
        )
        self._host.finish("finished" if is_whole else "stopped")
