"""Requirements of the operating system: importing this raises a clear error if one is missing."""

from __future__ import annotations

import os
import sys

from .errors import UnsupportedSystemError

__all__: list[str] = []

try:
    import fcntl as _locks
except ImportError:
    _locks = None  # type: ignore[assignment]

if _locks is None or not hasattr(os, "pwrite"):
    message = (
        "rigorous-recorder runs on Linux, macOS and other POSIX systems. This one"
        f" ({sys.platform}) has no os.pwrite or no fcntl, by which records survive a crash. On"
        " Windows, use it in WSL (Windows Subsystem for Linux)"
    )
    raise UnsupportedSystemError(message)
