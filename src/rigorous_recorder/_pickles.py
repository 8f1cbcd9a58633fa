"""Pickle files: a tree of recorders as Arrow bytes; loading never executes anything in them.

``load_tree`` reads what ``tree_of`` wrote, and pickles of version 1.4.4, with an unpickler that only
accepts the plain types and the recorders.
"""

from __future__ import annotations

import datetime as dt
import io
import pickle
import pickletools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from ._arrow import ipc, pa
from ._attach import copy_tree, copy_with_ancestors
from ._engines.snapshot import Snapshot
from ._old_pickles import OLD_CLASSES, OldRecorder, adopt, numpy_part, plain_records
from ._store.fragments import InMemoryFragment
from ._store.memory_store import MemoryStore
from ._store.reader import StoreSnapshot
from ._tree.nodes import Nodes
from ._values.chunks import count_to
from .errors import DamagedFileError, RigorousError, UnsafePickleError

__all__ = ["PlainTree", "Restored", "load_old_records", "load_tree", "restored", "tree_of"]

_FORMAT: Final = "rigorous-recorder tree 2"
#: The functions that pickles of recorders call, in current and earlier versions: module and name.
_RESTORE: Final = [
    ("rigorous_recorder._recorder", "restore"),
    ("rigorous_recorder.recorder", "restore"),
]

PlainTree = dict[str, Any]
"""A tree as plain values: ``format``, ``top`` (id of the recorder itself), and for ``nodes`` and
``records`` a list of Arrow IPC streams, for ``pending`` one where fields wait for a commit."""


class Restored(NamedTuple):
    """A tree in memory that was unpickled.

    Attributes:
        store: its store.
        node: id of the pickled recorder.
        pending: the uncommitted fields of recorders, by node.
    """

    store: MemoryStore
    node: int
    pending: dict[int, dict[str, Any]]


def tree_of(
    snapshot: Snapshot, node: int, pending: Mapping[int, Mapping[str, Any]] | None = None
) -> PlainTree:
    """A node, its ancestors and descendants, and their records, as plain values.

    Args:
        pending: the uncommitted fields of recorders, by node.
    """
    store, new = copy_with_ancestors(snapshot, node)
    fragments, waiting = store.reader.snapshot(), MemoryStore()
    for each, fields in (pending or {}).items():
        if each in new:
            waiting.set_attributes(new[each], dict(fields))
    return {
        "format": _FORMAT,
        "top": new[node],
        "nodes": [_dump(fragment) for fragment in fragments.nodes],
        "records": [_dump(fragment) for fragment in fragments.records],
        "pending": [_dump(fragment) for fragment in waiting.reader.snapshot().nodes],
    }


def restored(tree: PlainTree) -> Restored:
    """Restore a tree in memory from what ``tree_of`` returned.

    Raises:
        DamagedFileError: it is not the output of ``tree_of``.
    """
    try:
        nodes, records = ([_load(data) for data in tree[name]] for name in ("nodes", "records"))
        snapshot = Snapshot(StoreSnapshot(records, nodes), Nodes(nodes))
        top = root = int(tree["top"])
        while (above := snapshot.nodes.parent(root)) is not None:
            root = above
        store = MemoryStore()
        new = copy_tree(snapshot, root, store, None)
        pending = {new[node]: fields for node, fields in _pending(tree)}
        return Restored(store, new[top], pending)
    except (KeyError, TypeError, ValueError, OSError, pa.ArrowException) as error:
        message = f"the pickle does not hold a tree of recorders: {error!r}"
        raise DamagedFileError(message) from error


def _pending(tree: PlainTree) -> Iterator[tuple[int, dict[str, Any]]]:
    """The nodes of recorders with uncommitted fields, and these fields."""
    nodes = Nodes([_load(data) for data in tree.get("pending", ())])
    ids = nodes.ids.to_pylist()
    return zip(ids, nodes.own_data(count_to(len(ids))), strict=True)


def load_tree(path: Path) -> Restored:
    """Load the tree in a pickle file into memory.

    Raises:
        UnsafePickleError: it contains anything but plain values and recorders.
        DamagedFileError: it is not a pickle, or not of a recorder.
    """
    found = _unpickled(path)
    if isinstance(found, OldRecorder):
        try:
            return Restored(*adopt(found), {})
        except RigorousError:
            raise
        except Exception as error:
            message = f"{path} does not hold a whole tree of recorders: {error!r}"
            raise DamagedFileError(message) from error
    if not isinstance(found, dict) or found.get("format") != _FORMAT:
        message = f"{path} holds a {type(found).__name__}, not a recorder"
        raise DamagedFileError(message)
    return restored(found)


def load_old_records(path: Path) -> list[tuple[dict[Any, Any], tuple[dict[Any, Any], ...]]]:
    """The own fields of each record of a collection of version 1.4.4, and those above it, nearest first.

    Raises:
        UnsafePickleError: it contains anything but plain values and recorders.
        DamagedFileError: it is not a pickle, or not of records.
    """
    found = _unpickled(path)
    try:
        return plain_records(found)
    except (TypeError, AttributeError) as error:
        message = f"{path} does not hold records: {error!r}"
        raise DamagedFileError(message) from error


def _unpickled(path: Path) -> Any:
    data = path.read_bytes()
    try:
        _check_sizes(data)
        return _Unpickler(io.BytesIO(data)).load()
    except UnsafePickleError:
        raise
    except Exception as error:
        message = f"{path} can't be read as a pickle: {error!r}"
        raise DamagedFileError(message) from error


def _check_sizes(data: bytes) -> None:
    """Raise for a pickle that would need more memory than its bytes justify.

    Raises:
        UnsafePickleError: its memo indices are so high that the memo would take gigabytes.
        ValueError: a length in it exceeds what follows.
    """
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name in {"PUT", "BINPUT", "LONG_BINPUT"} and int(argument or 0) > len(data):
            message = f"the pickle remembers a value under the number {argument}: to exhaust memory"
            raise UnsafePickleError(message)


def _dump(fragment: Any) -> bytes:
    table = fragment.whole
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _load(data: bytes) -> InMemoryFragment:
    table = ipc.open_stream(data).read_all().combine_chunks()
    batches = table.to_batches()
    batch = batches[0] if batches else pa.RecordBatch.from_pylist([], table.schema)
    batch.validate(full=True)
    return InMemoryFragment(0, batch)


def _same(tree: PlainTree) -> PlainTree:
    return tree


_ALLOWED: Final[dict[tuple[str, str], Any]] = {
    **dict.fromkeys(_RESTORE, _same),
    **OLD_CLASSES,
    ("collections", "OrderedDict"): dict,
    **{("datetime", kind.__name__): kind for kind in (dt.date, dt.datetime, dt.timedelta)},
    ("datetime", "timezone"): dt.timezone,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        if (part := numpy_part(module, name)) is not None:
            return part
        message = (
            f"the pickle asks for {module}.{name}; load_from takes only recorders of plain values."
            " If you trust the file, read it with pickle.load and log what it gives"
        )
        raise UnsafePickleError(message)

    def persistent_load(self, pid: Any) -> Any:
        message = f"the pickle refers to something outside of it: {pid!r}"
        raise UnsafePickleError(message)
