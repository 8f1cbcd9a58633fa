"""What an export gives to a target, and what the target gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .study import Study

__all__ = ["Losses", "Target"]


class Losses:
    """What a target can't hold: one line for each kind, with its number of cases."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def add(self, text: str, count: int = 1) -> None:
        """Count cases of a kind: what it is, and what became of it."""
        if count:
            self.counts[text] = self.counts.get(text, 0) + count

    def lines(self) -> list[str]:
        """The lines, in order of their first case."""
        return [f"{text} ({count:,})" for text, count in self.counts.items()]


@dataclass(frozen=True, slots=True)
class Target:
    """A format to export to.

    Args:
        name: what is typed: ``tensorboard``.
        title: the tool's own name.
        write: writes a study to a path at which nothing exists, as a folder.
        reading: how the tool opens it, with ``{}`` for the path.
    """

    name: str
    title: str
    write: Callable[[Study, Path, Losses], None]
    reading: str = field(default="")
