"""Where snapshots come from: taken anew only when something was written."""

from __future__ import annotations

import weakref
from collections.abc import Callable

from .._store.fragments import Fragment, InMemoryFragment
from .._store.store import Store, StoreSnapshot
from .._tree.nodes import Nodes
from .conditions import AnyCondition
from .scan import Scan
from .scanned_rows import Scope
from .snapshot import Snapshot

__all__ = ["Source"]


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
