"""The value of each batch, of metrics that Keras reports as means since the epoch began."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

__all__ = ["BatchValues"]

#: How far Keras's own mean, in float32, may be from the one of the state that it is made of.
_FLOAT32: Final = 1e-5


class _Mean:
    """The state of a metric, and what it was after the batch before."""

    __slots__ = ("count", "count_before", "total", "total_before")

    def __init__(self, metric: Any, places: Mapping[int, int]) -> None:
        self.total, self.count = (
            _Number(each, places.get(id(each))) for each in (metric.total, metric.count)
        )
        self.restart()

    def restart(self) -> None:
        """Begin an epoch."""
        self.total_before = self.count_before = 0.0

    def of_batch(self, mean: Any, state: Sequence[Any] | None) -> Any:
        """What the last batch added to a mean; or that mean, if it is none of this state."""
        total, count = self.total.read(state), self.count.read(state)
        if not count or not isinstance(mean, float) or not _are_close(total / count, mean):
            return mean  # a training step of the user's that returns something else
        added, weight = total - self.total_before, count - self.count_before
        self.total_before, self.count_before = total, count
        return added / weight if weight > 0 else mean


class _Number:
    """A variable of one element, and its place in the state that jax trains with."""

    __slots__ = ("place", "variable")

    def __init__(self, variable: Any, place: int | None) -> None:
        self.variable, self.place = variable, place

    def read(self, state: Sequence[Any] | None) -> float:
        """The value; ``variable.value`` would ask Keras's global state for others first."""
        if state is not None and self.place is not None:
            return float(state[self.place])
        value = getattr(self.variable, "_value", None)
        return float(self.variable.value if value is None else value)


class BatchValues:
    """Metrics of batches of one training."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._means: dict[str, _Mean] = {}
        self._are_known = False

    def restart(self) -> None:
        """Begin an epoch."""
        for each in self._means.values():
            each.restart()

    def of(self, logs: Mapping[str, Any]) -> dict[str, Any]:
        """The metrics of Keras as ``batch_<name>``: means with their value of the batch."""
        if not self._are_known:  # from the first batch on
            self._are_known, self._means = True, _means(self._model)
        # What jax trains with: until it is done, the variables of the model are others.
        state = (vars(self._model).get("_jax_state") or {}).get("metrics_variables")
        found = {}
        for name, value in logs.items():
            mean = self._means.get(name)
            found["batch_" + name] = value if mean is None else mean.of_batch(value, state)
        return found


def _means(model: Any) -> dict[str, _Mean]:
    places = {id(each): place for place, each in enumerate(model.metrics_variables)}
    return {
        name: _Mean(metric, places)
        for name, metric in _named(model)
        if {"total", "count"} <= {*dir(metric)}
    }


def _are_close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=_FLOAT32) or (math.isnan(one) and math.isnan(other))


def _named(model: Any) -> Iterator[tuple[str, Any]]:
    for metric in model.metrics:
        parts = [getattr(metric, f"_flat{kind}_metrics", ()) for kind in ("", "_weighted")]
        if not any(parts):
            yield metric.name, metric
        for part in (each for each in (*parts[0], *parts[1]) if each is not None):
            prefix = f"{part.output_name}_" if part.output_name else ""
            yield from ((f"{prefix}{each.name}", each) for each in part.metrics)
