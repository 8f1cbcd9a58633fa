"""The methods that all contenders have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

__all__ = ["Contender"]


class Contender(Protocol):
    """Logs records of an index and a loss below a folder, as users of the tool write it."""

    #: Release of the tool, as it is installed.
    version: str

    def __init__(self, folder: Path) -> None: ...

    def log(self, losses: Sequence[float]) -> None:
        """Log all records, one by one, in a loop."""

    def close(self) -> None:
        """Return when everything is saved."""

    @staticmethod
    def count(folder: Path) -> int:
        """How many records another process finds in the folder, by the tool's own reader."""
