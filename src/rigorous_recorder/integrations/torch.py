"""PyTorch alone: weights and gradients of a model; events and profiles are in ``torch_events``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from rigorous_recorder import Recorder, Run

from .guest import guest, push
from .histograms import histogram
from .media import array_of
from .requirement import required
from .target import run_or_recorder
from .torch_events import log_monitor, log_profile

with required("torch>=2.1"):
    import torch
    from torch.optim.optimizer import register_optimizer_step_pre_hook

__all__ = ["Watch", "log_monitor", "log_profile", "watch"]


class Watch:
    """What ``watch`` returns; also a context, which ends it."""

    def __init__(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer | None,
        recorder: Recorder | Run,
        *,
        every: int,
        histograms: bool,
    ) -> None:
        self._parameters = dict(model.named_parameters())
        self._own = {id(each) for each in self._parameters.values()}
        self._recorder = run_or_recorder(recorder)
        self._every, self._histograms = every, histograms
        self._children: dict[str, Recorder] = {}
        self._steps = 0
        self._handle = (
            register_optimizer_step_pre_hook(self._before_any_step)
            if optimizer is None
            else optimizer.register_step_pre_hook(self._before_step)
        )

    def _before_any_step(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        groups = optimizer.param_groups
        if any(id(each) in self._own for group in groups for each in group["params"]):
            self._before_step()

    def _before_step(self, *_: Any) -> None:
        if self._steps % self._every == 0:
            self.log()
        self._steps += 1

    @guest
    def log(self) -> None:
        """Log a record of each parameter now."""
        with torch.no_grad():
            known = {n: each for n, each in self._parameters.items() if each.is_floating_point()}
            found = {n: each.grad for n, each in known.items() if each.grad is not None}
            norms, gradients = _norms(known), _norms(found)
            for name, parameter in known.items():
                fields = {"step": self._steps, "weight_norm": norms[name]}
                if name in found:
                    fields["gradient_norm"] = gradients[name]
                if self._histograms:
                    fields |= _histograms(weight=parameter, gradient=found.get(name))
                if name not in self._children:
                    self._children[name] = self._recorder.child(parameter=name)
                push(self._children[name], fields)

    def close(self) -> None:
        """Watch no longer."""
        self._handle.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def watch(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer | None,
    recorder: Recorder | Run,
    *,
    every: int = 100,
    histograms: bool = False,
) -> Watch:
    """Log norms of weights and gradients, just before the optimizer uses them.

    Each parameter is a child with ``parameter``, its name. Its records have ``step``, the number of
    optimizer steps before, ``weight_norm``, and ``gradient_norm`` if it has a gradient: accumulated
    and clipped as the optimizer gets it. Norms stay on the device until they are stored.

    Args:
        model: its parameters are watched; shared ones once, under their first name.
        optimizer: at whose steps to log; None for any that has parameters of the model.
        recorder: a started run, or a recorder.
        every: log every so many steps.
        histograms: also log ``weight_histogram`` and ``gradient_histogram`` of finite values, in
            the form of ``SummaryWriter.add_histogram``. For these all values are copied to the host.
    """
    return Watch(model, optimizer, recorder, every=every, histograms=histograms)


def _norms(tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    plain = [each.to_dense() if each.is_sparse else each for each in tensors.values()]
    found = torch._foreach_norm([each.float() for each in plain]) if plain else ()
    return dict(zip(tensors, found, strict=True))


def _histograms(**tensors: torch.Tensor | None) -> dict[str, Any]:
    found = {}
    for name, tensor in tensors.items():
        if tensor is not None:
            values = array_of(tensor.to_dense() if tensor.is_sparse else tensor)
            values = values[np.isfinite(values)]
            if len(values):
                found[f"{name}_histogram"] = histogram(values, "tensorflow")
    return found
