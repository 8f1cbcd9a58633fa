"""The one line that a script answers."""

from __future__ import annotations

import os
from typing import TextIO

__all__ = ["take_stdout"]


def take_stdout() -> TextIO:
    """Standard output, for the answer alone: whatever chats from now on does so on stderr."""
    answer = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return answer
