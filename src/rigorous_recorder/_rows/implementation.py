"""The backend in use: native if it was compiled, else the pure-Python fallback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._fallback import PURE_REQUESTED

if TYPE_CHECKING or PURE_REQUESTED:
    from .pure import Known, fresh, rows_of_node
else:
    try:
        from .native import Known, fresh, rows_of_node
    except ImportError:  # it could not be compiled on installation
        from .pure import Known, fresh, rows_of_node

__all__ = ["Known", "fresh", "rows_of_node"]
