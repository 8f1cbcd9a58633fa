"""Fetching torch's CUDA tensors without affecting the training.

They are mostly fetched on a background thread, which must neither keep a core busy while it waits for
the GPU nor invalidate a CUDA graph that another thread is capturing at the same time.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final

from ..._lazy_imports import ctypes
from .privates import privates

__all__ = ["NotComputedError", "check_is_computed", "current_stream", "fetch", "is_capturing"]

_RELAXED: Final = 2  # CU_STREAM_CAPTURE_MODE_RELAXED


class NotComputedError(RuntimeError):
    """A value belongs to a CUDA graph that is being captured, and is not computed yet."""


def is_capturing(device: int) -> bool:
    """Whether GPU work of this thread is captured in a CUDA graph instead of being executed."""
    gpu = sys.modules["torch"].cuda
    if gpu.current_device() == device:
        return bool(gpu.is_current_stream_capturing())
    with gpu.device(device):
        return bool(gpu.is_current_stream_capturing())


def check_is_computed(device: int) -> None:
    """Raise for values of a CUDA graph that is being captured.

    Raises:
        NotComputedError: the thread's stream on this device is being captured.
    """
    if is_capturing(device):
        message = (
            "values of a CUDA graph are not computed during capture; log its output after replay()"
        )
        raise NotComputedError(message)


def current_stream(device: int) -> Any:
    """The stream of this thread on a device, as a unique object for each stream."""
    raw = privates().raw_stream
    if raw is None:
        return sys.modules["torch"].cuda.current_stream(device)
    return _stream(device, raw(device))


@lru_cache(maxsize=1024)
def _stream(device: int, _raw: int) -> Any:
    return sys.modules["torch"].cuda.current_stream(device)


def fetch(tensors: list[Any], stream: Any) -> Any:
    """The tensors, of the same shape and device, as one tensor in host memory.

    The thread sleeps until the work queued in their stream is done.
    """
    torch = sys.modules["torch"]
    # In another stream than that in which they were computed they may not be ready.
    with _beside_captures(), _in_stream(stream):
        try:
            return _asleep(torch.stack(tensors))
        except RuntimeError:  # the GPU is full, or no more host memory can be pinned
            return torch.stack([tensor.cpu() for tensor in tensors])


@contextmanager
def _in_stream(stream: Any) -> Iterator[None]:
    """Use a stream; another one if it is being captured, because it would not execute anything.

    Torch synchronizes a GPU before capturing, so what was logged is computed.
    """
    gpu = sys.modules["torch"].cuda
    with gpu.stream(stream):
        if gpu.is_current_stream_capturing():
            with _in_stream(gpu.Stream()):  # streams are pooled: it can be the same
                yield
        else:
            yield


def _asleep(tensor: Any) -> Any:
    """Copy a tensor to pinned host memory: copies to other memory are busy waits in torch.

    Raises:
        RuntimeError: pinned memory is not available, or computing the tensor failed.
    """
    torch = sys.modules["torch"]
    found = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu", pin_memory=True)
    found.copy_(tensor, non_blocking=True)
    done = torch.cuda.Event(blocking=True)
    done.record()
    done.synchronize()
    return found


@contextmanager
def _beside_captures() -> Iterator[None]:
    """Allow arbitrary GPU calls of this thread while another one captures a graph.

    By default, CUDA invalidates a capture if any thread allocates memory or waits for an event.
    """
    exchange = _exchange_capture_mode()
    if exchange is None:
        yield
        return
    mode = ctypes.c_int(_RELAXED)
    exchange(ctypes.byref(mode))  # replaces it by the previous mode
    try:
        yield
    finally:
        exchange(ctypes.byref(mode))


@lru_cache(maxsize=1)
def _exchange_capture_mode() -> Any:
    """The driver's cuThreadExchangeStreamCaptureMode; None if it is not available."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        return ctypes.CDLL(name).cuThreadExchangeStreamCaptureMode
    except (OSError, AttributeError):
        return None
