"""The collections of a page, and the series of charts that were read last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from threading import Event, Lock
from typing import Final, NamedTuple

from .. import ExperimentCollection
from ..errors import ArgumentError, ColumnError, NotACollectionError, RigorousError
from .series import Feed, State, Tail

__all__ = ["Failure", "Opened", "Workspace"]

#: Points beyond this are read again when they are requested; those of the last charts stay.
_CACHE_BYTES: Final = 100 << 20
#: At most so many points of all keys are read together.
_FEED_POINTS: Final = 5_000_000


class Opened(NamedTuple):
    """A collection by its name, which is unique in the page."""

    name: str
    collection: ExperimentCollection
    path: Path

    @property
    def gone(self) -> str:
        """That its folder is gone; "" if it is there."""
        if self.path.is_dir():
            return ""
        return f"there is no folder {self.path} any more: it was moved or deleted"


class Failure(NamedTuple):
    """A collection that can't be opened or read, and why."""

    name: str
    reason: str


#: What feeds are shared by: collection, x and the keys that separate lines.
_Kind = tuple[str, str, tuple[str, ...] | None]


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
        self._feeds: OrderedDict[tuple[_Kind, str], Feed] = OrderedDict()
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
            # The folder itself, whose name can be longer than what was given.
            self.opened.append(Opened(name, collection, collection._store.folders[0].path))

    def named(self, name: str) -> Opened:
        """The collection of a name.

        Raises:
            ArgumentError: there is none, or its folder is gone.
        """
        for each in self.opened:
            if each.name == name and each.gone:
                raise ArgumentError(each.gone)
            if each.name == name:
                return each
        message = f"the page has no collection {name!r:.60}"
        raise ArgumentError(message)

    def states(
        self,
        opened: Opened,
        keys: Sequence[str],
        x: str,
        by: tuple[str, ...] | None,
        stop: Event | None = None,
    ) -> dict[str, State]:
        """The lines of those of some keys that a collection has, over x.

        Args:
            by: keys that separate lines; None for the runs.
            stop: set once the browser has left.

        Raises:
            Cancelled: ``stop`` was set.
        """
        found: dict[str, State] = {}
        for feed, some in self._feeds_of(opened, keys, x, by).items():
            try:
                found |= feed.states(some, stop)
            except ColumnError:
                self._drop(feed)
        self._drop_oldest()
        return found

    def tails(
        self,
        opened: Opened,
        cursors: Mapping[str, tuple[int, int]],
        x: str,
        stop: Event | None = None,
    ) -> dict[str, tuple[list[Tail], tuple[int, int]] | None]:
        """The points of keys after cursors; None or nothing for those that are not valid."""
        feeds: dict[Feed, dict[str, tuple[int, int]]] = {}
        with self._lock:
            for key, cursor in cursors.items():
                if feed := self._feeds.get(((opened.name, x, None), key)):
                    feeds.setdefault(feed, {})[key] = cursor
        found: dict[str, tuple[list[Tail], tuple[int, int]] | None] = {}
        for feed, some in feeds.items():
            try:
                found |= feed.tails(some, stop)
            except ColumnError:
                self._drop(feed)
        return found

    def _feeds_of(
        self, opened: Opened, keys: Sequence[str], x: str, by: tuple[str, ...] | None
    ) -> dict[Feed, list[str]]:
        """The feeds of keys, with the keys of each; new ones are read together."""
        kind = opened.name, x, by
        found: dict[Feed, list[str]] = {}
        with self._lock:
            new = [key for key in keys if (kind, key) not in self._feeds]
            for feed in self._made(opened, new, x, by):
                self._feeds |= {(kind, key): feed for key in feed.keys}
            for key in keys:
                if known := self._feeds.get((kind, key)):
                    self._feeds.move_to_end((kind, key))
                    found.setdefault(known, []).append(key)
        return found

    def _made(
        self, opened: Opened, keys: Sequence[str], x: str, by: tuple[str, ...] | None
    ) -> list[Feed]:
        """A new feed of those keys that are there; several if they are large."""
        records = opened.collection.records
        there = set(records.columns) if keys else set()
        some = [key for key in keys if key in there]
        if not some or not there.issuperset([*([x] if x else []), *(by or ())]):
            return []
        size = max(1, _FEED_POINTS // max(1, len(records)))
        parts = [some[at : at + size] for at in range(0, len(some), size)]
        return [Feed(opened.collection, part, x, by) for part in parts]

    def _drop(self, feed: Feed) -> None:
        with self._lock:
            for each in [each for each, known in self._feeds.items() if known is feed]:
                del self._feeds[each]

    def _drop_oldest(self) -> None:
        """Drop those that were requested the longest time ago; the last one stays."""
        with self._lock:
            feeds = list(dict.fromkeys(reversed(self._feeds.values())))
        size = 0
        for feed in feeds:
            size += feed.nbytes
            if size > _CACHE_BYTES and feed is not feeds[0]:
                self._drop(feed)

    def close(self) -> None:
        """Close all collections."""
        for each in self.opened:
            each.collection.close()
