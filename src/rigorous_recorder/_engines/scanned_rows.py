"""The rows that a query reads, piece by piece."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from .._arrow import pa, pc
from .._live.column import Column
from .._nested import root_of
from .._once import once
from .._store.fragments import Fragment
from .._store.parquet_fragment import ParquetFragment
from .._tree.columns import keys_of
from .._values.chunks import int64_array, sorted_ids
from .._values.kinds import BYTES, Kind
from .conditions import AnyCondition
from .node_conditions import PIECE_ROWS, Bound, nodes_that_meet
from .piece import Group, Piece, of_nodes, with_nodes
from .snapshot import Snapshot
from .sql_conditions import BoundSql

__all__ = ["ScannedRows", "Scope"]


#: Columns that take long to read together, whatever their kinds.
_MANY: Final = 64


class Scope(NamedTuple):
    """The records to read: all, those of a node, or those of a node and all below it.

    Records of deleted nodes are excluded.

    Attributes:
        keys: the keys to read, in order; None for all.
    """

    node: int | None = None
    is_deep: bool = True
    keys: tuple[str, ...] | None = None


class ScannedRows(ABC):
    """The rows of a scope that meet all conditions, read piece by piece."""

    def __init__(
        self, snapshot: Snapshot, scope: Scope, conditions: tuple[AnyCondition, ...]
    ) -> None:
        self.snapshot = snapshot
        self.scope = scope
        self.conditions = conditions
        #: What no other scan has: its own address can be another one's later.
        self.identity = object()
        self._with_deleted: dict[tuple[int, int], bool] = {}
        #: How many rows each group has, by its place, as far as counted.
        self._counts: dict[int, int] = {}

    @property
    @abstractmethod
    def bound(self) -> list[Bound]:
        """The conditions; names in SQL are bound to columns of the whole table, whatever is read."""

    @property
    @abstractmethod
    def keys(self) -> Sequence[str]:
        """The keys to read, and paths in dicts."""

    @property
    @abstractmethod
    def record_columns(self) -> list[Column]:
        """The physical columns in which records of the scope have a value."""

    @abstractmethod
    def flat_kind(self, name: str) -> Kind:
        """The kind that the values of a column of the flat table are unified to."""

    @once
    def node_ids(self) -> pa.Array | None:
        """Ids of the nodes whose records are read; None for all that are not deleted."""
        if self.scope.node is None:
            return None
        if self.scope.is_deep:
            found = self.snapshot.nodes.below(self.scope.node)
        else:
            found = int64_array([self.scope.node])
        return self._without_deleted(found)

    def _without_deleted(self, ids: pa.Array) -> pa.Array:
        if self.snapshot.nodes.deleted is None:
            return ids
        return ids.filter(pc.invert(pc.is_in(ids, value_set=self.snapshot.nodes.deleted)))

    @once
    def node_keys(self) -> list[str]:
        """The keys that nodes of the scope have or inherit, in the order of the flat table."""
        nodes = self.snapshot.nodes
        if self.node_ids is None:
            return nodes.keys
        return nodes.keys_above(self.node_positions)

    @once
    def node_key_set(self) -> frozenset[str]:
        """The same keys, without an order."""
        return frozenset(self.node_keys)

    @once
    def node_positions(self) -> pa.Array | None:
        """Positions of the nodes whose records are read; None for all."""
        if self.node_ids is None:
            return None
        return self.snapshot.nodes.positions(self.node_ids).drop_null()

    def takes_all(self, group: Group) -> bool:
        """Whether all rows of a group are in the scope and meet the conditions.

        Known without reading, unless something was deleted. Rows whose node can't be read are in no
        scope.
        """
        is_selected = self.read_ids is None and not self.row_conditions
        return is_selected and group.is_placed and not self._has_deleted(group)

    def takes_whole(self, fragment: Fragment) -> bool:
        """The same for all groups of a fragment."""
        return all(
            self.takes_all(Group(fragment, number)) for number in range(len(fragment.group_rows))
        )

    def _has_deleted(self, group: Group) -> bool:
        """Whether a group has rows of deleted nodes."""
        if self.snapshot.nodes.deleted is None:
            return False
        key = id(group.fragment), group.number
        if key not in self._with_deleted:
            self._with_deleted[key] = group.fragment.has_any(
                group.number, self.snapshot.nodes.deleted
            )
        return self._with_deleted[key]

    def among(self, ids: pa.Array) -> pa.Array:
        """The nodes among some whose records are read."""
        if self.read_ids is None:
            return self._without_deleted(ids)
        return ids.filter(pc.is_in(ids, value_set=self.read_ids))

    def nodes_of(self, group: Group) -> pa.Array:
        """The nodes of a group whose records are read."""
        if self.read_ids is None and not self._has_deleted(group):
            return group.nodes
        return self.among(group.nodes)

    def sorted_nodes_of(self, fragments: Sequence[Fragment]) -> pa.Array:
        """Sorted ids of the nodes of fragments whose records are read."""
        return self.among(sorted_ids(fragment.nodes for fragment in fragments))

    @once
    def row_conditions(self) -> list[Bound]:
        """The conditions that only a record itself can meet; its node decides the others."""
        return [each for each in self.bound if not self._is_met_by_nodes(each)]

    @once
    def _node_conditions(self) -> list[Bound]:
        """The conditions that a record's node has to meet, including parts of row conditions."""
        parts = [
            part
            for each in self.row_conditions
            if isinstance(each, BoundSql)
            for part in each.parts
        ]
        return list(filter(self._is_met_by_nodes, [*self.bound, *parts]))

    def _is_met_by_nodes(self, condition: Bound) -> bool:
        # A record whose node is lost inherits nothing, and would match a condition on None.
        inherited = set(self.node_keys) - set(keys_of(self.snapshot.record_columns))
        return (
            inherited.issuperset(map(root_of, condition.keys)) and not condition.is_met_by_nothing
        )

    @once
    def read_ids(self) -> pa.Array | None:
        """Ids of the nodes of the scope that meet the conditions; None for all not deleted."""
        conditions = self._node_conditions
        if not conditions:
            return self.node_ids
        nodes = self.snapshot.nodes
        return nodes.ids.take(nodes_that_meet(nodes, conditions, self.node_positions))

    @once
    def groups(self) -> list[Group]:
        """The groups that can have rows of the scope that meet the conditions."""
        found = [
            Group(fragment, number)
            for fragment in self.snapshot.fragments.records
            for number in range(len(fragment.group_rows))
        ]
        if self.read_ids is None and self.snapshot.nodes.deleted is None:
            return found
        return [each for each in found if self._may_have_rows(each)]

    def _may_have_rows(self, group: Group) -> bool:
        """Whether it has rows of the scope, or can't be read, which each reader has to report."""
        return self.takes_all(group) or not len(group.nodes) or len(self.nodes_of(group)) > 0

    @once
    def fragments(self) -> list[Fragment]:
        """The fragments with rows of the scope that meet the conditions."""
        return list({id(group.fragment): group.fragment for group in self.groups}.values())

    @property
    def files(self) -> list[ParquetFragment]:
        """The sealed files among them."""
        return [each for each in self.fragments if isinstance(each, ParquetFragment)]

    def row_count(self) -> int:
        """The number of rows; nothing is read if no rows are excluded."""
        return self.starts[-1]

    @once
    def starts(self) -> list[int]:
        """The index of the first row of each group, and that after the last one."""
        counts = [self._rows_of(group) for group in self.groups]
        return list(accumulate(counts, initial=0))

    def _rows_of(self, group: Group) -> int:
        if self.takes_all(group):
            return group.rows
        return sum(piece.rows for piece in self.read(group, self._condition_columns))

    def pieces(self, keys: Sequence[str] | None = None) -> Iterator[Piece]:
        """The rows in order; reads only what ``keys`` and the conditions need (None: all)."""
        columns = self.columns_for(keys)
        for group in self.groups:
            yield from self.read(group, columns)

    def columns_for(self, keys: Sequence[str] | None) -> list[Column]:
        """The physical columns that ``keys`` (None: all) and the conditions need."""
        if keys is None:
            if self.scope.keys is None:
                return self.record_columns
            keys = self.keys
        of_conditions = (key for each in self.row_conditions for key in each.keys)
        needed = {root_of(key) for key in (*keys, *of_conditions)}
        return [column for column in self.snapshot.record_columns if column.key in needed]

    def read(
        self,
        group: Group,
        columns: Sequence[Column],
        *,
        among: pa.Array | None = None,
        nodes: bool = True,
    ) -> list[Piece]:
        """The rows of a group that are in the scope and meet the conditions, in order.

        Args:
            among: of those nodes of the group that are of the scope: leave out rows of others.
            nodes: whether what is read of the pieces depends on their nodes.
        """
        if columns is self.snapshot.record_columns:  # no look at those of all other files
            columns = list(group.fragment.columns)
        if self._meets_none(group, columns):
            return []
        there = group.fragment.file_columns
        packed = frozenset[Column]()
        if not there.sparse.keys().isdisjoint(columns):
            packed = frozenset(filter(there.names.__contains__, columns))
            columns = there.storing(columns)
        table = group.fragment.stored(group.number, columns, nodes=False)
        if table is None:
            return []
        runs = None
        if nodes or among is not None or not self.takes_all(group):
            runs = group.runs
            if len(runs) < table.num_rows:
                return []  # whose rows these are can't be read, of which a warning was given
            among = self.nodes_of(group) if among is None else among
            if len(among) < len(group.nodes):
                table, runs = of_nodes(table, runs, among)
            if nodes or self.row_conditions:
                table = with_nodes(table, runs)
        return self._pieces(group.fragment, table, runs, packed)

    def _pieces(
        self,
        fragment: Fragment,
        table: pa.Table,
        runs: pa.RunEndEncodedArray | None,
        packed: frozenset[Column],
    ) -> list[Piece]:
        """The rows of a table that meet the conditions."""
        starts = range(0, table.num_rows, PIECE_ROWS)
        if len(starts) == 1:
            pieces = [Piece(self, fragment, table, runs, packed)]
        else:
            parts = (table.slice(at, PIECE_ROWS) for at in starts)
            pieces = [Piece(self, fragment, part, packed=packed) for part in parts]
        if self.row_conditions:
            pieces = [piece.that_meet(self.row_conditions) for piece in pieces]
        return [piece for piece in pieces if piece.rows]

    def _meets_none(self, group: Group, columns: Sequence[Column]) -> bool:
        """Whether the columns of the conditions show that others, which are large, need not be read."""
        if not self.row_conditions or not isinstance(group.fragment, ParquetFragment):
            return False
        others = set(columns).difference(self._condition_columns)
        is_large = len(others) > _MANY or any(map(_is_large, others))
        return is_large and not self.read(group, self._condition_columns)

    @once
    def _condition_columns(self) -> list[Column]:
        """The physical columns that the conditions need."""
        return self.columns_for([])

    def located(self, index: int) -> Iterator[tuple[int, Piece]]:
        """The pieces from the one with row ``index`` on, each with the index of its first row."""
        columns = self.columns_for(None)
        number, first = self._group_before(index)
        for group in self.groups[number:]:
            rows = self._counts.get(number, group.rows if self.takes_all(group) else -1)
            if 0 <= rows <= index - first:
                number, first = number + 1, first + rows  # without reading it
                continue
            start = first
            for piece in self._recently_read(number, columns):
                if first + piece.rows > index >= 0:
                    yield first, piece
                first += piece.rows
            self._counts[number] = first - start
            number += 1

    def _recently_read(self, number: int, columns: Sequence[Column]) -> list[Piece]:
        """The rows to read of a group, which are read once for all accesses to near and far rows."""
        group, key = self.groups[number], (self.identity, number)
        if (parts := self.snapshot.recent.get(key)) is not None:
            return [Piece(self, group.fragment, *each) for each in parts]
        pieces = self.read(group, columns)
        size = sum(piece.own_bytes for piece in pieces)
        # Not the pieces, which lead here: what is in a circle is freed late.
        self.snapshot.recent.put(key, [piece.parts for piece in pieces], size)
        return pieces

    def _group_before(self, index: int) -> tuple[int, int]:
        """The place of a group that is not behind a row, and the index of its own first row."""
        if "starts" not in vars(self):  # which takes reading the whole, with conditions
            return 0, 0
        number = max(0, bisect_right(self.starts, index) - 1)
        return number, self.starts[number]


def _is_large(column: Column) -> bool:
    """Whether a column can have values that take long to read, such as images."""
    return column.kind.is_mutable or column.kind == BYTES
