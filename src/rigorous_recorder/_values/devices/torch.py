"""Tensors of torch, including subclasses that only add names.

The modes, ``torch.compile``, autocast and ``torch.func`` of the caller's thread neither see nor change how
they are copied and fetched.
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
    """Run a method outside of all torch modes.

    ``torch.compile`` does not compile it into the caller either: the results of a compiled function
    may be in memory that its next call reuses.
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
        return method(*given)  # nearly always: leaving modes takes a fourth of a push

    return run


@lru_cache(maxsize=16)
def _uncompiled(function: Any) -> Any:
    return sys.modules["torch"].compiler.disable(function)


class Torch(Dlpack):
    """Like ``Dlpack``, with torch's own functions."""

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
            # In another queue than that in which they were computed they may not be ready.
            with nullcontext() if stream is None else _module_of(tensors[0]).stream(stream):
                return numpy_of(torch.stack(tensors).cpu())


def numpy_of(tensor: Any) -> Any:
    """A torch tensor in host memory as a numpy array, which shares the memory if possible.

    Raises:
        TypeError, RuntimeError: numpy has no such dtype or layout.
    """
    if tensor.requires_grad:
        tensor = tensor.detach()
    return (tensor.float() if is_widened(tensor.dtype) else tensor).numpy()


def _clone(value: Any) -> Any:
    """A plain copy of a tensor; None for one that represents others.

    Those are on several devices, or mapped or differentiated by ``torch.func``.
    """
    plain = sys.modules["torch"].Tensor
    if type(value) is plain:
        tensor = (value.detach() if value.requires_grad else value).clone()
    else:
        with privates().without_subclasses():
            tensor = value.detach().clone()
    return tensor if type(tensor) is plain and not privates().is_transformed(tensor) else None


def _stream_of(tensor: Any) -> Any:
    """The device queue with the work of a tensor that was just created."""
    if tensor.is_cuda:
        return cuda.current_stream(tensor.device.index)
    current = getattr(_module_of(tensor), "current_stream", None)
    return None if current is None else current(tensor.device)


def _module_of(tensor: Any) -> Any:
    """The torch module for a tensor's device type, such as ``torch.cuda``; None if there is none."""
    return getattr(sys.modules["torch"], tensor.device.type, None)


@contextmanager
def _nothing_else(kind: str) -> Iterator[None]:
    """Disable dtype changes (autocast), and derivatives and maps (``torch.func``)."""
    off = sys.modules["torch"].autocast(kind, enabled=False) if _has_autocast(kind) else None
    with privates().without_transforms(), off or nullcontext():
        yield


def _has_autocast(kind: str) -> bool:
    """Whether this thread uses autocast: leaving it when it is off would clear all threads' cache."""
    torch = sys.modules["torch"]
    try:
        return bool(torch.is_autocast_enabled(kind))
    except TypeError:  # an older torch has one for all devices
        return bool(torch.is_autocast_enabled())
    except RuntimeError:  # the device has no autocast
        return False
