"""A consistent copy of a collection, while it is logged to, compacted and deleted from."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from .._durable import make_folder, sync_file, sync_folder, write_whole
from ..errors import ArgumentError, NotACollectionError
from .background import flush_all
from .folder import NODES, RECORDS, TABLES, Folder, SealedName
from .footer import segment_metadata
from .fragments import Fragment, InMemoryFragment
from .losses import expected_segments, loss_of, record_incomplete
from .parquet_fragment import ParquetFragment
from .reader import FolderReader
from .seal import write_sealed
from .sealed_files import SealedFiles

__all__ = ["copy_folder", "copy_views"]


def copy_folder(reader: FolderReader, target: Path) -> None:
    """Write a new collection with all rows of both tables in one snapshot.

    It has sealed files only, and appears whole. Sealed files are copied byte for byte, including
    damaged ones.

    Raises:
        ArgumentError: ``target`` exists.
        NotACollectionError: there is no collection yet.
        OSError: it can't be written.
    """
    if os.path.lexists(target):
        message = f"{target} already exists; a copy is a new collection: give another path"
        raise ArgumentError(message)
    if not reader.folder.exists():
        message = f"there is no collection at {reader.folder.path} yet: nothing to copy"
        raise NotACollectionError(message)
    flush_all()
    make_folder(target.parent)
    draft = Folder(target.with_name(f".{uuid.uuid4().hex}.tmp"))
    try:
        _write(reader, draft)
        draft.path.rename(target)
    except BaseException:
        shutil.rmtree(draft.path, ignore_errors=True)
        raise
    sync_folder(target.parent)


def copy_views(folder: Folder, draft: Folder) -> None:
    """Copy the named views of the page."""
    paths = sorted(folder.views.glob("*.json"))
    found = [path for path in paths if path.is_file() and not path.is_symlink()]
    if found:
        make_folder(draft.views)
    for path in found:
        with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
            _copy(path, draft.views / path.name)


def _write(reader: FolderReader, draft: Folder) -> None:
    draft.make(reader.folder.info()["id"])
    copies = {table: _Copy(reader.folder, draft, table) for table in TABLES}
    while not _write_snapshot(reader, copies):
        pass  # a file was merged away in the middle: its rows are in another one
    copy_views(reader.folder, draft)
    # After the files: it lists the features that they need.
    write_whole(draft.info_path, reader.folder.info_path.read_bytes())
    started = expected_segments(reader.folder)
    if started and loss_of(reader.folder, started):
        record_incomplete(draft, started)
    for place in (*draft.places, draft.path):
        sync_folder(place)


def _write_snapshot(reader: FolderReader, copies: dict[str, _Copy]) -> bool:
    """Write all rows of a snapshot; False if some moved to other files before they were read."""
    snapshot = reader.snapshot()
    try:
        copies[RECORDS].write(snapshot.records)
        copies[NODES].write(snapshot.nodes)
    except FileNotFoundError as error:
        if Path(error.filename or "").parent.parent != reader.folder.path:
            raise
        return False
    return True


class _Copy:
    """The files of one table of a copy."""

    def __init__(self, folder: Folder, draft: Folder, table: str) -> None:
        self._files = SealedFiles(folder, table, lambda _path, _error: None)
        self._place = draft.table(table)
        #: Sealed files that were copied: files are immutable.
        self._copied: set[str] = set()

    def write(self, fragments: Sequence[Fragment]) -> None:
        """Write these rows, and damaged files; remove what was written for an earlier snapshot.

        Raises:
            FileNotFoundError: a file was compacted away.
        """
        sealed = [each.path for each in fragments if isinstance(each, ParquetFragment)]
        damaged = [self._files.path(name) for name in self._files.unreadable()]
        wanted = {path.name: path for path in (*sealed, *damaged)}
        for path in self._place.iterdir():
            if path.name not in self._copied & wanted.keys():
                path.unlink()
        for name, path in wanted.items():
            if not (name in self._copied and (self._place / name).exists()):
                _copy(path, self._place / name)
                self._copied.add(name)
        for target, rows in _named(fragments):
            metadata = segment_metadata(target.first, rows.rows)
            write_sealed(self._place / str(target), rows.whole, [metadata])


def _copy(path: Path, target: Path) -> None:
    shutil.copyfile(path, target, follow_symlinks=False)
    with target.open("rb+") as file:
        sync_file(file.fileno())


def _named(fragments: Sequence[Fragment]) -> Iterator[tuple[SealedName, InMemoryFragment]]:
    """Rows that are in no sealed file yet, each with the name of one."""
    taken = {
        each.key
        for fragment in fragments
        for each in fragment.segments
        if isinstance(fragment, ParquetFragment)
    }
    for each in fragments:
        if isinstance(each, InMemoryFragment):
            _, writer, number = each.origin
            if (writer, number) in taken:  # others sealed the first rows of its segment
                number = 1 + max(last for of, last in taken if of == writer)
            taken.add((writer, number))
            yield SealedName(writer, number, number), each
