"""Selecting runs by number, and listing the candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import SupportsIndex

from ._display.runs import run_line
from ._engines.scanned_rows import Scope
from ._engines.source import Source
from ._runs import Past, Runs, nth_number, status_of
from ._store.store import FolderStore
from ._store.union import ReadableStore, UnionStore
from .errors import ArgumentError, UnknownExperimentError

__all__ = ["chosen_runs", "listing", "the_run"]


def the_run(
    store: ReadableStore,
    number: SupportsIndex,
    *,
    error_number: SupportsIndex | None,
    collection: str | None,
) -> Past:
    """The latest experiment with a number, in one collection.

    Args:
        collection: the name of a collection in a union; None if there is only one with the number.

    Raises:
        UnknownExperimentError: see ``chosen_runs``.
        ArgumentError: several collections have the number, or there is no collection of this name.
    """
    if collection is not None:
        return chosen_runs(_member(store, collection), number, error_number)[-1]
    found = chosen_runs(store, number, error_number)
    if isinstance(store, UnionStore):
        nodes = Source(store).now().nodes
        positions = nodes.positions_of([each.node for each in found])
        (names,) = nodes.resolved(store.key, positions).values()
        if len(having := list(dict.fromkeys(names.to_pylist()))) > 1:
            message = (
                f"{len(having)} collections have an experiment {found[0].number}: {', '.join(having)};"
                f" choose one by experiment({found[0].number}, collection={having[0]!r})"
            )
            raise ArgumentError(message)
    return found[-1]


def _member(store: ReadableStore, name: str) -> FolderStore:
    """The collection of a union with a name.

    Raises:
        ArgumentError: there is none.
    """
    if not isinstance(store, UnionStore):
        message = f"collection={name!r:.60} chooses in a union of collections; this is a single one"
        raise ArgumentError(message)
    if not (isinstance(name, str) and name in store.members):
        message = f"collection={name!r:.60}: expected one of {', '.join(store.members)}"
        raise ArgumentError(message)
    return store.members[name]


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
