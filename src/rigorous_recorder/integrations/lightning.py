"""Lightning: a logger for ``Trainer(logger=...)``."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import Any, Literal

from rigorous_recorder import Recorder, Run

from .guest import guest, push, set_attributes
from .host import Capture, Host, Place
from .requirement import required

with required("lightning>=2.5"):
    from lightning.pytorch.loggers.logger import Logger
    from lightning.pytorch.utilities import rank_zero_only

__all__ = ["RigorousLogger"]


class RigorousLogger(Logger):
    """Logs the metrics of a trainer as records, and hyperparameters as attributes.

    Only the process of rank 0 logs. A record has ``step``, ``epoch`` and the metrics of one call.
    Lightning counts the batches of a validation from 0, and gives their number as the step: these
    records have it as ``batch``, and no ``step``.

    Args:
        place: a collection or its path, in which a run begins with the first call; or a started run
            or a recorder, which the caller ends.
        info: attributes of the run that begins.
        resume: "auto" to continue the run that this program began before; see
            ``ExperimentCollection.new_experiment``.
        capture: what the run that begins records of itself; see ``new_experiment``.

    Examples:
        >>> trainer = Trainer(logger=RigorousLogger("data/study", {"model": "m1"}))  # doctest: +SKIP
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

    @property
    def recorder(self) -> Recorder:
        """Where it logs; a run begins if there is none yet."""
        return self._host.recorder

    @property
    def experiment(self) -> Recorder | None:
        """The recorder; None in processes of other ranks than 0."""
        return self._known()

    @property
    def name(self) -> str:
        """A part of the folder of checkpoints."""
        return "rigorous"

    @property
    def version(self) -> str:
        """A part of the folder of checkpoints: the number of the experiment."""
        recorder = self._known()
        number = None if recorder is None else recorder.attributes.get("experiment_number")
        return "experiment" if number is None else f"experiment_{number}"

    @guest
    def _known(self) -> Recorder | None:
        return self.recorder if _is_first() else None

    @guest
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log a record."""
        if not _is_first():
            return
        is_of_batches = "epoch" not in metrics and all(key.endswith("_step") for key in metrics)
        push(self.recorder, {**metrics, "batch" if is_of_batches else "step": step})

    @guest
    def log_hyperparams(self, params: Mapping[str, Any] | Namespace, *_: Any, **__: Any) -> None:
        """Set attributes; Lightning calls it again for each fit, validation and test."""
        if not _is_first():
            return
        given = dict(vars(params) if isinstance(params, Namespace) else params)
        known = self.recorder.local_data
        new = {key: each for key, each in given.items() if key not in known}
        set_attributes(self.recorder, new)

    @guest
    def finalize(self, status: str) -> None:
        """End the run that it began, if the trainer failed; a good end is that of the process.

        A trainer calls it after each fit and test, and logs again to the same logger.
        """
        if status != "success":
            self._host.fail()


def _is_first() -> bool:
    """Whether this is the process of rank 0."""
    return bool(getattr(rank_zero_only, "rank", 0) == 0)
