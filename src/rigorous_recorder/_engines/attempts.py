"""Attempts at experiments that were resumed, and which recorders of them take each other's place."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .._lazy import lazy_module
from .._tree import ATTEMPT_KEYS, FIRST_KEYS, Nodes
from .._values.kinds import BOOL, FLOAT, INT, JSON, TEXT
from .conditions import any_valid

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    pa = lazy_module("pyarrow")
    pc = lazy_module("pyarrow.compute")

__all__ = ["Attempt", "Places", "attempts", "last_attempts", "places_of"]

#: Of these kinds are attributes that tell recorders of one attempt apart; times differ anyway.
_TELLING: Final = frozenset({TEXT, BOOL, INT, FLOAT, JSON})


class Attempt(NamedTuple):
    """An attempt at an experiment that was resumed.

    Attributes:
        number: from 2 on; the first attempt is the experiment itself.
        position: of its node.
        experiment: position of the experiment's node.
    """

    number: int
    position: int
    experiment: int


def attempts(nodes: Nodes) -> list[Attempt]:
    """All attempts from the second on."""
    found: list[Attempt] = []
    for column, values in nodes.own(ATTEMPT_KEYS[0]).items():
        if column.kind != INT:
            continue
        at = pc.indices_nonzero(pc.greater(values, 1).fill_null(False)).cast(pa.int64())
        at = at.filter(any_valid(nodes.own(ATTEMPT_KEYS[1], at), len(at)))  # no key of a user's
        numbers, above = values.take(at).to_pylist(), nodes.parents.take(at).to_pylist()
        for number, position, parent in zip(numbers, at.to_pylist(), above, strict=True):
            if parent is not None:
                found.append(Attempt(number, position, parent))
    return found


def last_attempts(nodes: Nodes) -> dict[int, Attempt]:
    """The last attempt directly below each node that has any, by the node's position."""
    found: dict[int, Attempt] = {}
    for each in attempts(nodes):
        known = found.get(each.experiment)
        if known is None or known.number < each.number:
            found[each.experiment] = each
    return found


class Places(NamedTuple):
    """Of each node, by position: its place in a resumed experiment, and in which attempt it is.

    Nodes of several attempts that have one place take each other's. Null for nodes that are in no
    resumed experiment.
    """

    place: pa.Array
    attempt: pa.Array


def places_of(
    nodes: Nodes, found: Sequence[Attempt], measured: Collection[int], ignored: Collection[str]
) -> Places:
    """The places of all nodes.

    A node's place is that of its parent and the attributes that it was begun with; that of an
    attempt is the experiment's.

    Args:
        found: all attempts.
        measured: positions of nodes whose attributes are results of an attempt, not just its plan:
            of these only text tells them apart.
        ignored: keys that tell no nodes apart.
    """
    tops, numbers = {each.experiment for each in found}, {each.position: each for each in found}
    below = nodes.positions(nodes.below(*nodes.ids.take(pa.array(sorted(tops))).to_pylist()))
    positions = below.take(pc.sort_indices(below))  # ancestors first
    plans, texts = _begun_with(nodes, positions, ignored)
    place: list[int | None] = [None] * nodes.count
    attempt: list[int | None] = [None] * nodes.count
    known: dict[Any, int] = {}
    parents = nodes.parents.take(positions).to_pylist()
    for at, parent, plan, text in zip(positions.to_pylist(), parents, plans, texts, strict=True):
        if at in numbers:
            place[at], attempt[at] = place[parent], numbers[at].number
        elif at in tops:
            place[at], attempt[at] = known.setdefault(at, len(known)), 1
        else:
            said = text if at in measured else plan
            place[at] = known.setdefault((place[parent], said), len(known))
            attempt[at] = attempt[parent]
    return Places(pa.array(place, pa.int64()), pa.array(attempt, pa.int64()))


def _begun_with(
    nodes: Nodes, positions: pa.Array, ignored: Collection[str]
) -> tuple[Sequence[tuple[int, ...]], Sequence[tuple[int, ...]]]:
    """For each node numbers that stand for what it was begun with: for all of it, and for text."""
    passed = {*FIRST_KEYS, *ignored}
    plans, texts = [], []
    for column, values in nodes.said_first(positions).items():
        if column.kind in _TELLING and column.key not in passed:
            codes = values.dictionary_encode(null_encoding="encode").indices.to_pylist()
            plans.append(codes)
            if column.kind == TEXT:
                texts.append(codes)
    nothing: Any = [()] * len(positions)
    return list(zip(*plans, strict=True)) or nothing, list(zip(*texts, strict=True)) or nothing
