"""Whether the pure-Python fallbacks are requested although native ones may be available."""

from __future__ import annotations

import os
from typing import Final

__all__ = ["PURE_REQUESTED"]

PURE_REQUESTED: Final = os.environ.get("RIGOROUS_RECORDER_PURE", "0") not in {"", "0"}
