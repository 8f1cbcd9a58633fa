"""Fast conversion of other libraries' values to plain ones, by exact type."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Iterable
from typing import Any, Final

from .devices.libraries import is_on_device
from .devices.torch import numpy_of
from .instants import datetime_cell, duration_cell
from .json_text import json_cell

__all__ = ["CONVERTERS", "learn"]

#: The converters of dicts, lists, times and all types seen so far, to values that a cell accepts. A
#: converter may raise, or return what no cell accepts: then ``classify`` decides.
CONVERTERS: Final[dict[type, Callable[[Any], Any]]] = {
    **dict.fromkeys((dict, list, tuple), json_cell),
    dt.datetime: datetime_cell,
    dt.timedelta: duration_cell,
}

_PLAIN: Final = {bool, int, float, str, type(None)}
_NUMPY: Final[dict[str, Callable[[Any], Any]]] = {
    "bool": bool,
    **dict.fromkeys(["float16", "float32", "float64"], float),
    **dict.fromkeys([f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)], int),
}


def learn(values: Iterable[Any]) -> None:
    """Remember converters for the types of these values, if one step makes them plain."""
    for kind in map(type, values):
        try:
            if kind not in CONVERTERS and kind not in _PLAIN:
                _learn(kind)
        except Exception:  # noqa: BLE001, S112 - types can have arbitrary code
            continue


def _learn(kind: type) -> None:
    module = kind.__module__
    if type(module) is not str:
        return
    library, name = module.partition(".")[0], kind.__name__.rstrip("_")
    if library == "numpy" and name in _NUMPY and kind is getattr(sys.modules["numpy"], name, None):
        CONVERTERS[kind] = _NUMPY[name]
    elif library == "torch" and name in {"Tensor", "Parameter"}:
        CONVERTERS[kind] = _plain_tensor
    elif library == "jaxlib" and name == "ArrayImpl":
        CONVERTERS[kind] = _plain_array


def _plain_tensor(tensor: Any) -> Any:
    """A number or a numpy array; a tensor on a device is returned as it is."""
    if not tensor.is_cpu:
        return tensor
    return numpy_of(tensor) if tensor.dim() else tensor.item()


def _plain_array(array: Any) -> Any:
    """A number or a numpy array; a jax array on a device is returned as it is."""
    if is_on_device(array):
        return array
    return sys.modules["numpy"].asarray(array) if array.ndim else array.item()
