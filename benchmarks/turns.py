"""Contenders that take turns, once their answers are known to be equal."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tables import median_ratio

__all__ = ["compared", "require_equal", "seconds", "take_turns"]

_TOLERANCE: Final = 1e-9
"""Sums of floats differ in their last digits by the order of their terms."""


def take_turns(
    rounds: int, *contenders: Callable[[], object], at_least: float = 0.0
) -> list[list[float]]:
    """The seconds of each contender in each round, A, B, A, B; a round before these warms up.

    Args:
        rounds: how many are timed.
        contenders: each gives its answer; all answers must be equal.
        at_least: a quick contender is called again in its turn until so many seconds are over.
    """
    require_equal(*(contender() for contender in contenders))
    runs: list[list[float]] = [[] for _ in contenders]
    for _ in range(rounds):
        for contender, found in zip(contenders, runs, strict=True):
            gc.collect()
            found.append(seconds(contender, at_least))
    return runs


def seconds(call: Callable[[], object], at_least: float = 0.0) -> float:
    """What a call takes; the mean of as many as it needs until so many seconds are over."""
    calls, start = 0, time.perf_counter()
    while True:
        call()
        calls += 1
        spent = time.perf_counter() - start
        if spent >= at_least:
            return spent / calls


def require_equal(first: object, *others: object) -> None:
    """Stop where answers differ.

    Raises:
        AssertionError: they do.
    """
    for other in others:
        if not _is_equal(first, other):
            message = f"the answers differ: {first!r} and {other!r}"
            raise AssertionError(message)


def _is_equal(first: Any, other: Any) -> bool:
    if isinstance(first, float) and isinstance(other, float):
        return math.isclose(first, other, rel_tol=_TOLERANCE)
    if isinstance(first, Mapping) and isinstance(other, Mapping):
        return first.keys() == other.keys() and all(_is_equal(first[k], other[k]) for k in first)
    if isinstance(first, list | tuple) and isinstance(other, list | tuple):
        return len(first) == len(other) and all(map(_is_equal, first, other))
    return bool(first == other)


def compared(pair: Sequence[Sequence[float]], unit: float = 1000) -> list[str]:
    """Three cells: the ratio of ours to theirs, and both in milliseconds, or 1 / unit seconds."""
    ours, theirs = pair
    digits = 2 if unit > 1 else 3
    times = [unit * statistics.median(times) for times in pair]
    return [f"{median_ratio(ours, theirs):.2f}", *(f"{each:,.{digits}f}" for each in times)]
