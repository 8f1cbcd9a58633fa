"""Unions: several collections read as one, with a common root above their roots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

from .._keys import require_free
from .._live.table_writer import TableWriter
from ..errors import ArgumentError, ReadOnlyError
from .background import watch
from .clock import Clock
from .folder import NODES, RECORDS, Folder
from .fragments import Fragment, InMemoryFragment
from .memory_store import MemoryBackend, MemoryStore
from .near import SUFFIX
from .node_ids import DELETED, ROOT
from .reader import FolderReader, Reader, StoreSnapshot, Version
from .rerooted import rerooted_nodes, rerooted_records
from .store import FolderStore, Place, Store

__all__ = ["ReadablePlace", "ReadableStore", "UnionPlace", "UnionStore", "unique_names"]

#: Ids of no writer: the root of every collection, the node above deleted ones, and from here on the
#: roots of collections in a union.
_FIRST: Final = max(ROOT, DELETED) + 1


def unique_names(paths: Sequence[Path]) -> list[str]:
    """A name for each folder: its own without the suffix, with parent folders if two are equal."""
    names, depth = [_name_of(path, 1) for path in paths], 1
    deepest = max((len(path.parts) for path in paths), default=0)
    while depth <= deepest and len(counts := Counter(names)) < len(names):
        depth += 1
        names = [
            name if counts[name] == 1 else _name_of(path, depth) if depth <= deepest else str(path)
            for name, path in zip(names, paths, strict=True)
        ]
    return names


def _name_of(path: Path, depth: int) -> str:
    return "/".join(path.parts[-depth:]).removesuffix(SUFFIX)


class UnionPlace(NamedTuple):
    """The places of the collections in a union, for another process."""

    members: tuple[tuple[str, Place], ...]
    key: str

    def store(self, *, is_any: bool = False) -> UnionStore:
        """The union of the collections.

        Raises:
            NotACollectionError: one is not there, or another one is.
        """
        members = [(name, place.store(is_any=is_any)) for name, place in self.members]
        return UnionStore(members, self.key)


class _Clocks(Clock):
    """The clock of a union: it forwards times that were read to each collection."""

    def __init__(self, clocks: Sequence[Clock]) -> None:
        super().__init__()
        self._clocks = clocks

    def observe(self, microseconds: int) -> None:
        """Give only later times from now on, in each collection."""
        for clock in self._clocks:
            clock.observe(microseconds)


class _UnionReader(Reader):
    """Reads several collections as one tree: below its root are theirs."""

    def __init__(self, members: Mapping[str, FolderReader], key: str) -> None:
        self._members = members
        self._key = key
        self._roots = {name: _FIRST + at for at, name in enumerate(members)}
        names = MemoryStore()
        for name, root in self._roots.items():
            names.set_attributes(root, {key: name}, ROOT)
        self._names = names.reader.snapshot().nodes
        #: The union's fragment for each file of the latest snapshot.
        self._known: dict[int, tuple[Fragment, Fragment]] = {}

    def version(self) -> Version:
        """Equal as long as nothing was written to any of them."""
        return Version(None, tuple(reader.version() for reader in self._members.values()))

    def snapshot(self) -> StoreSnapshot:
        """A snapshot of all collections; the rows of each are contiguous.

        Raises:
            ArgumentError: two are copies of the same collection, or one has the key of the names.
        """
        found = {name: reader.snapshot() for name, reader in self._members.items()}
        _require_apart(found)
        self._require_free_key(found)
        before, self._known = self._known, {}
        records: list[Fragment] = []
        nodes: list[Fragment] = [*self._names]
        for name, each in found.items():
            root = self._roots[name]
            records += (self._here(f, root, rerooted_records, before) for f in each.records)
            nodes += (self._here(f, root, rerooted_nodes, before) for f in each.nodes)
        return StoreSnapshot(records, nodes, tuple(self._roots.values()))

    def _here(
        self,
        fragment: Fragment,
        root: int,
        rerooted: Callable[[Fragment, int], Fragment],
        before: Mapping[int, tuple[Fragment, Fragment]],
    ) -> Fragment:
        """The union's fragment for a collection's; the same object as before for the same file."""
        if isinstance(fragment, InMemoryFragment):
            return rerooted(fragment, root)
        known = before.get(id(fragment)) or (fragment, rerooted(fragment, root))
        self._known[id(fragment)] = known
        return known[1]

    def _require_free_key(self, found: Mapping[str, StoreSnapshot]) -> None:
        for name, each in found.items():
            columns = {id(f.columns): f.columns for f in (*each.records, *each.nodes)}
            if any(column.key == self._key for some in columns.values() for column in some):
                message = (
                    f"the collection {name} has its own key {self._key!r}, which the name of the"
                    " collection would hide; choose another key for the names:"
                    " ExperimentCollection.union(..., key='study'), or --collection-key study"
                )
                raise ArgumentError(message)

    def is_alive(self, writer: str) -> bool:
        """Whether the process of a writer is alive, as far as can be known."""
        return any(reader.is_alive(writer) for reader in self._members.values())

    def forget(self) -> None:
        """Drop all caches."""
        for reader in self._members.values():
            reader.forget()
        self.derived = None


class UnionStore(Store):
    """Several collections as one tree: below its root are theirs, with their names.

    It is read-only. Nodes keep their ids, which are unique across collections.

    Args:
        members: the collections and their names.
        key: the attribute for the name.

    Raises:
        ReservedKeyError, KeyNotTextError: the key is not valid for an attribute.
        ArgumentError: two of the collections are the same, or copies; or one has the key itself.
    """

    is_read_only = True
    is_strict = False

    def __init__(self, members: Sequence[tuple[str, FolderStore]], key: str) -> None:
        super().__init__()
        _require_different(members)
        self.members = dict(members)
        self.key = key
        require_free([key])
        self.reader: _UnionReader = _UnionReader(
            {name: store.reader for name, store in self.members.items()}, key
        )
        self.clock = _Clocks([store.clock for store in self.members.values()])
        backend = _Nowhere(self.title)
        self.records = TableWriter(RECORDS, backend)
        self.nodes = TableWriter(NODES, backend)
        watch(self)

    @property
    def title(self) -> str:
        """The collections' names."""
        return f"union of {', '.join(self.members)}"

    @property
    def name(self) -> str:
        """The label of the root in a tree."""
        return f"{len(self.members)} collections" if len(self.members) != 1 else "1 collection"

    @property
    def folders(self) -> list[Folder]:
        """The folders of the collections."""
        return [folder for store in self.members.values() for folder in store.folders]

    @property
    def place(self) -> UnionPlace:
        """The places of the collections, for another process."""
        members = tuple((name, store.place) for name, store in self.members.items())
        return UnionPlace(members, self.key)

    def new_node(self) -> int:
        """Raise: a union is read-only.

        Raises:
            ReadOnlyError: always.
        """
        _refuse(self.title)

    def require_writable(self) -> NoReturn:
        """Raise: a union is read-only.

        Raises:
            ReadOnlyError: always.
        """
        _refuse(self.title)

    def flush(self) -> None:
        """Nothing to do: a union is read-only."""

    def sync(self) -> None:
        """Nothing to do: a union is read-only."""

    def close(self) -> None:
        """Nothing to do: the collections stay open."""

    def end(self) -> None:
        """Nothing to do: a union is read-only."""

    def renew_after_fork(self) -> None:
        """In a forked child: new locks."""
        self.records.free_lock()
        self.nodes.free_lock()


ReadableStore = FolderStore | UnionStore
"""A collection, or a union of several."""
ReadablePlace = Place | UnionPlace
"""The place of a collection or union, for another process."""


class _Nowhere(MemoryBackend):
    """The backend of a union, which accepts no rows."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title

    def open(self) -> None:
        """Raise: a union is read-only.

        Raises:
            ReadOnlyError: always.
        """
        _refuse(self._title)


def _refuse(title: str) -> NoReturn:
    message = f"a {title} is read-only; write to one of the collections instead"
    raise ReadOnlyError(message)


def _require_different(members: Sequence[tuple[str, FolderStore]]) -> None:
    """Raise if two collections are the same, or copies.

    Raises:
        ArgumentError: two have the same id.
    """
    known: dict[str, str] = {}
    for name, store in members:
        if store.identity in known:
            _refuse_copies(known[store.identity], name)
        known[store.identity] = name


def _require_apart(found: Mapping[str, StoreSnapshot]) -> None:
    """Raise if two collections have rows of the same writer, so that node ids are ambiguous.

    Raises:
        ArgumentError: two have.
    """
    known: dict[str, str] = {}
    for name, each in found.items() if len(found) > 1 else ():
        for writer in _writers((*each.records, *each.nodes)):
            other = known.setdefault(writer, name)
            if other != name:
                _refuse_copies(other, name)


def _writers(fragments: Iterable[Fragment]) -> set[str]:
    return {segment.origin.writer for each in fragments for segment in each.segments}


def _refuse_copies(first: Any, second: Any) -> NoReturn:
    message = (
        f"{first} and {second} are one collection, or copies of one: they have recorders with the same"
        " ids, which can't be distinguished. Use only one of them"
    )
    raise ArgumentError(message)
