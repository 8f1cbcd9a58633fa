"""Ray Train: a callback for ``RunConfig``."""

from __future__ import annotations

from typing import Any, Literal

from rigorous_recorder import Recorder, Run

from .guest import guest, push, set_attributes
from .requirement import required
from .target import recorder_of

with required("ray[train,tune]>=2.50"):
    from ray.train import UserCallback

__all__ = ["RayTrainCallback"]


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
        self._recorder = recorder_of(recorder)
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
