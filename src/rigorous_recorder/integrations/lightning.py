"""Lightning: a logger for ``Trainer(logger=...)``."""

from __future__ import annotations

import weakref
from argparse import Namespace
from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Literal

from rigorous_recorder import Recorder, Run

from .guest import guest, push, set_attributes
from .host import Capture, Host, Place
from .requirement import required
from .silent import SilentRecorder

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
        save_dir: str | PathLike[str] | None = None,
    ) -> None:
        super().__init__()
        self._host = Host(place, info, resume=resume, capture=capture)
        self._save_dir = None if save_dir is None else fspath(save_dir)
        self._path = fspath(place) if isinstance(place, (str, PathLike)) else None
        self._hyperparameters: set[str] = set()
        self._trainer: weakref.ref[Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """A copy, as a spawned process gets it, logs to the same run: so that begins here."""
        self._known()
        return {**vars(self), "_trainer": None}

    @property
    def recorder(self) -> Recorder:
        """Where it logs; a run begins if there is none yet.

        In processes of other ranks than 0, and where no run can begin, it drops what it gets.
        """
        known = self._known()
        return SilentRecorder() if known is None else known

    experiment = recorder

    @guest
    def _known(self) -> Recorder | None:
        return self._host.recorder if _is_first() else None

    @property
    def _folder(self) -> str | None:
        number = self.recorder.attributes.get("experiment_number")
        return None if number is None else f"experiment_{number}"

    @property
    def save_dir(self) -> str | None:
        """Where Lightning puts files; None for the trainer's folder, also where no run can begin."""
        if self._save_dir is not None or self._path is None or self._folder is None:
            return self._save_dir
        return str(Path(f"{self._path.removesuffix('.collection')}.artifacts", self._folder))

    @property
    def name(self) -> str:
        """A part of the folder of checkpoints, if that is in the trainer's."""
        return "rigorous" if self.save_dir is None else ""

    @property
    def version(self) -> str:
        """A part of the folder of checkpoints, if that is in the trainer's."""
        return self._folder or "experiment" if self.save_dir is None else ""

    def log_graph(self, model: Any, input_array: Any = None) -> None:
        """Note the trainer: Lightning calls this before each fit, validation and test."""
        trainer = getattr(model, "_trainer", None)
        self._trainer = None if trainer is None else weakref.ref(trainer)

    @guest
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log a record."""
        if _is_first():
            is_of_batch = "epoch" not in metrics and self._is_evaluating_a_batch()
            push(self.recorder, {**metrics, "batch" if is_of_batch else "step": step})

    def _is_evaluating_a_batch(self) -> bool:
        """Whether the trainer itself logs a batch of a validation or test now.

        What hooks log, of the model and of callbacks, has steps of the training.
        """
        trainer = None if self._trainer is None else self._trainer()
        if trainer is None or not (trainer.validating or trainer.testing):
            return False
        in_a_hook = trainer.lightning_module._current_fx_name is not None
        return not in_a_hook and trainer._logger_connector._first_loop_iter is not None

    @guest
    def log_hyperparams(self, params: Mapping[str, Any] | Namespace, *_: Any, **__: Any) -> None:
        """Set attributes, at each fit, validation and test; others of the run stay as they are."""
        if _is_first():
            given = dict(vars(params) if isinstance(params, Namespace) else params)
            self._hyperparameters |= given.keys() - self.recorder.local_data.keys()
            own = {key: value for key, value in given.items() if key in self._hyperparameters}
            set_attributes(self.recorder, own)

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
