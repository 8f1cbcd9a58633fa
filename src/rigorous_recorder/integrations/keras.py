"""Keras 3: a callback for ``fit`` and ``evaluate``, on each of its backends."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from rigorous_recorder import Recorder, Run

from .guest import guest, push, set_attributes
from .host import Capture, Host, Place
from .requirement import required

with required("keras>=3.0"):
    import keras

__all__ = ["RigorousCallback"]

#: How far Keras's own mean, in float32, may be from the one of the state that it is made of.
_FLOAT32: Final = 1e-5


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
        self._means: dict[str, tuple[float, float]] = {}
        self._named: list[tuple[str, Any, Any]] = []

    def set_model(self, model: Any) -> None:
        """Called once for each fit, and each evaluation outside of one."""
        super().set_model(model)
        self._is_in_fit = False  # also after an exception, with which no event comes

    @guest
    def on_train_begin(self, logs: Any = None) -> None:
        """Begin a training, and with the first one a run."""
        self._is_in_fit, self._step, self._batches, self._named = True, 0, 0, []
        self._training = self._host.recorder.child(training=self._trainings)
        self._trainings += 1
        set_attributes(self._training, _attributes(self.model, self.params))

    @guest
    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Note where the epoch begins."""
        self._epoch, self._before_epoch, self._means = int(epoch), self._step, {}

    @guest
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Log the values of a batch, or of the batches of one execution."""
        steps = self.params.get("steps")
        done = batch + 1 if steps is None else min(batch + 1, steps)  # an index can be past the end
        self._step, self._batches = self._before_epoch + done, self._batches + 1
        if not self._every:
            return
        values = self._batch_values(logs or {})
        if self._batches % self._every == 0 and self._training is not None:
            fields = {"epoch": self._epoch, "step": self._step}
            fields |= {f"batch_{name}": value for name, value in values.items()}
            push(self._training, fields)

    def _batch_values(self, logs: Mapping[str, Any]) -> dict[str, Any]:
        """The logs of Keras, with values of the batch for those that are means over the epoch."""
        found = dict(logs)
        if not self._named:  # known from the first batch on
            means = ((k, m) for k, m in _named(self.model) if {"total", "count"} <= {*dir(m)})
            self._named = [(name, each.total, each.count) for name, each in means]
        own = _own_variables(self.model)
        for name, total_now, count_now in self._named:
            total, count = _number(total_now, own), _number(count_now, own)
            mean = logs.get(name)
            if not count or not isinstance(mean, float) or not _are_close(total / count, mean):
                continue  # a training step of the user's that returns something else
            old_total, old_count = self._means.get(name, (0.0, 0.0))
            self._means[name] = total, count
            if count > old_count:
                found[name] = (total - old_total) / (count - old_count)
        return found

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


def _are_close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=_FLOAT32) or (math.isnan(one) and math.isnan(other))


def _number(variable: Any, own: Mapping[int, Any]) -> float:
    """The value of a variable, without what ``variable.value`` asks first of Keras's global state."""
    value = own.get(id(variable))
    if value is None:
        value = getattr(variable, "_value", None)
    return float(variable.value if value is None else value)


def _own_variables(model: Any) -> dict[int, Any]:
    """What jax trains with: until it is done, the variables of the model are others."""
    now = (vars(model).get("_jax_state") or {}).get("metrics_variables")
    return {} if now is None else dict(zip(map(id, model.metrics_variables), now, strict=True))


def _named(model: Any) -> Iterator[tuple[str, Any]]:
    for metric in model.metrics:
        parts = [getattr(metric, f"_flat{kind}_metrics", ()) for kind in ("", "_weighted")]
        if not any(parts):
            yield metric.name, metric
        for part in (each for each in (*parts[0], *parts[1]) if each is not None):
            prefix = f"{part.output_name}_" if part.output_name else ""
            yield from ((f"{prefix}{each.name}", each) for each in part.metrics)


def _attributes(model: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: params[name] for name in ("epochs", "steps") if params.get(name) is not None}
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None:
        found["optimizer"] = optimizer.get_config()
    if model.built:
        found["model_parameters"] = model.count_params()
    return found
