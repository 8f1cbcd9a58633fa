"""Recorder: a node of the tree, to which attributes and records are logged."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Collection, ItemsView, Iterator, KeysView, Mapping, ValuesView
from functools import partial
from os import PathLike
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

from ._arrow import pa, pc
from ._durable import replacing
from ._keys import ATTEMPT_KEYS, FIRST_KEYS, RESERVED, require_free
from ._lazy import lazy_module
from ._live.fields import Described, describe, describe_attributes, describe_unread
from ._live.implementation import Pusher
from ._paths import path_of
from ._printable import one_line
from ._public import public
from ._report import error_line, warn
from ._rows.implementation import fresh
from ._store.background import LOCKS
from ._store.memory_store import MemoryStore, MovedError
from ._store.node_ids import ROOT
from ._store.store import FolderStore, Place, Store
from ._store.union import UnionPlace, UnionStore
from ._tree.nodes import Nodes
from ._values.arrays import ArrayKind, ListKind
from ._values.chunks import int64_scalar
from ._values.devices.values import DeviceValue
from ._values.plain_forms import fields_of
from .errors import (
    ArgumentError,
    ArgumentTypeError,
    AttachedError,
    CycleError,
    DamagedFileError,
    ReadOnlyError,
    ReservedKeyError,
    RigorousError,
    UnknownAttributeError,
    UnsupportedTypeError,
)

if TYPE_CHECKING:
    from . import _attach as moving
    from . import _columns as column_values
    from . import _flat_files as flat_files
    from . import _level as levels
    from . import _pickles as pickles
    from . import _records as reading
    from ._display import runs
    from ._display import tree as trees
    from ._engines import level_table, scanned_rows
    from ._engines import snapshot as snapshots
    from ._engines import source as sources
else:  # a program that logs needs none of them
    moving = lazy_module(f"{__package__}._attach")
    column_values = lazy_module(f"{__package__}._columns")
    flat_files = lazy_module(f"{__package__}._flat_files")
    level_table = lazy_module(f"{__package__}._engines.level_table")
    levels = lazy_module(f"{__package__}._level")
    pickles = lazy_module(f"{__package__}._pickles")
    reading = lazy_module(f"{__package__}._records")
    runs = lazy_module(f"{__package__}._display.runs")
    scanned_rows = lazy_module(f"{__package__}._engines.scanned_rows")
    snapshots = lazy_module(f"{__package__}._engines.snapshot")
    sources = lazy_module(f"{__package__}._engines.source")
    trees = lazy_module(f"{__package__}._display.tree")

__all__ = [
    "Recorder",
    "Reference",
    "attributes_of",
    "place_of",
    "recorder_at",
    "recorder_below",
    "recorder_known",
]

#: The suffix of files with the whole tree.
_PICKLE: Final = ".pickle"
#: What the error for something else than a mapping says.
_FIELDS: Final = (
    "fields are given as keywords or as one mapping, not as a value of type {}: push(loss=0.3) or"
    " push({{'loss': 0.3}}); a dataclass or a Namespace is one, too. Many records at once are"
    " columns: extend({{'loss': values}})"
)
_ATTRIBUTES: Final = (
    "attributes are given as keywords or as one mapping, not as a value of type {}: lr=0.1 or"
    " {{'lr': 0.1}}; a dataclass or a Namespace is one, too"
)


@public
class Recorder(Pusher):
    """A node of the tree: its attributes are set once, and the records below inherit them.

    Args:
        data: attributes; also as keywords, which win over ``data``.

    Raises:
        TypeError, ValueError: a key is not text, or a value can't be stored.

    Examples:
        >>> model = Recorder(model="m1")
        >>> episode = Recorder(episode=2).set_parent(model)
        >>> _ = episode.push(timestep=0, reward=1.5)
        >>> model["test_score"] = 0.9  # set late: the records below inherit it too
        >>> model.all_records[0]
        {'model': 'm1', 'test_score': 0.9, 'episode': 2, 'timestep': 0, 'reward': 1.5}
    """

    __slots__ = (
        "__weakref__",
        "_data",
        "_data_time",
        "_knows_parent",
        "_parent",
        "_parent_time",
        "_source",
        "_store",
    )

    def __init__(self, data: object | None = None, /, **local_data: Any) -> None:
        is_plain = data is None and all(map(_is_plain_item, local_data.items()))
        self._data = local_data if is_plain else attributes_of(data, local_data)
        self._parent: Recorder | None = None
        self._knows_parent = True
        #: When the parent and the attributes that are cached here were written to the store; before
        #: there is one, how many times attributes were set.
        self._parent_time = self._data_time = 0
        self._store: Store | None = None
        self._source: sources.Source | None = None

    # --- the tree ------------------------------------------------------------------------------

    def set_parent(self, parent: Recorder) -> Self:
        """Put this recorder, with all below it, under another one; before or after records exist.

        If ``parent`` is in a collection, an unattached tree moves there with its records.

        Raises:
            TypeError: ``parent`` is not a recorder.
            CycleError: ``parent`` is this recorder, or below it.
            AttachedError: this one is stored in one collection and ``parent`` in another.
            ArgumentError: this one, or one above it, was deleted from its collection.
            ReservedKeyError: below the root of a collection, this one, or something below it, has
                a key that a collection sets on experiments itself.
        """
        if not isinstance(parent, Recorder):
            message = f"the parent of a recorder is a Recorder, not a {type(parent).__name__}"
            raise ArgumentTypeError(message)
        while not self._attach_below(parent):
            pass
        return self

    def _attach_below(self, parent: Recorder) -> bool:
        """Try to attach it there; False if another thread changed where one of them is."""
        if self._store is None and parent is not self:  # a new one: nothing is below it
            store, above = parent._where()
            if isinstance(store, FolderStore):
                if above != ROOT and not RESERVED.isdisjoint(self._data):
                    require_free(self._data)
                return self._join(store, above, parent)
            with store.staying():
                return parent._store is store and self._join(store, above, parent)
        parent._require_not_below(self)
        self._require_not_deleted()
        store, above = parent._where()
        if self._where()[0] is not store:
            moving.undisturbed(partial(self._move_to, store, parent))
            return self._store is store and self._parent is parent
        with store.staying():
            if not self._store is parent._store is store:
                return False
            self._know_parent(parent, store.set_attributes(self._node, {}, above))
        return True

    def _know_parent(self, parent: Recorder, time: int) -> None:
        """Cache the parent that was written at a time, unless a later one is cached."""
        with LOCKS.settling:
            if time > self._parent_time:
                self._parent, self._knows_parent, self._parent_time = parent, True, time

    def child(self, data: object | None = None, /, **local_data: Any) -> Recorder:
        """A new recorder below this one.

        Raises:
            TypeError, ValueError: a key is not text, or a value can't be stored. In a collection
                with ``strict=True`` also if the type of a value can't be stored.
        """
        if self._is_strict():
            attributes_of(data, local_data, is_strict=True)
        return type(self)(data, **local_data).set_parent(self)

    SubRecorder = SubRecordKeeper = child

    @property
    def parent(self) -> Recorder | None:
        """The recorder above; None for the top one."""
        if not self._knows_parent and self._store is not None:
            time = self._parent_time
            source, snapshot, node = self._now()
            above = snapshot.nodes.parent(node)
            parent = None if above is None else recorder_at(source.store, above)
            with LOCKS.settling:
                if not self._knows_parent and self._parent_time == time:
                    self._parent, self._knows_parent = parent, True
        return self._parent

    @property
    def children(self) -> list[Recorder]:
        """The recorders directly below, including those of other processes."""
        if self._store is None:
            return []
        source, snapshot, node = self._now()
        return recorders_at(source.store, snapshot.nodes.children(node))

    def tree(self, *, depth: int | None = None, children: int = 10) -> trees.Tree:
        """The recorder and those below it as a tree to print, with numbers of records.

        Args:
            depth: how many levels below this one to list; None for all.
            children: how many of the recorders below one to list: the first and the last.

        Raises:
            ArgumentError: ``depth`` is below 0, or ``children`` below 1.

        Examples:
            >>> study = Recorder(study="a")
            >>> _ = study.child(model="m1").push(loss=0.7).push(loss=0.4)
            >>> print(study.tree())
            study="a": 2 records
            └── model="m1": 2 records
        """
        _, snapshot, node = self._now()
        return trees.tree_below(snapshot, node, depth=depth, children=children)

    # --- records -------------------------------------------------------------------------------

    def _push_slowly(self, data: object | None, fields: dict[str, Any]) -> Self:
        pending, self._pending = self._pending, {}
        try:
            if data is not None or pending:
                fields = {**pending, **_joined(data, fields)}
            self._where_it_is(lambda store, node: store.records.append(node, fields))
        except ReservedKeyError:  # added before the recorder was attached to a collection
            rest = {key: value for key, value in pending.items() if key not in FIRST_KEYS}
            self._pending = {**rest, **self._pending}
            raise
        except BaseException:
            self._pending = {**pending, **self._pending}  # restored, with fields added meanwhile
            raise
        return self

    def _add_slowly(self, data: object | None, fields: dict[str, Any]) -> Self:
        found = _plain(_joined(data, fields), describe_unread)
        if not RESERVED.isdisjoint(found) and self._is_reserving():
            require_free(found)
        self._pending = self._pending | found
        return self

    def extend(self, table_or_columns: Any, /) -> Self:
        """Log many records at once, given as columns: one record for each row.

        Args:
            table_or_columns: a mapping of names to arrays or lists of one length, a Polars or
                pandas DataFrame (whose index becomes a column if it has a name), an Arrow table, or
                anything with ``__arrow_c_stream__``.

        Raises:
            TypeError, ValueError: the columns have different lengths, or something in them can't
                be stored; nothing is logged.
            ReservedKeyError: a column has the name of a key that a collection sets on experiments.
        """
        rows, columns = column_values.columns_of(table_or_columns)
        if self._is_reserving():
            require_free(column.key for column in columns)
        return self._log_columns(rows, columns)

    def _log_columns(self, rows: int, columns: column_values.Columns) -> Self:
        def log(store: Store, node: int) -> None:
            nodes = pa.repeat(int64_scalar(node), rows)
            store.records.append_columns(nodes, columns)

        self._where_it_is(log)
        return self

    @property
    def records(self) -> reading.Records:
        """The records that were pushed to this recorder."""
        return self._records(is_deep=False)

    @property
    def all_records(self) -> reading.Records:
        """The records of this recorder and of all recorders below it."""
        return self._records(is_deep=True)

    def level(self, key: str, *, attempts: level_table.Attempts = "last") -> levels.Level:
        """A row for each recorder, from this one down, that has a key as its own attribute.

        See ``ExperimentCollection.level`` for arguments and errors.

        Examples:
            >>> recorder.level("episode").to_polars()["total_reward"].mean()  # doctest: +SKIP
        """
        return levels.Level(self.all_records, key, attempts)

    def __len__(self) -> int:
        """Number of its records. Deprecated interface of 1.4.4: use ``len(recorder.records)``."""
        _warn_of_sequence("len(recorder)", "len(recorder.records)")
        return len(self.records)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        """Its records. Deprecated interface of 1.4.4: iterate ``recorder.records``."""
        _warn_of_sequence("iterating a recorder", "recorder.records")
        return iter(self.records)

    def __bool__(self) -> bool:
        return True

    # --- attributes ----------------------------------------------------------------------------

    @property
    def local_data(self) -> Mapping[str, Any]:
        """The recorder's own attributes, without inherited ones.

        Values are copies: set one with ``recorder[key] = value``. The recorder of an attempt at a
        resumed experiment also has the experiment's attributes.
        """
        return MappingProxyType(fresh(self._data.copy()))

    @property
    def attributes(self) -> Mapping[str, Any]:
        """All attributes of the recorder, which its records inherit: own and inherited ones.

        For each key the nearest value counts. Values are copies, as in ``local_data``.

        Examples:
            >>> model = Recorder(lr=0.1).child(model="m1")
            >>> dict(model.attributes)
            {'lr': 0.1, 'model': 'm1'}
        """
        levels, recorder = [self._data.copy()], self.parent
        while recorder is not None:
            levels.append(recorder._data.copy())
            recorder = recorder.parent
        found = {
            key: value
            for level in reversed(levels)
            for key, value in level.items()
            if value is not None
        }
        return MappingProxyType(fresh(found))

    def __setitem__(self, key: str, value: Any) -> None:
        if _is_plain_item((key, value)):
            self._update({key: value})
        else:
            self.update({key: value})

    def __getitem__(self, key: str) -> Any:
        try:
            return fresh(self._data[key])
        except KeyError:
            message = (
                f"{key!r} is not an attribute of this recorder itself;"
                " recorder.attributes has the inherited ones, too"
            )
            raise UnknownAttributeError(message) from None

    def __delitem__(self, key: str) -> NoReturn:
        message = f"an attribute is removed by setting it to None: recorder[{key!r}] = None"
        raise ReadOnlyError(message)

    def __contains__(self, key: object) -> bool:
        return key in self._data

    def update(self, data: object | None = None, /, **local_data: Any) -> None:
        """Set attributes, at any time: every record below inherits them from now on.

        Raises:
            TypeError, ValueError: a key is not text, or a value can't be stored; nothing is set.
            ReservedKeyError: a collection sets a key on experiments itself.
        """
        described = describe if self._is_strict() else describe_attributes
        self._update(_plain(_joined(data, local_data, _ATTRIBUTES), described))

    def _update(self, attributes: dict[str, Any]) -> None:
        if self._store is None:
            with LOCKS.settling:
                if self._store is None:  # no call in between, so no signal handler can interrupt
                    self._data |= attributes
                    self._data_time += 1
                    return
        if not RESERVED.isdisjoint(attributes) and self._is_reserving():
            require_free(attributes)
        self._set(attributes)

    def _set(self, attributes: dict[str, Any]) -> None:
        """Like ``update``, with plain values and also keys that only a collection sets."""
        while True:
            store, node = self._store, self._node
            if not (store and node and store is self._store):
                store, node = self._where()
            try:
                time = store.set_attributes(node, attributes)
            except MovedError:
                self._go_after(store, node)
            else:
                break
        with LOCKS.settling:
            if store is self._store and time > self._data_time:
                # In place, without a call: neither former keys nor a signal handler matter.
                self._data |= attributes
                self._data_time = time
                return
        self._look_up(attributes)

    def _look_up(self, keys: Collection[str]) -> None:
        """Read these attributes from the store, because another thread has written meanwhile."""
        while True:
            time = self._data_time
            _, snapshot, node = self._now()
            positions = snapshot.nodes.positions_of([node]).drop_null()
            found = next(iter(snapshot.nodes.own_data(positions, keys)), {})
            values = {key: found.get(key) for key in keys}
            with LOCKS.settling:
                if self._data_time == time:
                    self._data |= values
                    return

    def _show(self, attributes: dict[str, Any]) -> None:
        """Include values that were written to another recorder."""
        with LOCKS.settling:
            self._data |= attributes

    def _is_strict(self) -> bool:
        """Whether attributes of types that can't be stored raise."""
        return self._store is not None and self._store.is_strict

    def _is_reserving(self) -> bool:
        """Whether this is in a collection, below its root, where keys of experiments are reserved."""
        return isinstance(self._store, FolderStore) and self._node != ROOT

    def get(self, key: str, default: Any = None) -> Any:
        """The own attribute of a key, else ``default``.

        ``recorder.attributes.get(key)`` includes inherited ones.
        """
        return fresh(self._data[key]) if key in self._data else default

    def keys(self) -> KeysView[str]:
        """The keys of the own attributes."""
        return self.local_data.keys()

    def values(self) -> ValuesView[Any]:
        """The values of the own attributes."""
        return self.local_data.values()

    def items(self) -> ItemsView[str, Any]:
        """The keys and values of the own attributes."""
        return self.local_data.items()

    # --- durability and files ------------------------------------------------------------------

    def sync(self) -> Self:
        """Block until everything logged so far survives a power loss.

        If the folder can't be written, a warning is issued and the data waits in memory. Called from
        a signal handler in the middle of a push, it runs right after the push.
        """
        if self._store is not None:
            self._store.sync()
        return self

    def save_to(
        self,
        path: str | PathLike[str],
        *,
        separator: str | None = None,
        encoding: str | None = None,
    ) -> None:
        """Write this recorder and all below it to a single file.

        The suffix is the format. ``.pickle`` stores the tree, including inherited attributes;
        ``.parquet``, ``.arrow``, ``.csv`` and ``.jsonl`` store the flat table of ``all_records``.
        Types in CSV are guessed on loading, and both text formats have text, numbers or JSON in
        place of bytes, times and arrays.

        Args:
            path: the file; an existing one is replaced.
            separator: the separator of a ``.csv`` file; a comma by default.
            encoding: the encoding of a ``.csv`` file, such as ``utf-8-sig`` for Excel; UTF-8 by
                default.

        Raises:
            UnknownFileTypeError: the suffix is not one of these.
            ArgumentError: an option does not apply to the format.
            UnsupportedValueError: the encoding lacks a character.
            OSError: the file can't be written.
        """
        target = path_of(path, "a file", "run.parquet")
        options = flat_files.CsvOptions.checked(separator, encoding)
        if target.suffix.lower() == _PICKLE:
            flat_files.require_csv(target, options)
            target.parent.mkdir(parents=True, exist_ok=True)
            tree = self._plain_tree()
            with replacing(target) as temporary, temporary.open("wb") as file:
                pickle.dump(_Saved(tree), file, protocol=5)
        else:
            flat_files.save_flat(
                self.all_records._scan(), target, others=[_PICKLE], options=options
            )

    @classmethod
    def load_from(
        cls,
        path: str | PathLike[str],
        *,
        separator: str | None = None,
        encoding: str | None = None,
    ) -> Recorder:
        """Load a recorder from a file that ``save_to`` wrote, or a pickle of version 1.4.4.

        Args:
            path: the file.
            separator: the separator of a ``.csv`` file; a comma by default.
            encoding: the encoding of a ``.csv`` file; by default UTF-8, or UTF-16 if the file begins
                with its byte order mark.

        Raises:
            UnknownFileTypeError: the suffix is not a format.
            ArgumentError: an option does not apply to the format.
            NotEnoughMemoryError: its records need more memory than there is.
            DamagedFileError: the file is not valid in the format of its suffix.
            UnsafePickleError: the pickle contains something other than recorders of plain values.
            OSError: the file can't be read.
        """
        source = path_of(path, "a file", "run.parquet")
        options = flat_files.CsvOptions.checked(separator, encoding)
        if source.suffix.lower() == _PICKLE:
            flat_files.require_csv(source, options)
            return _revived(pickles.load_tree(source))
        recorder = cls()
        try:
            recorder._log_columns(*flat_files.load_flat(source, others=[_PICKLE], options=options))
        except (OverflowError, ValueError) as error:  # values that no writer of ours puts there
            if isinstance(error, RigorousError):
                raise
            message = f"{source} has a value that can't be read: {error}"
            raise DamagedFileError(message) from error
        return recorder

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a reference to the collection if it is in one, otherwise the whole tree."""
        if isinstance(self._store, (FolderStore, UnionStore)):
            return recorder_in, (self._store.place, self._node)
        return restore, (self._plain_tree(),)

    def _plain_tree(self) -> pickles.PlainTree:
        source, snapshot, node = self._now()
        known = source.store.handles.items()
        pending = {each: recorder.pending for each, recorder in known if recorder._pending}
        return pickles.tree_of(snapshot, node, pending)

    def __repr__(self) -> str:
        folder = self._store.folder.path if isinstance(self._store, FolderStore) else None
        where = f" in {one_line(str(folder))}" if folder is not None else ""
        data = self._data.copy()
        return f"<Recorder{runs.owner(data)}{where}{runs.attributes_line(data)}>"

    # -------------------------------------------------------------------------------------------

    @property
    def pending(self) -> Mapping[str, Any]:
        """The fields that were added and are not committed yet."""
        return MappingProxyType(fresh(self._pending))

    def _ready(self) -> Store:
        """The store of this recorder, which is created in memory if it has none yet."""
        while (store := self._store) is None:
            self._join(MemoryStore())
        return store

    def _where(self) -> tuple[Store, int]:
        """The store of this recorder and its node there, which other threads may change anytime."""
        while True:
            store, node = self._store or self._ready(), self._node
            if node and store is self._store:
                return store, node

    def _where_it_is(self, log: Callable[[Store, int], None]) -> None:
        """Log to the store of this recorder, following it if it moves."""
        while True:
            store, node = self._where()
            try:
                log(store, node)
            except MovedError:
                self._go_after(store, node)
            else:
                return

    def _go_after(self, store: Store, node: int) -> None:
        """Follow a node that moved to another store; harmless if another thread was faster."""
        with LOCKS.settling:
            if self._store is store and isinstance(store, MemoryStore) and node in store.gone:
                self._set_place(*store.gone[node])

    def _join(self, store: Store, above: int | None = None, parent: Recorder | None = None) -> bool:
        """Become the first node of a store; False if another thread was faster.

        The recorder is placed only after all is written, so it stays as it was if that fails.
        """
        changes, node, fast_path = self._data_time, store.new_node(), store.records.fast_path
        time = store.set_attributes(node, self._data, above)
        store.handles.add(node, self)
        with LOCKS.settling:
            # No call in between, so no other thread or signal handler can interrupt.
            if self._store is None and self._data_time == changes:
                self._parent_time = self._data_time = time
                self._parent, self._source = parent, None
                self._node, self._fast_path, self._store = node, fast_path, store
                return True
        store.handles.forget(node)
        store.withdraw(node)
        return False

    def _set_place(self, store: Store, node: int) -> None:
        """Be a node of a store from now on."""
        fast_path = store.records.fast_path
        store.handles.add(node, self)
        with LOCKS.settling:
            self._node = 0  # tells other threads that the place is changing
            if store is not self._store:  # attaching again to the same store resets nothing
                self._parent_time = self._data_time = 0
            self._store, self._source = store, None
            self._node, self._fast_path = node, fast_path

    def _move_to(self, store: Store, parent: Recorder) -> None:
        old = self._where()[0]
        if old is store or parent._store is not store:
            return  # another thread was faster
        if not isinstance(old, MemoryStore):
            message = (
                f"the records of {self!r} are stored there and can't move to another collection."
                " Copy them: save_to('x.pickle') there, and here"
                " Recorder.load_from('x.pickle').set_parent(...)"
            )
            raise AttachedError(message)
        with old.moving(), store.staying():
            there, above = parent._where()
            source, node = self._source_and_node()
            if source.store is not old or there is not store:
                return  # it was so in between
            snapshot = source.now()
            if isinstance(store, FolderStore) and above != ROOT:
                require_free(moving.keys_in(snapshot, node, FIRST_KEYS))
            new = moving.copy_tree(snapshot, node, store, above)
            old.drop(new, store)
            self._parent, self._knows_parent = parent, True
            for moved, recorder in old.handles.items():
                if moved in new:
                    recorder._set_place(store, new[moved])

    def _require_not_below(self, recorder: Recorder) -> None:
        above: Recorder | None = self
        while above is not None:
            if above is recorder or above._place() == recorder._place():
                message = "a recorder can't be its own ancestor: the new parent is, or is below, it"
                raise CycleError(message)
            above = above.parent

    def _require_not_deleted(self) -> None:
        if isinstance(self._store, FolderStore):
            source, node = self._source_and_node()
            deleted = source.now().nodes.deleted
            if deleted is not None and pc.index(deleted, int64_scalar(node)).as_py() >= 0:
                message = (
                    f"{self!r} was deleted from its collection, or is below what was, and can't"
                    " come back by another parent: log to a new recorder"
                )
                raise ArgumentError(message)

    def _place(self) -> object:
        """Equal for recorders of the same node."""
        return (id(self._store), self._node) if self._store is not None else id(self)

    def _source_and_node(self) -> tuple[sources.Source, int]:
        """The source of this recorder's records, and its node there."""
        store, node = self._where()
        source = self._source
        if source is None or source.store is not store:
            self._source = source = sources.Source(store)
        return source, node

    def _now(self) -> tuple[sources.Source, snapshots.Snapshot, int]:
        """The source of this recorder, its latest snapshot, and the recorder's node in it."""
        while True:
            source, node = self._source_and_node()
            snapshot = source.now()
            if source.store.moved_to(node) is None:
                return source, snapshot, node
            self._go_after(source.store, node)

    def _records(self, *, is_deep: bool) -> reading.Records:
        source, node = self._source_and_node()
        return reading.Records(source, scanned_rows.Scope(node, is_deep))


class _Saved:
    """A tree in a pickle file, which loads as a recorder in memory."""

    def __init__(self, tree: pickles.PlainTree) -> None:
        self._tree = tree

    def __reduce__(self) -> tuple[Any, ...]:
        return restore, (self._tree,)


def _warn_of_sequence(use: str, instead: str) -> None:
    warn(f"{use} is deprecated: use {instead}", DeprecationWarning, stacklevel=3)


def restore(tree: pickles.PlainTree) -> Recorder:
    """The recorder of a pickled tree."""
    return _revived(pickles.restored(tree))


def _revived(tree: pickles.Restored) -> Recorder:
    """The recorder of a tree, which keeps those with uncommitted fields alive."""
    for node, fields in tree.pending.items():
        recorder = recorder_at(tree.store, node)
        recorder._pending = fields
        tree.store.handles.hold(recorder)
    return recorder_at(tree.store, tree.node)


def attributes_of(
    data: object | None, fields: Mapping[str, Any], *, is_strict: bool = False
) -> dict[str, Any]:
    """Plain stored values of the attributes in a mapping and keywords, which win.

    Raises:
        TypeError, ValueError: ``data`` is not a mapping, a key is not text, or a value can't be
            stored.
    """
    described = describe if is_strict else describe_attributes
    return _plain(_joined(data, fields, _ATTRIBUTES), described)


def _joined(
    data: object | None, fields: Mapping[str, Any], expected: str = _FIELDS
) -> Mapping[str, Any]:
    """The items of a mapping and of keywords, which win.

    Args:
        expected: what the error for other data says.

    Raises:
        UnsupportedTypeError: ``data`` is not a mapping.
    """
    if data is None:
        return fields
    if type(data) is dict:
        return {**data, **fields}
    return {**_mapping_of(data, expected), **fields}


def _mapping_of(data: Any, expected: str) -> Mapping[str, Any]:
    """A mapping, or the fields of a dataclass, a namespace or a model."""
    try:
        if (found := fields_of(data)) is not None:
            return found
    except Exception as error:
        message = f"the fields of a {type(data).__name__} can't be read: {error_line(error)}"
        raise UnsupportedTypeError(message) from error
    if hasattr(data, "keys"):
        return data  # type: ignore[no-any-return]
    raise UnsupportedTypeError(expected.format(type(data).__name__))


def _plain(
    data: Mapping[str, Any], described: Callable[[Mapping[Any, Any]], Described]
) -> dict[str, Any]:
    """Data converted to stored plain values, independent of later changes by the caller.

    Raises:
        TypeError, ValueError: a key is not text, or a value can't be stored.
    """
    found: dict[str, Any] = {}
    for item in data.items():
        key, value = item
        if _is_plain_item(item):
            found[key] = value
            continue
        for column, plain in described({key: value}):
            is_array = isinstance(column.kind, (ArrayKind, ListKind))
            found[str(column.key)] = (
                plain.copy() if is_array and not isinstance(plain, DeviceValue) else plain
            )
    return found


def _is_plain_item(item: tuple[Any, Any]) -> bool:
    """Whether it is a number with a plain key, which needs no conversion; most fields are."""
    key, value = item
    kind = type(value)
    return ((kind is int and -(2**63) <= value < 2**63) or kind is float or kind is bool) and (
        type(key) is str and key.isascii()
    )


def place_of(recorder: Recorder) -> tuple[FolderStore, int] | None:
    """The store and node of a recorder in a collection; None for one in memory."""
    store = recorder._store
    return (store, recorder._node) if isinstance(store, FolderStore) else None


def recorder_at(store: Store, node: int) -> Recorder:
    """The recorder of a node: the one in use, or a new one."""
    return recorders_at(store, [node])[0]


def recorders_at(store: Store, nodes: list[int]) -> list[Recorder]:
    """The recorders of nodes: those in use, or new ones."""
    used = {node: store.handles.get(node) for node in nodes}
    missing = [node for node, recorder in used.items() if recorder is None]
    if missing:
        used |= _new_handles(store, missing)
    return [recorder for recorder in used.values() if recorder is not None]


def _new_handles(store: Store, nodes: list[int]) -> dict[int, Recorder]:
    known = sources.Source(store).now().nodes
    positions = known.positions_of(nodes)
    data = iter(_own_data(known, positions.drop_null()))
    there = positions.is_valid().to_pylist()
    return {
        node: recorder_known(store, node, next(data) if is_there else {})
        for node, is_there in zip(nodes, there, strict=True)
    }


def _own_data(nodes: Nodes, positions: pa.Array) -> list[dict[str, Any]]:
    """The own attributes of nodes; an attempt also has those of its experiment."""
    found = nodes.own_data(positions)
    for at, data in enumerate(found):
        if ATTEMPT_KEYS[1] in data:
            above = nodes.parents.take(positions.slice(at, 1)).drop_null()
            found[at] = {**next(iter(nodes.own_data(above)), {}), **data}
    return found


def recorder_known(store: Store, node: int, data: dict[str, Any]) -> Recorder:
    """A recorder of a node with known attributes; reads nothing."""
    recorder = Recorder()
    recorder._data = data
    recorder._knows_parent = node == ROOT and isinstance(store, FolderStore)
    with LOCKS.settling:
        if (used := store.handles.get(node)) is not None:
            return used  # type: ignore[no-any-return]
        recorder._set_place(store, node)
    return recorder


def recorder_below(store: Store, parent: int, data: Mapping[str, Any]) -> Recorder:
    """A new recorder below a node of a store."""
    recorder = Recorder(data)
    recorder._join(store, parent)
    recorder._knows_parent = False  # it is only read when it is needed
    return recorder


class Reference:
    """A recorder of a collection, to be pickled: where it is restored, nothing is read.

    The restored one knows no attributes; it is good for logging.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def __reduce__(self) -> tuple[Any, ...]:
        found = place_of(self._recorder)
        assert found is not None
        store, node = found
        return _recorder_to_log, (store.place, node)


def _recorder_to_log(place: Place, node: int) -> Recorder:
    return recorder_known(place.store(), node, {})


def recorder_in(place: Place | UnionPlace, node: int) -> Recorder:
    """The recorder of a node of a collection, in any process."""
    return recorder_at(place.store(), node)
