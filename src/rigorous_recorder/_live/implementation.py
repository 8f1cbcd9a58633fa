"""Which twin runs: the native one where it was compiled, else the pure one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .._fallback import PURE_ONES_ASKED_FOR

if TYPE_CHECKING or PURE_ONES_ASKED_FOR:
    from .pure import Buffers, Door, Pusher, Slot
else:
    try:
        from .native import Buffers, Door, Pusher, Slot
    except ImportError:  # nothing could be compiled where it was installed
        from .pure import Buffers, Door, Pusher, Slot

__all__ = ["Buffers", "Door", "Pusher", "Slot", "is_native"]

#: Whether it is the native one; the environment variable RIGOROUS_RECORDER_PURE=1 forbids it.
is_native: Final = Door.is_atomic
