"""Keras 3: a callback for ``fit`` and ``evaluate``, on each of its backends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from rigorous_recorder import Recorder, Run

from .guest import guest, push, set_attributes
from .host import Capture, Host, Place
from .keras_means import BatchValues
from .requirement import required

with required("keras>=3.0"):
    import keras

__all__ = ["RigorousCallback"]


class RigorousCallback(keras.callbacks.Callback):
    """Logs ``model.fit(..., callbacks=[RigorousCallback("data/study")])``.

    Each ``fit`` is a child with ``training`` (0, 1, ...) and ``optimizer``. A record of an epoch has
    ``epoch``, ``step`` and Keras's metrics; one of a batch has ``batch_<metric>``: its own values,
    except for metrics that are no means, such as AUC. ``evaluate`` logs ``test_<metric>``.

    Args:
        place: a collection or its path, in which a run begins with the first call; or a started run
            or a recorder, which the caller ends.
        info: attributes of the run that begins.
        every: log every so many batches, or 0 for epochs only.
        resume: "auto" to continue the run that this program began before; see
            ``ExperimentCollection.new_experiment``.
        capture: what the run that begins records of itself; see ``new_experiment``.
    """

    def __init__(
        self,
        place: Place | Run | Recorder,
        info: Mapping[str, Any] | None = None,
        *,
        every: int = 1,
        resume: Literal["auto"] | None = None,
        capture: Capture = True,
    ) -> None:
        super().__init__()
        self._host = Host(place, info, resume=resume, capture=capture)
        self._every, self._trainings = every, 0
        self._training: Recorder | None = None
        self._is_in_fit = False
        self._epoch, self._step, self._before_epoch, self._batches = 0, 0, 0, 0
        self._values: BatchValues | None = None

    def set_model(self, model: Any) -> None:
        """Called once for each fit, and each evaluation outside of one."""
        super().set_model(model)
        self._is_in_fit = False  # also after an exception, with which no event comes

    @guest
    def on_train_begin(self, logs: Any = None) -> None:
        """Begin a training, and with the first one a run."""
        self._is_in_fit, self._step, self._batches = True, 0, 0
        self._values = BatchValues(self.model)
        self._training = self._host.recorder.child(training=self._trainings)
        self._trainings += 1
        set_attributes(self._training, _attributes(self.model, self.params))

    @guest
    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Note where the epoch begins."""
        if not self._batches:  # the first may be a later one, of a training that goes on
            self._step = int(epoch) * (self.params.get("steps") or 0)
        self._epoch, self._before_epoch = int(epoch), self._step
        if self._values is not None:
            self._values.restart()

    @guest
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Log the values of a batch, or of the batches of one execution."""
        steps = self.params.get("steps")
        done = batch + 1 if steps is None else min(batch + 1, steps)  # an index can be past the end
        self._step, self._batches = self._before_epoch + done, self._batches + 1
        if not self._every or self._values is None or self._training is None:
            return
        values = self._values.of(logs or {})  # of each batch, since it is a difference
        if self._batches % self._every == 0:
            push(self._training, {"epoch": self._epoch, "step": self._step, **values})

    @guest
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Log a record of the epoch."""
        if self._training is not None:
            push(self._training, {"epoch": int(epoch), "step": self._step, **(logs or {})})

    @guest
    def on_test_end(self, logs: Any = None) -> None:
        """Log an evaluation; one within fit comes with the epoch."""
        if not self._is_in_fit:
            named = {f"test_{name}": value for name, value in (logs or {}).items()}
            push(self._training or self._host.recorder, named)

    def on_train_end(self, logs: Any = None) -> None:
        """A model can be fit again: the run ends with the process."""
        self._is_in_fit = False


def _attributes(model: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: params[name] for name in ("epochs", "steps") if params.get(name) is not None}
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None:
        found["optimizer"] = optimizer.get_config()
    if model.built:
        found["model_parameters"] = model.count_params()
    return found
