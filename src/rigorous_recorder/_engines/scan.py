"""The scan: what a query reads, and its columns in the flat table."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final

from .._live.column import Column, Key
from .._nested import Path, paths_below, root_of
from .._once import once
from .._tree.columns import by_key, keys_of
from .._values.kinds import NULL, Kind
from .._values.promote import Family, family_of, meet
from .conditions import AnyCondition
from .mixed import Flat
from .node_conditions import Bound
from .piece import Group
from .scanned_rows import ScannedRows, Scope
from .snapshot import Snapshot, texts_in, texts_of
from .sql import SqlNames
from .sql_conditions import BoundSql, SqlCondition

__all__ = ["Scan"]

#: For at most this many combinations of paths in dicts a scan is cached.
_MOST_NAMED: Final = 64


class Scan(ScannedRows):
    """The rows that a query reads, and their columns in the flat table."""

    def __init__(
        self,
        snapshot: Snapshot,
        scope: Scope,
        conditions: tuple[AnyCondition, ...] = (),
        paths: tuple[Path, ...] = (),
    ) -> None:
        super().__init__(snapshot, scope, conditions)
        #: Paths in dicts that are columns, too.
        self.paths = paths
        self._flat_kinds: dict[str, Kind] = {}
        #: Results that engines cache, valid as long as the scan.
        self.cache: dict[str, Any] = {}

    @once
    def record_columns(self) -> list[Column]:
        """The physical columns of the keys to read in which records of the scope have a value."""
        if self.node_ids is None and self.snapshot.nodes.deleted is None:
            return self.snapshot.record_columns
        if self.conditions:
            return Scan(self.snapshot, self.scope).record_columns
        wanted = self.snapshot.record_columns
        if self.scope.keys is not None:
            keys = set(map(root_of, self.scope.keys))
            wanted = [column for column in wanted if column.key in keys]
        found = {
            column for each in self.fragments if self.takes_whole(each) for column in each.columns
        }
        for group in self.groups:
            here = group.fragment.columns
            found |= self._in_use(group, [c for c in wanted if c in here and c not in found])
        return [column for column in wanted if column in found]

    def _in_use(self, group: Group, columns: list[Column]) -> set[Column]:
        """The columns among some in which rows of the scope in a group have a value, or had one.

        Values are read only where the number of nulls in the whole group leaves it open.
        """
        if not columns or not (rows := self._rows_of(group)):
            return set()
        nulls = group.fragment.nulls(group.number, columns)
        found = {column for column in columns if nulls.get(column, rows) < rows}
        unsure = [c for c in columns if c not in found and nulls.get(c) != group.rows]
        for piece in self.read(group, unsure) if unsure else ():
            found.update(piece.columns_in_use())
        return found

    @once
    def inherited_keys(self) -> set[str]:
        """The keys that nodes have or inherit, and the paths in them."""
        return {*self.node_keys, *(p for p in self._all_paths if p.root in self.node_keys)}

    @once
    def own_keys(self) -> set[str]:
        """The keys that records have, and the paths in them."""
        keys = set(keys_of(self.record_columns))
        return {*keys, *(path for path in self._all_paths if path.root in keys)}

    @once
    def keys(self) -> list[str]:
        """The keys of the flat table, in order, and those paths in dicts that are selected."""
        if self.scope.keys is not None:
            return [self.snapshot.key_named(name) for name in self.scope.keys]
        return list(dict.fromkeys([*self.node_keys, *keys_of(self.record_columns)]))

    @property
    def selected_paths(self) -> list[Path]:
        """The paths in dicts among the keys."""
        return [key for key in self.keys if isinstance(key, Path)] if self.scope.keys else []

    @once
    def of_roots(self) -> Scan:
        """The same rows with the dicts in which the selected paths are."""
        return self.selecting(tuple(dict.fromkeys(map(root_of, self.keys))))

    @property
    def _all_paths(self) -> Iterable[Path]:
        return (*self.paths, *self.selected_paths)

    @once
    def shown_node_keys(self) -> list[str]:
        """The keys among them that nodes of the scope have or inherit."""
        if self.scope.keys is None:
            return self.node_keys
        chosen = frozenset(self.scope.keys)
        return [key for key in self.node_keys if key in chosen]

    @once
    def shown_record_keys(self) -> list[str]:
        """The keys among them that records of the scope have."""
        found = keys_of(self.record_columns)
        if self.scope.keys is None:
            return found
        chosen = frozenset(self.scope.keys)
        return [key for key in found if key in chosen]

    def record_keys_among(self, keys: Collection[str]) -> list[str]:
        """Those of them that are among some keys, in order."""
        places = self.places_of_record_keys
        return sorted(places.keys() & keys, key=places.__getitem__)

    @once
    def places_of_record_keys(self) -> dict[str, int]:
        """For each of them its place among them."""
        return {key: at for at, key in enumerate(self.shown_record_keys)}

    def selecting(self, keys: tuple[str, ...]) -> Scan:
        """The same rows with only these keys, or values at these paths in dicts."""
        return Scan(self.snapshot, self.scope._replace(keys=keys), self.conditions)

    @once
    def flats(self) -> dict[str, Flat]:
        """The columns of the flat table by name, in order."""
        several = self._keys_of_several_kinds
        found = [
            flat
            for key in self.keys
            for flat in (
                self._flats_of(key) if key in several or isinstance(key, Path) else [Flat(key, key)]
            )
        ]
        found += [flat for path in self.paths for flat in self._flats_of(path)]
        return {flat.name: flat for flat in found}

    @once
    def _root_flats(self) -> dict[str, Flat]:
        """The columns of the dicts in which the selected paths are."""
        roots = {path.root for path in self.selected_paths}
        return {flat.name: flat for root in roots for flat in self._flats_of(root)}

    @property
    def _keys_of_several_kinds(self) -> set[Key]:
        """The keys with values of more than one kind, now or earlier as attributes."""
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
        """The families of a key that rows which meet the conditions can have."""
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
        """The columns of the flat table, in order, with the kinds that their values are unified to."""
        return {name: self.flat_kind(name) for name in self.flats}

    def flat_kind(self, name: str) -> Kind:
        """The kind that the values of a column of the flat table are unified to."""
        if name not in self._flat_kinds:
            flat = self.flats.get(name) or self._root_flats[name]
            self._flat_kinds[name] = self._only_kind(flat) or meet(self.kinds_of(flat))
        return self._flat_kinds[name]

    def _only_kind(self, flat: Flat) -> Kind | None:
        """The kind of a column of the flat table that is one column of records, and not inherited."""
        if flat.family is not None or flat.key in self.node_key_set or isinstance(flat.key, Path):
            return None
        columns = self._columns_by_key.get(flat.key, ())
        return columns[0].kind if len(columns) == 1 else None

    def own_columns(self, flat: Flat) -> list[Column]:
        """The columns of records whose values are in a column of the flat table."""
        return [
            column
            for column in self.columns_of(flat.key)
            if column.kind != NULL and flat.takes(column.kind)
        ]

    def columns_of(self, key: str) -> Collection[Column]:
        """The columns of records with values of a key; for a path, the columns in its dicts."""
        if not isinstance(key, Path):
            return self._columns_by_key.get(key, ())
        known: dict[str, list[Column]] = self.cache.setdefault("columns of paths", {})
        if key not in known:
            found: dict[Column, None] = {}
            whole = Scan(self.snapshot, self.scope) if self.conditions else self
            has_any = key.root in self._columns_by_key
            for piece in whole.pieces([key]) if has_any else ():
                found.update(dict.fromkeys(piece.own(key)))
            known[key] = list(found)
        return known[key]

    def siblings(self, flat: Flat) -> list[Flat]:
        """The other columns of the key: a record's own value in one hides the inherited one here."""
        if isinstance(flat.key, Path):
            several = {**self._root_flats, **self.flats}.values()
            return [each for each in several if each.key == flat.key.root]
        if flat.family is None:
            return []
        return [each for each in self.flats.values() if each.key == flat.key and each != flat]

    def inherits(self, flat: Flat) -> bool:
        """Whether nodes have or inherit values in a column of the flat table."""
        if flat.key not in self.inherited_keys:
            return False
        kinds = self.snapshot.nodes.value_counts(flat.key) if flat.family else ()
        return flat.family is None or any(map(flat.takes, kinds))

    def warn_of_mixed(self, used: Iterable[str]) -> None:
        """Warn if a query uses columns, by name, whose keys have values in other columns, too."""
        if len(self.flats) > len(self.keys):
            self.snapshot.mixed.warn(self.flats.values(), used)

    def kinds_of(self, flat: Flat) -> set[Kind]:
        """The kinds of the values in a column of the flat table."""
        return set(filter(flat.takes, self._kinds(flat.key)))

    def _kinds(self, key: str) -> set[Kind]:
        """The kinds of the values that rows of the scope can have under a key."""
        kinds = {column.kind for column in self.columns_of(key)}
        if root_of(key) in self.node_keys:
            kinds |= self.snapshot.nodes.kinds(key, self.node_positions)
        return kinds

    @once
    def _columns_by_key(self) -> dict[Key, list[Column]]:
        return by_key(self.record_columns)

    @property
    def condition_keys(self) -> set[str]:
        """The keys that conditions are about."""
        return {key for each in self.bound for key in each.keys}

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

    def naming(self, names: Iterable[str]) -> Scan:
        """The same scan with columns for those names that are paths in dicts.

        A name is a path if no column has it, and a dict has a value there.
        """
        wanted = {name for name in names if isinstance(name, str) and name not in self.flats}
        wanted |= {name.rpartition(":")[0] for name in wanted}  # values of another kind
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
        texts = texts_in(self.snapshot.nodes, root, self.node_positions)
        if root in self._columns_by_key:
            whole = Scan(self.snapshot, self.scope) if self.conditions else self
            texts += [each for piece in whole.pieces([root]) for each in texts_of(piece.own(root))]
        return paths_below(root, texts)

    def _with_paths(self, paths: tuple[Path, ...]) -> Scan:
        known: dict[tuple[Path, ...], Scan] = self.cache.setdefault("with paths", {})
        if paths not in known:
            if len(known) >= _MOST_NAMED:
                known.clear()
            known[paths] = Scan(self.snapshot, self.scope, self.conditions, paths)
        return known[paths]
