"""Torch without the modes of the caller's thread, which would see, change or compile what it is asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import lru_cache, partial, wraps
from typing import Any, TypeVar, TypeVarTuple

__all__ = ["nothing_else", "plainly"]

_Given = TypeVarTuple("_Given")
_T = TypeVar("_T")


def plainly(method: Callable[[*_Given], _T]) -> Callable[[*_Given], _T]:
    """Let what a method asks torch for be done as it is, in none of torch's modes.

    Nor does ``torch.compile`` take it along with the functions that it compiles: what they make may
    be in memory that their next call uses again.
    """

    def in_no_mode(*given: *_Given) -> _T:
        torch = sys.modules["torch"]
        with (
            torch._C.DisableTorchFunction(),
            torch.utils._python_dispatch._disable_current_modes(),
        ):
            return method(*given)

    @wraps(method)
    def run(*given: *_Given) -> _T:
        compiler, functions, dispatches = _active()
        if compiler() is not None:
            uncompiled: Callable[[*_Given], _T] = _uncompiled(in_no_mode)
            return uncompiled(*given)
        if functions() or dispatches():
            return in_no_mode(*given)
        return method(*given)  # as nearly always: to leave no modes costs a fourth of a push

    return run


@lru_cache(maxsize=1)
def _active() -> tuple[Callable[[], object], Callable[[], int], Callable[[], int]]:
    """What tells who compiles the functions that this thread calls, and how many modes it is in."""
    known = sys.modules["torch"]._C
    compiler = getattr(known._dynamo.eval_frame, "get_eval_frame_callback", None)
    return (
        compiler or partial(sys.modules.get, "torch._dynamo"),
        known._len_torch_function_stack,
        known._len_torch_dispatch_stack,
    )


@lru_cache(maxsize=16)
def _uncompiled(function: Any) -> Any:
    return sys.modules["torch._dynamo"].disable(function)


@contextmanager
def nothing_else(kind: str) -> Iterator[None]:
    """Let torch neither change dtypes (autocast) nor derive or map (``torch.func``)."""
    torch = sys.modules["torch"]
    without = getattr(torch._C, "_DisableFuncTorch", nullcontext)
    with without(), torch.autocast(kind, enabled=False) if _has_autocast(kind) else nullcontext():
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
