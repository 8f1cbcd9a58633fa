"""Levels: the rows that a query over some keys is about, so that no value counts twice.

The flat table repeats a recorder's attributes for each record below it. The level of some keys is
the lowest recorders that have one of them as their own attribute, with all that they inherit and
whether or not they have records. If records have one of the keys themselves, it is the records.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from .._arrow import pa, pc
from .._keys import ATTEMPT_KEYS
from .._nested import root_of
from .._once import once
from .._prefetch import ahead
from .._tree.columns import ColumnsByKind, any_valid, keys_of
from .._values.chunks import bool_scalar, count_to, int64_array, int64_scalar, null_scalar
from .attempts import AttemptPlaces, attempts, places_of
from .duckdb_values import for_duckdb
from .mixed import Flat, flat_column
from .node_conditions import nodes_that_meet
from .piece import Group, Piece
from .scan import Scan
from .value_numbers import ValueNumbers
from .widths import is_large

__all__ = ["LevelRows", "level_of", "level_rows"]


def level_of(scan: Scan, keys: Sequence[str]) -> pa.Array | None:
    """Positions of the recorders that are the level of some keys; None if it is the records.

    Keys of conditions count, too: if a lower recorder or a record has them, the level is as low.
    """
    wanted = scan.condition_keys.union(keys)
    if any(map(scan.columns_of, wanted)):
        return None
    nodes, positions = scan.snapshot.nodes, scan.node_positions
    if positions is None:
        positions = pc.indices_nonzero(nodes.ids.is_valid()).cast(pa.int64())
    has_own = pa.repeat(bool_scalar(value=False), len(positions))
    for key in wanted:
        has_own = pc.or_(has_own, any_valid(nodes.own(key, positions), len(positions)))
    if scan.scope.node is not None:  # below a recorder, what it inherits counts as its own
        has_own = pc.or_(has_own, pc.equal(positions, nodes.positions_of([scan.scope.node])[0]))
    lowest = _lowest(scan, positions.filter(has_own))
    return nodes_that_meet(nodes, scan.bound, lowest)


def _lowest(scan: Scan, positions: pa.Array) -> pa.Array:
    """The nodes that have none of the others below them."""
    parents = scan.snapshot.nodes.parents
    above, level = [positions.slice(0, 0)], positions
    while len(level):
        level = pc.unique(parents.take(level).drop_null())
        above.append(level)
    return positions.filter(pc.invert(pc.is_in(positions, value_set=pa.concat_arrays(above))))


class LevelRows(NamedTuple):
    """The rows of a level.

    Columns are ``c0``, ``c1``, ... for the keys; ``owner``, equal for rows that share a recorder's
    value; and in resumed experiments ``place`` and ``attempt``, where rows of several attempts
    with the same place replace each other. Large values that many rows inherit are numbered.

    Attributes:
        rows: those outside resumed experiments; they can be read once.
        resumed: those inside; None if attempts are not distinguished.
        has_owner: whether there is a column ``owner``: without it no two rows share a value.
        numbered: the values of numbered columns, complete once ``rows`` are read.
    """

    rows: pa.Table | pa.RecordBatchReader
    resumed: pa.Table | None
    has_owner: bool
    numbered: Mapping[str, ValueNumbers]


def level_rows(
    scan: Scan, names: Sequence[str], value: str, read: Collection[str], *, has_attempts: bool
) -> LevelRows | None:
    """The rows of the level of some columns; None if they are the rows of ``records``.

    Args:
        names: the names of the columns in the flat table.
        value: the one whose values count once each.
        read: the ones whose values are needed; for others it only matters which rows are equal.
        has_attempts: whether rows of resumed experiments are returned separately.
    """
    columns = {f"c{number}": scan.flats[name] for number, name in enumerate(names)}
    keys, value = [flat.key for flat in columns.values()], scan.flats[value].key
    level = level_of(scan, keys)
    has_owner = value in scan.inherited_keys
    places = _places(scan, value) if has_attempts else None
    rows = sum(group.rows for group in scan.groups) if level is None else len(level)
    numbered = {
        name: ValueNumbers()
        for name, flat in columns.items()
        if flat.name not in read and is_large(scan, flat, rows)
    }
    if level is None and not has_owner and places is None and not numbered:
        return None
    reader = _LevelReader(scan, columns, value if has_owner else None, places, numbered)
    return reader.of_records() if level is None else reader.of_recorders(level)


def _places(scan: Scan, value: str) -> AttemptPlaces | None:
    """The places of all nodes; None if no experiment was ever resumed."""
    nodes = scan.snapshot.nodes
    if ATTEMPT_KEYS[1] not in keys_of(nodes.columns) or not (found := attempts(nodes)):
        return None
    return places_of(nodes, found, value)


class _LevelReader:
    """Reads the rows of a level with owners and places, in bounded memory."""

    def __init__(
        self,
        scan: Scan,
        columns: Mapping[str, Flat],
        value: str | None,
        places: AttemptPlaces | None,
        numbered: Mapping[str, ValueNumbers],
    ) -> None:
        self._scan = scan
        self._columns = {name: flat for name, flat in columns.items() if name not in numbered}
        self._value = value
        self._places = places
        self._numbered = numbered
        self._numbered_columns = {name: columns[name] for name in numbered}
        self._of_nodes: dict[str, pa.Array] = {}
        if value is not None:
            self._of_nodes["owner"] = scan.snapshot.nodes.value_ids(value)
        if places is not None:
            self._of_nodes |= {"place": places.place, "attempt": places.attempt}
        self._read_columns = scan.columns_for([flat.key for flat in columns.values()])

    # --- recorders -----------------------------------------------------------------------------

    def of_recorders(self, level: pa.Array) -> LevelRows:
        """One row for each of the recorders at these positions."""
        if self._places is None:
            return self._found(self._recorders(level), None)
        is_resumed = self._places.place.take(level).is_valid()
        others = self._recorders(level.filter(pc.invert(is_resumed)))
        return self._found(others, self._recorders(level.filter(is_resumed)))

    def _found(self, rows: pa.Table | pa.RecordBatchReader, resumed: pa.Table | None) -> LevelRows:
        return LevelRows(rows, resumed, self._value is not None, self._numbered)

    def _recorders(self, positions: pa.Array) -> pa.Table:
        nodes, found = self._scan.snapshot.nodes, dict[str, Any]()
        for name, flat in self._columns.items():
            values = nodes.resolved(flat.key, positions, flat.takes)
            found[name] = self._flat(flat, values, len(positions))
        found |= {name: self._inherited_numbers(name, positions) for name in self._numbered}
        found |= {name: values.take(positions) for name, values in self._of_nodes.items()}
        return pa.table(found)

    def _inherited_numbers(self, name: str, positions: pa.Array) -> pa.Array:
        """For each position the number of the node's own or inherited value in a column."""
        flat = self._numbered_columns[name]
        found, places = self._scan.snapshot.nodes.shared(flat.key, positions)
        values = self._flat(flat, found, len(next(iter(found.values()), ())))
        return self._numbered[name].of(values).take(places)

    def _flat(self, flat: Flat, by_kind: ColumnsByKind, rows: int) -> pa.Array:
        return for_duckdb(flat_column(by_kind, self._scan.flat_kind(flat.name), rows))

    # --- records -------------------------------------------------------------------------------

    def of_records(self) -> LevelRows:
        """One row for each record."""
        if self._places is None:
            return self._found(self._records(None), None)
        resumed = self._scan.snapshot.nodes.ids.filter(self._places.place.is_valid())
        return self._found(
            self._records(lambda ids: ids.filter(pc.invert(pc.is_in(ids, value_set=resumed)))),
            # A table: DuckDB before 2.0 returns no rows of a reader below a window.
            self._records(lambda ids: ids.filter(pc.is_in(ids, value_set=resumed))).read_all(),
        )

    def _records(self, choose: Callable[[pa.Array], pa.Array] | None) -> pa.RecordBatchReader:
        """The records, in batches.

        Args:
            choose: selects the nodes whose records are read, given ids; None for all.
        """

        def read(group: Group) -> list[pa.RecordBatch]:
            among = None if choose is None else choose(self._scan.nodes_of(group))
            if among is not None and not len(among):
                return []
            pieces = self._scan.read(group, self._read_columns, among=among)
            return [self._batch(piece) for piece in pieces]

        batches = chain.from_iterable(ahead(read, self._scan.groups))
        return pa.RecordBatchReader.from_batches(self._schema(), _with_all_owners(batches))

    def _schema(self) -> pa.Schema:
        nothing = {name: self._flat(flat, {}, 0) for name, flat in self._columns.items()}
        numbers = dict.fromkeys([*self._numbered, *self._of_nodes], int64_array([]))
        return pa.table(nothing | numbers).schema

    def _batch(self, piece: Piece) -> pa.RecordBatch:
        columns = map(for_duckdb, piece.flat(list(self._columns.values())))
        found = dict(zip(self._columns, columns, strict=True))
        found |= {name: self._numbers(piece, name) for name in self._numbered}
        for name, values in self._of_nodes.items():
            found[name] = values.take(piece.positions)
        if self._value is not None and (own := piece.own(root_of(self._value))):
            # a record's own value belongs to no other row
            no_owner = null_scalar(pa.int64())
            found["owner"] = pc.if_else(any_valid(own, piece.rows), no_owner, found["owner"])
        return pa.RecordBatch.from_pydict(found)

    def _numbers(self, piece: Piece, name: str) -> pa.Array:
        """For each row the number of its own or inherited value in a column."""
        flat = self._numbered_columns[name]
        own = piece.own(flat.key)
        numbers = self._numbered[name].of(self._flat(flat, own, piece.rows))
        if piece.is_lost(flat.key):
            return numbers
        inherited = self._numbers_of_nodes[name].take(piece.positions)
        return pc.if_else(any_valid(piece.own(root_of(flat.key)), piece.rows), numbers, inherited)

    @once
    def _numbers_of_nodes(self) -> dict[str, pa.Array]:
        every = count_to(self._scan.snapshot.nodes.count)
        return {name: self._inherited_numbers(name, every) for name in self._numbered}


def _with_all_owners(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Replace null owners by unique negative numbers."""
    start = 1
    for batch in batches:
        if "owner" not in batch.schema.names:
            yield batch
            continue
        at = batch.schema.get_field_index("owner")
        counted = count_to(batch.num_rows)
        own = pc.negate(pc.add(counted, int64_scalar(start)))
        yield batch.set_column(at, "owner", pc.coalesce(batch.column(at), own))
        start += batch.num_rows
