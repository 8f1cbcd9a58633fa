"""The source of snapshots of a store, taken again only after changes."""

from __future__ import annotations

from .._store.fragments import Fragment, InMemoryFragment
from .._store.reader import StoreSnapshot
from .._store.store import Store
from .._tree.nodes import Nodes
from .conditions import AnyCondition
from .scan import Scan
from .scanned_rows import Scope
from .snapshot import Snapshot

__all__ = ["Source"]


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
        known = self._known()
        if conditions or scope.keys is not None:
            return Scan(known.snapshot, scope, conditions)
        if scope not in known.scans:
            known.scans[scope] = Scan(known.snapshot, scope)
        return known.scans[scope]

    def _known(self) -> _CachedSnapshot:
        reader = self.store.reader
        version = reader.version()
        known: _CachedSnapshot | None = reader.derived
        if known is None or known.version != version:
            fragments = reader.snapshot()
            nodes = known.nodes_of(fragments) if known else None
            warned = known.snapshot.mixed.warned if known else None
            observe = self.store.clock.observe
            nodes = nodes or Nodes(fragments.nodes, observe, roots=fragments.roots)
            snapshot = Snapshot(fragments, nodes, warned)
            reader.derived = known = _CachedSnapshot(version, snapshot)
        return known


class _CachedSnapshot:
    """What was derived from a snapshot, valid until something changes."""

    def __init__(self, version: object, snapshot: Snapshot) -> None:
        self.version = version
        self.snapshot = snapshot
        self.scans: dict[Scope, Scan] = {}

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
