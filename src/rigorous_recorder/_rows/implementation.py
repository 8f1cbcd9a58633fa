"""Which backend runs: the native one where it was compiled, else the pure one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._fallback import PURE_REQUESTED

if TYPE_CHECKING or PURE_REQUESTED:
    from .pure import Known, fresh, rows_of_node
else:
    try:
        from .native import Known, fresh, rows_of_node
    except ImportError:  # nothing could be compiled where it was installed
        from .pure import Known, fresh, rows_of_node

__all__ = ["Known", "fresh", "rows_of_node"]
