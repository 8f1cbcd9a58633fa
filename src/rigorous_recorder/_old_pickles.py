"""Recorders as version 1.4.4 pickled them."""

from __future__ import annotations

from typing import Any, Final

from ._lazy import lazy_module
from ._store.store import MemoryStore

np = lazy_module("numpy", install="numpy")

__all__ = ["OLD_CLASSES", "OldRecorder", "adopt", "numpy_part"]


class OldDict(dict[Any, Any]):
    """1.4.4's ``LazyDict``: a dict; its state is nothing to us."""

    def __setstate__(self, state: object) -> None:
        """Leave out what is not an item."""


class OldRecord(OldDict):
    """1.4.4's ``AncestorDict``: one record, with its ancestors' data."""

    itself: dict[Any, Any]

    def __setstate__(self, state: Any) -> None:
        self.itself = dict(state[0])


class OldRecorder:
    """1.4.4's ``Recorder``: records as lists by key."""

    parent: OldRecorder | None
    data: dict[Any, Any]
    children: list[OldRecorder]
    records: list[dict[Any, Any]]

    def __setstate__(self, state: Any) -> None:
        self.parent, self.data, self.children, _pending, frame, length = state
        self.records = [
            {key: column[row] for key, column in frame.items()} for row in range(length)
        ]


class OldKeeper(OldRecorder):
    """1.4.4's ``RecordKeeper``: a list of records."""

    def __setstate__(self, state: Any) -> None:
        self.parent, self.data, _collection, self.children, _pending, records = state
        self.records = [record.itself for record in records]


_PACKAGE: Final = "rigorous_recorder"
OLD_CLASSES: Final[dict[tuple[str, str], Any]] = {
    (_PACKAGE, "Recorder"): OldRecorder,
    (_PACKAGE, "RecordKeeper"): OldKeeper,
    (_PACKAGE, "AncestorDict"): OldRecord,
    (f"{_PACKAGE}.__dependencies__.super_map", "LazyDict"): OldDict,
}


#: What numpy's scalars and arrays are rebuilt by; none of it runs what is in the pickle.
_NUMPY_NAMES: Final = frozenset({"dtype", "ndarray"})
_NUMPY_CORE_NAMES: Final = frozenset({"scalar", "_reconstruct"})


def numpy_part(module: str, name: str) -> Any:
    """What numpy's pickles refer to by that name, or None where that is none of it."""
    if module == "numpy" and name in _NUMPY_NAMES:
        return getattr(np, name)
    core = {"numpy.core.multiarray", "numpy._core.multiarray"}
    if module in core and name in _NUMPY_CORE_NAMES:
        return getattr((np._core if hasattr(np, "_core") else np.core).multiarray, name)
    return None


def adopt(old: OldRecorder) -> tuple[MemoryStore, int]:
    """A store in memory with the tree that an old recorder is in, and its own id there.

    Raises:
        TypeError, ValueError: a key or a value in it is of a kind that is not kept any more.
    """
    root, seen = old, {id(old)}
    while root.parent is not None and id(root.parent) not in seen:
        root = root.parent
        seen.add(id(root))
    store, ids = MemoryStore(), {}
    todo: list[tuple[OldRecorder, int | None]] = [(root, None)]
    while todo:
        recorder, parent = todo.pop()
        if id(recorder) in ids:
            continue
        ids[id(recorder)] = node = store.new_node()
        store.say(node, _without_none_key(recorder.data), parent)
        for record in recorder.records:
            store.records.append(node, _without_none_key(record))
        todo += [(child, node) for child in reversed(recorder.children)]
    return store, ids[id(old)]


def _without_none_key(fields: dict[Any, Any]) -> dict[Any, Any]:
    return {key: value for key, value in fields.items() if key is not None}
