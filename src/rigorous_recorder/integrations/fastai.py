"""fastai: a callback of a learner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from rigorous_recorder import Recorder, Run

from .guest import guest, push, set_attributes
from .host import Capture, Host, Place
from .requirement import required

with required("fastai>=2.7"):
    from fastai.callback.core import Callback

__all__ = ["RigorousCallback"]


class RigorousCallback(Callback):
    """Logs each ``fit``: ``Learner(..., cbs=RigorousCallback("data/study"))``.

    Each fit is a child with ``training`` (0, 1, ...), ``epochs`` and ``batch_size``. A record of a
    batch has ``epoch`` and ``step`` from 0, ``batch_loss``, which is the loss of the batch itself,
    and ``lr``. A record of an epoch has what fastai's recorder shows: ``train_loss``, which fastai
    smooths exponentially, ``valid_loss`` and metrics; ``validate`` logs such a record without
    ``epoch``. ``lr_find`` and predictions are not logged.

    Args:
        place: a collection or its path, in which a run begins with the first fit; or a started run
            or a recorder, which the caller ends.
        info: attributes of the run that begins.
        resume: "auto" to continue the run that this program began before; see
            ``ExperimentCollection.new_experiment``.
        capture: what the run that begins records of itself; see ``new_experiment``.
    """

    order = 60  # after fastai's recorder

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
        self._training: Recorder | None = None
        self._trainings = self._batches = self._trained = 0
        self._is_logged = self._has_begun = False

    def before_fit(self) -> None:
        """Called for each fit, evaluation, prediction and search of a learning rate."""
        searched = ("lr_finder", "gather_preds")
        self._is_logged = not any(hasattr(self.learn, each) for each in searched)
        self._has_begun = False

    def before_epoch(self) -> None:
        """Note that nothing is trained yet: an epoch can be skipped, or be an evaluation."""
        self._trained = 0

    @guest
    def before_train(self) -> None:
        """Begin a child, with the first epoch that is trained."""
        if not self._is_logged or self._has_begun:
            return
        learn = self.learn
        self._has_begun, self._training = True, None
        self._training = self._host.recorder.child(training=self._trainings)
        self._trainings += 1
        self._batches = learn.epoch * len(learn.dl) if learn.epoch else 0
        found = {"epochs": learn.n_epoch, "batch_size": getattr(learn.dls, "bs", None)}
        set_attributes(
            self._training, {**found, "optimizer": getattr(learn.opt_func, "__name__", None)}
        )

    @guest
    def after_batch(self) -> None:
        """Log a batch of the training; fastai calls it for those of validations, too."""
        if not self._has_begun or self._training is None or not self.learn.training:
            return
        rate = self.learn.opt.hypers[-1].get("lr")
        place = {"epoch": int(self.learn.epoch), "step": self._batches}
        push(self._training, {**place, "batch_loss": self.learn.loss.detach(), "lr": rate})
        self._batches += 1

    @guest
    def after_train(self) -> None:
        """Note how many values of the epoch are of its training."""
        self._trained = len(self.learn.recorder.log) - 1

    @guest
    def after_epoch(self) -> None:
        """Log the row of an epoch, or of an evaluation."""
        row = self._row()
        if not self._is_logged or not row:
            return
        if self._has_begun:
            row |= {"epoch": int(self.learn.epoch), "step": self._batches}
        push(self._training or self._host.recorder, row)

    def _row(self) -> dict[str, Any]:
        """The values of fastai's recorder, which has names for those that it left out as well."""
        known = self.learn.recorder
        names, values = list(known.metric_names)[1:], list(self.learn.final_record)
        first = 1 + (len(known.metrics) if known.train_metrics else 0)
        trained = zip(names, values[: self._trained], strict=False)
        return dict(trained) | dict(zip(names[first:], values[self._trained :], strict=False))
