"""Keys that recorders have and records don't, such as the reward of an episode, as points.

The flat table would repeat such a value in all records below. Here a recorder is one point.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from .. import ExperimentCollection
from .._arrow import pa, pc
from .._lazy_imports import np
from .._tree.nodes import Nodes
from .._values.chunks import bool_scalar, int64_scalar
from ..errors import ArgumentError
from .arrow_arrays import values_of
from .reading import INDEX, RUN
from .reduce import Band, mean_by_x
from .series import metric_keys, x_keys

__all__ = [
    "LIKELY_X",
    "Level",
    "RecorderPoints",
    "level_keys",
    "mean_of_recorders",
    "points_of",
]

#: The first of them that is there is x, unless another one is chosen.
LIKELY_X: Final = (
    "step",
    "global_step",
    "iteration",
    "epoch",
    "episode",
    "timestep",
    "batch",
    "env_step",
)
#: Below experiments.
_DEEP: Final = 2


class Level(NamedTuple):
    """Where the values of a key are: at recorders below experiments.

    Attributes:
        x: the most likely key of x.
        others: further keys of x that these recorders have.
    """

    x: str
    others: frozenset[str]


class RecorderPoints(NamedTuple):
    """The recorders of one run with the same values of the keys that separate lines.

    Attributes:
        run: the number and the start of the run; None for recorders of none.
        labels: the values of those keys as text.
        x, y: float64, x finite; in the order in which the recorders were created.
        lost: how many recorders have no finite x, and are in neither.
    """

    run: tuple[int, float] | None
    labels: tuple[str, ...]
    x: Any
    y: Any
    lost: int


def level_keys(collection: ExperimentCollection) -> dict[str, Level]:
    """The keys with numbers that only recorders below experiments have, over a key of theirs.

    Keys of recorders that count nothing, such as the parameters of a model, are no curves.
    """
    nodes = collection.records._scan().snapshot.nodes
    deep = pc.greater_equal(nodes.arranged.depths, int64_scalar(_DEEP))
    if not pc.any(deep).as_py():
        return {}
    own = {*metric_keys(collection), *LIKELY_X}
    xs = [key for key in x_keys(collection) if nodes.has_key(key)]
    known = {key: _has(nodes, key, deep) for key in xs}
    likely = [key for key in LIKELY_X if key in known]
    found = {}
    for key in xs:
        shared = [each for each in likely if each != key and _meet(known[key], known[each])]
        if key not in own and shared:
            others = frozenset(each for each in xs if _meet(known[key], known[each]))
            found[key] = Level(shared[0], others)
    return found


def _has(nodes: Nodes, key: str, among: Any) -> Any:
    """Which nodes among some have an own value of a key."""
    has = bool_scalar(value=False)
    for values in nodes.own(key).values():
        has = pc.or_(has, values.is_valid())
    return pc.and_(among, has)


def _meet(first: Any, second: Any) -> bool:
    return bool(pc.any(pc.and_(first, second)).as_py())


def points_of(
    collection: ExperimentCollection, y: str, x: str, by: Sequence[str]
) -> Iterator[RecorderPoints]:
    """The values of a key over x, both of recorders, by run and by other keys.

    Args:
        x: the key of x, or ``INDEX`` for the number of the recorder in its line.

    Raises:
        ColumnError: there is no such key.
        ArgumentError: values are not numbers or times.
    """
    keys = [key for key in (y, x) if key != INDEX]
    table = _level_of(collection, keys, (*by, *RUN))
    codes: dict[tuple[Any, ...], list[int]] = {}
    names = (table.column(key).to_pylist() for key in (*by, *RUN))
    for at, values in enumerate(zip(*names, strict=True)):
        codes.setdefault(values, []).append(at)
    all_y = _floats(table.column(y))
    all_x = None if x == INDEX else _floats(table.column(x))
    for values, rows in codes.items():
        number, start = values[-2:]
        run = None if start is None else (number, start)
        labels = tuple("" if each is None else str(each) for each in values[:-2])
        places = np.arange(len(rows), dtype="f8") if all_x is None else all_x[rows]
        finite = np.isfinite(places)
        lost = int((~finite).sum())
        yield RecorderPoints(run, labels, places[finite], all_y[rows][finite], lost)


def mean_of_recorders(
    some: Sequence[RecorderPoints], band: str, *, from_start: bool, levels_once: bool
) -> tuple[int, Band, tuple[Any, Any]]:
    """The line of some recorders: the mean of those with the same x, each of which counts once.

    Args:
        band: see ``mean_by_x``.
        from_start: whether x is counted from the lowest of each run.
        levels_once: whether the mean is one of means over the recorders of each run.

    Returns:
        The number of points, the means with their band, and x and y of those whose y is NaN or
        infinite.
    """
    parts = [_in_order(each, from_start=from_start) for each in some]
    if levels_once:
        parts = [mean_by_x(x, y, "none")[:2] for x, y in parts]
    x, y = (np.concatenate(each) for each in zip(*parts, strict=True))
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    finite = np.isfinite(y)
    x, y, odd = x[finite], y[finite], (x[~finite], y[~finite])
    is_mean = bool((x[1:] == x[:-1]).any())
    return len(finite), mean_by_x(x, y, band) if is_mean else Band(x, y, y, y), odd


def _in_order(found: RecorderPoints, *, from_start: bool) -> tuple[Any, Any]:
    order = np.argsort(found.x, kind="stable")
    x = found.x[order]
    return (x - x[0] if from_start and len(x) else x), found.y[order]


def _level_of(
    collection: ExperimentCollection, keys: Sequence[str], more: Sequence[str]
) -> pa.Table:
    """The recorders of the lowest level that have or inherit all of some keys, and other keys.

    Raises:
        ColumnError: there is no such key.
    """
    tables = [_that_have(collection, key, keys, more) for key in keys]
    return max(tables, key=len)


def _that_have(
    collection: ExperimentCollection, level: str, keys: Sequence[str], more: Sequence[str]
) -> pa.Table:
    rows = collection.level(level)
    table = rows.to_arrow()
    for key in (*keys, *more):
        if key not in table.column_names:
            if key not in collection.records.columns:
                rows.select(key)  # raises, naming it
            table = table.append_column(key, pa.nulls(len(table), pa.float64()))
    table = table.select(list(dict.fromkeys([*keys, *more])))
    for key in keys:
        table = table.filter(pc.is_valid(table.column(key)))
    return table


def _floats(column: Any) -> Any:
    """Numbers, and times in seconds, as float64.

    Raises:
        ArgumentError: they are of another kind.
    """
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        micros = column.cast(
            pa.timestamp("us") if pa.types.is_timestamp(kind) else pa.duration("us")
        )
        return values_of(micros.cast(pa.int64()).combine_chunks()) / 1e6
    try:
        return values_of(column.cast(pa.float64()).combine_chunks())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        message = f"values of type {kind} can't be drawn; expected numbers or times"
        raise ArgumentError(message) from None
