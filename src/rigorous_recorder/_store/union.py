"""Several collections read as one: their rows end to end, and a root above their roots."""

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
from .reader import FolderReader, Reader, StoreSnapshot
from .rerooted import rerooted_nodes, rerooted_records
from .store import FolderStore, Place, Store

__all__ = ["ReadablePlace", "ReadableStore", "UnionPlace", "UnionStore", "unique_names"]

#: Of no writer are the root of every collection, the node above all deleted ones, and from here on
#: the roots of collections that are read together.
_FIRST: Final = max(ROOT, DELETED) + 1


def unique_names(paths: Sequence[Path]) -> list[str]:
    """A name for each folder: its own without the suffix, and folders above it where two are equal."""
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
    """Where collections are that are read as one, for another process."""

    members: tuple[tuple[str, Place], ...]
    key: str

    def store(self, *, is_any: bool = False) -> UnionStore:
        """The collections, read as one.

        Raises:
            NotACollectionError: one is not there, or another one is.
        """
        members = [(name, place.store(is_any=is_any)) for name, place in self.members]
        return UnionStore(members, self.key)


class _Clocks(Clock):
    """That of a union: what was read in it was read in each of its collections."""

    def __init__(self, clocks: Sequence[Clock]) -> None:
        super().__init__()
        self._clocks = clocks

    def observe(self, microseconds: int) -> None:
        """Be later than this from now on, in each collection."""
        for clock in self._clocks:
            clock.observe(microseconds)


class _UnionReader(Reader):
    """Reads several collections as one tree: below its root are theirs."""

    def __init__(self, members: Mapping[str, FolderReader], key: str) -> None:
        self._members = members
        for reader in members.values():
            reader.keep_ranges()
        self._key = key
        self._roots = {name: _FIRST + at for at, name in enumerate(members)}
        names = MemoryStore()
        for name, root in self._roots.items():
            names.set_attributes(root, {key: name}, ROOT)
        self._names = names.reader.snapshot().nodes
        #: Of each file what it is here, for the files of the newest snapshot.
        self._known: dict[int, tuple[Fragment, Fragment]] = {}

    def version(self) -> object:
        """Equal as long as nothing was written to any of them."""
        return tuple(reader.version() for reader in self._members.values())

    def snapshot(self) -> StoreSnapshot:
        """All rows of all of them, each collection's together.

        Raises:
            ArgumentError: two are copies of one, or one has the key of the names itself.
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
        """What a fragment of a collection is here; the same object as before for the same file."""
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
                    f"the collection {name} has a key {self._key!r} of its own, which would be hidden"
                    " by the name of the collection; give the names another key:"
                    " ExperimentCollection.union(..., key='study'), or --collection-key study"
                )
                raise ArgumentError(message)

    def is_alive(self, writer: str) -> bool:
        """Whether the process of a writer lives, as far as can be known."""
        return any(reader.is_alive(writer) for reader in self._members.values())

    def forget(self) -> None:
        """Find everything out anew at the next reading."""
        for reader in self._members.values():
            reader.forget()
        self.derived = None


class UnionStore(Store):
    """Several collections as one tree: below its root are theirs, each with its collection's name.

    Nothing is written here, nor to them. Nodes keep their ids, which no two collections share.

    Args:
        members: the collections, each with its name.
        key: the attribute that has the name.

    Raises:
        ReservedKeyError, KeyNotTextError: the key can't be that of an attribute.
        ArgumentError: two of the collections are one, or copies of one; or one has the key itself.
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
        """What stands above all of them in a tree."""
        return f"{len(self.members)} collections" if len(self.members) != 1 else "1 collection"

    @property
    def folders(self) -> list[Folder]:
        """The folders of the collections."""
        return [folder for store in self.members.values() for folder in store.folders]

    @property
    def place(self) -> UnionPlace:
        """Where they are, for another process."""
        members = tuple((name, store.place) for name, store in self.members.items())
        return UnionPlace(members, self.key)

    def new_node(self) -> int:
        """Nothing is written here.

        Raises:
            ReadOnlyError: always.
        """
        _refuse(self.title)

    def require_writable(self) -> NoReturn:
        """Raise: nothing is written here.

        Raises:
            ReadOnlyError: always.
        """
        _refuse(self.title)

    def flush(self) -> None:
        """Nothing to do: nothing is written here."""

    def sync(self) -> None:
        """Nothing to do: nothing is written here."""

    def close(self) -> None:
        """Nothing to do: the collections stay as they are."""

    def end(self) -> None:
        """Nothing to do: nothing is written here."""

    def renew_after_fork(self) -> None:
        """In a forked child: locks that nobody holds."""
        self.records.free_lock()
        self.nodes.free_lock()


ReadableStore = FolderStore | UnionStore
"""A collection, or several that are read as one."""
ReadablePlace = Place | UnionPlace
"""Where it is, for another process."""


class _Nowhere(MemoryBackend):
    """Where the rows of a union would go."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title

    def open(self) -> None:
        """Refuse: nothing is written here.

        Raises:
            ReadOnlyError: always.
        """
        _refuse(self._title)


def _refuse(title: str) -> NoReturn:
    message = f"a {title} is read-only; write to one of the collections itself"
    raise ReadOnlyError(message)


def _require_different(members: Sequence[tuple[str, FolderStore]]) -> None:
    """Raise where two collections are one, or one is a copy of another.

    Raises:
        ArgumentError: two have the same id.
    """
    known: dict[str, str] = {}
    for name, store in members:
        if store.identity in known:
            _refuse_copies(known[store.identity], name)
        known[store.identity] = name


def _require_apart(found: Mapping[str, StoreSnapshot]) -> None:
    """Raise where two collections have rows of the same writer: which node is whose is not known.

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
        " ids, which can't be distinguished. Take one of them"
    )
    raise ArgumentError(message)
