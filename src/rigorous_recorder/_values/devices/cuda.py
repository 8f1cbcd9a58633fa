"""Fetching torch's CUDA tensors without disturbing a training.

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
    """A value is of a CUDA graph that is being captured: it has yet to be computed."""


def is_capturing(device: int) -> bool:
    """Whether what this thread asks a GPU for is not done, but captured in a CUDA graph."""
    gpu = sys.modules["torch"].cuda
    if gpu.current_device() == device:
        return bool(gpu.is_current_stream_capturing())
    with gpu.device(device):
        return bool(gpu.is_current_stream_capturing())


def check_is_computed(device: int) -> None:
    """Refuse values of a CUDA graph that is being captured.

    Raises:
        NotComputedError: the thread's stream on that device is being captured.
    """
    if is_capturing(device):
        message = (
            "nothing is computed while a CUDA graph is captured; log its output after replay()"
        )
        raise NotComputedError(message)


def current_stream(device: int) -> Any:
    """The stream of this thread on a device, as one object for each stream."""
    raw = privates().raw_stream
    if raw is None:
        return sys.modules["torch"].cuda.current_stream(device)
    return _stream(device, raw(device))


@lru_cache(maxsize=1024)
def _stream(device: int, _raw: int) -> Any:
    return sys.modules["torch"].cuda.current_stream(device)


def fetch(tensors: list[Any], stream: Any) -> Any:
    """The tensors, of one shape and one device, as one in the processor's memory.

    The thread sleeps until the work in their stream that was there before is done.
    """
    torch = sys.modules["torch"]
    # In another stream than that in which they were computed they may not be there yet.
    with _beside_captures(), _in_stream(stream):
        try:
            return _asleep(torch.stack(tensors))
        except RuntimeError:  # the GPU is full, or no more memory can be pinned
            return torch.stack([tensor.cpu() for tensor in tensors])


@contextmanager
def _in_stream(stream: Any) -> Iterator[None]:
    """Work in a stream; where that is being captured in another one, which would have no results.

    Torch waits for all that a GPU has to do before it captures, so what was logged is there.
    """
    gpu = sys.modules["torch"].cuda
    with gpu.stream(stream):
        if gpu.is_current_stream_capturing():
            with _in_stream(gpu.Stream()):  # they are given out in turn: it can be the same
                yield
        else:
            yield


def _asleep(tensor: Any) -> Any:
    """A tensor in memory that can't be paged out: into any other one torch copies in a busy wait.

    Raises:
        RuntimeError: there is no such memory, or what computes the tensor failed.
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
    """Let this thread ask the GPU for what it likes while another one captures a graph.

    By CUDA's default a capture is void once any thread asks for memory or waits for an event.
    """
    exchange = _exchange_capture_mode()
    if exchange is None:
        yield
        return
    mode = ctypes.c_int(_RELAXED)
    exchange(ctypes.byref(mode))  # it puts there what the mode was
    try:
        yield
    finally:
        exchange(ctypes.byref(mode))


@lru_cache(maxsize=1)
def _exchange_capture_mode() -> Any:
    """The driver's cuThreadExchangeStreamCaptureMode; None where it has none."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        return ctypes.CDLL(name).cuThreadExchangeStreamCaptureMode
    except (OSError, AttributeError):
        return None
