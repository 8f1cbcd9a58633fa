"""A consistent view of the store, for queries."""

from __future__ import annotations

from typing import Final

from .._arrow import pa
from .._live.column import Column
from .._nested import Path, path_named, paths_below
from .._once import once
from .._store.reader import StoreSnapshot
from .._tree.columns import ColumnsByKind
from .._tree.nodes import Nodes
from .._values.chunks import count_to
from .._values.kinds import JSON
from .mixed import MixedKeys
from .recent import Recent

__all__ = ["Snapshot", "texts_in", "texts_of"]

#: Bytes of decoded rows that are held for accesses by index: a few row groups.
_RECENT_BYTES: Final = 64 << 20


class Snapshot:
    """All records and nodes at the time it was taken.

    Args:
        warned: keys of several kinds that a warning was issued for.
        whole: the whole snapshot, if this is a part of it.
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
        #: What accesses by index read last, of all scans.
        self.recent: Recent = Recent(_RECENT_BYTES) if whole is None else whole.recent
        self.mixed = MixedKeys(fragments, nodes, set() if warned is None else warned)

    @property
    def whole(self) -> Snapshot:
        """The whole snapshot, which decides what names in conditions refer to."""
        return self if self._whole is None else self._whole

    @once
    def roots(self) -> frozenset[str]:
        """The keys under which dicts or lists were logged."""
        columns = [*self.nodes.columns, *self.record_columns]
        return frozenset(str(column.key) for column in columns if column.kind == JSON)

    def key_named(self, name: str) -> str:
        """The path in a dict that a name refers to, unless it is a key; else the name."""
        if "." not in name or not self.roots or self._has_key(name):
            return name
        return path_named(name, self.roots) or name

    def paths_of_nodes(self, name: str) -> list[Path]:
        """The paths in the dicts of attributes that a name could refer to."""
        roots = [root for root in self.roots if "." in name and self.nodes.has_key(root)]
        return [path for root in roots for path in paths_below(root, texts_in(self.nodes, root))]

    def _has_key(self, name: str) -> bool:
        return self.nodes.has_key(name) or any(each.key == name for each in self.record_columns)

    @once
    def record_columns(self) -> list[Column]:
        """The physical columns of all records, in order of first occurrence."""
        return list({c: None for each in self.fragments.records for c in each.columns})


def texts_in(nodes: Nodes, root: str, positions: pa.Array | None = None) -> list[pa.Array]:
    """The distinct dicts and lists that nodes have or inherit under a key."""
    every = count_to(nodes.count) if positions is None else positions
    return texts_of(nodes.shared(root, every)[0])


def texts_of(by_kind: ColumnsByKind) -> list[pa.Array]:
    """The dicts and lists among the values of a key, as JSON text."""
    return [values for column, values in by_kind.items() if column.kind == JSON]
