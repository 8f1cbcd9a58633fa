"""The rows of the table of runs in one collection: its experiments, or the recorders of a level."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from .. import Experiment
from .._arrow import pa, pc
from .._keys import FIRST_KEYS
from .._lazy_imports import np
from .._values.chunks import int64_array
from ..errors import ColumnError
from .arrow_arrays import values_of
from .runs import run_key
from .workspace import Opened

__all__ = ["LevelRows", "TableRow", "attribute_keys"]

#: Attributes that are columns of their own.
_FIXED: Final = {*FIRST_KEYS}


class TableRow(NamedTuple):
    """A line of the table.

    Attributes:
        key: its name, which stays the same as long as it exists.
        run: the key of its run; None for recorders of none.
        node: the id of its recorder.
        fixed: number, status, start and duration of its run, and the collection's name.
        attributes: its own and inherited attributes.
    """

    key: str
    run: str | None
    node: int
    fixed: Mapping[str, Any]
    attributes: Mapping[str, Any]


class LevelRows:
    """The rows of a level in a collection, as of one snapshot.

    Args:
        opened: the collection.
        level: an attribute; empty for the experiments.
    """

    def __init__(self, opened: Opened, level: str) -> None:
        self.opened, self.level = opened, level
        self._experiments = opened.collection.experiments
        self.nodes = self._experiments._snapshot.nodes
        self._statuses = self._experiments.statuses()
        runs = [
            _run(opened.name, each, status.value)
            for each, status in zip(self._experiments, self._statuses, strict=True)
        ]
        self.rows = self._recorders(runs) if level else runs
        self._owner: Any = None
        self._below: list[str] | None = None

    def is_current(self) -> bool:
        """Whether attributes and statuses are still the same."""
        nodes = self.opened.collection.records._scan().snapshot.nodes
        return nodes is self.nodes and self._experiments.statuses() == self._statuses

    def _recorders(self, runs: Iterable[TableRow]) -> list[TableRow]:
        known = {each.run: each.fixed for each in runs}
        try:
            level = self.opened.collection.level(self.level)
        except ColumnError:
            return []  # of another collection
        scan = level._scan()
        ids = scan.scan.snapshot.nodes.ids.take(scan.positions()).to_pylist()
        found = []
        for node, row in zip(ids, scan.rows(), strict=True):
            run = _run_of(self.opened.name, row)
            fixed = known.get(run) or {":collection": self.opened.name}
            found.append(TableRow(f"{self.opened.name}#{node}", run, node, fixed, row))
        return found

    def owner(self) -> Any:
        """For each recorder, by position, the number of the row that it is below; -1 for none."""
        if self._owner is None:
            found = np.full(self.nodes.count, -1)
            positions = self.nodes.positions_of([row.node for row in self.rows])
            is_there = values_of(positions.is_valid())
            places = values_of(positions.drop_null())
            found[places] = np.flatnonzero(is_there)
            self._owner = _spread_down(found, self.nodes.parents)
        return self._owner

    def levels(self) -> list[str]:
        """The attributes that recorders below experiments have themselves."""
        if self._below is None:
            ids = self.nodes.ids
            runs = int64_array(each._node for each in self._experiments)
            below = pc.indices_nonzero(pc.invert(pc.is_in(ids, value_set=runs))).cast(pa.int64())
            self._below = [
                key
                for key in self.nodes.keys
                if key not in _FIXED and not key.startswith("experiment_")
                if any(v.null_count < len(v) for v in self.nodes.own(key, below).values())
            ]
        return self._below

    def that_meet(self, condition: str) -> set[int]:
        """The ids of the recorders that meet a SQL condition on their attributes.

        Raises:
            ColumnError: a name is not a column.
            ArgumentError: it is not a SQL condition.
        """
        collection = self.opened.collection
        if not self.level:
            return {each._node for each in collection.experiments.where(condition)}
        scan = collection.level(self.level).where(condition)._scan()
        return {*scan.scan.snapshot.nodes.ids.take(scan.positions()).to_pylist()}


def _spread_down(owner: Any, parents: pa.Array) -> Any:
    above = np.where(values_of(parents.is_valid()), values_of(parents), -1)
    while (above >= 0).any():  # twice as many levels up each time
        has_parent = above >= 0
        take = has_parent & (owner < 0)
        owner = owner.copy()
        owner[take] = owner[above[take]]
        above = np.where(has_parent, above[above], -1)
    return owner


def _run(name: str, experiment: Experiment, status: str) -> TableRow:
    start = experiment["experiment_start_time"]
    key = run_key(name, experiment.number, start)
    fixed = {
        ":collection": name,
        ":number": experiment.number,
        ":status": status,
        ":start": start,
        ":duration": experiment["experiment_duration"],
        ":error": experiment["error_number"],
    }
    return TableRow(key, key, experiment._node, fixed, experiment)


def _run_of(name: str, row: Mapping[str, Any]) -> str | None:
    number, start = row["experiment_number"], row["experiment_start_time"]
    return None if number is None or start is None else run_key(name, number, start)


def attribute_keys(rows: Iterable[TableRow]) -> list[str]:
    """The keys of attributes that any row has, in order of first occurrence."""
    found: dict[str, None] = {}
    for row in rows:
        for key in row.attributes:
            found[key] = None
    return [key for key in found if key not in _FIXED]
