"""Levels: the rows that a question about some keys is about, so that no value counts twice.

The flat table repeats what a recorder knows once for each record below it. The level of some keys
are the lowest recorders that have one of them as an attribute of their own, with all that they
inherit, whether they have records or not; where a key is a record's own, it is the records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from .._arrow import pa, pc
from .._tree import ATTEMPT_KEYS, keys_of
from .attempts import Places, attempts, places_of
from .conditions import any_valid
from .duckdb_values import for_duckdb
from .mixed import Flat
from .prefetch import ahead
from .scan import Group, Piece, Scan, flat_column, nodes_that_meet

__all__ = ["LevelRows", "level_of", "level_rows"]


def level_of(scan: Scan, keys: Sequence[str]) -> pa.Array | None:
    """Positions of the recorders that are the level of some keys; None where it is the records.

    Keys of conditions are among those that are asked for: where a lower recorder knows them, or
    a record, the level is as low.
    """
    wanted = scan.condition_keys.union(keys)
    if wanted & set(keys_of(scan.record_columns)):
        return None
    nodes, positions = scan.moment.nodes, scan.node_positions
    if positions is None:
        positions = pc.indices_nonzero(nodes.ids.is_valid()).cast(pa.int64())
    has_own = pa.repeat(pa.scalar(False), len(positions))
    for key in wanted:
        has_own = pc.or_(has_own, any_valid(nodes.own(key, positions), len(positions)))
    if scan.scope.node is not None:  # what the recorder inherits is its own in its part of the tree
        has_own = pc.or_(has_own, pc.equal(positions, nodes.position(scan.scope.node)))
    lowest = _lowest(scan, positions.filter(has_own))
    return nodes_that_meet(nodes, scan.bound, lowest)


def _lowest(scan: Scan, positions: pa.Array) -> pa.Array:
    """Those nodes of which none is below another."""
    parents = scan.moment.nodes.parents
    above, level = [positions.slice(0, 0)], positions
    while len(level):
        level = pc.unique(parents.take(level).drop_null())
        above.append(level)
    return positions.filter(pc.invert(pc.is_in(positions, value_set=pa.concat_arrays(above))))


class LevelRows(NamedTuple):
    """The rows of a level.

    Their columns are ``c0``, ``c1``, ... for the keys; ``owner``, which is the same for rows that
    have one and the same value of a recorder; of those in resumed experiments ``place`` and
    ``attempt``. Rows of several attempts that have one place take each other's place.

    Attributes:
        rows: those that are in no resumed experiment; they can be read once.
        resumed: those that are; None where attempts are not told apart.
        has_owner: whether there is a column ``owner``: without one no two rows share a value.
    """

    rows: pa.Table | pa.RecordBatchReader
    resumed: pa.Table | None
    has_owner: bool


def level_rows(
    scan: Scan, names: Sequence[str], value: str, *, tells_attempts: bool
) -> LevelRows | None:
    """The rows of the level of some columns; None where they are just the rows of ``records``.

    Args:
        names: the names of the columns in the flat table.
        value: the one of them of whose values each counts once.
        tells_attempts: whether rows of a resumed experiment come by themselves.
    """
    columns = {f"c{number}": scan.flats[name] for number, name in enumerate(names)}
    keys, value = [flat.key for flat in columns.values()], scan.flats[value].key
    level = level_of(scan, keys)
    has_owner = value in scan.node_keys
    places = _places(scan, value) if tells_attempts else None
    if level is None and not has_owner and places is None:
        return None
    if level is not None:
        return _of_recorders(scan, level, columns, value, places)
    return _of_records(scan, columns, value if has_owner else None, places)


def _places(scan: Scan, value: str) -> Places | None:
    """The places of all nodes; None where no experiment was ever resumed."""
    nodes = scan.moment.nodes
    if ATTEMPT_KEYS[1] not in keys_of(nodes.columns) or not (found := attempts(nodes)):
        return None
    return places_of(nodes, found, value)


def _of_recorders(
    scan: Scan, level: pa.Array, columns: Mapping[str, Flat], value: str, places: Places | None
) -> LevelRows:
    nodes = scan.moment.nodes

    def rows(positions: pa.Array) -> pa.Table:
        found: dict[str, Any] = {}
        for name, flat in columns.items():
            variants, kind = nodes.resolved(flat.key, positions), scan.flat_kind(flat.name)
            found[name] = for_duckdb(flat_column(variants, kind, len(positions)))
        found["owner"] = nodes.words(value, positions)
        if places is not None:
            found |= {"place": places.place.take(positions)}
            found |= {"attempt": places.attempt.take(positions)}
        return pa.table(found)

    if places is None:
        return LevelRows(rows(level), None, has_owner=True)
    is_resumed = places.place.take(level).is_valid()
    resumed, others = level.filter(is_resumed), level.filter(pc.invert(is_resumed))
    return LevelRows(rows(others), rows(resumed), has_owner=True)


def _of_records(
    scan: Scan, columns: Mapping[str, Flat], value: str | None, places: Places | None
) -> LevelRows:
    reading = _Reading(scan, columns, value, places)
    if places is None:
        return LevelRows(reading.rows(None), None, has_owner=value is not None)
    nodes = scan.moment.nodes
    resumed = nodes.ids.filter(places.place.is_valid())
    return LevelRows(
        reading.rows(lambda ids: ids.filter(pc.invert(pc.is_in(ids, value_set=resumed)))),
        # A table: DuckDB before 2.0 gives no rows of a reader below a window.
        reading.rows(lambda ids: ids.filter(pc.is_in(ids, value_set=resumed))).read_all(),
        has_owner=value is not None,
    )


class _Reading:
    """Reads records with their owners and places, in bounded memory."""

    def __init__(
        self, scan: Scan, columns: Mapping[str, Flat], value: str | None, places: Places | None
    ) -> None:
        self._scan = scan
        self._columns = columns
        self._value = value
        self._of_nodes: dict[str, pa.Array] = {}
        if value is not None:
            self._of_nodes["owner"] = scan.moment.nodes.words(value)
        if places is not None:
            self._of_nodes |= {"place": places.place, "attempt": places.attempt}
        self._read_columns = scan.columns_for([flat.key for flat in columns.values()])

    def rows(self, choose: Callable[[pa.Array], pa.Array] | None) -> pa.RecordBatchReader:
        """The rows, some at a time.

        Args:
            choose: the nodes, among some by their ids, whose records are read; None for all.
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
        kinds = {name: self._scan.flat_kind(flat.name) for name, flat in self._columns.items()}
        nothing = {name: for_duckdb(flat_column({}, kind, 0)) for name, kind in kinds.items()}
        return pa.table(
            nothing | {name: pa.array([], pa.int64()) for name in self._of_nodes}
        ).schema

    def _batch(self, piece: Piece) -> pa.RecordBatch:
        columns = map(for_duckdb, piece.flat(list(self._columns.values())))
        found = dict(zip(self._columns, columns, strict=True))
        for name, values in self._of_nodes.items():
            found[name] = values.take(piece.positions)
        if self._value is not None and (own := piece.own(self._value)):
            # what a record has itself belongs to no other
            nobody = pa.scalar(None, pa.int64())
            found["owner"] = pc.if_else(any_valid(own, piece.rows), nobody, found["owner"])
        return pa.RecordBatch.from_pydict(found)


def _with_all_owners(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """A number below 0, that no other row has, where a row's owner is null."""
    start = 1
    for batch in batches:
        if "owner" not in batch.schema.names:
            yield batch
            continue
        at = batch.schema.get_field_index("owner")
        counted = pc.indices_nonzero(pa.repeat(pa.scalar(True), batch.num_rows)).cast(pa.int64())
        own = pc.negate(pc.add(counted, start))
        yield batch.set_column(at, "owner", pc.coalesce(batch.column(at), own))
        start += batch.num_rows
