"""The scan: which rows of which fragments are read, joined to the nodes, piece by piece."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from .._arrow import pa, pc
from .._keys import EXPERIMENT_KEYS
from .._live.column import NODE, Column, Key
from .._nested import Path, inside, path_named, paths_below, root_of
from .._once import once
from .._store.fragments import Fragment, InMemoryFragment, is_lost
from .._store.parquet_fragment import ParquetFragment
from .._store.store import Store, StoreSnapshot
from .._tree.columns import Variants, column_in, keys_of
from .._tree.nodes import Nodes
from .._values.chunks import one_array
from .._values.kinds import JSON, NULL, Kind
from .._values.promote import Family, family_of, meet, to_flat
from .attempts import last_attempts
from .conditions import AnyCondition, Choice, Condition, any_valid
from .mixed import Flat, MixedKeys
from .sql import SqlNames
from .sql_conditions import BoundSql, SqlCondition

__all__ = [
    "Bound",
    "Group",
    "Piece",
    "Scan",
    "Scope",
    "Snapshot",
    "Source",
    "experiment_positions",
    "flat_column",
    "nodes_that_meet",
    "spread",
]

Bound = Condition | Choice | BoundSql

#: Rows that are handled at once, so that memory stays bounded however many there are.
_PIECE_ROWS: Final = 262_144
#: Bytes of inherited values that are copied at once to evaluate a SQL expression.
_CONDITION_BYTES: Final = 64 << 20
#: So many stretches of rows are taken out of a table without a look at each row.
_FEW_RUNS: Final = 64
#: Of so many combinations of paths in dicts at most a scan is kept.
_MOST_NAMED: Final = 64


class Snapshot:
    """All there is, as it was at one moment.

    Args:
        warned: keys of several kinds that were warned of already.
        whole: of a part of what there is, all of it.
    """

    def __init__(
        self,
        fragments: StoreSnapshot,
        nodes: Nodes,
        warned: set[str] | None = None,
        whole: Snapshot | None = None,
    ) -> None:
        self.fragments = fragments
        self.nodes = nodes
        self._whole = whole
        self.mixed = MixedKeys(fragments, nodes, set() if warned is None else warned)

    @property
    def whole(self) -> Snapshot:
        """All there is, of which this may be a part: it decides what names in conditions mean."""
        return self if self._whole is None else self._whole

    @once
    def roots(self) -> frozenset[str]:
        """The keys under which dicts or lists were logged."""
        columns = [*self.nodes.columns, *self.record_columns]
        return frozenset(str(column.key) for column in columns if column.kind == JSON)

    def key_named(self, name: str) -> str:
        """The path in a dict that a name is, where it is no key and can be one; else the name."""
        if "." not in name or not self.roots or self._has_key(name):
            return name
        return path_named(name, self.roots) or name

    def kinds_at(self, path: Path) -> set[Kind]:
        """The kinds of all values that are at a path."""
        return Scan(self, Scope())._kinds(path)

    def paths_of_nodes(self, name: str) -> list[Path]:
        """The paths in the dicts of attributes, where a name could mean one of them."""
        roots = [root for root in self.roots if "." in name and self.nodes.has_key(root)]
        return [path for root in roots for path in paths_below(root, _texts_of(self.nodes, root))]

    def _has_key(self, name: str) -> bool:
        return self.nodes.has_key(name) or any(each.key == name for each in self.record_columns)

    @property
    def record_columns(self) -> list[Column]:
        """The physical columns of all records, in the order in which they came up."""
        found = dict.fromkeys(c for each in self.fragments.records for c in each.columns)
        return list(found)


class Source:
    """A store as it is read: the newest moment, found out anew only when something changed.

    What was found out is kept with the store, which must not know its sources: it is saved and
    closed as soon as nobody has it any more.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def now(self) -> Snapshot:
        """The newest moment."""
        return self._known().snapshot

    def scan(self, scope: Scope, conditions: tuple[AnyCondition, ...] = ()) -> Scan:
        """A query at the newest moment; the same one again where nothing changed."""
        known = self._known()
        if conditions or scope.keys is not None:
            return Scan(known.snapshot, scope, conditions)
        if scope not in known.scans:
            known.scans[scope] = Scan(known.snapshot, scope)
        return known.scans[scope]

    def _known(self) -> _CachedSnapshot:
        version = self.store.version()
        known: _CachedSnapshot | None = self.store.reader
        if known is None or known.version != version:
            fragments = self.store.snapshot()
            nodes = known.nodes_of(fragments) if known else None
            warned = known.snapshot.mixed.warned if known else None
            nodes = nodes or Nodes(fragments.nodes, self._see_time, roots=fragments.roots)
            snapshot = Snapshot(fragments, nodes, warned)
            self.store.reader = known = _CachedSnapshot(version, snapshot)
        return known

    @property
    def _see_time(self) -> Callable[[int], object]:
        """Lets the store know what was read, without keeping it: what was found out is kept by it."""
        see_time = weakref.WeakMethod(self.store.see_time)

        def tell(microseconds: int) -> None:
            if (known := see_time()) is not None:
                known(microseconds)

        return tell


class _CachedSnapshot:
    """What was found out at one moment, as long as nothing changes."""

    def __init__(self, version: object, snapshot: Snapshot) -> None:
        self.version = version
        self.snapshot = snapshot
        self.scans: dict[Scope, Scan] = {}

    def nodes_of(self, fragments: StoreSnapshot) -> Nodes | None:
        """The resolved nodes, where nothing was said since then; None where something was."""
        known, found = self.snapshot.fragments.nodes, fragments.nodes
        if len(known) == len(found) and all(map(_is_same, known, found)):
            return self.snapshot.nodes
        return None


def _is_same(known: Fragment, found: Fragment) -> bool:
    """Whether two fragments have the same rows."""
    if known is found:
        return True
    if not (isinstance(known, InMemoryFragment) and isinstance(found, InMemoryFragment)):
        return False
    return known.origin == found.origin and bool(known.whole.equals(found.whole))


class Scope(NamedTuple):
    """Whose records: all, those of one node, or those of one node and all below it.

    Those of nodes that were deleted are among none.

    Attributes:
        keys: those that are asked for, in order; None for all.
    """

    node: int | None = None
    is_deep: bool = True
    keys: tuple[str, ...] | None = None


class Group(NamedTuple):
    """A group of rows of a fragment: what is read at once."""

    fragment: Fragment
    number: int

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.fragment.group_rows[self.number]

    @property
    def is_placed(self) -> bool:
        """Whether it is known whose rows these are."""
        return self.fragment.is_placed(self.number)

    @property
    def runs(self) -> pa.RunEndEncodedArray:
        """The node of each row, neighbours of one node together."""
        return self.fragment.runs_of(self.number)

    @property
    def nodes(self) -> pa.Array:
        """Ids of the nodes whose rows these are, each once."""
        return self.fragment.nodes_of(self.number)

    def nodes_among(self, ids: pa.Array) -> pa.Array:
        """Those of its nodes that are among ``ids``, which are sorted."""
        return self.fragment.nodes_among(self.number, ids)


class Piece:
    """Some neighbouring rows, joined to their nodes."""

    def __init__(
        self,
        scan: Scan,
        fragment: Fragment,
        table: pa.Table,
        runs: pa.RunEndEncodedArray | None = None,
    ) -> None:
        self._scan = scan
        self._fragment = fragment
        self._table = table
        self._read = frozenset(table.column_names)
        self._runs = runs
        self._positions: pa.Array | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self._table.num_rows)

    @property
    def own_bytes(self) -> int:
        """How many bytes the rows take without what they inherit."""
        return int(self._table.nbytes)

    @property
    def node_ids(self) -> pa.Array:
        """Whose records the rows are."""
        return one_array(self._table.column(NODE))

    @property
    def runs(self) -> pa.RunEndEncodedArray:
        """Whose records the rows are, neighbours of one node together."""
        if self._runs is None:
            self._runs = pc.run_end_encode(self.node_ids)
        return self._runs

    @property
    def positions(self) -> pa.Array:
        """For each row the position of its node."""
        if self._positions is None:
            found = self._scan.snapshot.nodes.positions(self.runs.values)
            self._positions = spread(self.runs, found)
        return self._positions

    def columns_in_use(self) -> list[Column]:
        """The physical columns in which any of the rows has a value, or may have had one."""
        return [
            column
            for column, name in self._fragment.columns.items()
            if name in self._read and self._is_in_use(self._table.column(name))
        ]

    def _is_in_use(self, values: pa.ChunkedArray) -> bool:
        return values.null_count < self.rows or is_lost(values)

    def own(self, key: str) -> Variants:
        """What the records themselves have of a key, or at a path."""
        if isinstance(key, Path):
            return inside(key, self.own(key.root))
        return {
            column: column_in(self._table, self._fragment, column)
            for column, name in self._fragment.columns.items()
            if column.key == key and column.kind != NULL and name in self._read
        }

    def is_lost(self, key: str) -> bool:
        """Whether values of a key can't be read: the inherited attributes of the rows is then none of theirs."""
        root = root_of(key)
        return any(
            is_lost(self._table.column(name))
            for column, name in self._fragment.columns.items()
            if column.key == root and name in self._read
        )

    def stored(self) -> Variants:
        """All columns as they are stored, those that say where ``None`` was logged included."""
        return {
            column: column_in(self._table, self._fragment, column)
            for column, name in self._fragment.columns.items()
            if name in self._read
        }

    def variants(self, key: str, takes: Callable[[Kind], bool] = lambda _: True) -> Variants:
        """What the rows have of a key: the record's own value, else what its node has.

        Args:
            takes: which kinds of values they inherit; values of others are not copied.
        """
        own = self.own(key)
        hiding = self.own(key.root) if isinstance(key, Path) else own
        if root_of(key) not in self._scan.node_keys or self.is_lost(key):
            return own
        inherited = self._scan.snapshot.nodes.resolved(key, self.positions, takes)
        if not hiding:
            return inherited
        has_own = any_valid(hiding, self.rows)
        for column, values in inherited.items():
            rest = pc.if_else(has_own, pa.scalar(None, values.type), values)
            own[column] = pc.coalesce(own[column], rest) if column in own else rest
        return own

    def flat(self, flats: Sequence[Flat]) -> list[pa.Array]:
        """Some columns of the flat table."""
        kinds = [self._scan.flat_kind(each.name) for each in flats]
        found = {key: self.variants(key, _takes(some)) for key, some in _by_key(flats).items()}
        return [
            flat_column(found[flat.key], kind, self.rows)
            for flat, kind in zip(flats, kinds, strict=True)
        ]

    def filtered(self, mask: pa.Array) -> Piece:
        """Those rows that are in the mask."""
        return Piece(self._scan, self._fragment, self._table.filter(mask))

    def taken(self, places: pa.Array) -> Piece:
        """The rows at some places, in their order."""
        return Piece(self._scan, self._fragment, self._table.take(places))

    def slice(self, start: int, rows: int) -> Piece:
        """Some of the rows."""
        return Piece(self._scan, self._fragment, self._table.slice(start, rows))

    def that_meet(self, conditions: Sequence[Bound]) -> Piece:
        """Those rows that meet all conditions; SQL is asked only of what the others leave."""
        mask = pa.repeat(pa.scalar(True), self.rows)
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
        """Which rows meet a SQL expression; so many at a time that what they inherit is not much."""
        rows = _rows_at_once(self._scan.snapshot.nodes, condition)
        parts = [self.slice(start, rows) for start in range(0, self.rows, rows)]
        found = [_met(condition, part.variants, part.rows) for part in parts]
        return pa.concat_arrays(found) if found else pa.array([], pa.bool_())

    def _mask(self, condition: Condition | Choice) -> pa.Array:
        """Which rows meet one condition; what a node has is compared once for all its rows."""
        key, own = condition.key, self.own(condition.key)
        hiding = self.own(key.root) if isinstance(key, Path) else own
        if root_of(key) not in self._scan.node_keys or self.is_lost(condition.key):
            return condition.matches(own, self.rows)
        nodes = self.positions.dictionary_encode(null_encoding="encode")
        of_nodes = _matches(self._scan.snapshot.nodes, condition, nodes.dictionary)
        mask = of_nodes.take(nodes.indices)
        if not hiding:
            return mask
        return pc.if_else(any_valid(hiding, self.rows), condition.matches(own, self.rows), mask)


class Scan:
    """What one query reads: the rows of a scope at one moment that meet all conditions."""

    def __init__(
        self,
        snapshot: Snapshot,
        scope: Scope,
        conditions: tuple[AnyCondition, ...] = (),
        paths: tuple[Path, ...] = (),
    ) -> None:
        self.snapshot = snapshot
        self.scope = scope
        self.conditions = conditions
        #: Paths in dicts that are columns, too.
        self.paths = paths
        self._flat_kinds: dict[str, Kind] = {}
        self._with_deleted: dict[tuple[int, int], bool] = {}
        #: What engines found out, which is as long of use as the scan.
        self.kept: dict[str, Any] = {}

    @once
    def node_ids(self) -> pa.Array | None:
        """Ids of the nodes whose records are read; None for all that were not deleted."""
        if self.scope.node is None:
            return None
        if self.scope.is_deep:
            found = self.snapshot.nodes.below(self.scope.node)
        else:
            found = pa.array([self.scope.node], pa.int64())
        return self._without_deleted(found)

    @property
    def _deleted(self) -> pa.Array | None:
        return self.snapshot.nodes.deleted

    def _without_deleted(self, ids: pa.Array) -> pa.Array:
        if self._deleted is None:
            return ids
        return ids.filter(pc.invert(pc.is_in(ids, value_set=self._deleted)))

    @once
    def node_keys(self) -> list[str]:
        """The keys that nodes of the scope have or inherit, in the order of the flat table."""
        nodes = self.snapshot.nodes
        if self.node_ids is None:
            return nodes.keys
        return nodes.keys_above(self.node_positions)

    @once
    def record_columns(self) -> list[Column]:
        """The physical columns that records of the scope have a value in."""
        if self.node_ids is None and self._deleted is None:
            return self._all_columns
        if self.conditions:
            return Scan(self.snapshot, self.scope._replace(keys=None)).record_columns
        found = {
            column for each in self.fragments if self.takes_whole(each) for column in each.columns
        }
        for group in self.groups:
            unsure = [column for column in group.fragment.columns if column not in found]
            for piece in self.read(group, unsure) if unsure else ():
                found.update(piece.columns_in_use())
        return [column for column in self._all_columns if column in found]

    @once
    def _all_columns(self) -> list[Column]:
        return self.snapshot.record_columns

    @once
    def inherited_keys(self) -> set[str]:
        """The keys that nodes have or inherit, and the paths in them."""
        return {*self.node_keys, *(p for p in self.paths if p.root in self.node_keys)}

    @once
    def own_keys(self) -> set[str]:
        """The keys that records have, and the paths in them."""
        keys = set(keys_of(self.record_columns))
        return {*keys, *(path for path in self.paths if path.root in keys)}

    @once
    def keys(self) -> list[str]:
        """The keys of the flat table, in order."""
        if self.scope.keys is not None:
            return list(self.scope.keys)
        return list(dict.fromkeys([*self.node_keys, *keys_of(self.record_columns)]))

    @once
    def shown_node_keys(self) -> list[str]:
        """Those of them that nodes of the scope have or inherit."""
        if self.scope.keys is None:
            return self.node_keys
        return [key for key in self.node_keys if key in self.scope.keys]

    @once
    def shown_record_keys(self) -> list[str]:
        """Those of them that records of the scope have a value of."""
        found = keys_of(self.record_columns)
        return found if self.scope.keys is None else [k for k in found if k in self.scope.keys]

    def selecting(self, keys: tuple[str, ...]) -> Scan:
        """The same rows with only these keys."""
        return Scan(self.snapshot, self.scope._replace(keys=keys), self.conditions)

    @once
    def flats(self) -> dict[str, Flat]:
        """The columns of the flat table by their names, in order."""
        several = self._keys_of_several_kinds
        found = [
            flat
            for key in self.keys
            for flat in (self._flats_of(key) if key in several else [Flat(key, key)])
        ]
        found += [flat for path in self.paths for flat in self._flats_of(path)]
        return {flat.name: flat for flat in found}

    @property
    def _keys_of_several_kinds(self) -> set[Key]:
        """The keys that have values of more than one kind, or had as attributes."""
        first: dict[Key, Kind] = {}
        return {
            column.key
            for column in [*self.record_columns, *self.snapshot.nodes.columns]
            if column.kind != NULL and first.setdefault(column.key, column.kind) != column.kind
        }

    def _flats_of(self, key: str) -> list[Flat]:
        kinds = self._kinds(key) - {NULL}
        families = set(map(family_of, kinds))
        if len(families) < 2:
            return [Flat(key, key)]
        return self.snapshot.mixed.flats(key, self._families_read(key, families))

    def _families_read(self, key: str, families: set[Family]) -> set[Family]:
        """Those of a key's families of which rows that meet the conditions can have values."""
        if not self.conditions or isinstance(key, Path):
            return families
        found = set[Column]()
        for piece in self.pieces([key]):
            found.update(column for column in piece.columns_in_use() if column.key == key)
        kinds = {column.kind for column in found} - {NULL}
        if key in self.node_keys:
            ids = self.read_ids
            nodes = self.snapshot.nodes
            positions = None if ids is None else nodes.positions(ids).drop_null()
            kinds |= nodes.kinds(key, positions)
        return set(map(family_of, kinds))

    @property
    def flat_kinds(self) -> dict[str, Kind]:
        """The columns of the flat table, in order, each with the kind that its values meet as."""
        return {name: self.flat_kind(name) for name in self.flats}

    def flat_kind(self, name: str) -> Kind:
        """The kind that the values of a column of the flat table meet as."""
        if name not in self._flat_kinds:
            flat = self.flats[name]
            self._flat_kinds[name] = meet(self.kinds_of(flat))
        return self._flat_kinds[name]

    def own_columns(self, flat: Flat) -> list[Column]:
        """The columns of records whose values stand in a column of the flat table."""
        return [
            column
            for column in self.columns_of(flat.key)
            if column.kind != NULL and flat.takes(column.kind)
        ]

    def columns_of(self, key: str) -> Collection[Column]:
        """The columns of records with values of a key; those of a path are found in its dicts."""
        if not isinstance(key, Path):
            return self._columns_by_key.get(key, ())
        known: dict[str, list[Column]] = self.kept.setdefault("columns of paths", {})
        if key not in known:
            found: dict[Column, None] = {}
            whole = Scan(self.snapshot, self.scope) if self.conditions else self
            has_any = key.root in self._columns_by_key
            for piece in whole.pieces([key]) if has_any else ():
                found.update(dict.fromkeys(piece.own(key)))
            known[key] = list(found)
        return known[key]

    def siblings(self, flat: Flat) -> list[Flat]:
        """The other columns in which a record's own value hides what stands in this one."""
        if isinstance(flat.key, Path):
            return [each for each in self.flats.values() if each.key == flat.key.root]
        if flat.family is None:
            return []
        return [each for each in self.flats.values() if each.key == flat.key and each != flat]

    def inherits(self, flat: Flat) -> bool:
        """Whether nodes have, or inherit, values that stand in a column of the flat table."""
        if flat.key not in self.inherited_keys:
            return False
        kinds = self.snapshot.nodes.value_counts(flat.key) if flat.family else ()
        return flat.family is None or any(map(flat.takes, kinds))

    def warn_of_mixed(self, used: Iterable[str]) -> None:
        """Warn where a query uses columns, by name, of whose keys values stand in others too."""
        if len(self.flats) > len(self.keys):
            self.snapshot.mixed.warn(self.flats.values(), used)

    def kinds_of(self, flat: Flat) -> set[Kind]:
        """The kinds of the values that meet in a column of the flat table."""
        return set(filter(flat.takes, self._kinds(flat.key)))

    def _kinds(self, key: str) -> set[Kind]:
        """The kinds of the values that rows of the scope can have under a key."""
        kinds = {column.kind for column in self.columns_of(key)}
        if root_of(key) in self.node_keys:
            kinds |= self.snapshot.nodes.kinds(key, self.node_positions)
        return kinds

    @once
    def _columns_by_key(self) -> dict[Key, list[Column]]:
        found: dict[Key, list[Column]] = {}
        for column in self.record_columns:
            found.setdefault(column.key, []).append(column)
        return found

    @once
    def node_positions(self) -> pa.Array | None:
        """Positions of the nodes whose records are read; None for all."""
        if self.node_ids is None:
            return None
        return self.snapshot.nodes.positions(self.node_ids).drop_null()

    # --- which rows are read -------------------------------------------------------------------

    def takes_all(self, group: Group) -> bool:
        """Whether all rows of a group are of the scope and meet the conditions.

        Nothing has to be read to know it, unless something was deleted. Rows of which it can't be
        read whose they are, are of no scope.
        """
        is_asked = self.read_ids is None and not self.row_conditions
        return is_asked and group.is_placed and not self._has_deleted(group)

    def takes_whole(self, fragment: Fragment) -> bool:
        """As ``takes_all``, for all groups of a fragment."""
        return all(
            self.takes_all(Group(fragment, number)) for number in range(len(fragment.group_rows))
        )

    def _has_deleted(self, group: Group) -> bool:
        """Whether a group has rows of nodes that were deleted."""
        if self._deleted is None:
            return False
        key = id(group.fragment), group.number
        if key not in self._with_deleted:
            self._with_deleted[key] = group.fragment.has_any(group.number, self._deleted)
        return self._with_deleted[key]

    def among(self, ids: pa.Array) -> pa.Array:
        """Those of some nodes whose records are read."""
        if self.read_ids is None:
            return self._without_deleted(ids)
        return ids.filter(pc.is_in(ids, value_set=self.read_ids))

    def nodes_of(self, group: Group) -> pa.Array:
        """The nodes of a group whose records are read."""
        if self.read_ids is None and not self._has_deleted(group):
            return group.nodes
        return self.among(group.nodes)

    @once
    def bound(self) -> list[Bound]:
        """The conditions; names in SQL are bound to columns of the whole table, whatever is read."""
        return [
            self._bound_sql(each)
            if isinstance(each, SqlCondition)
            else each._replace(key=self.snapshot.whole.key_named(each.key))
            for each in self.conditions
        ]

    def _bound_sql(self, condition: SqlCondition) -> BoundSql:
        whole = Scan(self.snapshot.whole, Scope()).naming(condition.names)
        return BoundSql(condition, SqlNames(whole.flats), whole.flats, whole.flat_kind)

    # --- values inside of dicts ----------------------------------------------------------------

    def naming(self, names: Iterable[str]) -> Scan:
        """The same scan with columns for those of some names that are paths in dicts.

        A name is a path where no column has it, and any dict has a value there.
        """
        wanted = {name for name in names if isinstance(name, str) and name not in self.flats}
        wanted |= {name.rpartition(":")[0] for name in wanted}  # of values of another kind
        found = {self.snapshot.key_named(name) for name in wanted if name not in self.flats}
        paths = sorted(
            p for p in found if isinstance(p, Path) and p.root in self.keys and self._kinds(p)
        )
        return self._with_paths((*self.paths, *paths)) if paths else self

    def unnested(self, keys: Collection[str] | None = None) -> Scan:
        """The same scan with columns for all values in the dicts under some keys (None: all)."""
        roots = [
            key for key in self.keys if key in self.snapshot.roots and (not keys or key in keys)
        ]
        found = [path for root in roots for path in self._paths_below(root)]
        new = dict.fromkeys(path for path in found if path not in self.flats)
        return self._with_paths((*self.paths, *new)) if new else self

    def _paths_below(self, root: str) -> list[Path]:
        texts = _texts_of(self.snapshot.nodes, root, self.node_positions)
        if root in self._columns_by_key:
            whole = Scan(self.snapshot, self.scope) if self.conditions else self
            texts += [each for piece in whole.pieces([root]) for each in _texts(piece.own(root))]
        return paths_below(root, texts)

    def _with_paths(self, paths: tuple[Path, ...]) -> Scan:
        known: dict[tuple[Path, ...], Scan] = self.kept.setdefault("with paths", {})
        if paths not in known:
            if len(known) >= _MOST_NAMED:
                known.clear()
            known[paths] = Scan(self.snapshot, self.scope, self.conditions, paths)
        return known[paths]

    @property
    def condition_keys(self) -> set[str]:
        """The keys that conditions are about."""
        return {key for each in self.bound for key in each.keys}

    @once
    def row_conditions(self) -> list[Bound]:
        """The conditions that only a record itself can meet; the others are met by its node."""
        return [each for each in self.bound if not self._is_met_by_nodes(each)]

    @once
    def _node_conditions(self) -> list[Bound]:
        """The conditions that a record's node has to meet, parts of row conditions among them."""
        parts = [
            part
            for each in self.row_conditions
            if isinstance(each, BoundSql)
            for part in each.parts
        ]
        return list(filter(self._is_met_by_nodes, [*self.bound, *parts]))

    def _is_met_by_nodes(self, condition: Bound) -> bool:
        # A record whose node is lost has no value of any parent, as one that asks for None wants.
        inherited = set(self.node_keys) - set(keys_of(self._all_columns))
        return (
            inherited.issuperset(map(root_of, condition.keys)) and not condition.is_met_by_nothing
        )

    @once
    def read_ids(self) -> pa.Array | None:
        """Ids of those nodes of the scope that meet the conditions; None for all not deleted."""
        conditions = self._node_conditions
        if not conditions:
            return self.node_ids
        nodes = self.snapshot.nodes
        return nodes.ids.take(nodes_that_meet(nodes, conditions, self.node_positions))

    @once
    def groups(self) -> list[Group]:
        """The groups of rows that can have rows of the scope that meet the conditions."""
        found = [
            Group(fragment, number)
            for fragment in self.snapshot.fragments.records
            for number in range(len(fragment.group_rows))
        ]
        if self.read_ids is None and self._deleted is None:
            return found
        return [each for each in found if self._may_have_rows(each)]

    def _may_have_rows(self, group: Group) -> bool:
        """Whether it has rows of the scope, or can't be read: who reads it then is told, each time."""
        return self.takes_all(group) or not len(group.nodes) or len(self.nodes_of(group)) > 0

    @property
    def fragments(self) -> list[Fragment]:
        """Those that have rows of the scope that meet the conditions."""
        return list({id(group.fragment): group.fragment for group in self.groups}.values())

    @property
    def files(self) -> list[ParquetFragment]:
        """Those of the fragments that are sealed files."""
        return [each for each in self.fragments if isinstance(each, ParquetFragment)]

    def row_count(self) -> int:
        """Number of rows; costs no reading where nothing is left out."""
        return sum(map(self._rows_of, self.groups))

    def _rows_of(self, group: Group) -> int:
        if self.takes_all(group):
            return group.rows
        return sum(piece.rows for piece in self.read(group, self.columns_for([])))

    def pieces(self, keys: Sequence[str] | None = None) -> Iterator[Piece]:
        """The rows in order; only what ``keys`` and the conditions need is read (None: all)."""
        columns = self.columns_for(keys)
        for group in self.groups:
            yield from self.read(group, columns)

    def columns_for(self, keys: Sequence[str] | None) -> list[Column]:
        """The physical columns that ``keys`` (None: all) and the conditions need."""
        if keys is None and (keys := self.scope.keys) is None:
            return self.record_columns
        of_conditions = (key for each in self.row_conditions for key in each.keys)
        needed = {root_of(key) for key in (*keys, *of_conditions)}
        return [column for column in self._all_columns if column.key in needed]

    def read(
        self,
        group: Group,
        columns: Sequence[Column],
        *,
        among: pa.Array | None = None,
        nodes: bool = True,
    ) -> list[Piece]:
        """Those rows of a group that are of the scope and meet the conditions, in order.

        Args:
            among: of those nodes of the group that are of the scope: leave out rows of others.
            nodes: whether what the pieces are asked for depends on their nodes.
        """
        table = group.fragment.table(group.number, columns, nodes=False)
        if table is None:
            return []
        runs = None
        if nodes or among is not None or not self.takes_all(group):
            runs = group.runs
            if len(runs) < table.num_rows:
                return []  # whose rows these are can't be read, and the user was told
            among = self.nodes_of(group) if among is None else among
            if len(among) < len(group.nodes):
                table, runs = _of_nodes(table, runs, among)
            if nodes or self.row_conditions:
                table = _with_nodes(table, runs)
        starts = range(0, table.num_rows, _PIECE_ROWS)
        if len(starts) == 1:
            pieces = [Piece(self, group.fragment, table, runs)]
        else:
            pieces = [Piece(self, group.fragment, table.slice(at, _PIECE_ROWS)) for at in starts]
        if self.row_conditions:
            pieces = [piece.that_meet(self.row_conditions) for piece in pieces]
        return [piece for piece in pieces if piece.rows]

    def located(self, index: int) -> Iterator[tuple[int, Piece]]:
        """The pieces from the one with row ``index`` on, each with the index of its first row."""
        first, columns = 0, self.columns_for(None)
        for group in self.groups:
            if self.takes_all(group) and first + group.rows <= index:
                first += group.rows  # without reading it
                continue
            for piece in self.read(group, columns):
                if first + piece.rows > index >= 0:
                    yield first, piece
                first += piece.rows


def _texts_of(nodes: Nodes, root: str, positions: pa.Array | None = None) -> list[pa.Array]:
    """The dicts and lists that nodes have or inherit under a key, each once."""
    every = pa.array(range(nodes.count), pa.int64()) if positions is None else positions
    return _texts(nodes.shared(root, every)[0])


def _texts(variants: Variants) -> list[pa.Array]:
    """The dicts and lists among the values of a key, as JSON text."""
    return [values for column, values in variants.items() if column.kind == JSON]


def nodes_that_meet(
    nodes: Nodes, conditions: Iterable[Bound], positions: pa.Array | None = None
) -> pa.Array:
    """Positions of the nodes that meet all conditions by what they have or inherit.

    Args:
        positions: those that are looked at; None for all.
    """
    for each in conditions:
        mask = _mask_of_nodes(nodes, each, positions)
        if positions is None:
            positions = pc.indices_nonzero(mask).cast(pa.int64())
        else:
            positions = positions.filter(mask)
    return pa.array(range(nodes.count), pa.int64()) if positions is None else positions


def _mask_of_nodes(nodes: Nodes, condition: Bound, positions: pa.Array | None) -> pa.Array:
    if not isinstance(condition, BoundSql):
        return _matches(nodes, condition, positions)
    asked = pa.array(range(nodes.count), pa.int64()) if positions is None else positions
    rows = _rows_at_once(nodes, condition)
    parts = [asked.slice(start, rows) for start in range(0, len(asked), rows)]
    found = [_met(condition, partial(nodes.resolved, positions=part), len(part)) for part in parts]
    return pa.concat_arrays(found) if found else pa.array([], pa.bool_())


def _matches(nodes: Nodes, condition: Condition | Choice, positions: pa.Array | None) -> pa.Array:
    """Which nodes meet a condition; where that are large values, each is compared once."""
    rows = nodes.count if positions is None else len(positions)
    if rows * nodes.widest(condition.key) <= _CONDITION_BYTES:
        return condition.matches(nodes.resolved(condition.key, positions), rows)
    every = pa.array(range(rows), pa.int64()) if positions is None else positions
    found, places = nodes.shared(condition.key, every)
    met = condition.matches(found, len(next(iter(found.values()), ()))).take(places)
    return pc.coalesce(met, condition.matches({}, rows))  # null of those without a value


def _met(condition: BoundSql, variants: Callable[[str], Variants], rows: int) -> pa.Array:
    columns = [flat_column(variants(flat.key), kind, rows) for _, flat, kind in condition.columns]
    return condition.holds(columns, rows)


def _rows_at_once(nodes: Nodes, condition: BoundSql) -> int:
    """Of how many rows what they inherit is copied at once to evaluate a SQL expression."""
    width = sum(map(nodes.widest, filter(nodes.has_key, condition.keys)))
    return max(1, min(_PIECE_ROWS, _CONDITION_BYTES // max(1, width)))


def _takes(flats: Sequence[Flat]) -> Callable[[Kind], bool]:
    return lambda kind: any(flat.takes(kind) for flat in flats)


def _by_key(flats: Iterable[Flat]) -> dict[str, list[Flat]]:
    found: dict[str, list[Flat]] = {}
    for each in flats:
        found.setdefault(each.key, []).append(each)
    return found


def _with_nodes(table: pa.Table, runs: pa.RunEndEncodedArray) -> pa.Table:
    if NODE in table.column_names:
        return table
    return table.append_column(NODE, pc.run_end_decode(runs))


def _of_nodes(
    table: pa.Table, runs: pa.RunEndEncodedArray, among: pa.Array
) -> tuple[pa.Table, pa.RunEndEncodedArray]:
    """Those rows of a table that are of some nodes, and whose they are."""
    is_kept = pc.is_in(runs.values, value_set=among)
    stops = runs.run_ends
    starts = pc.subtract(stops, pc.pairwise_diff(stops)).fill_null(0)
    kept, first, last = (each.filter(is_kept) for each in (runs.values, starts, stops))
    ends = pc.cumulative_sum(pc.subtract(last, first))
    found = pa.RunEndEncodedArray.from_arrays(ends, kept)
    if len(kept) > _FEW_RUNS:
        return table.filter(spread(runs, is_kept)), found
    spans = zip(first.to_pylist(), last.to_pylist(), strict=True)
    tables = [table.slice(start, stop - start) for start, stop in spans]
    return pa.concat_tables(tables or [table.slice(0, 0)]), found


def spread(runs: pa.RunEndEncodedArray, values: pa.Array) -> pa.Array:
    """What stands for each run, for each of its rows."""
    return pc.run_end_decode(pa.RunEndEncodedArray.from_arrays(runs.run_ends, values))


def flat_column(variants: Variants, kind: Kind, rows: int) -> pa.Array:
    """Those of the values of one key that are of a kind's family, as one column of that kind."""
    family = family_of(kind)
    found = [
        to_flat(column.kind, values, kind)
        for column, values in variants.items()
        if values.null_count < rows and family_of(column.kind) == family
    ]
    if not found:
        return pa.nulls(rows, pa.null() if kind == NULL else kind.sealed_type)
    return found[0] if len(found) == 1 else pc.coalesce(*found)


def experiment_positions(snapshot: Snapshot) -> pa.Array:
    """Positions of the experiments, collection by collection in order of start.

    Of one that was resumed it is that of the last attempt, which has all that the experiment has,
    and what was said since.
    """
    nodes = snapshot.nodes
    positions = nodes.positions_below_roots()
    found = nodes.own(EXPERIMENT_KEYS[0], positions)
    experiments = positions.filter(any_valid(found, len(positions)))
    last = last_attempts(nodes)
    if not last:
        return experiments
    newest = [last[at].position if at in last else at for at in experiments.to_pylist()]
    return pa.array(newest, pa.int64())
