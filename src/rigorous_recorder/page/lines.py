"""The lines of a chart over all collections: of runs, or one for each value of keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from .points import Points
from .runs import run_key
from .series import Line, State
from .workspace import Opened

__all__ = ["lines_of", "same_label"]


def lines_of(
    found: Sequence[tuple[Opened, State]], keys: int, runs: frozenset[str] | None
) -> list[tuple[Opened, Line]]:
    """The lines to draw, each with the first collection that has it.

    Args:
        found: the lines of each collection; those of several keys may be apart by runs, whose
            number and start then come last in their labels.
        keys: how many keys separate them; 0 for a line for each run.
        runs: those that count in lines over several; None for all.
    """
    every = [(opened, line) for opened, state in found for line in state.lines]
    if not keys:
        return every
    groups: dict[tuple[str, ...], list[tuple[Opened, Line]]] = {}
    for opened, line in every:
        if runs is None or _run_of(opened, line.labels[keys:]) in runs:
            name = tuple(map(same_label, line.labels[:keys]))
            groups.setdefault(name, []).append((opened, line))
    return [
        (some[0][0], Line(None, some[0][1].labels[:keys], _joined(line.points for _, line in some)))
        for some in groups.values()
    ]


def _run_of(opened: Opened, labels: Sequence[str]) -> str:
    return run_key(opened.name, int(labels[0]), float(labels[1])) if labels[-1] else ""


def same_label(label: str) -> str:
    """What equal numbers have in common, such as 1 and 1.0 in different collections."""
    with suppress(ValueError, OverflowError):
        if label.endswith(".0"):
            return str(int(float(label))) if abs(float(label)) < 1 << 53 else label
    return label


def _joined(points: Iterable[Points]) -> Points:
    several = list(points)
    if len(several) == 1:
        return several[0]
    found = Points()
    for each in several:
        for x, y in (each.arrays(), each.odd):
            found.add(x, y)
        found.lost += each.lost
    return found
