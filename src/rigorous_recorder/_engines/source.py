"""The source of snapshots of a store, taken again only after changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from .._live.table_writer import TableWriter
from .._store.fragments import Fragment, InMemoryFragment
from .._store.reader import StoreSnapshot, Version
from .._store.store import Store
from .._tree.nodes import Nodes
from .added_rows import AddedRows, added_rows
from .conditions import AnyCondition
from .scan import Scan
from .scanned_rows import Scope
from .snapshot import Snapshot

__all__ = ["Latest", "Source"]

#: How many queries with conditions are cached for a snapshot.
_MOST_QUERIES: Final = 32


class Source:
    """Reads a store: caches the latest snapshot until something is written.

    What is derived from a snapshot is cached with the store's reader, for all sources of the store.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def now(self) -> Snapshot:
        """The latest snapshot."""
        return self._known().snapshot

    def scan(self, scope: Scope, conditions: tuple[AnyCondition, ...] = ()) -> Scan:
        """A query of the latest snapshot; the same object as before if nothing changed."""
        return self._known().scan(scope, conditions)

    def latest(self, scope: Scope) -> Latest:
        """All rows of a scope: those of a snapshot, and those that this process has added since.

        Without a new snapshot, if nothing else changed since the last one.
        """
        version = self.store.reader.version()
        known: _CachedSnapshot | None = self.store.reader.derived
        rows = None if known is None else version.rows_since(known.version)
        if known is not None and rows:
            added = known.added(scope, self.store.records)
            places = None if added is None else added.places(rows)
            if added is not None and places is not None:
                return Latest(known.scan(scope), added, places)
        return Latest(self._known(version).scan(scope), None, ())

    def _known(self, version: Version | None = None) -> _CachedSnapshot:
        reader = self.store.reader
        version = reader.version() if version is None else version
        known: _CachedSnapshot | None = reader.derived
        if known is None or known.version != version:
            fragments = reader.snapshot()
            nodes = known.nodes_of(fragments) if known else None
            warned = known.snapshot.mixed.warned if known else None
            observe = self.store.clock.observe
            nodes = nodes or Nodes(
                fragments.nodes, observe, roots=fragments.roots, file=fragments.index_file
            )
            snapshot = Snapshot(fragments, nodes, warned)
            reader.derived = known = _CachedSnapshot(version, snapshot)
        return known


class Latest(NamedTuple):
    """All rows of a scope.

    Attributes:
        scan: those of a snapshot.
        added: those that were added since; None if there are none.
        places: their places in the segment of the process.
    """

    scan: Scan
    added: AddedRows | None
    places: Sequence[int]

    @property
    def row_count(self) -> int:
        """The number of rows."""
        return self.scan.row_count() + len(self.places)


class _CachedSnapshot:
    """What was derived from a snapshot, valid until something changes."""

    def __init__(self, version: Version, snapshot: Snapshot) -> None:
        self.version = version
        self.snapshot = snapshot
        self._scans: dict[Scope, Scan] = {}
        self._queries: dict[tuple[Scope, tuple[AnyCondition, ...]], Scan] = {}
        self._added: dict[Scope, AddedRows | None] = {}

    def scan(self, scope: Scope, conditions: tuple[AnyCondition, ...] = ()) -> Scan:
        """A query of the snapshot; the same object as before for the same one, if recent."""
        if not conditions and scope.keys is None:
            return self._scans.get(scope) or self._scans.setdefault(
                scope, Scan(self.snapshot, scope)
            )
        return self._conditional(scope, conditions)

    def _conditional(self, scope: Scope, conditions: tuple[AnyCondition, ...]) -> Scan:
        query = scope, conditions
        try:
            known = self._queries.get(query)
        except TypeError:  # a condition has a value without a hash, such as an array
            return Scan(self.snapshot, scope, conditions)
        if known is None:
            if len(self._queries) >= _MOST_QUERIES:
                self._queries.clear()
            known = self._queries[query] = Scan(self.snapshot, scope, conditions)
        return known

    def added(self, scope: Scope, table: TableWriter) -> AddedRows | None:
        """The rows that were added to a scope since; None if they can't be read alone."""
        if scope not in self._added:
            _, rows = self.version.records or (0, 0)
            self._added[scope] = added_rows(self.scan(scope), table, rows)
        return self._added[scope]

    def nodes_of(self, fragments: StoreSnapshot) -> Nodes | None:
        """The resolved nodes, unless an attribute was set since then."""
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
