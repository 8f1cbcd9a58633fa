"""Trees of recorders with their numbers of records."""

from __future__ import annotations

import operator
import shutil
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import escape
from itertools import accumulate
from typing import Any, Final, NamedTuple

from .._arrow import pa, pc
from .._engines.scan import Scan
from .._engines.scanned_rows import Scope
from .._engines.snapshot import Snapshot
from .._keys import ATTEMPT_KEYS, ERROR_KEYS, EXPERIMENT_KEYS, STATUS_KEY
from .._live.column import NODE
from .._printable import one_line
from .._public import public
from .._status import Status, status_at_end
from .._values.chunks import count_to, int64_array, int64_scalar, one_array
from ..errors import ArgumentError, ArgumentTypeError
from .text import bytes_text, cut, literal_text, plural

__all__ = ["Child", "Listing", "Tree", "collection_tree", "tree_below"]

#: Maximum number of keys in a label, and its maximum length; however narrow the terminal is, this
#: much of it is shown.
_KEYS: Final = 6
_WIDEST: Final = 120
_NARROWEST: Final = 20
#: The width of what is not a terminal.
_UNLIMITED: Final = 1_000_000
_WIDEST_ERROR: Final = 60
_IN_LABEL: Final = {*EXPERIMENT_KEYS, *ATTEMPT_KEYS[:2], *ERROR_KEYS, STATUS_KEY}


@public
@dataclass(frozen=True, repr=False, slots=True)
class Tree:
    """A recorder and those below it, for display: ``print(recorder.tree())``.

    Attributes:
        data: the attributes of the recorder itself.
        records: the number of records pushed to it.
        all_records: the number of records of it and of all recorders below.
        children: the listed recorders directly below, in order of creation.
        hidden: the number of recorders directly below that are not listed; they come between the
            first half and the second half of ``children``.
        name: the folder name of a collection.
        size: the size of a collection on disk, in bytes.
    """

    data: dict[str, Any]
    records: int
    all_records: int
    children: list[Tree]
    hidden: int = 0
    name: str | None = None
    size: int | None = None

    @property
    def label(self) -> str:
        """A short label: the name or experiment number, and the first keys."""
        rest = {key: value for key, value in self.data.items() if key not in _IN_LABEL}
        words = [f"{one_line(key)}={literal_text(value)}" for key, value in rest.items()]
        if len(words) > _KEYS:
            words[_KEYS:] = [f"+{plural(len(words) - _KEYS, 'key')}"]
        if EXPERIMENT_KEYS[0] in self.data:
            words.insert(0, _experiment_words(self.data))
        elif ATTEMPT_KEYS[0] in self.data:
            words.insert(0, f"attempt {literal_text(self.data[ATTEMPT_KEYS[0]])}")
        if self.name is not None:
            words.insert(0, one_line(self.name))
        return "  ".join(words) or "recorder"

    def __str__(self) -> str:
        """The tree as lines that fit the terminal."""
        return "\n".join(self._lines(shutil.get_terminal_size((_UNLIMITED, 0)).columns))

    def __repr__(self) -> str:
        return f"<Tree {self._line()}>"

    def _repr_html_(self) -> str:
        text = escape("\n".join(self._lines()))
        return f'<pre style="font-family:monospace;line-height:1.3">{text}</pre>'

    def _line(self, room: int = _UNLIMITED) -> str:
        counts = plural(self.all_records, "record")
        if 0 < self.records < self.all_records:
            counts += f", {self.records:,} of its own"
        if self.size is not None:
            counts += f", {bytes_text(self.size)}"
        most = min(_WIDEST, max(_NARROWEST, room - len(f": {counts}")))
        return f"{cut(self.label, most)}: {counts}"

    def _lines(self, room: int = _UNLIMITED) -> Iterator[str]:
        """The lines of the drawing; iterative, since trees can be deep."""
        yield self._line(room)
        waiting = self._branches("", room)
        while waiting:
            line, before, tree = waiting.pop()
            yield line
            if tree is not None:
                waiting += tree._branches(before, room)

    def _branches(self, before: str, room: int) -> list[tuple[str, str, Tree | None]]:
        """The drawing one level down, in reverse: line, prefix of deeper lines, tree."""
        found: list[Tree | None] = [*self.children]
        if self.hidden:
            found.insert((len(found) + 1) // 2, None)
        branches = []
        for at, tree in enumerate(found, 1):
            corner, below = ("├── ", "│   ") if at < len(found) else ("└── ", "    ")
            text = tree._line(room - len(before + corner)) if tree else f"… {self.hidden:,} more"
            branches.append((before + corner + text, before + below, tree))
        return branches[::-1]


def collection_tree(tree: Tree, name: str, size: int) -> Tree:
    """The tree below the root of a collection, with the collection's name and size on disk."""
    return replace(tree, name=name, size=size)


def _require_count(name: str, value: Any) -> None:
    try:
        operator.index(value)
    except TypeError:
        message = f"{name}={cut(repr(value), 60)}: expected an int"
        raise ArgumentTypeError(message) from None


def tree_below(snapshot: Snapshot, node: int, *, depth: int | None, children: int) -> Tree:
    """A node with those below it, down to ``depth`` levels (None: all), with so many children each.

    Raises:
        ArgumentTypeError: one of them is not an int.
        ArgumentError: ``depth`` is below 0, or ``children`` below 1.
    """
    _require_count("depth", 0 if depth is None else depth)
    _require_count("children", children)
    if depth is not None and depth < 0:
        message = (
            f"a tree of {depth} levels can't be listed; expected a depth of 0 or more, or None"
        )
        raise ArgumentError(message)
    if children < 1:
        message = f"{children} children of a recorder can't be listed; expected 1 or more"
        raise ArgumentError(message)
    position = snapshot.nodes.position(node)
    if position is None:  # the root of an empty collection, or a deleted node
        own = Scan(snapshot, Scope(node)).row_count()
        return Tree({}, own, own, [])
    return Listing(snapshot).tree(position, depth, children)


def _experiment_words(data: dict[str, Any]) -> str:
    status = status_at_end(data) or "not ended"
    words: str = f"experiment {data[EXPERIMENT_KEYS[0]]}"
    if status == Status.FINISHED:
        return words
    error = ": ".join(str(data[key]) for key in ERROR_KEYS[:2] if data.get(key))
    return (
        f"{words} ({status}: {cut(one_line(error), _WIDEST_ERROR)})"
        if error
        else f"{words} ({status})"
    )


def _record_counts(snapshot: Snapshot) -> pa.Table:
    """The number of records of each node that has any: columns ``_node`` and ``rows``."""
    pieces = [pa.table({NODE: int64_array([]), "rows": int64_array([])})]
    for fragment in snapshot.fragments.records:
        for table in fragment.tables([]):
            counted = pc.value_counts(one_array(table.column(NODE)))
            pieces.append(pa.table(counted.flatten(), names=pieces[0].column_names))
    grouped = pa.concat_tables(pieces).group_by(NODE).aggregate([("rows", "sum")])
    return grouped.rename_columns({"rows_sum": "rows"}).combine_chunks()


class _Family(NamedTuple):
    """Positions of the listed children of a node, and the number of the others."""

    listed: list[int]
    hidden: int


class Child(NamedTuple):
    """One of the recorders directly below another one.

    Attributes:
        node: its id.
        tree: its attributes and numbers of records, without what is below it.
        children: how many are directly below it.
    """

    node: int
    tree: Tree
    children: int


class Listing:
    """The nodes with their counts, as columns; only listed nodes become objects."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._nodes, counts = snapshot.nodes, _record_counts(snapshot)
        nodes = self._nodes
        at = pc.index_in(nodes.ids, value_set=counts[NODE].combine_chunks())
        self._own = counts["rows"].combine_chunks().take(at).fill_null(int64_scalar(0))
        self._levels = _levels(nodes.parents)
        self._all = _summed_up(self._own, nodes.parents, self._levels)

    def below(self, node: int, first: int, count: int) -> tuple[int, list[Child]]:
        """How many recorders are directly below one, and some of them, in order of creation."""
        positions = self._nodes.child_positions(node)
        some = positions.slice(first, count)
        parents = pc.value_counts(self._nodes.parents.drop_null())
        at = pc.index_in(some, value_set=parents.field("values"))
        counts = parents.field("counts").take(at).fill_null(int64_scalar(0)).to_pylist()
        ids = self._nodes.ids.take(some).to_pylist()
        trees = [self.tree(each, 0, 1) for each in some.to_pylist()]
        return len(positions), list(map(Child, ids, trees, counts))

    def tree(self, position: int, depth: int | None, children: int) -> Tree:
        """The node at a position: see ``tree_below``."""
        families = self._families(position, depth, children)
        order = list(families)
        data = self._nodes.own_data(int64_array(order))
        built: dict[int, Tree] = {}
        for at, values in zip(reversed(order), reversed(data), strict=True):
            below = [built.pop(child) for child in families[at].listed]
            known = {key: value for key, value in values.items() if value is not None}
            own, total = self._own[at].as_py(), self._all[at].as_py()
            built[at] = Tree(known, own, total, below, families[at].hidden)
        return built[position]

    def _families(self, top: int, depth: int | None, children: int) -> dict[int, _Family]:
        """The listed nodes' children by level, parents first."""
        families: dict[int, _Family] = {}
        level = [top]
        for first, last in self._levels:
            if first <= top or not level:
                continue
            limit = children if depth is None or depth > 0 else 0
            found = self._children(level, first, last, limit)
            families |= found
            level = [at for family in found.values() for at in family.listed]
            depth = depth if depth is None else depth - 1
        return families | dict.fromkeys(level, _Family([], 0))

    def _children(self, above: list[int], first: int, last: int, limit: int) -> dict[int, _Family]:
        """The listed children of each position of a level, which are in the next level."""
        parents = self._nodes.parents.slice(first, last - first)
        hits = pc.indices_nonzero(pc.is_in(parents, value_set=int64_array(above)))
        at = pc.add(hits.cast(pa.int64()), first)
        table = pa.table({"parent": parents.take(hits), "at": at})
        table = table.append_column("order", [self._nodes.attached.take(at)])
        ordered = table.sort_by([("parent", "ascending"), ("order", "ascending")])
        positions = ordered["at"].combine_chunks()
        counted = pc.value_counts(ordered["parent"]).to_pylist()
        counts = {each["values"]: each["counts"] for each in counted}
        starts = dict(zip(counts, accumulate(counts.values(), initial=0), strict=False))
        return {
            node: _family(positions.slice(starts.get(node, 0), counts.get(node, 0)), limit)
            for node in above
        }


def _family(positions: pa.Array, limit: int) -> _Family:
    hidden = max(0, len(positions) - limit)
    if not hidden:
        return _Family(positions.to_pylist(), 0)
    start = positions.slice(0, (limit + 1) // 2).to_pylist()
    end = positions.slice(len(positions) - limit // 2).to_pylist()
    return _Family(start + end, hidden)


def _levels(parents: pa.Array) -> list[tuple[int, int]]:
    """Start and end (exclusive) of each level: nodes are stored level by level."""
    levels, first, end = [], 0, parents.null_count
    while end > first:
        levels.append((first, end))
        limit = end
        behind = bisect_left(range(len(parents)), limit, lo=end, key=lambda at: parents[at].as_py())
        first, end = end, behind
    return levels


def _summed_up(own: pa.Array, parents: pa.Array, levels: list[tuple[int, int]]) -> pa.Array:
    """For each node the sum of its own number and those of all nodes below it."""
    sums: list[pa.Array] = [own.slice(first, last - first) for first, last in levels]
    for depth in range(len(levels) - 1, 0, -1):
        (first, last), (above, _) = levels[depth], levels[depth - 1]
        family = pa.table({"parent": parents.slice(first, last - first), "sum": sums[depth]})
        grouped = family.group_by("parent").aggregate([("sum", "sum")])
        at = pc.subtract(grouped["parent"], above).combine_chunks()
        places = count_to(len(sums[depth - 1]))
        added = grouped["sum_sum"].combine_chunks().take(pc.index_in(places, value_set=at))
        sums[depth - 1] = pc.add(sums[depth - 1], added.fill_null(int64_scalar(0)))
    return pa.concat_arrays([own.slice(0, 0), *sums])
