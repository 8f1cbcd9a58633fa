"""Ray: callbacks for Tune's ``Tuner`` and for Train's ``RunConfig``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from rigorous_recorder import Recorder, Run

from .guest import guest, push, set_attributes
from .host import Capture, Host, Place
from .requirement import required

with required("ray[train,tune]>=2.50"):
    from ray.train import UserCallback
    from ray.tune.logger import LoggerCallback

__all__ = ["RayTrainCallback", "RayTuneCallback"]

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
    ``config``, and at its end ``state``: "complete", or "failed" with ``error``. A record is a result that it
    reported: ``training_iteration``, ``time_total_s`` and its metrics. A trial that goes on after a
    failure, or is restored, goes on in its child.

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

    @guest
    def log_trial_start(self, trial: Any) -> None:
        """Begin the child of a trial."""
        self._of(trial)

    def _of(self, trial: Any) -> Recorder:
        name = trial.trial_id
        if name not in self._trials:
            number = len(self._trials)
            self._trials[name] = self._host.recorder.child(trial=number, trial_id=name)
            set_attributes(self._trials[name], {"config": trial.config})
        return self._trials[name]

    @guest
    def log_trial_result(self, iteration: int, trial: Any, result: Mapping[str, Any]) -> None:
        """Log a result; the iteration that Tune hands over is one of its control loop."""
        own = {key: result[key] for key in ("training_iteration", "time_total_s") if key in result}
        metrics = {key: value for key, value in result.items() if key not in _OF_TUNE}
        push(self._of(trial), {**own, **metrics})

    @guest
    def log_trial_end(self, trial: Any, failed: bool = False) -> None:
        """Set the state of a trial."""
        self._of(trial).update(state="failed" if failed else "complete")

    @guest
    def on_experiment_end(self, trials: Any, **info: Any) -> None:
        """Set the errors of trials, which Tune knows only now; end the run that it began."""
        for trial in trials:
            error = trial.get_error()
            if error is not None:
                self._of(trial).update(error=str(error))
        self._host.finish()


class RayTrainCallback(UserCallback):
    """Logs reports of workers: ``ray.train.RunConfig(callbacks=[RayTrainCallback(run)])``.

    A record is a report: ``report``, its number from 0, and the worker's metrics. The configuration
    of the training loop is the attribute ``config``. Errors of workers are ``worker_errors``.

    Args:
        recorder: a started run, or a recorder: Train copies the callback into its controller's
            process, and the run belongs to yours.
        ranks: "first" for the worker of rank 0 alone, or "each" for a child with ``rank`` for each
            of them.
    """

    def __init__(
        self, recorder: Recorder | Run, *, ranks: Literal["first", "each"] = "first"
    ) -> None:
        self._recorder = recorder.recorder if isinstance(recorder, Run) else recorder
        self._ranks, self._reports = ranks, 0
        self._children: dict[int, Recorder] = {}

    @guest
    def after_report(
        self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any
    ) -> None:
        """Log a report of all workers."""
        if not self._reports:
            set_attributes(self._recorder, {"config": run_context.train_loop_config or {}})
        number, self._reports = self._reports, self._reports + 1
        for rank, values in enumerate(metrics if self._ranks == "each" else metrics[:1]):
            if rank not in self._children:
                is_each = self._ranks == "each"
                self._children[rank] = (
                    self._recorder.child(rank=rank) if is_each else self._recorder
                )
            push(self._children[rank], {"report": number, **values})

    @guest
    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        """Set the attribute ``worker_errors``."""
        texts = {str(rank): str(error) for rank, error in worker_exceptions.items()}
        self._recorder.update(worker_errors=texts)
