"""Heat map of arrays of a run: one matrix, or vectors over steps as an image."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from threading import Event
from typing import Any, Final, NamedTuple

from ... import Experiment, ExperimentCollection, Records
from ..._arrow import pa, pc
from ..._engines.arrow import stream
from ..._lazy_imports import np
from ..._values.kinds import JSON, NULL
from ...errors import ArgumentError, ColumnError
from ..runs import run_key
from ..series import Cancelled
from ..workspace import Workspace
from .answer import Answer
from .request import PlotRequest

__all__ = ["array_keys", "heatmap"]

#: Vectors of more records are thinned out evenly, as are longer vectors and larger matrices.
_MOST_COLUMNS: Final = 1_000
_MOST_ROWS: Final = 1_000


def array_keys(collection: ExperimentCollection) -> list[str]:
    """The keys whose values are arrays of numbers with one or two axes, or lists, which may be."""
    scan = collection.records._scan()
    kinds = {name: scan.flat_kind(name) for name in scan.flats}
    return [
        name
        for name, kind in kinds.items()
        if kind == JSON or (kind != NULL and _depth(kind.sealed_type) in {1, 2})
    ]


def _depth(kind: Any) -> int | None:
    """How many lists are around numbers; None if it is another type."""
    types, depth = pa.types, 0
    while types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        kind, depth = kind.value_type, depth + 1
    is_number = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
    return depth if is_number else None


class _Value(NamedTuple):
    """The array of a record, with its position among those that have one, and x."""

    position: int
    x: float
    array: Any

    def rows(self) -> list[Any]:
        """The array as lists."""
        found = self.array.as_py() if isinstance(self.array, pa.Scalar) else self.array
        return list(found)


def heatmap(workspace: Workspace, request: PlotRequest, stop: Event | None = None) -> Answer:
    """The ``shape`` and ``cells`` of a picture, row by row, NaN where there is no number.

    A matrix is that of one record: of ``total`` it has the number ``at`` and x ``at_x``, and
    ``is_matrix``. Of vectors, a column is a record; the array ``x`` has its x, and one of each
    ``every`` is there. Of rows and of columns of an array one of each ``row_step`` and
    ``column_step`` is there.

    Raises:
        ColumnError: the key is not there, or has no arrays of numbers.
        ArgumentError: the key is not given, or there is no such run.
    """
    request.require(y=request.y)
    collection, experiment = _experiment(workspace, request.run)
    if request.y not in array_keys(collection):
        raise _no_arrays(request.y)
    keys = list(dict.fromkeys([request.y, *([request.x] if request.x else [])]))
    records = experiment.records.select(*keys)
    kind = records.schema.field(request.y).type
    if (depth := _depth(kind)) is not None:
        values = _values(records, request, stop)
    else:
        values = _values_of_lists(records, request, stop)
        first = next(values, None)
        depth = None if first is None else _depth_of(first.array, request.y)
        values = chain(() if first is None else (first,), values)
    return _matrix(values, request.at) if depth == 2 else _image(values)


def _no_arrays(key: str) -> ColumnError:
    return ColumnError(f"{key!r} has no lists of numbers, nor lists of such lists")


def _experiment(workspace: Workspace, key: str) -> tuple[ExperimentCollection, Experiment]:
    """A run by its name in the page.

    Raises:
        ArgumentError: it was deleted, or never there.
    """
    for opened in workspace.opened:
        if not key.startswith(f"{opened.name}/"):
            continue
        for each in opened.collection.experiments:
            if run_key(opened.name, each.number, each["experiment_start_time"]) == key:
                return opened.collection, each
    message = f"there is no run {key!r:.80}: choose another one"
    raise ArgumentError(message)


def _values(records: Records, request: PlotRequest, stop: Event | None) -> Iterator[_Value]:
    """The arrays of a run, in order of records."""
    position = 0
    for batch in stream(records._scan()):
        if stop is not None and stop.is_set():
            raise Cancelled
        column = batch.column(request.y)
        for at in pc.indices_nonzero(pc.is_valid(column)).to_pylist():
            x = batch.column(request.x)[at].as_py() if request.x else None
            yield _Value(position, _number(x, position), column[at])
            position += 1


def _values_of_lists(
    records: Records, request: PlotRequest, stop: Event | None
) -> Iterator[_Value]:
    """The same for lists that are stored as JSON."""
    position = 0
    for row in records:
        if stop is not None and stop.is_set():
            raise Cancelled
        if isinstance(value := row[request.y], list):
            yield _Value(position, _number(row[request.x] if request.x else None, position), value)
            position += 1


def _depth_of(value: list[Any], key: str) -> int:
    """How many lists are around numbers.

    Raises:
        ColumnError: neither one nor two.
    """
    rows = value if any(isinstance(each, list) for each in value) else [value]
    if all(isinstance(row, list) and all(map(_is_number, row)) for row in rows):
        return 1 if rows[:1] == [value] else 2
    raise _no_arrays(key)


def _is_number(value: Any) -> bool:
    return value is None or isinstance(value, int | float)


def _number(x: Any, other: float) -> float:
    return float(x) if isinstance(x, int | float) else other


def _matrix(values: Iterator[_Value], wanted: int) -> Answer:
    """The array of one record; the last one if there are not so many."""
    found, total = None, 0
    for total, each in enumerate(values, start=1):  # noqa: B007 - counted
        if each.position <= wanted:
            found = each
    if found is None:
        return Answer({"is_matrix": True, "shape": [0, 0], "total": 0}, {"cells": np.empty(0)})
    rows = found.rows()
    steps = _step(len(rows), _MOST_ROWS), _step(max(map(len, rows), default=0), _MOST_COLUMNS)
    cells = _padded([row[:: steps[1]] for row in rows[:: steps[0]]])
    header = {
        "is_matrix": True,
        "shape": cells.shape,
        "total": total,
        "at": found.position,
        "at_x": found.x if np.isfinite(found.x) else None,
        "row_step": steps[0],
        "column_step": steps[1],
    }
    return Answer(header, {"cells": cells.ravel()})


def _image(values: Iterator[_Value]) -> Answer:
    """A column for each record, or for one of each 2, 4, 8, ..."""
    chosen: list[_Value] = []
    every, total = 1, 0
    for total, each in enumerate(values, start=1):  # noqa: B007 - counted
        if each.position % every:
            continue
        chosen.append(each)
        if len(chosen) > 2 * _MOST_COLUMNS:
            every *= 2
            chosen = chosen[::2]
    arrays = [each.rows() for each in chosen]
    step = _step(max(map(len, arrays), default=0), _MOST_ROWS)
    cells = _padded([each[::step] for each in arrays]).T
    header = {"is_matrix": False, "shape": cells.shape, "total": total, "every": every}
    header |= {"row_step": step, "column_step": 1}
    return Answer(header, {"cells": cells.ravel(), "x": np.array([each.x for each in chosen])})


def _step(size: int, most: int) -> int:
    return max(1, -(-size // most))


def _padded(rows: list[list[Any]]) -> Any:
    """Rows of any length as a matrix; NaN where there is none."""
    found = np.full((len(rows), max(map(len, rows), default=0)), np.nan)
    for at, row in enumerate(rows):
        found[at, : len(row)] = np.array(row, "f8")
    return found
