"""The collections of a page, and the series of charts that were read last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple

from .. import ExperimentCollection
from ..errors import ArgumentError, NotACollectionError, RigorousError
from .series import Series

__all__ = ["Failure", "Opened", "Wanted", "Workspace"]

#: Series beyond this are read again when they are requested; the last one is always there.
_CACHE_BYTES: Final = 160 << 20


class Opened(NamedTuple):
    """A collection by its name, which is unique in the page."""

    name: str
    collection: ExperimentCollection
    path: Path


class Failure(NamedTuple):
    """A collection that can't be opened or read, and why."""

    name: str
    reason: str


class Wanted(NamedTuple):
    """What a series is of: see ``Series``."""

    y: str
    x: str
    by: tuple[str, ...] | None


class Workspace:
    """Collections, opened read-only.

    Args:
        paths: collections, or folders with collections.

    Raises:
        NotACollectionError: there is no collection at a path.
    """

    def __init__(self, paths: Sequence[str | PathLike[str]]) -> None:
        self.opened: list[Opened] = []
        self.failures: list[Failure] = []
        self._series: OrderedDict[tuple[str, Wanted], Series] = OrderedDict()
        self._lock = Lock()
        for path in paths:
            self._open(Path(path))

    def _open(self, path: Path) -> None:
        try:
            self._add(path, ExperimentCollection.open(path, read_only=True, quiet=True))
        except NotACollectionError:
            found = ExperimentCollection.find(path) if path.is_dir() else []
            if not found:
                raise
            for each in found:
                self._try(each)

    def _try(self, path: Path) -> None:
        """One of several: the others are shown if it can't be opened."""
        try:
            self._add(path, ExperimentCollection.open(path, read_only=True, quiet=True))
        except (RigorousError, OSError) as error:
            self.failures.append(Failure(str(path), str(error)))

    def _add(self, path: Path, collection: ExperimentCollection) -> None:
        names = {each.name for each in self.opened}
        short = path.name.removesuffix(".collection")
        name = str(path) if short in names or not short else short
        if name not in names:
            self.opened.append(Opened(name, collection, path))

    def named(self, name: str) -> Opened:
        """The collection of a name.

        Raises:
            ArgumentError: there is none.
        """
        for each in self.opened:
            if each.name == name:
                return each
        message = f"the page has no collection {name!r:.60}"
        raise ArgumentError(message)

    def series(self, opened: Opened, wanted: Wanted) -> Series:
        """The series of a key in a collection, as it was read last.

        Raises:
            ColumnError: the collection has no such key.
        """
        key = opened.name, wanted
        with self._lock:
            if (known := self._series.get(key)) is not None:
                self._series.move_to_end(key)
                return known
        made = Series(opened.collection, *wanted)
        with self._lock:
            found = self._series.setdefault(key, made)
            self._drop_oldest()
            return found

    def _drop_oldest(self) -> None:
        size = sum(each.nbytes for each in self._series.values())
        while size > _CACHE_BYTES and len(self._series) > 1:
            size -= self._series.popitem(last=False)[1].nbytes

    def close(self) -> None:
        """Close all collections."""
        for each in self.opened:
            each.collection.close()
