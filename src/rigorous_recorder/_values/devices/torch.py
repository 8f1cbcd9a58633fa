"""Tensors of torch, also of subclasses that only add names to them.

What the caller's thread has torch do beside (modes, ``torch.compile``, autocast, ``torch.func``) neither
sees nor changes how they are copied and fetched.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import lru_cache, wraps
from typing import Any, TypeVar, TypeVarTuple

from ..kinds import Kind
from . import cuda
from .dlpack import Dlpack
from .privates import privates
from .values import DeviceValue, is_widened

__all__ = ["Torch", "numpy_of"]

_Given = TypeVarTuple("_Given")
_T = TypeVar("_T")


def _plainly(method: Callable[[*_Given], _T]) -> Callable[[*_Given], _T]:
    """Let torch do what a method calls as it is, in none of its modes.

    Nor does ``torch.compile`` take it along with the functions that it compiles: what they make may
    be in memory that their next call uses again.
    """

    def in_no_mode(*given: *_Given) -> _T:
        with privates().without_functions(), privates().without_dispatch():
            return method(*given)

    @wraps(method)
    def run(*given: *_Given) -> _T:
        known = privates()
        if known.compiler() is not None:
            uncompiled: Callable[[*_Given], _T] = _uncompiled(in_no_mode)
            return uncompiled(*given)
        if known.function_modes() or known.dispatch_modes():
            return in_no_mode(*given)
        return method(*given)  # as nearly always: to leave no modes costs a fourth of a push

    return run


@lru_cache(maxsize=16)
def _uncompiled(function: Any) -> Any:
    return sys.modules["torch"].compiler.disable(function)


class Torch(Dlpack):
    """As ``Dlpack``, by what torch itself offers."""

    def is_on_device(self, value: Any) -> bool:
        return not value.is_cpu

    @_plainly
    def detach_copy(self, kind: Kind, value: Any) -> DeviceValue | None:
        if value.is_meta or value.layout is not sys.modules["torch"].strided:
            return None
        if value.is_cuda:
            cuda.check_is_computed(value.device.index)
        tensor = _clone(value)
        return None if tensor is None else DeviceValue(kind, tensor, _stream_of(tensor))

    def queue(self, value: DeviceValue) -> Any:
        return value.tensor.device if value.stream is None else value.stream

    @_plainly
    def fetch(self, tensors: list[Any], stream: Any) -> Any:
        torch = sys.modules["torch"]
        with _nothing_else(tensors[0].device.type):
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
    return (tensor.float() if is_widened(tensor.dtype) else tensor).numpy()


def _clone(value: Any) -> Any:
    """A plain tensor of the same numbers; None of one that stands for others.

    That is one on several devices, or one that ``torch.func`` maps or differentiates.
    """
    plain = sys.modules["torch"].Tensor
    if type(value) is plain:
        tensor = (value.detach() if value.requires_grad else value).clone()
    else:
        with privates().without_subclasses():
            tensor = value.detach().clone()
    return tensor if type(tensor) is plain and not privates().is_transformed(tensor) else None


def _stream_of(tensor: Any) -> Any:
    """The queue of its device in which the work on a tensor that was just made stands."""
    if tensor.is_cuda:
        return cuda.current_stream(tensor.device.index)
    current = getattr(_module_of(tensor), "current_stream", None)
    return None if current is None else current(tensor.device)


def _module_of(tensor: Any) -> Any:
    """The part of torch for a tensor's sort of device, as ``torch.cuda``; None where there is none."""
    return getattr(sys.modules["torch"], tensor.device.type, None)


@contextmanager
def _nothing_else(kind: str) -> Iterator[None]:
    """Let torch neither change dtypes (autocast) nor derive or map (``torch.func``)."""
    off = sys.modules["torch"].autocast(kind, enabled=False) if _has_autocast(kind) else None
    with privates().without_transforms(), off or nullcontext():
        yield


def _has_autocast(kind: str) -> bool:
    """Whether this thread has it on: to leave it where it is off empties the cache of all threads."""
    torch = sys.modules["torch"]
    try:
        return bool(torch.is_autocast_enabled(kind))
    except TypeError:  # this torch has one for all devices
        return bool(torch.is_autocast_enabled())
    except RuntimeError:  # the device knows no such thing
        return False
