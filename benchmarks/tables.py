"""Markdown tables, and the two numbers that they show: a median, and a ratio of paired runs."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

__all__ = ["median_ratio", "print_table", "quantile"]


def print_table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a Markdown table below a heading; all columns but the first are numbers."""
    print(f"\n### {title}\n")
    _print_row(head)
    _print_row(["---", *("---:" for _ in head[1:])])
    for row in rows:
        _print_row(row)


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios of runs that took turns, so that both met the same neighbours."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which that share of the ordered values is."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _print_row(cells: Iterable[str]) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)
