"""Which backend runs: the native one where it was compiled, else the pure one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .._fallback import PURE_REQUESTED

if TYPE_CHECKING or PURE_REQUESTED:
    from .pure import Buffers, FastPath, Pusher, Slot
else:
    try:
        from .native import Buffers, FastPath, Pusher, Slot
    except ImportError:  # nothing could be compiled where it was installed
        from .pure import Buffers, FastPath, Pusher, Slot

__all__ = ["Buffers", "FastPath", "Pusher", "Slot", "is_native"]

#: Whether it is the native one; the environment variable RIGOROUS_RECORDER_PURE=1 forbids it.
is_native: Final = FastPath.is_atomic
