"""Pickles of recorders of version 1.4.4."""

from __future__ import annotations

import re
from typing import Any, Final

from ._lazy_imports import np
from ._once import remembered
from ._store.memory_store import MemoryStore
from .errors import UnsafePickleError

__all__ = ["OLD_CLASSES", "OldRecorder", "adopt", "numpy_part", "plain_records"]


class OldDict(dict[Any, Any]):
    """1.4.4's ``LazyDict``, as a dict; its state is not needed."""

    def __setstate__(self, state: object) -> None:
        """Ignore everything but the items."""


class OldRecord(OldDict):
    """1.4.4's ``AncestorDict``: a record with its ancestors' data."""

    itself: dict[Any, Any]
    above: tuple[dict[Any, Any], ...]

    def __setstate__(self, state: Any) -> None:
        self.itself, self.above = dict(state[0]), tuple(state[1])


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


#: Values with more parts than this are refused, and so are deeply nested ones.
_MOST_PARTS: Final = 10_000_000
_MOST_DEPTH: Final = 200
#: Dtypes whose values are plain bytes: bool, numbers, text.
_PLAIN_DTYPE: Final = re.compile(r"b1|[iu][1248]|f(2|4|8|16)|c(8|16|32)|[SU]\d{1,9}")


class _Dtype:
    """Replaces ``numpy.dtype``, whose state could make it read bytes as addresses."""

    def __init__(self, code: str, *_flags: object) -> None:
        if not (isinstance(code, str) and _PLAIN_DTYPE.fullmatch(code)):
            message = f"the pickle has values of numpy's dtype {code!r}; expected numbers or text"
            raise UnsafePickleError(message)
        self._code = code
        self._order = "="

    def __setstate__(self, state: Any) -> None:
        """Take only the byte order from the state."""
        self._order = state[1] if state[1] in ("<", ">") else "="

    @property
    def real(self) -> Any:
        """The numpy dtype."""
        return np.dtype(self._order + self._code)


def _scalar(dtype: _Dtype, data: bytes) -> Any:
    return np.frombuffer(data, dtype.real)[0]


class _ArrayName:
    """Replaces ``numpy.ndarray``, which pickles refer to but never call."""


def _reconstruct(_kind: object, _shape: object, _code: object) -> Any:
    """An array whose state follows."""
    return _waiting_array()(0)


@remembered(1)
def _waiting_array() -> type:
    class Waiting(np.ndarray):  # type: ignore[misc]
        def __setstate__(self, state: Any) -> None:
            _version, shape, dtype, is_fortran, data = state
            plain = np.frombuffer(data, dtype.real).reshape(shape, order="F" if is_fortran else "C")
            super().__setstate__((1, plain.shape, plain.dtype, False, plain.tobytes("C")))

    return Waiting


def numpy_part(module: str, name: str) -> Any:
    """The replacement for a name in numpy's pickles; None for other names."""
    core = module in {"numpy.core.multiarray", "numpy._core.multiarray"}
    if core and name in {"scalar", "_reconstruct"}:
        return _scalar if name == "scalar" else _reconstruct
    if module == "numpy" and name in {"dtype", "ndarray"}:
        return _Dtype if name == "dtype" else _ArrayName
    return None


def adopt(old: OldRecorder) -> tuple[MemoryStore, int]:
    """A store in memory with the whole tree of an old recorder, and its node there.

    Raises:
        TypeError, ValueError: a key or a value is of a kind that is not supported any more.
        UnsafePickleError: a value refers to itself so often that it is too large when expanded.
    """
    known: dict[int, int] = {}
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
        store.set_attributes(node, _plain_fields(recorder.data, known), parent)
        for record in recorder.records:
            store.records.append(node, _plain_fields(record, known))
        todo += [(child, node) for child in reversed(recorder.children)]
    return store, ids[id(old)]


def plain_records(found: object) -> list[tuple[dict[Any, Any], tuple[dict[Any, Any], ...]]]:
    """The own fields of each record of an old collection, and those above it, the nearest first.

    What several records have above them is the same object for all of them.

    Raises:
        TypeError: it does not hold records.
        UnsafePickleError: a value refers to itself so often that it is too large when expanded.
    """
    if not isinstance(found, list) or not all(isinstance(each, OldRecord) for each in found):
        message = f"expected a list of records, not a {type(found).__name__}"
        raise TypeError(message)
    known: dict[int, int] = {}
    for record in found:
        for fields in (record.itself, *record.above):
            _plain_fields(fields, known)
    return [(record.itself, record.above) for record in found]


def _plain_fields(fields: dict[Any, Any], known: dict[int, int]) -> dict[Any, Any]:
    for value in fields.values():
        if _parts(value, known) > _MOST_PARTS:
            message = (
                f"the pickle has a value of more than {_MOST_PARTS:,} parts, most of them alike"
            )
            raise UnsafePickleError(message)
    return {key: value for key, value in fields.items() if key is not None}


def _parts(value: Any, known: dict[int, int], depth: int = 0) -> int:
    """How many parts a nested value has when expanded; each object is visited once."""
    if depth > _MOST_DEPTH or not isinstance(value, (dict, list, tuple)):
        return 1
    if id(value) not in known:
        known[id(value)] = 1  # for a value that contains itself, which is refused elsewhere
        inner = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_parts(each, known, depth + 1) for each in inner)
    return known[id(value)]
