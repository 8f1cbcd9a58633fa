"""Undocumented features of torch; a release that changes them only breaks this module."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any

__all__ = ["Privates", "privates"]


class Privates:
    """Each feature by purpose, replaced by the closest alternative if this torch lacks it."""

    def __init__(self, torch: Any) -> None:
        core = torch._C

        #: The compiler of the functions that this thread calls; None if there is none.
        self.compiler: Callable[[], object] = (
            _found(core, "_dynamo.eval_frame.get_eval_frame_callback") or _loaded_compiler
        )

        #: The number of modes of this thread; at least one if unknown.
        self.function_modes: Callable[[], int] = _found(core, "_len_torch_function_stack") or _some
        self.dispatch_modes: Callable[[], int] = _found(core, "_len_torch_dispatch_stack") or _some

        #: Contexts in which torch uses no modes, subclasses, or ``torch.func``.
        self.without_functions: _Context = _found(core, "DisableTorchFunction") or nullcontext
        self.without_subclasses: _Context = (
            _found(core, "DisableTorchFunctionSubclass") or self.without_functions
        )
        self.without_dispatch: _Context = (
            _found(torch, "utils._python_dispatch._disable_current_modes") or nullcontext
        )
        self.without_transforms: _Context = _found(core, "_DisableFuncTorch") or nullcontext

        #: Whether a tensor is a wrapper of ``torch.func``, which stands for many tensors.
        self.is_transformed: Callable[[Any], bool] = (
            _found(core, "_functorch.is_functorch_wrapped_tensor") or _never
        )

        #: Identifies the stream of this thread on a GPU, twenty times faster than the public API.
        self.raw_stream: Callable[[int], int] | None = _found(core, "_cuda_getCurrentRawStream")


_Context = Callable[[], AbstractContextManager[Any]]


def _found(start: Any, path: str) -> Any:
    """The object at a path of attributes; None if one is missing."""
    for name in path.split("."):
        start = getattr(start, name, None)
    return start


def _loaded_compiler() -> object:
    return sys.modules.get("torch._dynamo")


def _some() -> int:
    return 1


def _never(_tensor: Any) -> bool:
    return False


@lru_cache(maxsize=1)
def privates() -> Privates:
    """The features of the loaded torch."""
    return Privates(sys.modules["torch"])
