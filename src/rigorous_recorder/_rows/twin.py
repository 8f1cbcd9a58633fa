"""Which twin runs: the native one where it was compiled, else the pure one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING or os.environ.get("RIGOROUS_RECORDER_PURE", "0") not in {"", "0"}:
    from .pure import Known, rows_of_node
else:
    try:
        from .native import Known, rows_of_node
    except ImportError:  # nothing could be compiled where it was installed
        from .pure import Known, rows_of_node

__all__ = ["Known", "rows_of_node"]
