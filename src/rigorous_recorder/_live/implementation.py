"""The backend in use: native if it was compiled, else the pure-Python fallback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .._fallback import PURE_REQUESTED

if TYPE_CHECKING or PURE_REQUESTED:
    from .pure import NO_CELLS, Buffers, FastPath, Pack, Pusher, Slot
else:
    try:
        from .native import NO_CELLS, Buffers, FastPath, Pack, Pusher, Slot
    except ImportError:  # it could not be compiled on installation
        from .pure import NO_CELLS, Buffers, FastPath, Pack, Pusher, Slot

__all__ = ["NO_CELLS", "Buffers", "FastPath", "Pack", "Pusher", "Slot", "is_native"]

#: Whether it is native; the environment variable RIGOROUS_RECORDER_PURE=1 disables that.
is_native: Final = FastPath.is_atomic
