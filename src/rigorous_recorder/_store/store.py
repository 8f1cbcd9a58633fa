"""A store: the two tables of one collection (or of recorders in memory), written and read."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import starmap
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

from .._arrow import pa, pc
from .._keys import require_free
from .._live.backend import SegmentBatch
from .._live.column import (
    DELETION,
    NODE,
    PARENT,
    PARENT_COLUMN,
    TIME,
    TIME_COLUMN,
    Column,
)
from .._live.fields import Described
from .._live.table import LiveTable
from .._report import warning_last
from ..errors import DamagedFileError, NotACollectionError
from .backend import DELETED, ROOT, FolderBackend, MemoryBackend
from .background import holding, later, start_background, watch
from .corruption import warn_damaged
from .folder import NODES, RECORDS, TABLES, Folder, LiveName
from .footer import BEHIND_ALL, Origin
from .fragments import Fragment, InMemoryFragment
from .handles import Handles
from .live_files import gap_behind, has_more, read_live, unsynced
from .liveness import is_alive, trusted_rows
from .losses import (
    Loss,
    expected_segments,
    forget_incomplete,
    fragments_of,
    held_nodes,
    is_left,
    loss_of,
    lost_nodes,
)
from .parquet_fragment import ParquetFragment
from .recover import Recovered, recover
from .sealed_files import SealedFiles

__all__ = [
    "DELETED",
    "ROOT",
    "FolderStore",
    "MemoryStore",
    "MovedError",
    "Place",
    "Store",
    "StoreSnapshot",
]

#: So often what is logged while the interpreter exits is sealed, too.
_TRIES: Final = 5

_NOTHING_TO_DO: Final = nullcontext()


class StoreSnapshot(NamedTuple):
    """All rows of both tables at one moment, in order of writer and segment.

    Attributes:
        roots: the nodes above experiments: of several collections that of each.
    """

    records: Sequence[Fragment]
    nodes: Sequence[Fragment]
    roots: Sequence[int] = (ROOT,)


class Store:
    """What both kinds of store share: the two live tables and the handles of their nodes."""

    records: LiveTable
    nodes: LiveTable

    def __init__(self) -> None:
        self.handles = Handles()
        #: Whether attributes of a type that can't be stored are refused.
        self.is_strict = False
        #: What the reading side found out about this store, for the reading side alone.
        self.reader: Any = None
        self._clock = threading.Lock()
        self._last_time = 0

    def new_node(self) -> int:
        """An id for a new node."""
        raise NotImplementedError

    def version(self) -> object:
        """Equal as long as nothing was written."""
        raise NotImplementedError

    def snapshot(self) -> StoreSnapshot:
        """All rows of both tables."""
        raise NotImplementedError

    def sync(self) -> None:
        """Return when all rows survive a loss of power, or wait in memory and the user was told."""
        raise NotImplementedError

    def see_time(self, microseconds: int) -> None:
        """What is said from now on is later than what was read, also where a clock went back."""
        with self._clock:
            self._last_time = max(self._last_time, microseconds)

    def set_attributes(self, node: int, data: Mapping[str, Any], parent: int | None = None) -> int:
        """Write attributes of a node; per key, and for its parent, the latest value counts.

        Returns:
            The time of the write: of two writes to one store the later one has the higher.

        Raises:
            KeyNotTextError, UnsupportedTypeError, UnsupportedValueError: nothing was written.
        """
        now = self._now()
        if parent is None:
            self.nodes.append(node, {TIME: now, **data})
        else:
            self.nodes.append(node, {TIME: now, PARENT: parent, **data})
        return now

    def withdraw(self, node: int) -> None:
        """Take a node, with all below it, out of every answer."""
        self.nodes.append(node, {TIME: self._now(), PARENT: DELETED, DELETION: True})

    def staying(self) -> AbstractContextManager[object]:
        """Let no node move away from here meanwhile."""
        raise NotImplementedError

    def moved_to(self, _node: int) -> tuple[Store, int] | None:
        """The store to which a node has moved, and its id there; None of one that has not."""
        return None

    def set_many(self, nodes: pa.Array, parents: pa.Array, data: Mapping[Column, pa.Array]) -> None:
        """As ``say``, of many nodes: ids, those of their parents, and columns of sealed types."""
        now = pa.repeat(pa.scalar(self._now(), TIME_COLUMN.kind.sealed_type), len(nodes))
        said = {TIME_COLUMN: now, PARENT_COLUMN: parents, **data}
        self.nodes.append_columns(nodes, said)

    def _now(self) -> int:
        """A time that only increases, in microseconds since the epoch."""
        now = time.time_ns() // 1000
        with self._clock:
            self._last_time = now = now if now > self._last_time else self._last_time + 1
        return now


class MovedError(Exception):
    """A row was meant for a node that has moved to another store meanwhile."""


class _MovableTable(LiveTable):
    """A table whose nodes can move away: no row of theirs is taken any more."""

    def __init__(self, name: str, backend: MemoryBackend, gone: Mapping[int, object]) -> None:
        super().__init__(name, backend)
        self.gone = gone

    def append(self, node: int, fields: dict[Any, Any]) -> None:
        with self.lock:
            if node in self.gone:
                raise MovedError
            super().append(node, fields)

    def append_columns(self, nodes: pa.Array, columns: Mapping[Column, pa.Array]) -> None:
        with self.lock:
            if self.gone and not self.gone.keys().isdisjoint(pc.unique(nodes).to_pylist()):
                raise MovedError
            super().append_columns(nodes, columns)

    def _append_carefully(self, node: int, row: Described) -> bool:
        if node in self.gone:  # moved by a value's own code
            raise MovedError
        return super()._append_carefully(node, row)


class _TableOfExperiments(LiveTable):
    """A table of records in a collection: a row of the keys of experiments is refused."""

    def _check_new(self, columns: Sequence[Column]) -> None:
        require_free(column.key for column in columns)


class MemoryStore(Store):
    """Recorders without a collection: everything is in memory."""

    def __init__(self) -> None:
        super().__init__()
        self._backend = MemoryBackend()
        #: Where the nodes are that moved away.
        self.gone: dict[int, tuple[Store, int]] = {}
        self.records: _MovableTable = _MovableTable(RECORDS, self._backend, self.gone)
        self.nodes: _MovableTable = _MovableTable(NODES, self._backend, self.gone)
        watch(self)

    def new_node(self) -> int:
        """An id for a new node."""
        return self._backend.ids.take()

    def version(self) -> object:
        """Equal as long as nothing was written."""
        return self.records.version, self.nodes.version

    def snapshot(self) -> StoreSnapshot:
        """All rows of both tables at one moment."""
        return StoreSnapshot(self._fragments(self.records), self._fragments(self.nodes))

    def flush(self) -> None:
        """Nothing to do: memory is all there is."""

    def sync(self) -> None:
        """Nothing to do: memory is all there is."""

    def close(self) -> None:
        """Nothing to do: memory is all there is."""

    def end(self) -> None:
        """Nothing to do: memory is all there is."""

    def renew_after_fork(self) -> None:
        """In a forked child: a copy of all there is, with locks that nobody holds."""
        self.records.free_lock()
        self.nodes.free_lock()
        self._clock = threading.Lock()

    def staying(self) -> AbstractContextManager[object]:
        """Let no node move away from here meanwhile."""
        return self.nodes.lock

    def moved_to(self, node: int) -> tuple[Store, int] | None:
        """The store to which a node has moved, and its id there; None of one that has not.

        Rows that were read before the call, and are not of a node that has moved by then, are whole.
        """
        return self.gone.get(node)

    def moving(self) -> AbstractContextManager[None]:
        """Let nothing be written while a part of the tree moves to another store."""
        return holding(self.nodes, self.records)

    def drop(self, nodes: Mapping[int, int], store: Store) -> None:
        """Forget these nodes and their records: they are in another store now, as other nodes."""
        gone = pa.array(list(nodes), pa.int64())
        for table in (self.nodes, self.records):
            kept = []
            for fragment in self._fragments(table):
                rest = fragment.whole.filter(
                    pc.invert(pc.is_in(fragment.whole.column(NODE), value_set=gone))
                )
                kept += [SegmentBatch(fragment.origin.number, batch) for batch in rest.to_batches()]
            self._backend.sealed[table.name] = kept
            table.forget_rows()
        self.gone.update((node, (store, new)) for node, new in nodes.items())

    def _fragments(self, table: LiveTable) -> list[InMemoryFragment]:
        with table.lock:
            sealed = self._backend.sealed[table.name]
            parts = [*sealed, *table.parts()]
            return [InMemoryFragment(number, batch) for number, batch in parts]


class Place(NamedTuple):
    """Where a collection is, for another process.

    Attributes:
        identity: the id of the collection.
        is_read_only: whether nothing is written there.
    """

    path: str
    identity: str
    is_read_only: bool

    def store(self, *, is_any: bool = False) -> FolderStore:
        """The store that this process has of it, else a new one.

        Args:
            is_any: whether it may be another collection by now, or none.

        Raises:
            NotACollectionError: the collection is not there, or another one is.
        """
        path, identity, is_read_only = self
        if is_any:
            return FolderStore.at(Path(path), is_read_only=is_read_only)
        return FolderStore.shared(Path(path), identity, is_read_only=is_read_only)


class FolderStore(Store):
    """A collection's folder, with this process as one of its writers from the first row on."""

    #: By path, and whether nothing is written.
    _shared: ClassVar[weakref.WeakValueDictionary[tuple[str, bool], FolderStore]] = (
        weakref.WeakValueDictionary()
    )

    @classmethod
    def shared(cls, path: Path, identity: str, *, is_read_only: bool = False) -> FolderStore:
        """The store of a collection that this process has, for recorders that came from another.

        Raises:
            NotACollectionError: the collection is not there, or another one is.
        """
        known = cls._shared.get((str(path), is_read_only))
        if known is not None and known.identity == identity and not known.backend.is_closed:
            return known
        return cls.there(path, identity, is_read_only=is_read_only)

    @classmethod
    def at(cls, path: Path, *, is_read_only: bool = False) -> FolderStore:
        """The store that this process has of the collection at a path, else a new one."""
        known = cls._shared.get((str(path), is_read_only))
        if known is None or known.backend.is_closed:
            return cls(path, is_read_only=is_read_only)
        return known

    @classmethod
    def there(cls, path: Path, identity: str, *, is_read_only: bool = False) -> FolderStore:
        """A store of its own, which is one writer more, of a collection that is there.

        Raises:
            NotACollectionError: it is not there, or another one is.
        """
        folder = Folder(path)
        if not folder.exists() or folder.info()["id"] != identity:
            message = f"the collection of this recorder is not at {path} (any more)"
            raise NotACollectionError(message)
        return cls(path, is_read_only=is_read_only)

    def __init__(self, path: Path, *, is_read_only: bool = False) -> None:
        super().__init__()
        self.folder = Folder(path, is_read_only=is_read_only)
        identity = self.folder.info()["id"] if self.folder.exists() else os.urandom(16).hex()
        self.backend = FolderBackend(
            self.folder,
            identity,
            on_open=start_background,
            later=later,
            before_records=_weakly(self._sync_nodes),
        )
        self.records = _TableOfExperiments(RECORDS, self.backend)
        self.nodes = LiveTable(NODES, self.backend)
        self._sealed = {table: SealedFiles(self.folder, table) for table in TABLES}
        self._shared[str(path), is_read_only] = self
        watch(self)

    @property
    def last_time(self) -> int:
        """When anything was said last, or later: microseconds since the epoch."""
        return self._last_time

    @property
    def identity(self) -> str:
        """The id of the collection, by which a recorder from another process finds it."""
        return self.backend.identity

    def new_node(self) -> int:
        """An id for a new node.

        Raises:
            ClosedError: the collection was closed.
            ReadOnlyError: it was opened read-only.
        """
        if not self.backend.is_open:
            self.backend.open()
        return self.backend.ids.take()

    @property
    def title(self) -> str:
        """Where it is, in words."""
        return str(self.folder.path)

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.path.name

    @property
    def folders(self) -> list[Folder]:
        """The folders in which its rows are."""
        return [self.folder]

    def keep_ranges(self) -> None:
        """Find the bounds of the nodes in each file of records out when it is opened."""
        self._sealed[RECORDS].keeps_ranges = True

    def is_alive(self, writer: str) -> bool:
        """Whether the process of a writer lives, as far as can be known."""
        return writer == self.backend.writer or is_alive(self.folder, writer)

    @property
    def place(self) -> Place:
        """Where it is, for another process."""
        return Place(str(self.folder.path), self.identity, self.is_read_only)

    @property
    def is_read_only(self) -> bool:
        """Whether nothing is written to the collection's folder."""
        return self.folder.is_read_only

    def require_writable(self) -> None:
        """Raise where nothing may be written.

        Raises:
            ReadOnlyError: the collection was opened read-only.
        """
        self.folder.require_writable()

    def staying(self) -> AbstractContextManager[object]:
        """Nothing ever moves away from a collection."""
        return _NOTHING_TO_DO

    def set_attributes(self, node: int, data: Mapping[str, Any], parent: int | None = None) -> int:
        """As for any store; it is on its way to the file before any record below the node is."""
        now = Store.set_attributes(self, node, data, parent)
        if not self.backend.is_mapped:
            self.nodes.flush()
        return now

    # --- reading -------------------------------------------------------------------------------

    def version(self) -> object:
        """Equal as long as nothing was written, by this process or another."""
        foreign = [name for table in TABLES for name in self._foreign(table)]
        if foreign:
            return object()
        sealed = tuple(self.folder.sealed(table) for table in TABLES)
        return self.records.version, self.nodes.version, sealed

    def snapshot(self) -> StoreSnapshot:
        """All rows of both tables; the nodes are read last, so that every record has its node."""
        records = self._fragments(self.records)
        nodes = self._fragments(self.nodes)
        return StoreSnapshot(records, [*self._held(records, nodes), *nodes])

    def _held(
        self, records: Sequence[Fragment], nodes: Sequence[Fragment]
    ) -> list[InMemoryFragment]:
        """What keeps records out of answers whose nodes an incomplete copy lacks.

        Where it can be written, `recover` has done that for good.
        """
        foreign = {name.writer for table in TABLES for name in self._foreign(table)}
        left = sorted(writer for writer in foreign if is_left(self.folder, writer))
        if not left or fragments_of(self.folder, NODES) is None:  # what is damaged is reported
            return []
        lost = lost_nodes(left, records, nodes)
        return [held_nodes(self.folder, Origin(0, left[0], BEHIND_ALL), lost)] if len(lost) else []

    def loss(self) -> Loss | None:
        """What the folder lacks, as a copy can that was made while it was logged to."""
        if not (begun := expected_segments(self.folder)):
            return None
        loss = loss_of(self.folder, begun)
        if not loss and loss.is_sure and not self.is_read_only:
            with contextlib.suppress(OSError):
                forget_incomplete(self.folder, begun)
        return loss

    def node_fragments(self) -> list[Fragment]:
        """All rows of the nodes' table."""
        return self._fragments(self.nodes)

    def _fragments(self, table: LiveTable) -> list[Fragment]:
        files = self._sealed[table.name]
        while True:
            live = [part for name in self._foreign(table.name) if (part := self._read_live(name))]
            with table.lock:
                own = table.parts()
                listing = files.listing()
            try:
                sealed = files.open(listing)
            except FileNotFoundError:  # compacted away since the listing
                continue
            unsure = [*live, *starmap(InMemoryFragment, own)]
            by_writer: dict[str, list[ParquetFragment]] = {
                each.origin.writer: [] for each in unsure
            }
            for file in sealed if unsure else ():
                for writer in file.writers & by_writer.keys():
                    by_writer[writer].append(file)
            rests = (self._unsealed(each, by_writer[each.origin.writer]) for each in unsure)
            loose = [rest for rest in rests if rest is not None]
            return sorted([*sealed, *loose], key=lambda each: each.origin)

    def _unsealed(
        self, rows: InMemoryFragment, files: list[ParquetFragment]
    ) -> InMemoryFragment | None:
        """Those of a segment's rows that are in no file; None where all are.

        Rows whose sealing was interrupted between two steps stand in both places. More of them than
        were sealed has a writer that others took for dead, and that went on.

        Args:
            files: the sealed files of the same writer.
        """
        _, writer, number = rows.origin
        if not any(file.begins(writer, number) for file in files):
            return rows
        sealed = max(file.rows_of(writer, number) for file in files)
        if rows.rows <= sealed:
            return None
        is_held = writer == self.backend.writer or self.folder.lock_path(writer).exists()
        return rows.after(sealed) if is_held else None

    def _foreign(self, table: str) -> list[LiveName]:
        return [name for name in self.folder.lives(table) if name.writer != self.backend.writer]

    def _read_live(self, name: LiveName) -> InMemoryFragment | None:
        path = self.folder.live_path(name)
        found, damage = None, None
        most = trusted_rows(self.folder, name)
        try:
            found = read_live(path, name, most)
            if found is not None and found.has_gap:
                damage = gap_behind(found.rows)
        except DamagedFileError as error:
            damage = error
        if most is not None and has_more(self.folder, name, most):
            damage = damage or unsynced(most)
        # Of one that is sealed by now all rows are elsewhere.
        if damage is not None and not self._sealed[name.table].has(name.writer, name.number):
            warn_damaged(path, damage)
        return found

    # --- durability ----------------------------------------------------------------------------

    def flush(self) -> None:
        """Hand all rows to the operating system, where files are not mapped."""
        self.nodes.flush()
        self.records.flush()

    def sync(self) -> None:
        """Return when all rows survive a loss of power, or wait in memory and the user was told."""
        if not self._can_sync():
            return
        # Records first: whose they are was said before they were logged.
        records, nodes = self.records.sync(), self.nodes.sync()
        if records is not None and nodes is not None:
            self.backend.record_synced({RECORDS: records, NODES: nodes})

    def _can_sync(self) -> bool:
        """Whether this is a writer that can sync now; where it can't, it is done later."""
        if not self.backend.is_open:
            return False
        if self._is_changing:
            later(_weakly(self.sync))
            return False
        self.backend.is_presumed_dead()
        if self.backend.has_lost_names:
            self.backend.has_lost_names = False
            self.nodes.seal()
            self.records.seal()
        return True

    @property
    def _is_changing(self) -> bool:
        """Whether a signal handler asks, in the middle of a change of this very thread.

        It must not wait then for whoever seals, who waits for the end of the change; what it asks
        for is done right after it.
        """
        return self.nodes.is_changing or self.records.is_changing

    def finish(self) -> None:
        """Have all records on the device, before it is said that their experiment has ended.

        That they are there is noted with the end, by the next ``sync``. Many rows are sealed with
        full tables that wait for it.
        """
        self.records.hand_over_much()
        if self._can_sync() and (records := self.records.sync()) is not None:
            self.backend.remember_synced({RECORDS: records})

    def _sync_nodes(self) -> None:
        """No record survives a loss of power, nor is it sealed, without its node.

        Raises:
            OSError: what was set on nodes waits in memory.
        """
        nodes = self.nodes.sync()
        if nodes is not None:
            self.backend.record_synced({NODES: nodes})
        if self.nodes.rows_at_risk():
            message = f"what was set on recorders waits in memory: {self.backend.trouble}"
            raise OSError(message)

    def hold(self, node: int) -> None:
        """Begin a node that is excluded from query results, with all below it, until a parent is set on it.

        A compaction leaves it as it is. What is to stay hidden is deleted in the end.
        """
        self.nodes.append(node, {TIME: self._now(), PARENT: DELETED, DELETION: False})
        self.nodes.flush()

    def delete(self, nodes: Collection[int]) -> None:
        """Take nodes, with all below them, out of every answer; no file changes for it.

        Raises:
            SaveError: that they are deleted can't be written, and is only known here.
        """
        for node in nodes:
            self.withdraw(node)
        self.require_saved()

    def require_saved(self) -> None:
        """Sync.

        Raises:
            SaveError: rows wait in memory and still can't be written.
        """
        self.sync()
        if self._is_changing:
            return
        self.nodes.require_saved()
        self.records.require_saved()
        if not (self.nodes.cannot_seal or self.records.cannot_seal):
            self.backend.settle()

    def seal(self) -> None:
        """Turn all rows into sealed files.

        Raises:
            SaveError: that fails now; what is only in memory is kept there.
        """
        if self._is_changing:
            later(_weakly(self.seal))
            return
        self.nodes.seal()
        self.records.seal()
        self.sync()
        self.nodes.require_sealed()
        self.records.require_sealed()
        self.backend.settle()

    def close(self) -> None:
        """Seal all rows, take the live files away and stop being a writer.

        Raises:
            SaveError: some can't be sealed now; the store stays open.
            BusyError: a signal handler calls for it in the middle of another change.
        """
        try:
            self.nodes.require_quiet()
            self.records.require_quiet()
            self.backend.refuses = True
            if self.backend.is_open:
                self.nodes.close()
                self.records.close()
            self.backend.close()
        finally:
            self.backend.refuses = False

    def end(self) -> None:
        """Save everything as the interpreter exits; what is logged after it is another writer's.

        Threads and handlers that log until the very end find a collection that nobody closed. Their
        rows are in live files, from which whoever opens the collection next takes them.

        Raises:
            SaveError: some can't be sealed now.
        """
        tries = _TRIES
        while self.backend.is_open and tries and not self._is_left():
            self.nodes.require_sealed()
            self.records.require_sealed()
            tries -= 1
        self.backend.is_ending = True

    def _is_left(self) -> bool:
        """Stop being this writer, where no row is in a live file."""
        with holding(self.nodes, self.records):
            self.backend.is_ending = self.nodes.is_left() and self.records.is_left()
            if self.backend.is_ending:
                self.backend.leave()
            return self.backend.is_ending

    def __del__(self) -> None:
        """Save what nobody can write to any more; what fails is recovered at the next open."""
        backend = getattr(self, "backend", None)
        if backend is not None and backend.is_open and not backend.is_ending:
            with contextlib.suppress(Exception):
                self.close()

    def forget(self) -> None:
        """Find everything out anew at the next reading."""
        for files in self._sealed.values():
            files.forget()
        self.reader = None

    def recover(self) -> Recovered:
        """Seal what dead writers left; warnings of what can't be read come when all else is done."""
        with warning_last():
            return recover(self.folder)

    def renew_after_fork(self) -> None:
        """In a forked child: not the parent's writer, but one of its own from the next row on."""
        self.backend.forget()
        self.records.start_anew()
        self.nodes.start_anew()
        self._clock = threading.Lock()


def _weakly(method: Callable[[], object]) -> Callable[[], None]:
    """A method, without keeping what it belongs to; nothing where that is gone."""
    known = weakref.WeakMethod(method)

    def call() -> None:
        if (found := known()) is not None:
            found()

    return call
