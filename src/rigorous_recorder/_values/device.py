"""Tensors on a device: kept as they are, and fetched many at once, without a wait for each.

To ask a GPU for a number stops the program until all that it was given to do is done. A value that
is on a device is therefore copied there, which nobody waits for, and its kind is known by its dtype
and shape; its numbers are asked for when somebody needs them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .._lazy import lazy_module
from .arrays import DTYPES, ArrayKind
from .kinds import BOOL, FLOAT, INT, Kind

np = lazy_module("numpy", install="numpy")

__all__ = ["DeviceValue", "device_value", "fetch", "is_on_device"]

#: DLPack's numbers of memory that the processor reads without asking a device.
_HOST: Final = {1, 3, 11}  # kDLCPU, kDLCUDAHost, kDLROCMHost
_BFLOAT16: Final = "bfloat16"


@dataclass(frozen=True)
class DeviceValue:
    """A tensor as it was when it was logged, still on its device."""

    kind: Kind
    tensor: Any


def is_on_device(value: Any) -> bool:
    """Whether the processor would have to wait for the value."""
    if _library(value) == "torch":
        return bool(value.device.type != "cpu")
    place = getattr(value, "__dlpack_device__", None)
    return place is not None and int(place()[0]) not in _HOST


def device_value(value: Any) -> DeviceValue | None:
    """A copy of a tensor on its device; None where its kind can't be told without its numbers."""
    dtype = str(value.dtype).rpartition(".")[2]
    kind = _kind(dtype, tuple(int(size) for size in value.shape))
    return None if kind is None else DeviceValue(kind, _copy(value))


def fetch(values: Sequence[DeviceValue]) -> list[Any]:
    """The plain values: numbers and numpy arrays; those of one sort are fetched at once."""
    groups: dict[Any, list[int]] = {}
    for index, value in enumerate(values):
        sort = _library(value.tensor), value.kind, _place(value.tensor)
        groups.setdefault(sort, []).append(index)
    found: list[Any] = [None] * len(values)
    for (library, kind, _), indexes in groups.items():
        arrays = _FETCH.get(library, _fetch_others)([values[index].tensor for index in indexes])
        for index, array in zip(indexes, arrays, strict=True):
            found[index] = _plain(kind, array)
    return found


def _library(value: Any) -> str:
    return type(value).__module__.partition(".")[0]


def _place(tensor: Any) -> str:
    """What tensors have in common that can be stacked."""
    return f"{tensor.dtype} {getattr(tensor, 'device', None)}"


def _kind(dtype: str, shape: tuple[int, ...]) -> Kind | None:
    dtype = "float32" if dtype == _BFLOAT16 else dtype
    if not shape:
        if dtype == "uint64":
            return None  # it may be beyond 64 bits with a sign
        family = {"bool": BOOL, "int": INT, "uint": INT, "float": FLOAT}
        return family.get(dtype.rstrip("0123456789"))
    return ArrayKind.of(dtype, shape) if dtype in DTYPES and 0 not in shape else None


def _copy(value: Any) -> Any:
    """What later changes of the tensor, as by ``+=``, leave alone; made without a wait."""
    if _library(value) == "torch":
        return value.detach().clone()
    return value.copy() if hasattr(value, "copy") else value


def _fetch_torch(tensors: list[Any]) -> Iterable[Any]:
    stacked = sys.modules["torch"].stack(tensors)
    if str(stacked.dtype).endswith(_BFLOAT16):
        stacked = stacked.float()
    return list(stacked.cpu().numpy())


def _fetch_jax(tensors: list[Any]) -> Iterable[Any]:
    fetched: list[Any] = sys.modules["jax"].device_get(tensors)
    return fetched


def _fetch_others(tensors: list[Any]) -> Iterable[Any]:
    return [each.get() if hasattr(each, "get") else np.asarray(each) for each in tensors]


_FETCH: Final = {"torch": _fetch_torch, "jax": _fetch_jax, "jaxlib": _fetch_jax}


def _plain(kind: Kind, array: Any) -> Any:
    if isinstance(kind, ArrayKind):
        return np.ascontiguousarray(array, dtype=kind.dtype)
    number = np.asarray(array)
    return (number.astype("float64") if kind == FLOAT else number).item()
