"""Many files that are written at once, with few of them open, and in bounded memory."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["Files"]

#: More bytes than this do not wait in memory.
_MOST: Final = 1 << 23


class Files:
    """Appends to any number of files; what was appended is there after ``flush``."""

    def __init__(self) -> None:
        self._waiting: dict[Path, list[bytes]] = {}
        self._size = 0

    def append(self, path: Path, data: bytes) -> None:
        """Append to a file, which is created with its folder if there is none."""
        self._waiting.setdefault(path, []).append(data)
        self._size += len(data)
        if self._size > _MOST:
            self.flush()

    def flush(self) -> None:
        """Write all that waits."""
        for path, parts in self._waiting.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(b"".join(parts))
        self._waiting.clear()
        self._size = 0
