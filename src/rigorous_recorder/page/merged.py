"""Lines that need more of a record than its values: its recorder, or the start of its run.

Means in which each level of the tree counts once, and lines over several runs with x from the start
of each. They are read when they are requested, in one pass, and are in memory meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from threading import Event
from typing import Any, Final, NamedTuple

from .. import ExperimentCollection
from .._engines.piece import Piece
from .._engines.scan import Scan
from .._lazy_imports import np
from .._tree.nodes import Nodes
from ..errors import ArgumentError, ColumnError
from .arrow_arrays import values_of
from .lines import same_label
from .reading import INDEX, RUN, is_instant, numbers, parts_of, require, require_drawable
from .reduce import Band, mean_by_x
from .runs import run_key
from .series import Line
from .workspace import Opened

__all__ = ["Merged", "Tree", "first_x", "has_times", "mean_of_levels", "merged", "start_of"]

#: Points of a key that are in memory at once.
_MOST_POINTS: Final = 3_000_000


class Merged(NamedTuple):
    """A line.

    Attributes:
        opened: the first collection that has it.
        run, labels: see ``series.Line``.
        there: the number of points.
        band: x, means and the ends of the band.
        odd: x and y of the points whose y is NaN or infinite.
    """

    opened: Opened
    run: tuple[int, float] | None
    labels: tuple[str, ...]
    there: int
    band: Band
    odd: tuple[Any, Any]


class _Read(NamedTuple):
    """The points of some records: the number of the line's name, the position of the node, x and y."""

    names: Any
    nodes: Any
    x: Any
    y: Any


class _Part(NamedTuple):
    """The points of a collection: the values of the keys that separate lines and the run, by number, and its tree."""

    opened: Opened
    names: list[tuple[Any, ...]]
    found: _Read
    tree: Tree


def merged(  # noqa: PLR0913 - a line is defined by this many
    opened: Iterable[Opened],
    y: str,
    x: str,
    by: Sequence[str],
    *,
    band: str,
    from_start: bool,
    levels_once: bool,
    runs: frozenset[str] | None,
    stop: Event | None,
) -> list[Merged]:
    """The lines of a key over all collections that have it.

    Args:
        x: the key of x, or ``INDEX``.
        by: keys that separate lines; none for the runs.
        band: see ``mean_by_x``.
        from_start: whether x is counted from the start of each run: see ``first_x``.
        levels_once: whether means are those of ``mean_of_levels``.
        runs: those that count; None for all.

    Raises:
        ColumnError: no collection has all keys.
        Cancelled: ``stop`` was set.
    """
    parts, missing = [], ColumnError(f"no collection has {y!r}")
    for each in opened:
        try:
            parts.append(_part(each, y, x, by, from_start=from_start, runs=runs, stop=stop))
        except ColumnError as error:
            missing = error  # another collection may have it
    if not parts:
        raise missing
    lines: dict[tuple[Any, ...], int] = {}
    firsts: list[tuple[Opened, tuple[Any, ...]]] = []
    found = _joined(_numbered_lines(parts, len(by), lines, firsts))
    tree = Tree.joined([each.tree for each in parts]) if levels_once else None
    order = np.argsort(found.names, kind="stable")
    ends = np.cumsum(np.bincount(found.names, minlength=len(lines)))
    return [
        _line(*first, part, found, tree, band=band, has_by=bool(by))
        for first, part in zip(firsts, np.split(order, ends[:-1]), strict=True)
        if len(part)
    ]


def _numbered_lines(
    parts: Sequence[_Part],
    keys: int,
    lines: dict[tuple[Any, ...], int],
    firsts: list[tuple[Opened, tuple[Any, ...]]],
) -> Iterator[_Read]:
    """The points of each collection by the number of their line, and with the recorder's position in the joined tree.

    Args:
        lines: the numbers of lines, to which those that are new are added.
        firsts: the first collection and the values of each line, likewise.
    """
    offset = 0
    for opened, names, found, tree in parts:
        numbers = []
        for name in names:
            labels = _labels(name[:keys])
            line = tuple(map(same_label, labels)) if keys else (opened.name, *name)
            if line not in lines:
                lines[line] = len(lines)
                firsts.append((opened, name[:keys] or name))
            numbers.append(lines[line])
        is_root = tree.parents[found.nodes] == found.nodes
        nodes = np.where(
            is_root, found.nodes if not offset else parts[0].tree.root, found.nodes + offset
        )
        yield found._replace(names=np.array(numbers, np.int64)[found.names], nodes=nodes)
        offset += len(tree.parents)


def _part(  # noqa: PLR0913 - see merged
    opened: Opened,
    y: str,
    x: str,
    by: Sequence[str],
    *,
    from_start: bool,
    runs: frozenset[str] | None,
    stop: Event | None,
) -> _Part:
    keys = dict.fromkeys([*by, *RUN, y, *([x] if x != INDEX else [])])
    scan = opened.collection.records.select(*keys)._scan()
    names: dict[tuple[Any, ...], int] = {}
    found = _joined(_read(scan, y, x, (*by, *RUN), names=names, stop=stop))
    if x == INDEX:
        found = found._replace(x=_numbered(found.names))
    elif from_start:
        starts = first_x(found.names, found.x, list(names), is_time=is_instant(scan, x))
        found = found._replace(x=found.x - starts[found.names])
    counts = np.array([_is_drawn(opened, name[-2:], runs) for name in names], bool)
    some = np.isfinite(found.x) & counts[found.names]
    found = _Read(*(each[some] for each in found))
    return _Part(opened, list(names), found, Tree.of(scan.snapshot.nodes))


def _is_drawn(opened: Opened, run: Any, runs: frozenset[str] | None) -> bool:
    if runs is None:
        return True
    return run[1] is not None and run_key(opened.name, *run) in runs


def _read(  # noqa: PLR0913 - what a line is of
    scan: Scan,
    y: str,
    x: str,
    by: Sequence[str],
    *,
    names: dict[tuple[Any, ...], int],
    stop: Event | None,
) -> Iterator[_Read]:
    """The points of each piece; names that are not there yet get a number."""
    columns, points, lines = scan.columns_for(None), 0, set[Any]()
    for group in scan.groups:
        for piece in scan.read(group, columns):
            require(stop)
            if (found := _values(scan, piece, y, x)) is None:
                continue
            of_parts, ends = parts_of(scan, piece, by)
            codes = [names.setdefault(name, len(names)) for name in of_parts]
            lines.update(name[: len(by) - len(RUN)] for name in of_parts)
            require_drawable(len(lines))
            of_rows = np.repeat(np.array(codes, np.int32), np.diff(ends, prepend=0))
            at_x, at_y, has = found
            positions = values_of(piece.positions)[has].astype(np.int32)
            points += len(positions)
            _require_few(points)
            yield _Read(of_rows[has], positions, at_x[has], at_y[has])


def _require_few(points: int) -> None:
    if points > _MOST_POINTS:
        message = (
            f"means over several runs from their start, or with each level once, of more than"
            f" {_MOST_POINTS:,} points: these are not in memory together; choose lines by run, or"
            " a key that fewer records have"
        )
        raise ArgumentError(message)


def _values(scan: Scan, piece: Piece, y: str, x: str) -> tuple[Any, Any, Any] | None:
    """The values of both keys in a piece, and which rows have both."""
    of_y = numbers(scan, piece, y)
    of_x = of_y if x == INDEX else numbers(scan, piece, x)
    if of_y is None or of_x is None:
        return None
    has = np.ones(piece.rows, bool)
    for each in (of_x, of_y):
        if each.has is not None:
            has &= each.has
    return of_x.values, of_y.values, has


def _joined(parts: Iterator[_Read]) -> _Read:
    nothing = _Read(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0), np.empty(0))
    columns = zip(*[nothing, *parts], strict=True)
    return _Read(*(np.concatenate(each) for each in columns))


def _numbered(codes: Any) -> Any:
    """The number of each point in its line."""
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes) if len(codes) else np.empty(0, np.int64)
    found = np.empty(len(codes))
    found[order] = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    return found


def start_of(line: Line, *, is_time: bool) -> float:
    """The x of a run's line from which others are counted: see ``first_x``."""
    if is_time and line.run is not None:
        return line.run[1]
    return line.points.least


def has_times(collection: ExperimentCollection, x: str) -> bool:
    """Whether x are points in time."""
    return x != INDEX and is_instant(collection.records.select(x)._scan(), x)


def first_x(codes: Any, x: Any, names: Sequence[tuple[Any, ...]], *, is_time: bool) -> Any:
    """For each name, which ends with the start of a run, the x from which others are counted.

    It is the start of the run if x is a time, and the lowest x of the run otherwise.
    """
    least = np.full(len(names), np.inf)
    np.fmin.at(least, codes, np.where(np.isfinite(x), x, np.inf))
    runs: dict[Any, float] = {}
    for name, low in zip(names, least, strict=True):
        runs[name[-2:]] = min(low, runs.get(name[-2:], np.inf))
    starts = [name[-1] if is_time and name[-1] is not None else runs[name[-2:]] for name in names]
    return np.array(starts, "f8")


def _labels(values: Sequence[Any]) -> tuple[str, ...]:
    return tuple("" if each is None else str(each) for each in values)


def _line(  # noqa: PLR0913 - see merged
    opened: Opened,
    name: tuple[Any, ...],
    of_line: Any,
    found: _Read,
    tree: Tree | None,
    *,
    band: str,
    has_by: bool,
) -> Merged:
    order = of_line[np.argsort(found.x[of_line], kind="stable")]
    x, y, positions = found.x[order], found.y[order], found.nodes[order]
    finite = np.isfinite(y)
    odd = x[~finite], y[~finite]
    x, y, positions = x[finite], y[finite], positions[finite]
    if not (x[1:] == x[:-1]).any():
        means = Band(x, y, y, y)
    elif tree is None:
        means = mean_by_x(x, y, band)
    else:
        means = mean_of_levels(x, y, positions, tree, band=band)
    run = None if has_by or name[0] is None else (name[0], name[1])
    return Merged(opened, run, _labels(name) if has_by else (), len(order), means, odd)


class Tree(NamedTuple):
    """Recorders: the position of each one's parent, the root's being its own, and how many are above it."""

    parents: Any
    depth: Any

    @property
    def root(self) -> int:
        """The position of the root."""
        return int(np.flatnonzero(self.depth == 0)[0]) if len(self.depth) else 0

    @classmethod
    def joined(cls, trees: Sequence[Tree]) -> Tree:
        """Trees one after the other, whose recorders at the top are all below the root of the first."""
        parents, offset = [], 0
        for tree in trees:
            of_root = tree.depth[tree.parents] == 0
            parents.append(np.where(of_root, trees[0].root, tree.parents + offset))
            offset += len(tree.parents)
        return cls(np.concatenate(parents), np.concatenate([tree.depth for tree in trees]))

    @classmethod
    def of(cls, nodes: Nodes) -> Tree:
        """The recorders of a snapshot."""
        parents, at = values_of(nodes.parents), np.arange(len(nodes.parents))
        parents = np.where(values_of(nodes.parents.is_valid()), parents, at)
        depth, above = np.zeros(len(parents), np.int64), parents
        while (is_below := above != at).any():
            depth += is_below
            at, above = above, parents[above]
        return cls(parents, depth)


def mean_of_levels(x: Any, y: Any, nodes: Any, tree: Tree, *, band: str) -> Band:
    """For each x the mean over the tree, in which each recorder counts once beside its siblings.

    The mean of a recorder is that of its members: the recorders below it, each by its own mean, and
    all its own records together. So a mean over models is one of means over episodes,
    however many episodes a model has. The band is of the members where the line first
    branches, from the top: of the runs, if there are several.

    Args:
        x, y, nodes: x, finite value and position of the recorder of each record.
        tree: all recorders.
        band: see ``mean_by_x``.
    """
    if not len(x):
        return Band(x, y, y, y)
    x, nodes, values = _grouped(x, nodes, (y, y, y), band)
    for level in range(int(tree.depth[nodes].max()), 0, -1):
        above = np.where(tree.depth[nodes] == level, tree.parents[nodes], nodes)
        x, nodes, values = _grouped(x, above, values, band)
    return Band(x, *values)


def _grouped(x: Any, nodes: Any, values: Sequence[Any], band: str) -> tuple[Any, Any, list[Any]]:
    """Members with the same x and recorder as one; with their band, if any has several.

    Args:
        values: the mean, low and high of each.
    """
    order = np.lexsort((nodes, x))
    x, nodes, *values = (each[order] for each in (x, nodes, *values))
    is_first = np.concatenate(([True], (x[1:] != x[:-1]) | (nodes[1:] != nodes[:-1])))
    starts = np.flatnonzero(is_first)
    if len(starts) == len(x):
        return x, nodes, values
    found = mean_by_x(np.cumsum(is_first), values[0], band)
    return x[starts], nodes[starts], list(found[1:])
