"""A store: the writer and the reader of a collection's tables, or of those in memory."""

from __future__ import annotations

import contextlib
import weakref
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import ClassVar, Final, NamedTuple

from .._report import warning_last
from ..errors import NotACollectionError
from .background import watch
from .folder import NODES, RECORDS, Folder
from .losses import Loss, expected_segments, forget_incomplete, loss_of
from .reader import FolderReader, OwnRows, Reader
from .recover import Recovered, recover
from .writer import FolderWriter, Writer

__all__ = ["FolderStore", "Place", "Store"]

_NOTHING_TO_DO: Final = nullcontext()


class Store(Writer):
    """A writer, and a reader of its rows and those of others."""

    reader: Reader

    def staying(self) -> AbstractContextManager[object]:
        """Keep nodes from moving away meanwhile."""
        return _NOTHING_TO_DO

    def moved_to(self, _node: int) -> tuple[Store, int] | None:
        """The store that a node has moved to, and its id there; None if it has not moved."""
        return None


class Place(NamedTuple):
    """The place of a collection, for another process.

    Attributes:
        identity: the id of the collection.
        is_read_only: whether nothing is written there.
    """

    path: str
    identity: str
    is_read_only: bool

    def store(self, *, is_any: bool = False) -> FolderStore:
        """The store of the collection in this process, created if needed.

        Args:
            is_any: whether it may have been replaced by another collection, or be gone.

        Raises:
            NotACollectionError: the collection is not there, or another one is.
        """
        path, identity, is_read_only = self
        if is_any:
            return FolderStore.at(Path(path), is_read_only=is_read_only)
        return FolderStore.shared(Path(path), identity, is_read_only=is_read_only)


class FolderStore(FolderWriter, Store):
    """A collection's folder: its reader, and one writer, from the first row on."""

    #: By path, and whether nothing is written.
    _shared: ClassVar[weakref.WeakValueDictionary[tuple[str, bool], FolderStore]] = (
        weakref.WeakValueDictionary()
    )

    @classmethod
    def shared(cls, path: Path, identity: str, *, is_read_only: bool = False) -> FolderStore:
        """The store of a collection in this process, for recorders from another process.

        Raises:
            NotACollectionError: the collection is not there, or another one is.
        """
        known = cls._shared.get((str(path), is_read_only))
        if known is not None and known.identity == identity and not known.backend.is_closed:
            return known
        return cls.there(path, identity, is_read_only=is_read_only)

    @classmethod
    def at(cls, path: Path, *, is_read_only: bool = False) -> FolderStore:
        """The store of the collection at a path in this process, created if needed."""
        known = cls._shared.get((str(path), is_read_only))
        if known is None or known.backend.is_closed:
            return cls(path, is_read_only=is_read_only)
        return known

    @classmethod
    def there(cls, path: Path, identity: str, *, is_read_only: bool = False) -> FolderStore:
        """A separate store, with its own writer, of an existing collection.

        Raises:
            NotACollectionError: it is not there, or another one is.
        """
        folder = Folder(path)
        if not folder.exists() or folder.info()["id"] != identity:
            message = f"the collection of this recorder is not at {path} (any more)"
            raise NotACollectionError(message)
        return cls(path, is_read_only=is_read_only)

    def __init__(self, path: Path, *, is_read_only: bool = False) -> None:
        super().__init__(Folder(path, is_read_only=is_read_only))
        tables = {RECORDS: self.records, NODES: self.nodes}
        self.reader: FolderReader = FolderReader(self.folder, OwnRows(self.backend, tables))
        self._shared[str(path), is_read_only] = self
        watch(self)

    @property
    def title(self) -> str:
        """A description of the collection."""
        return str(self.folder.path)

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.path.name

    @property
    def folders(self) -> list[Folder]:
        """The folders in which its rows are."""
        return [self.folder]

    @property
    def place(self) -> Place:
        """The place of the collection, for another process."""
        return Place(str(self.folder.path), self.identity, self.is_read_only)

    def loss(self) -> Loss | None:
        """What the folder lacks, if it is a copy that was made while it was logged to."""
        if not (started := expected_segments(self.folder)):
            return None
        loss = loss_of(self.folder, started)
        if not loss and loss.is_sure and not self.is_read_only:
            with contextlib.suppress(OSError):
                forget_incomplete(self.folder, started)
        return loss

    def recover(self) -> Recovered:
        """Seal what dead writers left; warnings are issued at the end."""
        with warning_last():
            return recover(self.folder)
