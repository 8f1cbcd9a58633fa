"""Tensors on a device: kept as they are, and fetched many at once, without a wait for each.

To ask a GPU for a number stops the program until all that it was given to do is done. A value that
is on a device is therefore copied there, which nobody waits for, and its kind is known by its dtype
and shape; its numbers are asked for when somebody needs them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import lru_cache
from typing import Any, Final, NamedTuple

from .._lazy_imports import np
from . import cuda
from .arrays import DTYPES, ArrayKind
from .kinds import BOOL, FLOAT, INT, Kind
from .modes import nothing_else, plainly

__all__ = [
    "WIDENED",
    "DeviceValue",
    "Lost",
    "batch_by_device",
    "device_value",
    "fetch_each",
    "is_on_device",
    "library_of",
    "numpy_of",
]

#: DLPack's numbers of memory that the processor reads without asking a device.
_HOST: Final = {1, 3, 11}  # kDLCPU, kDLCUDAHost, kDLROCMHost
#: From so many numbers on one copy of all is less than one of each.
_SEVERAL: Final = 2
#: Dtypes that numpy has not, and the one in which their values are kept, exactly.
WIDENED: Final = dict.fromkeys(
    [
        "bfloat16",
        "float8_e4m3fn",
        "float8_e4m3fnuz",
        "float8_e5m2",
        "float8_e5m2fnuz",
        "float8_e8m0fnu",
    ],
    "float32",
)
#: The numpy dtypes of plain numbers. A uint64 may be beyond 64 bits with a sign: it is read at once.
_NUMBERS: Final[dict[Kind, str]] = {BOOL: "bool", INT: "int64", FLOAT: "float64"}
_FAMILIES: Final[dict[str, Kind]] = {
    "bool": BOOL,
    **{name: FLOAT if name[0] == "f" else INT for name in DTYPES if name != "uint64"},
}


class DeviceValue:
    """A tensor as it was when it was logged, still on its device.

    Args:
        kind: what it is stored as.
        tensor: the tensor.
        stream: where the device's work for it was queued; None where the device has but one queue.
    """

    __slots__ = ("kind", "stream", "tensor")

    def __init__(self, kind: Kind, tensor: Any, stream: Any = None) -> None:
        self.kind = kind
        self.tensor = tensor
        self.stream = stream


class Lost(NamedTuple):
    """In place of a value that could not be fetched: why."""

    error: Exception


def library_of(value: Any) -> str:
    """The library whose array a value is: torch, jax, or that of its own type."""
    kind: Any = type(value)
    return _known(kind)[0]


def is_on_device(value: Any) -> bool:
    """Whether the processor would have to wait for the value; False where it does not say so."""
    kind: Any = type(value)
    try:
        return _known(kind)[1].is_on_device(value)
    except Exception:  # noqa: BLE001 - whatever it raises, the ordinary way says what is wrong
        return False


def device_value(value: Any) -> DeviceValue | None:
    """A copy of a tensor on its device; None where it is to be read at once.

    That is where its kind can't be told without its numbers, and where it has no numbers at all.

    Raises:
        NotComputedError: it is of a CUDA graph that is being captured.
    """
    try:
        kind = _kind(value.dtype, tuple(map(int, value.shape)))
        return None if kind is None else _arrays_of(value).keep(kind, value)
    except cuda.NotComputedError:
        raise
    except Exception:  # noqa: BLE001 - whatever it raises, the ordinary way says what is wrong
        return None


def batch_by_device(fields: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """A record's fields; torch's numbers on one device, if they are several, as ``DeviceValue``.

    They are copied by one call: to a training in which Python is the slower one calls are what counts.
    """
    try:
        tensors = {key: value for key, value in fields.items() if _is_tensor(type(value))}
        if len(tensors) < _SEVERAL:
            return fields
        return {**fields, **_TORCH.batch_by_device(tensors)}
    except Exception:  # noqa: BLE001 - whatever it raises, it is told where each value is kept
        return fields


def _is_tensor(kind: type) -> bool:
    """Whether it is torch's own type, without a look at torch, which would import one that is lazy."""
    return kind.__name__ == "Tensor" and kind.__module__ == "torch"


def fetch_each(values: Sequence[DeviceValue]) -> list[Any]:
    """The plain values: numbers and numpy arrays; those of one sort are fetched at once.

    In place of a value that can't be fetched there is a ``Lost``, which costs no other.
    """
    groups: dict[Any, list[int]] = {}
    for index, value in enumerate(values):
        try:
            groups.setdefault(_sort(value), []).append(index)
        except Exception:  # noqa: BLE001 - whatever it raises costs no other value
            groups[index] = [index]
    found: list[Any] = [None] * len(values)
    for indexes in groups.values():
        fetched = _fetch_group([values[index] for index in indexes])
        for index, plain in zip(indexes, fetched, strict=True):
            found[index] = plain
    return found


def _sort(value: DeviceValue) -> Any:
    """What values that are fetched at once have in common."""
    tensor = value.tensor
    # The kind of a dtype and a shape is one object: its id is known faster than its hash.
    return type(tensor), id(value.kind), tensor.dtype, _arrays_of(tensor).queue(value)


def _fetch_group(group: list[DeviceValue]) -> list[Any]:
    first = group[0]
    try:
        stacked = _arrays_of(first.tensor).fetch([each.tensor for each in group], first.stream)
        return _plain(first.kind, stacked, len(group))
    except Exception as error:  # noqa: BLE001 - whatever a device's library raises
        if len(group) == 1:
            return [Lost(error)]
        return [plain for each in group for plain in _fetch_group([each])]


def _plain(kind: Kind, stacked: Any, count: int) -> list[Any]:
    """The values of a numpy array, one for each of its rows.

    Raises:
        ValueError, TypeError: they are not what dtype and shape of their tensors said.
    """
    shape, dtype = (kind.shape, kind.dtype) if isinstance(kind, ArrayKind) else ((), _NUMBERS[kind])
    if stacked.shape != (count, *shape):
        message = f"expected {count} values of shape {shape}, not an array of shape {stacked.shape}"
        raise ValueError(message)
    exact = stacked.astype(dtype, order="C", casting="safe", copy=False)
    return list(exact) if shape else exact.tolist()


@lru_cache(maxsize=1024)
def _kind(dtype: Any, shape: tuple[int, ...]) -> Kind | None:
    name = WIDENED.get(_name(dtype), _name(dtype))
    if not shape:
        return _FAMILIES.get(name)
    return ArrayKind.of(name, shape) if name in DTYPES and 0 not in shape else None


def _name(dtype: Any) -> str:
    return str(dtype).rpartition(".")[2]


@lru_cache(maxsize=256)
def _is_widened(dtype: Any) -> bool:
    return _name(dtype) in WIDENED


class _Arrays:
    """Arrays of any library that says where they are as DLPack does, and has them copied."""

    def is_on_device(self, value: Any) -> bool:
        """Whether the processor would have to wait for the value."""
        place = getattr(value, "__dlpack_device__", None)
        return place is not None and int(place()[0]) not in _HOST

    def keep(self, kind: Kind, value: Any) -> DeviceValue | None:
        """What later changes of the value, as by ``+=``, leave alone; made without a wait."""
        is_read = hasattr(value, "get") or hasattr(value, "__array__")
        return DeviceValue(kind, value.copy()) if is_read else None

    def queue(self, value: DeviceValue) -> Any:
        """The place from which values can be fetched together, to be hashed."""
        return str(getattr(value.tensor, "device", None))

    def fetch(self, tensors: list[Any], _stream: Any) -> Any:
        """One numpy array of all values, which have one dtype and one shape."""
        return np.stack([t.get() if hasattr(t, "get") else np.asarray(t) for t in tensors])


class _Torch(_Arrays):
    """Tensors of torch; also those of subclasses that only add names to them."""

    def is_on_device(self, value: Any) -> bool:
        return not value.is_cpu

    @plainly
    def keep(self, kind: Kind, value: Any) -> DeviceValue | None:
        if value.is_meta or value.layout is not sys.modules["torch"].strided:
            return None
        if value.is_cuda:
            cuda.check_is_computed(value.device.index)
        tensor = _clone(value)
        return None if tensor is None else DeviceValue(kind, tensor, _stream_of(tensor))

    @plainly
    def batch_by_device(self, fields: Mapping[Any, Any]) -> dict[Any, DeviceValue]:
        """Those numbers that are on one device and of one dtype, where there are several."""
        torch = sys.modules["torch"]
        groups: dict[Any, list[Any]] = {}
        for key, value in fields.items():
            is_number = not value.dim() and value.layout is torch.strided and not value.is_meta
            if is_number and self.is_on_device(value) and not _is_wrapped()(value):
                groups.setdefault((value.dtype, value.device), []).append(key)
        kept: dict[Any, DeviceValue] = {}
        for (dtype, place), keys in groups.items():
            kind = _kind(dtype, ())
            if kind is None or len(keys) < _SEVERAL:
                continue
            if place.type == "cuda" and cuda.is_capturing(place.index):
                continue
            copies = torch.stack([_without_history(fields[key]) for key in keys])
            if not _is_plain(copies):
                continue
            stream = _stream_of(copies)
            kept.update(
                (key, DeviceValue(kind, copy, stream))
                for key, copy in zip(keys, copies.unbind(), strict=True)
            )
        return kept

    def queue(self, value: DeviceValue) -> Any:
        return value.tensor.device if value.stream is None else value.stream

    @plainly
    def fetch(self, tensors: list[Any], stream: Any) -> Any:
        torch = sys.modules["torch"]
        with nothing_else(tensors[0].device.type):
            if tensors[0].is_cuda:
                return numpy_of(cuda.fetch(tensors, stream))
            # In another queue than that in which they were computed they may not be there yet.
            with nullcontext() if stream is None else _module_of(tensors[0]).stream(stream):
                return numpy_of(torch.stack(tensors).cpu())


def numpy_of(tensor: Any) -> Any:
    """A torch tensor in the processor's memory as a numpy array, which shares it where it can.

    Raises:
        TypeError, RuntimeError: numpy has nothing like it.
    """
    if tensor.requires_grad:
        tensor = tensor.detach()
    return (tensor.float() if _is_widened(tensor.dtype) else tensor).numpy()


def _clone(value: Any) -> Any:
    """A plain tensor of the same numbers; None of one that stands for others.

    That is one on several devices, or one that ``torch.func`` maps or differentiates.
    """
    torch = sys.modules["torch"]
    if type(value) is torch.Tensor:
        tensor = _without_history(value).clone()
    else:
        with torch._C.DisableTorchFunctionSubclass():
            tensor = value.detach().clone()
    return tensor if _is_plain(tensor) else None


def _is_plain(tensor: Any) -> bool:
    """Whether it is a tensor by itself, not one that ``torch.func`` or a mode of torch stands behind."""
    return type(tensor) is sys.modules["torch"].Tensor and not _is_wrapped()(tensor)


def _without_history(tensor: Any) -> Any:
    return tensor.detach() if tensor.requires_grad else tensor


@lru_cache(maxsize=1)
def _is_wrapped() -> Callable[[Any], bool]:
    functorch = getattr(sys.modules["torch"]._C, "_functorch", None)
    found: Callable[[Any], bool] = getattr(
        functorch, "is_functorch_wrapped_tensor", lambda _: False
    )
    return found


def _stream_of(tensor: Any) -> Any:
    """The queue of its device in which the work on a tensor that was just made stands."""
    if tensor.is_cuda:
        return cuda.current_stream(tensor.device.index)
    current = getattr(_module_of(tensor), "current_stream", None)
    return None if current is None else current(tensor.device)


def _module_of(tensor: Any) -> Any:
    """The part of torch for a tensor's sort of device, as ``torch.cuda``; None where there is none."""
    return getattr(sys.modules["torch"], tensor.device.type, None)


class _Jax(_Arrays):
    """Arrays of jax, also those of which there is a part or a copy on each of many devices."""

    def is_on_device(self, value: Any) -> bool:
        return any(device.platform != "cpu" for device in value.devices())

    def keep(self, kind: Kind, value: Any) -> DeviceValue | None:
        if value.is_fully_replicated:  # one is enough, and asks no other process for anything
            value = value.addressable_data(0)
        elif not value.is_fully_addressable:
            return None
        array = value.copy()  # its memory can be given away to a later computation
        return DeviceValue(kind, array) if type(array) is type(value) else None

    def fetch(self, tensors: list[Any], _stream: Any) -> Any:
        return np.stack(sys.modules["jax"].device_get(tensors))


_OTHERS: Final = _Arrays()
_TORCH: Final = _Torch()
_LIBRARIES: Final[dict[str, _Arrays]] = {"torch": _TORCH, "jax": _Jax(), "jaxlib": _Jax()}


def _arrays_of(value: Any) -> _Arrays:
    kind: Any = type(value)
    return _known(kind)[1]


@lru_cache(maxsize=1024)
def _known(kind: Any) -> tuple[str, _Arrays]:
    """A type's library by name, and how values of it are kept and fetched."""
    names = [str(base.__module__).partition(".")[0] for base in kind.__mro__]
    for name in names:
        if name in _LIBRARIES:
            return name, _LIBRARIES[name]
    return names[0], _OTHERS
