"""Values of other libraries, by their exact type: what makes a plain value of one, fast."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

from .device import is_on_device

__all__ = ["CONVERTERS", "learn"]

#: For types that were seen, what makes of a value one that a cell takes as it is. A converter
#: may raise, or give what no cell takes: ``classify`` then says what is to be done.
CONVERTERS: Final[dict[type, Callable[[Any], Any]]] = {}

_NUMPY: Final[dict[str, Callable[[Any], Any]]] = {
    "bool": bool,
    **dict.fromkeys(["float16", "float32", "float64"], float),
    **dict.fromkeys([f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)], int),
}


def learn(kind: type) -> None:
    """Know values of that type the next time, where they can be made plain in one step."""
    library, name = kind.__module__.partition(".")[0], kind.__name__.rstrip("_")
    if library == "numpy" and name in _NUMPY and kind is getattr(sys.modules["numpy"], name, None):
        CONVERTERS[kind] = _NUMPY[name]
    elif library == "torch" and name in {"Tensor", "Parameter"}:
        CONVERTERS[kind] = _plain_tensor


def _plain_tensor(tensor: Any) -> Any:
    """A number, or a numpy array that shares the tensor's memory.

    Raises:
        ValueError: the tensor is on a device: whoever asks now would have to wait.
    """
    if is_on_device(tensor):
        message = "the tensor is on a device"
        raise ValueError(message)
    detached = tensor.detach()
    return detached.numpy() if detached.dim() else detached.item()
