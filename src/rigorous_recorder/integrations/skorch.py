"""skorch: a callback of a net."""

from __future__ import annotations

from typing import Any

from rigorous_recorder import Recorder, Run

from .guest import guest, push, set_attributes
from .requirement import required
from .target import Target

with required("skorch>=1.0"):
    from skorch.callbacks import Callback

__all__ = ["RigorousCallback"]


class RigorousCallback(Callback):
    """Logs each ``fit``: ``NeuralNetClassifier(..., callbacks=[RigorousCallback(run)])``.

    Each fit is a child with ``training``, and the net's parameters that are plain values. A record
    of an epoch is a row of the net's history: ``epoch`` (after ``partial_fit`` it goes on),
    ``train_loss``, ``valid_loss``, scores. A search such as ``GridSearchCV`` clones nets and their
    callbacks: each clone logs its own fits to the same run.

    Args:
        recorder: a started run, or a recorder.
        batches: also log each batch: ``batch``, from 0, and ``batch_loss``, with ``is_training``.
    """

    def __init__(self, recorder: Recorder | Run | Any, batches: bool = False) -> None:
        # Under these names and unchanged, since scikit-learn clones by them.
        self.recorder = recorder if isinstance(recorder, Target) else Target(recorder)
        self.batches = batches

    def initialize(self) -> RigorousCallback:
        """Called before the first fit, and for each clone."""
        self.training_: Recorder | None = None
        self.trainings_ = 0
        return self

    def __sklearn_clone__(self) -> RigorousCallback:
        """A callback that logs to the same recorder, not to a copy of it."""
        return type(self)(self.recorder, self.batches)

    def __getstate__(self) -> dict[str, Any]:
        """A saved net can be loaded where the collection is not."""
        return {**vars(self), "training_": None}

    @guest
    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:  # noqa: N803
        """Begin a child."""
        self.training_ = self.recorder.recorder.child(training=self.trainings_)
        self.trainings_ += 1
        self.logged_ = len(net.history)
        set_attributes(self.training_, {"params": _plain(net.get_params(deep=False))})

    @guest
    def on_batch_end(
        self, net: Any, batch: Any = None, training: Any = None, **kwargs: Any
    ) -> None:
        """Log the loss of a batch."""
        if self.batches and self.training_ is not None:
            rows = net.history[-1]["batches"]
            loss = rows[-1].get("train_loss" if training else "valid_loss")
            place = {"epoch": net.history[-1]["epoch"], "batch": len(rows) - 1}
            push(self.training_, {**place, "is_training": bool(training), "batch_loss": loss})

    @guest
    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Log the row of an epoch."""
        row = {key: value for key, value in net.history[-1].items() if key != "batches"}
        if self.training_ is not None:
            push(self.training_, row)


def _plain(params: dict[str, Any]) -> dict[str, Any]:
    kinds = (bool, int, float, str)
    return {key: value for key, value in params.items() if isinstance(value, kinds)}
