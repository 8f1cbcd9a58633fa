"""Contiguous rows of a fragment, joined to their nodes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from .._arrow import pa, pc
from .._live.column import NODE, Column
from .._nested import Path, inside, root_of
from .._store.densify import unpacked_columns
from .._store.fragments import Fragment, is_lost
from .._tree.columns import ColumnsByKind, any_valid, in_sealed_type, keys_of
from .._values.chunks import bool_scalar, int64_scalar, null_scalar, one_array, run_end_encoded
from .._values.kinds import NULL, Kind
from .._values.sparse import SparseKind
from .conditions import Choice, Condition
from .mixed import Flat, flat_column
from .node_conditions import Bound, matches, met, rows_at_once
from .snapshot import Snapshot
from .sql_conditions import BoundSql

__all__ = ["Group", "Joined", "Piece", "of_nodes", "spread", "with_nodes"]

#: About how many bytes a row has in a column that was unpacked.
_UNPACKED: Final = 9
#: Up to this many ranges of rows are sliced out of a table; more are filtered by a mask.
_FEW_RUNS: Final = 64


class Joined(Protocol):
    """What rows are joined to: nodes, and the columns of a flat table."""

    snapshot: Snapshot

    @property
    def node_key_set(self) -> frozenset[str]:
        """The keys that nodes have or inherit."""

    def flat_kind(self, name: str) -> Kind:
        """The kind that the values of a column of the flat table are unified to."""


class Group(NamedTuple):
    """A row group of a fragment: the unit of reading."""

    fragment: Fragment
    number: int

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.fragment.group_rows[self.number]

    @property
    def is_placed(self) -> bool:
        """Whether the nodes of the rows are known."""
        return self.fragment.is_placed(self.number)

    @property
    def runs(self) -> pa.RunEndEncodedArray:
        """The node of each row, run-end encoded."""
        return self.fragment.runs_of(self.number)

    @property
    def nodes(self) -> pa.Array:
        """The distinct ids of the rows' nodes."""
        return self.fragment.nodes_of(self.number)

    def nodes_among(self, ids: pa.Array) -> pa.Array:
        """The nodes of the group that are among ``ids``, which are sorted."""
        return self.fragment.nodes_among(self.number, ids)


class Piece:
    """Some contiguous rows, joined to their nodes.

    Args:
        packed: the columns that were read, if some of them are in sparse columns of the table, which
            is as it is stored: each is unpacked when it is used.
    """

    def __init__(
        self,
        scan: Joined,
        fragment: Fragment,
        table: pa.Table,
        runs: pa.RunEndEncodedArray | None = None,
        packed: frozenset[Column] = frozenset(),
    ) -> None:
        self._scan = scan
        self._fragment = fragment
        self._table = table
        self._packed = packed
        self._unpacked: dict[Column, pa.Array] = {}
        self._read = frozenset(table.column_names)
        self._runs = runs
        self._positions: pa.Array | None = None

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self._table.num_rows)

    @property
    def own_bytes(self) -> int:
        """The size of the rows in bytes, without what they inherit, with a column for each key."""
        sparse = len(self._packed) - len(
            self._packed.intersection(self._fragment.file_columns.stored)
        )
        return int(self._table.nbytes) + self.rows * sparse * _UNPACKED

    @property
    def parts(self) -> tuple[pa.Table, pa.RunEndEncodedArray | None, frozenset[Column]]:
        """What makes the same piece again, with its scan and fragment."""
        return self._table, self._runs, self._packed

    @property
    def node_ids(self) -> pa.Array:
        """The node of each row."""
        return one_array(self._table.column(NODE))

    @property
    def runs(self) -> pa.RunEndEncodedArray:
        """The node of each row, run-end encoded."""
        if self._runs is None:
            self._runs = pc.run_end_encode(self.node_ids)
        return self._runs

    @property
    def positions(self) -> pa.Array:
        """The position of each row's node."""
        if self._positions is None:
            found = self._scan.snapshot.nodes.positions(self.runs.values)
            self._positions = spread(self.runs, found)
        return self._positions

    @property
    def columns(self) -> list[Column]:
        """The physical columns that were read."""
        if self._packed:
            return [column for column in self._fragment.columns if column in self._packed]
        return [column for column, name in self._fragment.columns.items() if name in self._read]

    def unpack(self, keys: Iterable[str]) -> None:
        """Unpack keys of sparse columns, which together takes little longer than for one."""
        if self._packed:
            of = self._fragment.columns.of
            self._unpack(column for key in dict.fromkeys(map(root_of, keys)) for column in of(key))

    def _unpack(self, columns: Iterable[Column]) -> None:
        new = [c for c in columns if c in self._packed and c not in self._unpacked]
        if new:
            self._unpacked |= unpacked_columns(self._table, self._fragment.file_columns, new)

    def _stored_in(self, column: Column) -> pa.Array | pa.ChunkedArray | None:
        """The values of a column, as the file has them; None if it was not read."""
        if not self._packed:
            name = self._fragment.columns[column]
            return self._table.column(name) if name in self._read else None
        if column in self._packed and column not in self._unpacked:
            self._unpack([column])
        return self._unpacked.get(column)

    def _in_columns(self, columns: Collection[Column]) -> ColumnsByKind:
        """Those of these columns that were read."""
        self._unpack(columns)
        found = {column: self._stored_in(column) for column in columns}
        return {c: in_sealed_type(c, each) for c, each in found.items() if each is not None}

    def columns_in_use(self) -> list[Column]:
        """The physical columns in which any of the rows has a value, or may have lost one."""
        self._unpack(self._packed)
        found = {column: self._stored_in(column) for column in self._fragment.columns}
        return [c for c, each in found.items() if each is not None and self._is_in_use(each)]

    def _is_in_use(self, values: pa.Array | pa.ChunkedArray) -> bool:
        return values.null_count < self.rows or is_lost(values)

    def own(self, key: str) -> ColumnsByKind:
        """The records' own values of a key or path."""
        if isinstance(key, Path):
            return inside(key, self.own(key.root))
        here = self._fragment.columns.of(key)
        return self._in_columns([column for column in here if column.kind != NULL])

    def is_lost(self, key: str) -> bool:
        """Whether own values of a key can't be read: then the rows don't inherit the key, either."""
        columns, there = self._fragment.columns.of(root_of(key)), self._fragment.file_columns
        if self._packed:
            names = there.names_storing(column for column in columns if column in self._packed)
        else:
            names = [n for column in columns if (n := there.names[column]) in self._read]
        return any(is_lost(self._table.column(name)) for name in names)

    def stored(self) -> ColumnsByKind:
        """All columns as they are stored, including those that record where ``None`` was set."""
        return self._in_columns(self._fragment.columns)

    def sparse(self) -> dict[Column, pa.Array]:
        """The sparse columns that were read, and can be: a map for each row."""
        stored = self._fragment.file_columns.stored if self._packed else {}
        names = {maps: n for maps, n in stored.items() if isinstance(maps.kind, SparseKind)}
        found = {c: self._table.column(name) for c, name in names.items() if name in self._read}
        return {maps: one_array(each) for maps, each in found.items() if not is_lost(each)}

    def dense_keys(self) -> list[str]:
        """The keys that have columns of their own."""
        return keys_of(self._fragment.file_columns.stored)

    def by_kind(self, key: str, takes: Callable[[Kind], bool] = lambda _: True) -> ColumnsByKind:
        """The values of a key in the rows: the record's own, else the inherited one.

        Args:
            takes: selects the kinds of inherited values; values of others are not copied.
        """
        own = self.own(key)
        hiding = self.own(key.root) if isinstance(key, Path) else own
        if root_of(key) not in self._scan.node_key_set or self.is_lost(key):
            return own
        inherited = self._scan.snapshot.nodes.resolved(key, self.positions, takes)
        if not hiding:
            return inherited
        has_own = any_valid(hiding, self.rows)
        for column, values in inherited.items():
            rest = pc.if_else(has_own, null_scalar(values.type), values)
            own[column] = pc.coalesce(own[column], rest) if column in own else rest
        return own

    def flat(self, flats: Sequence[Flat]) -> list[pa.Array]:
        """Some columns of the flat table."""
        kinds = {each.name: self._scan.flat_kind(each.name) for each in flats}
        self.unpack(flat.key for flat in flats)
        found = self._as_they_are(flats, kinds)
        for key, some in _by_key(flat for flat in flats if flat.name not in found).items():
            values = self.by_kind(key, _takes(some))
            found |= {each.name: flat_column(values, kinds[each.name], self.rows) for each in some}
        return [found[flat.name] for flat in flats]

    def _as_they_are(self, flats: Sequence[Flat], kinds: Mapping[str, Kind]) -> dict[str, pa.Array]:
        """The columns of the flat table that are one column here, as most of a wide table are."""
        inherited, of = self._scan.node_key_set, self._fragment.columns.of
        sealed = {kind: kind.sealed_type for kind in set(kinds.values())}
        found: dict[str, pa.Array] = {}
        for name, key, _ in flats:
            columns, kind = of(key), kinds[name]
            is_own = key not in inherited and not isinstance(key, Path)
            if is_own and len(columns) == 1 and columns[0].kind is kind is not NULL:
                stored = self._stored_in(columns[0])
                if isinstance(stored, pa.Array) and stored.type == sealed[kind]:
                    found[name] = stored
                elif stored is not None:
                    found[name] = in_sealed_type(columns[0], stored)
        return found

    def filtered(self, mask: pa.Array) -> Piece:
        """The rows selected by the mask."""
        return self._of(self._table.filter(mask))

    def taken(self, places: pa.Array) -> Piece:
        """The rows at some positions, in this order."""
        return self._of(self._table.take(places))

    def slice(self, start: int, rows: int) -> Piece:
        """A range of the rows."""
        return self._of(self._table.slice(start, rows))

    def _of(self, table: pa.Table) -> Piece:
        return Piece(self._scan, self._fragment, table, packed=self._packed)

    def that_meet(self, conditions: Sequence[Bound]) -> Piece:
        """The rows that meet all conditions; SQL runs only on those that meet the others."""
        mask = pa.repeat(bool_scalar(value=True), self.rows)
        texts = []
        for each in conditions:
            if isinstance(each, BoundSql):
                texts.append(each)
            else:
                mask = pc.and_(mask, self._mask(each))
        found = self if len(texts) == len(conditions) else self.filtered(mask)
        for text in texts:
            found = found.filtered(found._sql_mask(text))
        return found

    def _sql_mask(self, condition: BoundSql) -> pa.Array:
        """Which rows meet a SQL expression; evaluated in batches with few inherited values."""
        rows = rows_at_once(self._scan.snapshot.nodes, condition)
        parts = [self.slice(start, rows) for start in range(0, self.rows, rows)]
        found = [met(condition, part.by_kind, part.rows) for part in parts]
        return pa.concat_arrays(found) if found else pa.array([], pa.bool_())

    def _mask(self, condition: Condition | Choice) -> pa.Array:
        """Which rows meet a condition; an inherited value is compared once for all rows."""
        key, own = condition.key, self.own(condition.key)
        hiding = self.own(key.root) if isinstance(key, Path) else own
        if root_of(key) not in self._scan.node_key_set or self.is_lost(condition.key):
            return condition.matches(own, self.rows)
        nodes = self.positions.dictionary_encode(null_encoding="encode")
        of_nodes = matches(self._scan.snapshot.nodes, condition, nodes.dictionary)
        mask = of_nodes.take(nodes.indices)
        if not hiding:
            return mask
        return pc.if_else(any_valid(hiding, self.rows), condition.matches(own, self.rows), mask)


def _takes(flats: Sequence[Flat]) -> Callable[[Kind], bool]:
    return lambda kind: any(flat.takes(kind) for flat in flats)


def _by_key(flats: Iterable[Flat]) -> dict[str, list[Flat]]:
    found: dict[str, list[Flat]] = {}
    for each in flats:
        found.setdefault(each.key, []).append(each)
    return found


def with_nodes(table: pa.Table, runs: pa.RunEndEncodedArray) -> pa.Table:
    if NODE in table.column_names:
        return table
    return table.append_column(NODE, pc.run_end_decode(runs))


def of_nodes(
    table: pa.Table, runs: pa.RunEndEncodedArray, among: pa.Array
) -> tuple[pa.Table, pa.RunEndEncodedArray]:
    """The rows of a table that belong to some nodes, and their nodes."""
    is_selected = pc.is_in(runs.values, value_set=among)
    stops = runs.run_ends
    starts = pc.subtract(stops, pc.pairwise_diff(stops)).fill_null(int64_scalar(0).cast(stops.type))
    ids, first, last = (each.filter(is_selected) for each in (runs.values, starts, stops))
    ends = pc.cumulative_sum(pc.subtract(last, first))
    found = run_end_encoded(ends, ids)
    if len(ids) > _FEW_RUNS:
        return table.filter(spread(runs, is_selected)), found
    spans = zip(first.to_pylist(), last.to_pylist(), strict=True)
    tables = [table.slice(start, stop - start) for start, stop in spans]
    return pa.concat_tables(tables or [table.slice(0, 0)]), found


def spread(runs: pa.RunEndEncodedArray, values: pa.Array) -> pa.Array:
    """The value of each run, repeated for its rows."""
    return pc.run_end_decode(run_end_encoded(runs.run_ends, values))
