"""Attempts at resumed experiments, and which of their recorders replace each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from .._arrow import pa, pc
from .._keys import ATTEMPT_KEYS, EXPERIMENT_KEYS, FIRST_KEYS
from .._tree.columns import any_valid
from .._tree.nodes import Nodes
from .._values.chunks import int64_array, int64_scalar
from .._values.kinds import BOOL, FLOAT, INT, JSON, TEXT, Kind
from .._values.promote import one_pattern

__all__ = [
    "Attempt",
    "AttemptPlaces",
    "attempt_nodes",
    "attempts",
    "experiment_positions",
    "last_attempts",
    "places_of",
]

#: Kinds of attributes that identify recorders within an attempt, most suitable first; times differ
#: between attempts.
_TELLING: Final = (TEXT, INT, BOOL, JSON, FLOAT)


class Attempt(NamedTuple):
    """A later attempt at a resumed experiment.

    Attributes:
        number: 2 or higher; the first attempt is the experiment itself.
        position: the position of its node.
        experiment: the position of the experiment's node.
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
        at = pc.indices_nonzero(pc.greater(values, int64_scalar(1))).cast(pa.int64())
        at = at.filter(any_valid(nodes.own(ATTEMPT_KEYS[1], at), len(at)))  # not a user's key
        numbers, above = values.take(at).to_pylist(), nodes.parents.take(at).to_pylist()
        for number, position, parent in zip(numbers, at.to_pylist(), above, strict=True):
            if parent is not None:
                found.append(Attempt(number, position, parent))
    return found


def last_attempts(nodes: Nodes) -> dict[int, Attempt]:
    """The last attempt directly below each node that has any, by node position."""
    found: dict[int, Attempt] = {}
    for each in attempts(nodes):
        known = found.get(each.experiment)
        if known is None or known.number < each.number:
            found[each.experiment] = each
    return found


def experiment_positions(nodes: Nodes) -> pa.Array:
    """Positions of the experiments, collection by collection in order of start.

    Of one that was resumed it is that of the last attempt, which has all that the experiment has,
    and what was set since.
    """
    positions = nodes.positions_below_roots()
    found = nodes.own(EXPERIMENT_KEYS[0], positions)
    experiments = positions.filter(any_valid(found, len(positions)))
    last = last_attempts(nodes)
    if not last:
        return experiments
    newest = [last[at].position if at in last else at for at in experiments.to_pylist()]
    return int64_array(newest)


def attempt_nodes(nodes: Nodes, experiment: int) -> list[int]:
    """Ids of the later attempts at an experiment, given the id of its node."""
    above = nodes.position(experiment)
    positions = [each.position for each in attempts(nodes) if each.experiment == above]
    return nodes.ids.take(int64_array(positions)).to_pylist()  # type: ignore[no-any-return]


class AttemptPlaces(NamedTuple):
    """For each node, by position: its place in a resumed experiment, and its attempt.

    Nodes of several attempts with the same place replace each other. Null for nodes outside resumed
    experiments.
    """

    place: pa.Array
    attempt: pa.Array


def places_of(nodes: Nodes, found: Sequence[Attempt], result: str) -> AttemptPlaces:
    """The places of all nodes.

    A node's place is that of its parent plus its initial attributes: its text, and as many others
    as are needed to distinguish it from its siblings. The place of an attempt is the experiment's.

    Args:
        found: all attempts.
        result: a key that never distinguishes nodes, because it is a result.
    """
    tops = {each.experiment for each in found}
    below = nodes.positions(nodes.below(*nodes.ids.take(int64_array(sorted(tops))).to_pylist()))
    positions = below.take(pc.sort_indices(below))  # ancestors first
    initial = dict(
        zip(positions.to_pylist(), _initial_attributes(nodes, positions, result), strict=True)
    )
    parents = dict(zip(initial, nodes.parents.take(positions).to_pylist(), strict=True))
    placing = _Placing(parents, tops, {each.position: each.number for each in found})
    for level in placing.levels():
        placing.place(level, initial)
    return AttemptPlaces(
        *(pa.array(map(of.get, range(nodes.count)), pa.int64()) for of in placing.found)
    )


class _InitialAttributes(NamedTuple):
    """A node's initial attributes, as numbers that represent the value of each key.

    None for keys that only other nodes have.
    """

    text: tuple[int | None, ...]
    others: tuple[int | None, ...]

    def some(self, others: Sequence[int]) -> tuple[int | None, ...]:
        """All text, and some of the others."""
        return (*self.text, *(self.others[each] for each in others))


class _Placing:
    """Computes the places of nodes, from the experiments down.

    Args:
        parents: the parent's position of each node in a resumed experiment.
        tops: positions of these experiments.
        numbers: the number of each later attempt, by position.
    """

    def __init__(
        self, parents: Mapping[int, int], tops: Collection[int], numbers: Mapping[int, int]
    ) -> None:
        self._parents = parents
        self._tops = tops
        self._places: dict[int, int] = {}
        self._attempts: dict[int, int] = dict(numbers)
        self._known: dict[Any, int] = {}
        self._numbers = numbers

    @property
    def found(self) -> tuple[dict[int, int], dict[int, int]]:
        """The place of each node, and its attempt."""
        return self._places, self._attempts

    def levels(self) -> list[list[int]]:
        """The nodes below the experiments, level by level; attempts share the levels of the first."""
        depths: dict[int, int] = {}
        levels: list[list[int]] = []
        for at, parent in self._parents.items():
            if at in self._tops:
                depths[at], self._attempts[at] = 0, 1
                self._places[at] = self._known.setdefault(at, len(self._known))
            elif at in self._numbers:
                depths[at], self._places[at] = depths[parent], self._places[parent]
            else:
                depths[at], self._attempts[at] = depths[parent] + 1, self._attempts[parent]
                while len(levels) < depths[at]:
                    levels.append([])
                levels[depths[at] - 1].append(at)
        return levels

    def place(self, level: Sequence[int], initial: Mapping[int, _InitialAttributes]) -> None:
        """Compute the places of the nodes of a level, given those of their parents."""
        beside: dict[int, list[int]] = {}
        for at in level:
            beside.setdefault(self._places[self._parents[at]], []).append(at)
        for above, some in beside.items():
            others = self._distinguishing(some, initial)
            for at in some:
                place = above, initial[at].some(others)
                self._places[at] = self._known.setdefault(place, len(self._known))

    def _distinguishing(
        self, some: Sequence[int], initial: Mapping[int, _InitialAttributes]
    ) -> list[int]:
        """The fewest attributes that distinguish nodes of an attempt as well as all; at least one."""
        columns = range(len(initial[some[0]].others))
        used = [c for c in columns if any(initial[at].others[c] is not None for at in some)]

        def distinct(count: int) -> int:
            return len({(self._attempts[at], initial[at].some(used[:count])) for at in some})

        best = distinct(len(used))
        return next((used[:n] for n in range(1, len(used)) if distinct(n) == best), used)


def _initial_attributes(nodes: Nodes, positions: pa.Array, result: str) -> list[_InitialAttributes]:
    """Each node's initial attributes; integers before other numbers, which are often results."""
    text: list[list[int | None]] = []
    others: dict[Kind, list[list[int | None]]] = {kind: [] for kind in _TELLING}
    for column, values in nodes.first_updates(positions).items():
        if column.kind in others and column.key not in {*FIRST_KEYS, result}:
            codes = one_pattern(values).dictionary_encode().indices.to_pylist()
            (text if column.kind == TEXT else others[column.kind]).append(codes)
    nothing: Any = [()] * len(positions)
    rest = [codes for kind in _TELLING for codes in others[kind]]
    tuples = (list(zip(*each, strict=True)) or nothing for each in (text, rest))
    return list(map(_InitialAttributes, *tuples))
