"""Own and inherited values of nodes, key by key; the nearest value wins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from .._arrow import pa, pc
from .._keys import FIRST_KEYS
from .._live.column import DELETION_COLUMN, Column
from .._nested import Path, inside, root_of
from .._once import once
from .._store.fragments import Fragment, stored_tables
from .._store.node_ids import ROOT
from .._store.node_index import IndexFile, NodeIndex
from .._values.chunks import (
    bool_scalar,
    count_to,
    int64_array,
    int64_scalar,
    most_bytes,
    null_scalar,
)
from .._values.kinds import NULL, Kind
from ..errors import TooLargeError
from .arrangement import Arrangement, arranged, index_of, indexed
from .columns import ColumnsByKind, by_key, values_of
from .deletion import Deletion
from .few import FewData
from .shape import Shape
from .updates import Updates

__all__ = ["Nodes"]

#: An Arrow text array addresses its bytes with 32 bits.
_MOST_BYTES: Final = 2**31 - 1
#: So few levels are always resolved one after the other, and in the time that a look at one takes as
#: many nodes are looked at.
_FEW_LEVELS: Final = 8
_NODES_OF_A_LEVEL: Final = 1_000


class Nodes(Shape):
    """All nodes of a tree in one snapshot, read on first use.

    Deleted nodes, and all below them, are excluded.

    Args:
        on_read: called with the latest time of an update, in microseconds since the epoch, before
            the first result; 0 if there is none.
        includes_deleted: whether deleted nodes are included.
        roots: the nodes above experiments: of several collections that of each.
        file: where the index of the nodes is; None for those that have none.

    Attributes:
        columns: the physical columns of the user keys.
        with_deleted: the same nodes with the deleted ones, which are below the node ``DELETED``.
        deletion: the deleted nodes.
    """

    def __init__(
        self,
        fragments: Sequence[Fragment],
        on_read: Callable[[int], object] = lambda _: None,
        *,
        includes_deleted: bool = False,
        roots: Sequence[int] = (ROOT,),
        file: IndexFile | None = None,
    ) -> None:
        columns = {column: None for each in fragments for column in each.columns}
        self.columns = [column for column in columns if isinstance(column.key, str)]
        #: The column that deletes nodes; none if no update ever did.
        self._deletions = [DELETION_COLUMN] if DELETION_COLUMN in columns else []
        self.with_deleted = self
        if self._deletions and not includes_deleted:
            self.with_deleted = Nodes(fragments, on_read, includes_deleted=True, roots=roots)
        self.deletion = Deletion(None if self.with_deleted is self else self.with_deleted)
        self._roots = roots
        self._fragments = fragments
        self._on_read = on_read
        self._file = file
        self._sources: dict[str, Any] = {}
        self._widest: dict[str, int] = {}

    @once
    def deleted(self) -> pa.Array | None:
        """Sorted ids of the deleted nodes and of all below them; None if there are none.

        Free if nothing was ever deleted.
        """
        return self.deletion.ids if self._index is None else self._index.deleted

    @once
    def _index(self) -> NodeIndex | None:
        """What the index has of these nodes; None if there is none."""
        return None if self._file is None else self._file.read(self._fragments)

    @once
    def arranged(self) -> Arrangement:
        """The nodes in order of depth."""
        if self._index is not None:
            self._on_read(self._index.last_time)
            return indexed(self._index, self._fragments)
        if self.with_deleted is not self:
            whole = self.with_deleted.arranged
            gone = self.deleted
            return whole if gone is None else arranged(Updates(whole.rows.pieces, gone))
        rows = Updates(stored_tables(self._fragments), None)
        self._on_read(rows.last_time)
        return arranged(
            rows,
            rows[DELETION_COLUMN].fill_null(bool_scalar(value=False)) if self._deletions else None,
        )

    @once
    def few(self) -> FewData:
        """The attributes of few nodes."""
        return FewData(self)

    @once
    def keys(self) -> list[str]:
        """The keys in the order of the flat table: experiments' first, then from the root down."""
        if self._index is not None:
            return list(self._index.keys)
        keys, rows = self._ordered(None), self.arranged.rows
        is_whole = sum(table.num_rows for _, table in rows.pieces) == sum(
            each.rows for each in self._fragments
        )
        if self._file is not None and is_whole and not rows.has_lost:
            self._file.write(self._fragments, index_of(self.arranged, self.deleted, keys))
        return keys

    def keys_above(self, positions: pa.Array) -> list[str]:
        """The keys that these nodes or their ancestors have, in the order of the flat table."""
        return self._ordered(self.with_ancestors(positions))

    def with_ancestors(self, positions: pa.Array) -> pa.Array:
        """Positions of some nodes and of their ancestors, each once."""
        reached, level = [], pc.unique(positions).cast(pa.int64()).drop_null()
        while len(level):
            reached.append(level)
            level = pc.unique(self.parents.take(level)).drop_null()
        return pc.unique(pa.concat_arrays([int64_array([]), *reached]))

    def positions_below_roots(self) -> pa.Array:
        """Positions of the nodes directly below a collection's root, in order of collection."""
        return pa.concat_arrays([self.child_positions(root) for root in self._roots])

    def resolved(
        self,
        key: str,
        positions: pa.Array | None = None,
        takes: Callable[[Kind], bool] = lambda _: True,
    ) -> ColumnsByKind:
        """The own or inherited values of a key, for all nodes or those at positions.

        Args:
            takes: selects kinds of values; values of others are not copied.

        Raises:
            TooLargeError: they exceed the size of an Arrow array.
        """
        if isinstance(key, Path):
            return self._resolved_inside(key, positions, takes)
        source = self._source(key)
        rows = source if positions is None else source.take(positions)
        columns = [each for each in self._columns_of(key) if takes(each.kind)]
        self._require_room(key, columns, rows)
        return self._values(columns, rows)

    def _resolved_inside(
        self, path: Path, positions: pa.Array | None, takes: Callable[[Kind], bool]
    ) -> ColumnsByKind:
        """The same for values at a path: no dicts are copied for nodes that inherit them."""
        every = count_to(self.count) if positions is None else positions
        found, places = self.shared(path, every)
        return {c: values.take(places) for c, values in found.items() if takes(c.kind)}

    def kinds(self, key: str, positions: pa.Array | None = None) -> set[Kind]:
        """The kinds of own and inherited values, without former values."""
        columns = self._columns_of(key)
        is_stored = not isinstance(key, Path)
        if is_stored and positions is None and len(columns) == 1 and columns[0].kind != NULL:
            if self._is_counted(columns[0]):
                here = (each for each in self._fragments if columns[0] in each.columns)
                return {columns[0].kind} if any(each.count(columns[0]) for each in here) else set()
            values = self.arranged.rows.present(columns[0])  # no value was removed
            return {columns[0].kind} if values.null_count < len(values) else set()
        every = count_to(self.count) if positions is None else positions
        found, _ = self.shared(key, every)
        return {column.kind for column, values in found.items() if values.null_count < len(values)}

    def _is_counted(self, column: Column) -> bool:
        """Whether the footers of all files have the number of a column's values."""
        if self._index is None or self._index.deleted is not None:
            return False  # the files may be read anyway, or have values that are excluded
        is_nested = pa.types.is_nested(column.kind.sealed_type)  # empty lists are not counted
        sparse = (each.file_columns.sparse for each in self._fragments)
        return not is_nested and all(column not in each for each in sparse)

    def shared(self, key: str, positions: pa.Array) -> tuple[ColumnsByKind, pa.Array]:
        """The distinct own and inherited values of a key, and for each position which one it is.

        A value that many nodes inherit is not copied for each of them. Null if there is none.
        """
        found = self._source(key).take(positions).dictionary_encode()
        values = self._values_of(key, found.dictionary)
        # Rows that may have removed the value, and can't be read, belong to a key without values.
        return values, found.indices if values else pa.nulls(len(positions), found.indices.type)

    def widest(self, key: str) -> int:
        """The approximate size of the largest value of a key in bytes."""
        if key not in self._widest:
            columns = self._columns_of(key)
            self._widest[key] = sum(most_bytes(self.arranged.rows.present(c)) for c in columns)
        return self._widest[key]

    def sizes(self, key: str, positions: pa.Array) -> pa.Array:
        """For each position the approximate size in bytes of the own or inherited value."""
        return self._sizes(self._columns_of(key), self._source(key).take(positions))

    def _sizes(self, columns: Sequence[Column], rows: pa.Array) -> pa.Array:
        found = pa.repeat(int64_scalar(0), len(rows))
        for column in columns:
            sizes = self.arranged.rows.sizes(column, rows)
            found = pc.add(found, sizes.fill_null(int64_scalar(0)))
        return found

    def _require_room(self, key: str, columns: Sequence[Column], rows: pa.Array) -> None:
        if self.widest(key) * len(rows) < _MOST_BYTES:
            return
        size = pc.sum(self._sizes(columns, rows)).as_py() or 0
        if size >= _MOST_BYTES:
            message = (
                f"{key!r} of {len(rows):,} recorders, inherited values included, is {size / 1e9:,.1f}"
                f" GB, and a column can have {_MOST_BYTES / 1e9:,.1f} GB. Name the columns that you"
                " need in a query, without this one, or select fewer records"
            )
            raise TooLargeError(message)

    def has_key(self, key: str) -> bool:
        """Whether any node has, or had, an attribute with this name."""
        return key in self._by_key

    def value_counts(self, key: str) -> dict[Kind, int]:
        """How many values of each kind an attribute was set to, including former values."""
        columns = self._columns_of(key)
        found = {column.kind: self.arranged.rows.present(column) for column in columns}
        if isinstance(key, Path):
            texts = {Column(key, kind): values for kind, values in found.items()}
            found = {column.kind: values for column, values in inside(key, texts).items()}
        return {kind: len(v) - v.null_count for kind, v in found.items() if kind != NULL}

    def own(self, key: str, positions: pa.Array | None = None) -> ColumnsByKind:
        """The nodes' own values of a key."""
        source = self._own_source(key)
        rows = source if positions is None else source.take(positions)
        return self._values_of(key, rows)

    def value_ids(self, key: str, positions: pa.Array | None = None) -> pa.Array:
        """For each node a unique number of its own or inherited value of a key.

        Null if it has none.
        """
        source = self._source(key)
        return source if positions is None else source.take(positions)

    def own_data(
        self, positions: pa.Array, keys: Iterable[str] | None = None
    ) -> list[dict[str, Any]]:
        """The own attributes of the node at each position; None for removed ones.

        Args:
            keys: those to read; all by default.
        """
        found: dict[int, dict[str, Any]] = {at: {} for at in positions.to_pylist()}
        some = self.arranged.updates.rows_of(positions)
        for key in self._in_order if keys is None else keys:
            columns = self._columns_of(key)
            there = self.arranged.rows.setting(columns, some)
            if len(there) > len(found):  # former values
                there = self.arranged.updates.last_of_each(there)
            nodes = self.arranged.updates.nodes_of(there).to_pylist()
            values = values_of(self._values(columns, there), len(there))
            for node, value in zip(nodes, values, strict=True):
                found[node][key] = value
        return list(found.values())

    def first_updates(self, positions: pa.Array) -> ColumnsByKind:
        """The attributes that the first update of the node at each position set, in order."""
        rows = self.arranged.updates.rows_of(positions).rows
        nodes = self.arranged.updates.nodes_of(rows)
        first = rows.take(pc.index_in(positions, value_set=nodes))
        return {column: self.arranged.rows.values(column, first) for column in self.columns}

    def _own_source(self, key: str) -> pa.Array:
        """For each node the row with the latest value on a key; null where that was None."""
        columns = self._columns_of(key)
        last = self.arranged.updates.last(self.arranged.rows.setting(columns))
        null = Column(root_of(key), NULL)
        if null not in columns:
            return last
        taken_back = self.arranged.rows.values(null, last)
        is_taken_back = taken_back.fill_null(bool_scalar(value=False))
        return pc.if_else(is_taken_back, null_scalar(pa.int64()), last)

    def _source(self, key: str) -> pa.Array:
        """The same, with the row of the nearest ancestor if a node has no value of its own."""
        if key not in self._sources:
            own = self._own_source(key)
            self._sources[key] = self._by_jumps(own) if self._is_deep else self._by_level(own)
        return self._sources[key]

    def _by_level(self, own: pa.Array) -> pa.Array:
        """Each node's row, or that of the nearest ancestor with one, level by level."""
        start, above = 0, None
        pieces = [own.slice(0, 0)]
        for size in self._level_sizes:
            piece = own.slice(start, size)
            if above is not None:
                offset = pc.subtract(
                    self.parents.slice(start, size), int64_scalar(start - len(above))
                )
                piece = pc.coalesce(piece, above.take(offset))
            pieces.append(piece)
            start, above = start + size, piece
        return pa.concat_arrays(pieces)

    def _by_jumps(self, own: pa.Array) -> pa.Array:
        """The same: each round doubles the number of ancestors that have been looked at."""
        for above in self._jumps:
            own = pc.coalesce(own, own.take(above))
        return own

    @once
    def _jumps(self) -> list[pa.Array]:
        """The position of the ancestor 1, 2, 4, ... levels above each node; null if there is none."""
        found, above = [], self.parents
        while above.null_count < len(above):
            found.append(above)
            above = above.take(above)
        return found

    @once
    def _is_deep(self) -> bool:
        """Whether a look at each level takes longer than a look at all nodes for each jump."""
        levels = len(self._level_sizes)
        return (
            levels > _FEW_LEVELS and levels * _NODES_OF_A_LEVEL > self.count * levels.bit_length()
        )

    @once
    def _level_sizes(self) -> list[int]:
        """The number of nodes of each level, from the roots down."""
        return [each["counts"] for each in pc.value_counts(self.arranged.depths).to_pylist()]

    def _values_of(self, key: str, rows: pa.Array) -> ColumnsByKind:
        found = self._values(self._columns_of(key), rows)
        return inside(key, found) if isinstance(key, Path) else found

    def _values(self, columns: Sequence[Column], rows: pa.Array) -> ColumnsByKind:
        return {
            column: self.arranged.rows.values(column, rows)
            for column in columns
            if column.kind != NULL
        }

    def _columns_of(self, key: str) -> list[Column]:
        return self._by_key.get(root_of(key), [])

    @once
    def _by_key(self) -> dict[str, list[Column]]:
        return {str(key): columns for key, columns in by_key(self.columns).items()}

    @once
    def _in_order(self) -> list[str]:
        """The keys in order of time, as columns of their own are."""
        keys, rows = list(self._by_key), self.arranged.rows
        if not rows.is_sparse:
            return keys
        first = {key: rows.first_setting(columns) for key, columns in self._by_key.items()}
        return sorted(keys, key=first.__getitem__)

    def _ordered(self, positions: pa.Array | None) -> list[str]:
        """The keys set on these nodes: experiments' first, then by depth, then by time."""
        ranks: list[tuple[bool, int, int, str]] = []
        some = None if positions is None else self.arranged.updates.rows_of(positions)
        for order, key in enumerate(self._in_order):
            there = self.arranged.rows.setting(self._by_key[key], some)
            if len(there):
                highest = pc.min(self.arranged.updates.nodes_of(there)).as_py()
                level = self.arranged.depths[highest].as_py()
                ranks.append((key not in FIRST_KEYS, level, order, key))
        return [key for *_, key in sorted(ranks)]
