"""Resolved nodes: every key of a node and of its ancestors, by column, the nearest word winning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from ._arrow import pa, pc
from ._keys import ATTEMPT_KEYS, EXPERIMENT_KEYS, FIRST_KEYS
from ._live.column import DELETION_COLUMN, NODE, PARENT_COLUMN, TIME_COLUMN, Column
from ._nested import Path, inside, root_of
from ._once import once
from ._store.fragments import Fragment, is_lost, tables_of
from ._store.store import DELETED, ROOT
from ._values.chunks import byte_sizes, one_array
from ._values.kinds import NULL, Kind
from .errors import TooLargeError

__all__ = [
    "ATTEMPT_KEYS",
    "EXPERIMENT_KEYS",
    "FIRST_KEYS",
    "Nodes",
    "Variants",
    "column_in",
    "keys_of",
    "present_values_of",
    "values_of",
]

#: An Arrow array of texts counts their bytes in 32 bits.
_MOST_BYTES: Final = 2**31 - 1
#: The latest time that there can be.
_LATEST: Final = 2**63 - 1

Variants = dict[Column, Any]
"""The values of one key: for each column an array, and no row has a value in more than one."""


def column_in(table: pa.Table, fragment: Fragment, column: Column) -> pa.Array:
    """A column of a piece of a fragment with its sealed type; nulls where it is not there."""
    name = fragment.columns.get(column)
    if name is None or is_lost(stored := table.column(name)):
        return pa.nulls(table.num_rows, column.kind.sealed_type)
    return column.kind.unfile(one_array(stored))


def keys_of(columns: Iterable[Column]) -> list[str]:
    """The users' keys among columns, each once, in order."""
    return list(dict.fromkeys(column.key for column in columns if isinstance(column.key, str)))


def values_of(variants: Variants, rows: int) -> list[Any]:
    """The values of one key as Python objects, None where there is none."""
    merged: list[Any] = [None] * rows
    for column, values in variants.items():
        if values.null_count == rows:
            continue
        found = column.kind.values(values)
        if values.null_count:
            found = [old if v is None else v for old, v in zip(merged, found, strict=True)]
        merged = found
    return merged


def present_values_of(variants: Variants, rows: int) -> Sequence[Any]:
    """The same where every row has a value; numbers as they stand in memory, where it is one kind."""
    found = [(column, values) for column, values in variants.items() if not values.null_count]
    if len(found) != 1:
        return values_of(variants, rows)
    ((column, values),) = found
    return column.kind.present_values(values)


class Nodes:
    """All nodes of a tree at one moment; read when anything is asked of them.

    Those that were deleted, and all below them, are not among them.

    Args:
        on_read: told when anything was said last, in microseconds since the epoch, before the
            first answer; 0 where nothing was.
        includes_deleted: whether they are among them all the same.
        roots: the nodes above experiments: of several collections that of each.

    Attributes:
        columns: the physical columns of the users' keys.
    """

    def __init__(
        self,
        fragments: Sequence[Fragment],
        on_read: Callable[[int], object] = lambda _: None,
        *,
        includes_deleted: bool = False,
        roots: Sequence[int] = (ROOT,),
    ) -> None:
        columns = dict.fromkeys(column for each in fragments for column in each.columns)
        self.columns = [column for column in columns if isinstance(column.key, str)]
        self._deleted: pa.Array | None = None
        #: The columns of what is set on deletions; none where nothing ever was.
        self._marks = [DELETION_COLUMN] if DELETION_COLUMN in columns else []
        self._has_deleted = bool(self._marks) and not includes_deleted
        #: The same nodes, and those that were deleted, which are below the node ``DELETED``.
        self.with_deleted = (
            Nodes(fragments, on_read, includes_deleted=True, roots=roots)
            if self._has_deleted
            else self
        )
        self._roots = roots
        self._fragments = fragments
        self._on_read = on_read
        self._sources: dict[str, Any] = {}
        self._widest: dict[str, int] = {}

    @property
    def deleted(self) -> pa.Array | None:
        """Ids of the nodes that were deleted and of all below them, sorted; None where none was.

        Costs nothing to know where nothing was ever deleted.
        """
        if self._has_deleted and self._deleted is None:
            below = self.with_deleted.below(DELETED)
            self._has_deleted = len(below) > 1
            self._deleted = below.take(pc.sort_indices(below))
        return self._deleted if self._has_deleted else None

    @once
    def deleted_for_good(self) -> pa.Array | None:
        """Those of the deleted that no later word brings back, sorted; None where there are none.

        The others wait for a parent, or are below what waits.
        """
        if self.deleted is None:
            return None
        tops = self.deleted_tops
        below = self.with_deleted.below(*tops)
        return below.take(pc.sort_indices(below)) if tops else None

    @property
    def deleted_tops(self) -> list[int]:
        """Those that were deleted by a word on themselves, not by one on what is above them."""
        return [node for node, (is_deleted, _) in self._ends.items() if is_deleted]

    @once
    def waiting(self) -> pa.Array | None:
        """Ids of the nodes that wait for a parent and of all below them, sorted; None for none."""
        deleted, gone = self.deleted, self.deleted_for_good
        if deleted is None:
            return None
        rest = deleted.filter(pc.not_equal(deleted, DELETED))
        found = rest if gone is None else rest.filter(pc.invert(pc.is_in(rest, value_set=gone)))
        return found if len(found) else None

    @property
    def waiting_tops(self) -> dict[int, int]:
        """The nodes that wait for a parent, each with the time of the latest value on it.

        Times are in microseconds since the epoch.
        """
        if self.deleted is None:
            return {}
        return {node: time for node, (is_deleted, time) in self._ends.items() if not is_deleted}

    @once
    def _ends(self) -> dict[int, tuple[bool, int]]:
        """Of each node directly below ``DELETED`` whether that is for good, and the latest value's time."""
        everything = self.with_deleted
        children = pa.array(everything.children(DELETED), pa.int64())
        rows = everything._rows
        of_them = pc.is_in(rows.node, value_set=children)
        marks = rows[DELETION_COLUMN].filter(of_them).to_pylist()
        times = rows[TIME_COLUMN].filter(of_them).cast(pa.int64()).fill_null(0).to_pylist()
        found = dict.fromkeys(children.to_pylist(), (False, 0))
        for node, mark, time in zip(
            rows.node.filter(of_them).to_pylist(), marks, times, strict=True
        ):
            found[node] = (found[node][0] or bool(mark), max(found[node][1], time))
        return found

    @property
    def ids(self) -> pa.Array:
        """The nodes' ids, int64, ancestors before their descendants."""
        return self._arranged.ids

    @property
    def parents(self) -> pa.Array:
        """For each node the position of its parent in ``ids``; null for a root."""
        return self._arranged.parents

    @property
    def attached(self) -> pa.Array:
        """Grows in the order in which nodes were attached to their parents; null for a root."""
        return self._arranged.attached

    @property
    def count(self) -> int:
        """Number of nodes."""
        return len(self.ids)

    @once
    def keys(self) -> list[str]:
        """The keys in order of the flat table: experiment's, then the nearer the root the earlier."""
        return self._ordered(None)

    def keys_above(self, positions: pa.Array) -> list[str]:
        """The keys that these nodes or ancestors of theirs have, in order of the flat table."""
        reached, level = [], pc.unique(positions).cast(pa.int64())
        while len(level):
            reached.append(level)
            level = pc.unique(self.parents.take(level)).drop_null()
        return self._ordered(pa.concat_arrays([pa.array([], pa.int64()), *reached]))

    def resolved(
        self,
        key: str,
        positions: pa.Array | None = None,
        takes: Callable[[Kind], bool] = lambda _: True,
    ) -> Variants:
        """The values of a key that nodes have or inherit, for all nodes or those at positions.

        Args:
            takes: which kinds of values; values of others are not copied.

        Raises:
            TooLargeError: they are more than an Arrow array can have.
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
    ) -> Variants:
        """As ``resolved``, of the values at a path: no dict is copied for who inherits it."""
        every = pa.array(range(self.count), pa.int64()) if positions is None else positions
        found, places = self.shared(path, every)
        return {c: values.take(places) for c, values in found.items() if takes(c.kind)}

    def kinds(self, key: str, positions: pa.Array | None = None) -> set[Kind]:
        """The kinds of the values that nodes have or inherit; not of what was said before."""
        columns = self._columns_of(key)
        is_stored = not isinstance(key, Path)
        if is_stored and positions is None and len(columns) == 1 and columns[0].kind != NULL:
            values = self._rows[columns[0]]  # without taking back, what was said once is there
            return {columns[0].kind} if values.null_count < len(values) else set()
        every = pa.array(range(self.count), pa.int64()) if positions is None else positions
        found, _ = self.shared(key, every)
        return {column.kind for column, values in found.items() if values.null_count < len(values)}

    def shared(self, key: str, positions: pa.Array) -> tuple[Variants, pa.Array]:
        """The values that nodes have or inherit, each once, and for each position which one it is.

        A value that many inherit is not copied for each of them. Null where there is none.
        """
        found = self._source(key).take(positions).dictionary_encode()
        values = self._values_of(key, found.dictionary)
        # Rows that may have taken a key back, and can't be read, are of a key without any value.
        return values, found.indices if values else pa.nulls(len(positions), found.indices.type)

    def widest(self, key: str) -> int:
        """How many bytes the largest value of a key takes at most, about."""
        if key not in self._widest:
            sizes = [byte_sizes(self._rows[column]) for column in self._columns_of(key)]
            self._widest[key] = sum(pc.max(each).as_py() or 0 for each in sizes)
        return self._widest[key]

    def sizes(self, key: str, positions: pa.Array) -> pa.Array:
        """For each position how many bytes the value takes, about, that the node has or inherits."""
        return self._sizes(self._columns_of(key), self._source(key).take(positions))

    def _sizes(self, columns: Sequence[Column], rows: pa.Array) -> pa.Array:
        found = pa.repeat(pa.scalar(0, pa.int64()), len(rows))
        for column in columns:
            found = pc.add(found, byte_sizes(self._rows[column]).take(rows).fill_null(0))
        return found

    def _require_room(self, key: str, columns: Sequence[Column], rows: pa.Array) -> None:
        if self.widest(key) * len(rows) < _MOST_BYTES:
            return
        size = pc.sum(self._sizes(columns, rows)).as_py() or 0
        if size >= _MOST_BYTES:
            message = (
                f"{key!r} of {len(rows):,} recorders, inherited values included, is {size / 1e9:,.1f}"
                f" GB, and one column of them can have {_MOST_BYTES / 1e9:,.1f} GB. Name the columns"
                " that you need in a query, without this one, or take fewer records"
            )
            raise TooLargeError(message)

    def has_key(self, key: str) -> bool:
        """Whether any node has, or had, an attribute of that name."""
        return key in self._by_key

    def value_counts(self, key: str) -> dict[Kind, int]:
        """How many values of each kind an attribute was set to, former values included."""
        found = {column.kind: self._rows[column] for column in self._columns_of(key)}
        if isinstance(key, Path):
            texts = {Column(key, kind): values for kind, values in found.items()}
            found = {column.kind: values for column, values in inside(key, texts).items()}
        return {kind: len(v) - v.null_count for kind, v in found.items() if kind != NULL}

    def own(self, key: str, positions: pa.Array | None = None) -> Variants:
        """The values of a key that were set on the nodes themselves."""
        source = self._said(key)
        rows = source if positions is None else source.take(positions)
        return self._values_of(key, rows)

    def words(self, key: str, positions: pa.Array | None = None) -> pa.Array:
        """Of each node which value of a key it has or inherits: a number that is that value's alone.

        Null where it has none.
        """
        source = self._source(key)
        return source if positions is None else source.take(positions)

    def own_data(self, positions: pa.Array) -> list[dict[str, Any]]:
        """For each position what was set on that node itself; None where that was the word."""
        found: dict[int, dict[str, Any]] = {at: {} for at in positions.to_pylist()}
        rows = self._words.rows_of(positions)
        nodes = self._words.nodes_of(rows).to_pylist()
        for key in self._by_key:
            values = values_of(self._values_of(key, rows), len(rows))
            updates = self._is_said(key).take(rows).to_pylist()
            for node, value, is_said in zip(nodes, values, updates, strict=True):
                if is_said:
                    found[node][key] = value
        return list(found.values())

    def first_updates(self, positions: pa.Array) -> Variants:
        """For each position, in order, what was set on that node at first."""
        rows = self._words.rows_of(positions)
        first = rows.take(pc.index_in(positions, value_set=self._words.nodes_of(rows)))
        return {column: self._rows[column].take(first) for column in self.columns}

    def positions(self, ids: pa.Array) -> pa.Array:
        """For each id its position, or null; costs one pass over the nodes, however many ids."""
        if 4 * len(ids) > len(self.ids):
            return pc.index_in(ids, value_set=self.ids).cast(pa.int64())
        few = pc.unique(ids)
        found = pc.indices_nonzero(pc.is_in(self.ids, value_set=few)).cast(pa.int64())
        return found.take(pc.index_in(ids, value_set=self.ids.take(found)))

    def positions_of(self, ids: Sequence[int]) -> pa.Array:
        """Positions of nodes that are known to be there."""
        return self.positions(pa.array(ids, pa.int64()))

    def position(self, node: int) -> int | None:
        """Position of one node, or None where nothing was set on it."""
        found: int = pc.index(self.ids, pa.scalar(node, pa.int64())).as_py()
        return None if found < 0 else found

    def children(self, node: int) -> list[int]:
        """Ids of the nodes whose parent that is, in the order in which they were attached."""
        ids: list[int] = self.ids.take(self.child_positions(node)).to_pylist()
        return ids

    def child_positions(self, node: int) -> pa.Array:
        """Positions of the nodes whose parent that is, in the order in which they were attached."""
        position = self.position(node)
        if position is None:
            return pa.array([], pa.int64())
        found = pc.indices_nonzero(pc.equal(self.parents, position)).cast(pa.int64())
        return found.take(pc.sort_indices(self.attached.take(found)))

    def positions_below_roots(self) -> pa.Array:
        """Positions of the nodes directly below a collection's root, in order of collection."""
        return pa.concat_arrays([self.child_positions(root) for root in self._roots])

    def parent(self, node: int) -> int | None:
        """Id of the parent of a node; None for a root."""
        position = self.position(node)
        at = None if position is None else self.parents[position].as_py()
        return None if at is None else self.ids[at].as_py()

    def below(self, *nodes: int) -> pa.Array:
        """Ids of nodes and all their descendants; of one of which nothing was said, only that."""
        if len(nodes) == 1 and self.position(nodes[0]) is None:
            return pa.array(nodes, pa.int64())
        found = level = self.positions_of(nodes)
        while len(level):
            mask = pc.is_in(self.parents, value_set=level)
            level = pc.indices_nonzero(mask).cast(pa.int64())
            found = pa.concat_arrays([found, level])
        return self.ids.take(found)

    # --- how it is found out -------------------------------------------------------------------

    @once
    def _arranged(self) -> _Arranged:
        if (deleted := self.deleted) is not None:
            return _arranged(_Updates(self.with_deleted._rows.pieces, deleted))
        columns = [*self.columns, PARENT_COLUMN, TIME_COLUMN, *self._marks]
        rows = _Updates(tables_of(self._fragments, columns), None)
        self._on_read(rows.last_time)
        return _arranged(rows, rows[DELETION_COLUMN].fill_null(False) if self._marks else None)

    @property
    def _rows(self) -> _Updates:
        return self._arranged.rows

    @property
    def _words(self) -> _Words:
        return self._arranged.words

    @property
    def _depths(self) -> pa.Array:
        return self._arranged.depths

    def _said(self, key: str) -> pa.Array:
        """For each node the row with the latest value on a key; null where that was None."""
        last = self._words.last(self._is_said(key))
        null = Column(root_of(key), NULL)
        if null not in self._columns_of(key):
            return last
        unsaid = self._rows[null].take(last).fill_null(False)
        return pc.if_else(unsaid, pa.scalar(None, pa.int64()), last)

    def _is_said(self, key: str) -> pa.Array:
        """Which rows have a word on a key.

        So have those of which it can't be read: then the value is unknown. What was said before,
        and what ancestors have, does not stand in for it.
        """
        updates = None
        for column in self._columns_of(key):
            is_valid = self._rows.is_said(column)
            updates = is_valid if updates is None else pc.or_(updates, is_valid)
        return pa.repeat(pa.scalar(False), len(self._rows.node)) if updates is None else updates

    def _source(self, key: str) -> pa.Array:
        """As ``_said``, and where a node has no word of its own that of its nearest ancestor."""
        if key not in self._sources:
            own, start, above = self._said(key), 0, None
            pieces = [own.slice(0, 0)]
            for size in self._level_sizes:
                piece = own.slice(start, size)
                if above is not None:
                    offset = pc.subtract(self.parents.slice(start, size), start - len(above))
                    piece = pc.coalesce(piece, above.take(offset))
                pieces.append(piece)
                start, above = start + size, piece
            self._sources[key] = pa.concat_arrays(pieces)
        return self._sources[key]

    @once
    def _level_sizes(self) -> list[int]:
        """Number of nodes of each level, from the roots down."""
        return [each["counts"] for each in pc.value_counts(self._depths).to_pylist()]

    def _values_of(self, key: str, rows: pa.Array) -> Variants:
        found = self._values(self._columns_of(key), rows)
        return inside(key, found) if isinstance(key, Path) else found

    def _values(self, columns: Sequence[Column], rows: pa.Array) -> Variants:
        return {column: self._rows[column].take(rows) for column in columns if column.kind != NULL}

    def _columns_of(self, key: str) -> list[Column]:
        return self._by_key.get(root_of(key), [])

    @once
    def _by_key(self) -> dict[str, list[Column]]:
        found: dict[str, list[Column]] = {}
        for column in self.columns:
            found.setdefault(str(column.key), []).append(column)
        return found

    def _ordered(self, positions: pa.Array | None) -> list[str]:
        """The keys said of these nodes: experiments' first, then by level, then by time."""
        ranks: list[tuple[bool, int, int, str]] = []
        for order, key in enumerate(self._by_key):
            updates = self._words.updates(self._is_said(key))
            if positions is not None:
                updates = updates.filter(pc.is_in(updates, value_set=positions))
            if len(updates):
                level = self._depths[pc.min(updates).as_py()].as_py()
                ranks.append((key not in FIRST_KEYS, level, order, key))
        return [key for *_, key in sorted(ranks)]


class _Updates:
    """Rows of the nodes table, end to end, in the order in which they were said.

    Args:
        pieces: tables of all rows, each with the fragment that it is of.
        gone: nodes of which no row is among these.
    """

    def __init__(self, pieces: Sequence[tuple[Fragment, pa.Table]], gone: pa.Array | None) -> None:
        self.pieces = pieces
        self._columns: dict[Column, pa.Array] = {}
        self._order: pa.Array | None = None
        nodes = [one_array(table.column(NODE)) for _, table in self.pieces]
        #: Whom each row is of.
        self.node = pa.concat_arrays([pa.array([], pa.int64()), *nodes])
        self._has_lost = any(pa.null() in table.schema.types for _, table in self.pieces)
        self._unsure = self._without_place_in_time(nodes) if self._has_lost else None
        times = self[TIME_COLUMN].cast(pa.int64())
        self.last_time: int = pc.max(times).as_py() or 0
        times = times.fill_null(_LATEST)  # what may be the latest value is taken for it
        if not _is_sorted(times):
            self._order = pc.sort_indices(times)
        if gone is not None:
            order = _count_to(len(times)) if self._order is None else self._order
            is_gone = pc.is_in(self.node, value_set=gone)
            self._order = order.filter(pc.invert(is_gone.take(order)))
        if self._order is not None:
            self.node = self.node.take(self._order)
            self._columns.clear()

    def _without_place_in_time(self, nodes: Sequence[pa.Array]) -> pa.Array | None:
        """Which rows come before or after others of the same node, and nobody knows; None for none.

        Their times can't be read, and the node has rows in other pieces.
        """
        is_lost_in = [_is_lost_in(*each, TIME_COLUMN) for each in self.pieces]
        if not any(is_lost_in):
            return None
        found = pc.value_counts(pa.concat_arrays([pc.unique(each) for each in nodes]))
        several = found.field("values").filter(pc.greater(found.field("counts"), 1))
        return pc.and_(self._of_pieces(is_lost_in), pc.is_in(self.node, value_set=several))

    def _of_pieces(self, flags: Sequence[bool]) -> pa.Array:
        """For each row what is true of its piece."""
        pairs = zip(flags, self.pieces, strict=True)
        return pa.concat_arrays([pa.repeat(pa.scalar(f), t.num_rows) for f, (_, t) in pairs])

    def is_said(self, column: Column) -> pa.Array:
        """Which rows have a value in a column, or may have had one that can't be read."""
        is_valid = self[column].is_valid()
        if not self._has_lost:
            return is_valid
        lost = self._of_pieces([_is_lost_in(*each, column) for each in self.pieces])
        if self._unsure is not None:
            is_there = self._of_pieces([column in fragment.columns for fragment, _ in self.pieces])
            lost = pc.or_(lost, pc.and_(self._unsure, is_there))
        return pc.or_(is_valid, lost if self._order is None else lost.take(self._order))

    def __getitem__(self, column: Column) -> pa.Array:
        """The values of a column with its sealed type; null in rows that have none."""
        if column not in self._columns:
            pieces = [column_in(table, fragment, column) for fragment, table in self.pieces]
            values = pa.concat_arrays([pa.array([], column.kind.sealed_type), *pieces])
            if self._unsure is not None:
                values = pc.if_else(self._unsure, pa.scalar(None, values.type), values)
            self._columns[column] = values if self._order is None else values.take(self._order)
        return self._columns[column]


def _is_lost_in(fragment: Fragment, table: pa.Table, column: Column) -> bool:
    name = fragment.columns.get(column)
    return name is not None and is_lost(table.column(name))


class _Words:
    """Which rows were set on which node."""

    def __init__(self, of_row: pa.Array, nodes: int) -> None:
        self._of_row = of_row
        self._nodes = nodes

    def moved(self, places: pa.Array) -> _Words:
        """The same for nodes that were put in other places."""
        return _Words(places.take(self._of_row), self._nodes)

    def last(self, mask: pa.Array) -> pa.Array:
        """For each node, the last of its rows that is in the mask; null where none is."""
        rows = pc.indices_nonzero(mask).cast(pa.int64())
        if not self._nodes:
            return rows
        # Of several rows that are of one node, the last stays. Each node stands there once before
        # the rows, so that none is too high, for versions of pyarrow that can't be told the highest.
        places = pa.concat_arrays([_count_to(self._nodes), self._of_row.take(rows)])
        found = pc.subtract(pc.inverse_permutation(places).slice(0, self._nodes), self._nodes)
        is_said = pc.greater_equal(found, 0)
        return rows.take(pc.if_else(is_said, found, pa.scalar(None, pa.int64())))

    def updates(self, mask: pa.Array) -> pa.Array:
        """The nodes of the rows that are in the mask."""
        return self._of_row.filter(mask)

    def nodes_of(self, rows: pa.Array) -> pa.Array:
        """The nodes of some rows."""
        return self._of_row.take(rows)

    def rows_of(self, nodes: pa.Array) -> pa.Array:
        """The rows of some nodes, in the order in which they were said."""
        mask = pc.is_in(self._of_row, value_set=nodes.cast(pa.int64()))
        return pc.indices_nonzero(mask).cast(pa.int64())


class _Arranged(NamedTuple):
    """The nodes in levels, from the roots down, and the rows that were set on them."""

    rows: _Updates
    words: _Words
    ids: pa.Array
    parents: pa.Array
    depths: pa.Array
    attached: pa.Array


def _arranged(rows: _Updates, deletions: pa.Array | None = None) -> _Arranged:
    """The nodes of all rows.

    Args:
        deletions: which rows say that their node is deleted. It is from then on, whatever is said
            of its parent later; None where nobody ever said so.
    """
    parents, updates = rows[PARENT_COLUMN], rows.node.dictionary_encode()
    if deletions is not None:
        parents = pc.if_else(deletions, pa.scalar(DELETED, pa.int64()), parents)
    # A parent of which nothing was said is a node too: the root of a collection is one.
    named = pc.unique(parents.drop_null())
    unsaid = named.filter(pc.invert(pc.is_in(named, value_set=updates.dictionary)))
    unique = pa.concat_arrays([updates.dictionary, unsaid])
    words = _Words(updates.indices.cast(pa.int64()), len(unique))
    last = words.last(rows.is_said(PARENT_COLUMN))
    if deletions is not None:
        last = pc.coalesce(words.last(deletions), last)
    above = _index_in(parents.take(last), unique)
    depths = _depths(above)
    order = pc.sort_indices(depths)
    places, depths = _inverse(order), depths.take(order)
    is_root = pc.equal(depths, 0)
    return _Arranged(
        rows=rows,
        words=words.moved(places),
        ids=unique.take(order),
        parents=pc.if_else(is_root, pa.scalar(None, pa.int64()), places.take(above.take(order))),
        depths=depths,
        attached=last.take(order),
    )


def _depths(parents: pa.Array) -> pa.Array:
    """For each node how many ancestors it has; ``parents`` are positions, null for a root.

    Every round looks twice as far up. Nodes that are their own ancestors (two processes can say so
    at once) count as roots.
    """
    depths = pc.cast(parents.is_valid(), pa.int64())
    above = parents
    for _ in range(len(parents).bit_length() + 1):
        if above.null_count == len(above):
            return depths
        depths = pc.add(depths, depths.take(above).fill_null(0))
        above = above.take(above)
    return _depths(pc.if_else(above.is_valid(), pa.scalar(None, pa.int64()), parents))


def _index_in(values: pa.Array, whole: pa.Array) -> pa.Array:
    """For each value its position in the whole; null for null."""
    few = values.dictionary_encode()
    found = pc.index_in(few.dictionary, value_set=whole).cast(pa.int64())
    return found.take(few.indices)


def _inverse(order: pa.Array) -> pa.Array:
    """For each position the place that it has in an order of all positions."""
    return pc.sort_indices(order).cast(pa.int64())


def _is_sorted(values: pa.Array) -> bool:
    if len(values) < 2:
        return True
    steps = pc.less_equal(values.slice(0, len(values) - 1), values.slice(1))
    return bool(pc.all(steps, skip_nulls=False).as_py())


def _count_to(stop: int) -> pa.Array:
    return pc.indices_nonzero(pa.repeat(pa.scalar(True), stop)).cast(pa.int64())
