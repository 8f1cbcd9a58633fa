"""Selecting runs by number, and listing the candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import SupportsIndex

from ._display.runs import run_line
from ._engines.scanned_rows import Scope
from ._engines.source import Source
from ._runs import Past, Runs, nth_number, status_of
from ._store.union import ReadableStore
from .errors import UnknownExperimentError

__all__ = ["chosen_runs", "listing"]


def chosen_runs(
    store: ReadableStore,
    number: SupportsIndex,
    error_number: SupportsIndex | None,
    *,
    advice: str = "",
) -> list[Past]:
    """The experiments with a number, in order of start, or only the one with ``error_number``.

    Raises:
        UnknownExperimentError: there is none with the number, or none of them has ``error_number``.
    """
    runs = Runs(Source(store).now().nodes)
    found = runs.numbered(nth_number(runs.numbers, number, advice=advice))
    if error_number is None:
        return found
    chosen = [each for each in found if each.error_number == error_number]
    if not chosen:
        message = (
            f"experiment {found[0].number} has no run with error_number {error_number}:"
            f"{listing(store, found)}"
        )
        raise UnknownExperimentError(message)
    return chosen


def listing(store: ReadableStore, past: Sequence[Past]) -> str:
    """Experiments, one per line, with what distinguishes them."""
    source = Source(store)
    nodes = source.now().nodes
    data = nodes.own_data(nodes.positions_of([each.node for each in past]))
    return "".join(
        f"\n  {run_line(each_data, status_of(store, each), source.scan(Scope(each.node), ()).row_count())}"
        for each, each_data in zip(past, data, strict=True)
    )
