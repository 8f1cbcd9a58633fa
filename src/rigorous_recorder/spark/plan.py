"""Planning: which task reads which rows, and the node values that it needs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from pyspark.sql import datasource as ds
from pyspark.sql.pandas.types import from_arrow_type

from .._arrow import pa, pc
from .._engines.mixed import flat_column
from .._engines.scan import Scan
from .._engines.sorted_nodes import SortedNodes
from .._engines.spark_types import for_spark
from .._keys import EXPERIMENT_KEYS
from .._live.column import NODE
from .._once import once
from .._store.fragments import Fragment, between, places_between
from .._store.parquet_fragment import ParquetFragment
from .._tree.columns import keys_of
from .._values.kinds import INT, NULL
from .driver_snapshot import DriverSnapshot, Wanted
from .filters import column_of, held, is_exact, refuses_null
from .partitions import FileRows, QueryPartition, ReadPlan, UnsealedRows, columns_of, packed

__all__ = ["GroupSlice", "Plan"]

#: Starting a task costs as much as reading half a million rows, so tasks get more rows than that
#: where there are many, but not so many that repeating a failed one is expensive.
_LEAST_ROWS: Final = 262_144
_MOST_ROWS: Final = 4_194_304
#: Bytes of unsealed rows that are sent to one task.
_TASK_BYTES: Final = 16 << 20
#: If there are more nodes per row than this, nodes are looked up one by one instead of by range.
_MOST_NODES_A_ROW: Final = 1
#: Unsealed rows are sent in batches of this many.
_UNSEALED_ROWS: Final = 65_536


class GroupSlice(NamedTuple):
    """A range of rows in a row group of a fragment."""

    fragment: Fragment
    group: int
    start: int
    stop: int

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.stop - self.start


class Plan:
    """The reading plan of a query over one snapshot.

    Args:
        wanted: the columns to read.
    """

    def __init__(self, source: DriverSnapshot, wanted: Sequence[Wanted]) -> None:
        self._source = source
        self._wanted = wanted
        self._filters: list[tuple[int, ds.Filter]] = []
        self._only: Any = None
        if (number := source.experiment()) is not None:
            self._only = self._of_experiment(number)

    @property
    def _scan(self) -> Scan:
        return self._source.scan

    # --- filters -------------------------------------------------------------------------------

    def push(self, condition: ds.Filter) -> bool:
        """Accept a filter; False if Spark has to evaluate it on every row itself."""
        name = column_of(condition)
        at = next((i for i, each in enumerate(self._wanted) if each.field.name == name), None)
        if at is None or not is_exact(condition, self._types[at]):
            return False
        wanted = self._wanted[at]
        if wanted.key in self._own_keys or not refuses_null(condition):
            self._filters.append((at, condition))
            return True
        if wanted.key in self._scan.node_keys:
            column = for_spark(self._nodes.column(wanted))
            self._restrict(self._nodes.ids.filter(held(condition, column)))
        else:
            self._restrict(pa.array([], pa.int64()))
        return True

    @once
    def _types(self) -> list[Any]:
        return [from_arrow_type(each.field.type) for each in self._wanted]

    @once
    def _own_keys(self) -> set[str]:
        """The keys that records themselves have."""
        return set(keys_of(self._scan.record_columns))

    def _restrict(self, ids: pa.Array) -> None:
        """Restrict reading to rows of these nodes, whose ids are sorted."""
        if self._only is not None:
            ids = ids.filter(pc.is_in(ids, value_set=self._only))
        self._only = ids

    def _of_experiment(self, number: int) -> pa.Array:
        found = self._scan.snapshot.nodes.resolved(EXPERIMENT_KEYS[0], self._nodes.positions)
        for column, values in found.items():
            if column.kind == INT:
                return self._nodes.ids.filter(pc.equal(values, number).fill_null(False))
        return pa.array([], pa.int64())

    # --- parts ---------------------------------------------------------------------------------

    @once
    def _read_plan(self) -> ReadPlan:
        """What all partitions share."""
        options = self._source.options
        return ReadPlan(options.path, self._wanted, tuple(self._filters), options.skips_damaged)

    def whole(self) -> list[QueryPartition]:
        """Partitions of all rows."""
        return self.parts(
            GroupSlice(fragment, group, 0, rows)
            for fragment in self._scan.snapshot.fragments.records
            for group, rows in enumerate(fragment.group_rows)
        )

    def parts(self, stretches: Iterable[GroupSlice]) -> list[QueryPartition]:
        """Partitions of some rows, in order."""
        chosen = [
            (stretch, nodes)
            for stretch in stretches
            if (nodes := self._nodes_of(stretch)) is not None
        ]
        most = _rows_of_a_task(
            sum(stretch.rows for stretch, _ in chosen), self._source.options.least_parts
        )
        found: list[QueryPartition] = []
        some = _Some(most)
        for stretch, nodes in chosen:
            for rows, count, size in self._rows(stretch):
                some.add(rows, count, size, nodes)
                if some.is_full:
                    found.append(self._part(some))
                    some = _Some(most)
        if some.rows:
            found.append(self._part(some))
        return found

    def _nodes_of(self, stretch: GroupSlice) -> _TaskNodes | None:
        """The node values that a task needs for some rows; None if none of the rows is read."""
        fragment, group = stretch.fragment, stretch.group
        low, high = fragment.node_ranges[group]
        deleted = self._scan.snapshot.nodes.deleted
        drops = None if deleted is None else between(deleted, low, high)
        if self._only is not None:
            ids = between(self._only, low, high)
            return _TaskNodes(self._nodes.places(ids), drops) if len(ids) else None
        if not self._nodes.columns:
            return _TaskNodes(None, drops)
        span = places_between(self._nodes.ids, low, high)
        if len(span) > _MOST_NODES_A_ROW * stretch.rows:
            # The range of ids is sparse: reading which nodes occur is cheaper.
            return _TaskNodes(self._nodes.places(fragment.nodes_of(group)).drop_null(), drops)
        return _TaskNodes(pa.array(span, pa.int64()), drops)

    def _rows(self, stretch: GroupSlice) -> Iterator[tuple[FileRows | UnsealedRows, int, int]]:
        """The rows in the form that tasks get, with their number and size in bytes."""
        fragment, group, start, stop = stretch
        if isinstance(fragment, ParquetFragment):
            first = sum(fragment.group_rows[:group])
            stretches = fragment.stretches(first + start, first + stop)
            yield FileRows(fragment.path.name, group, start, stop, stretches), stretch.rows, 0
            return
        keys = {each.key for each in self._wanted if each.kind != NULL}
        table = fragment.stored(group, fragment.file_columns.storing(columns_of(fragment, keys)))
        assert table is not None  # rows in memory are always readable
        for at in range(start, stop, _UNSEALED_ROWS):
            some = table.slice(at, min(_UNSEALED_ROWS, stop - at))
            stream = packed(some)
            yield UnsealedRows(fragment.origin.number, stream), some.num_rows, len(stream)

    def _part(self, some: _Some) -> QueryPartition:
        nodes = None
        if some.places or self._only is not None:
            nodes = packed(self._nodes.table(some.places))
        drops = [each for each in some.drops if len(each)]
        return QueryPartition(
            self._read_plan,
            some.rows,
            nodes,
            keeps=self._only is not None,
            drops=packed(_ids(pc.unique(pa.concat_arrays(drops)))) if drops else None,
        )

    @once
    def _nodes(self) -> _PlannedNodes:
        inherited = set(self._scan.node_keys)
        places = [at for at, each in enumerate(self._wanted) if each.key in inherited]
        return _PlannedNodes(self._scan, {at: self._wanted[at] for at in places})


def _rows_of_a_task(rows: int, least_parts: int | None) -> int:
    """How many rows a task reads; the load is spread over the driver's number of processors."""
    cores = os.cpu_count() or 1
    tasks = min(cores, -(-rows // _LEAST_ROWS))
    if rows > tasks * _MOST_ROWS:
        tasks = cores * -(-rows // (cores * _MOST_ROWS))
    return max(1, -(-rows // max(tasks, least_parts or 1)))


class _TaskNodes(NamedTuple):
    """Positions of the nodes that a task needs, and ids of the deleted ones."""

    places: pa.Array | None
    drops: pa.Array | None


class _Some:
    """Rows of one task."""

    def __init__(self, most: int) -> None:
        self.rows: list[FileRows | UnsealedRows] = []
        self._most = most
        self.places: list[Any] = []
        self.drops: list[Any] = []
        self._count = 0
        self._size = 0

    def add(self, rows: FileRows | UnsealedRows, count: int, size: int, nodes: _TaskNodes) -> None:
        """Add rows that take ``size`` bytes to send."""
        self.rows.append(rows)
        self._count += count
        self._size += size
        if nodes.places is not None:
            self.places.append(nodes.places)
        if nodes.drops is not None:
            self.drops.append(nodes.drops)

    @property
    def is_full(self) -> bool:
        """Whether the task has enough rows."""
        return self._count >= self._most or self._size >= _TASK_BYTES


class _PlannedNodes(SortedNodes):
    """The nodes sorted by id, with their values of the columns to read."""

    def __init__(self, scan: Scan, columns: Mapping[int, Wanted]) -> None:
        super().__init__(scan)
        self._scan = scan
        self.columns = columns
        self._known: dict[str, Any] = {}

    def column(self, wanted: Wanted) -> pa.Array:
        """Each node's own or inherited value in a column."""
        if wanted.field.name not in self._known:
            if wanted.kind == NULL:
                values = pa.nulls(len(self.ids), pa.null())
            else:
                found = self._scan.snapshot.nodes.resolved(wanted.key, self.positions)
                values = flat_column(found, wanted.kind, len(self.ids))
            self._known[wanted.field.name] = values
        return self._known[wanted.field.name]

    def table(self, places: Sequence[pa.Array]) -> pa.Table:
        """The nodes at some positions."""
        chosen = pc.unique(pa.concat_arrays([pa.array([], pa.int64()), *places]))
        return self._whole.take(chosen)

    @once
    def _whole(self) -> pa.Table:
        columns = {
            str(at): self.column(each) for at, each in self.columns.items() if each.kind != NULL
        }
        return pa.table([self.ids, *columns.values()], names=[NODE, *columns])


def _ids(ids: pa.Array) -> pa.Table:
    return pa.table([ids], names=[NODE])
