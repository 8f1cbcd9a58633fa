"""Reading a folder: its sealed files, live files of other writers, and own live rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import starmap
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from .._live.backend import SegmentBatch
from .._live.table_writer import TableWriter
from .folder import NODES, RECORDS, TABLES, Folder
from .footer import Origin
from .foreign import ForeignFiles
from .fragments import Fragment, InMemoryFragment
from .listing import Listing
from .liveness import is_alive
from .losses import fragments_of, held_nodes, is_left, lost_nodes
from .node_ids import ROOT
from .node_index import IndexFile
from .parquet_fragment import ParquetFragment
from .sealed_files import SealedFiles

__all__ = ["FolderReader", "OwnRows", "Reader", "StoreSnapshot", "Version"]


class StoreSnapshot(NamedTuple):
    """A snapshot of all rows of both tables, in order of writer and segment.

    Attributes:
        roots: the nodes above experiments: of several collections that of each.
        index_file: where the index of the nodes is; None for those that have none.
    """

    records: Sequence[Fragment]
    nodes: Sequence[Fragment]
    roots: Sequence[int] = (ROOT,)
    index_file: IndexFile | None = None


class Version(NamedTuple):
    """Equal as long as nothing was written.

    Attributes:
        records: the version of the records that this process adds; None if it adds none.
        others: that of everything else.
    """

    records: tuple[int, int] | None
    others: object

    def rows_since(self, before: Version) -> int | None:
        """The number of rows in the segment of records that this process fills.

        None if anything else has changed since then.
        """
        if self.records is None or before.records is None or self.others != before.others:
            return None
        number, rows = self.records
        return rows if (number, rows) > before.records and number == before.records[0] else None


class Reader:
    """Reads the rows of a store."""

    #: What an engine derived from the latest snapshot, valid for the same version.
    derived: Any = None

    def version(self) -> Version:
        """Equal as long as nothing was written."""
        raise NotImplementedError

    def snapshot(self) -> StoreSnapshot:
        """A snapshot of all rows of both tables."""
        raise NotImplementedError


class _Named(Protocol):
    @property
    def names(self) -> Sequence[str]:
        """The name of a writer; empty until it has written something."""


class OwnRows(NamedTuple):
    """The live rows of this process's writer, which are read from memory.

    Attributes:
        backend: knows its names.
        tables: its tables by name.
    """

    backend: _Named
    tables: Mapping[str, TableWriter]


class FolderReader(Reader):
    """Reads the folder of a collection.

    Args:
        own: the rows of this process's own writer; without one all rows are read from files.
    """

    def __init__(self, folder: Folder, own: OwnRows | None = None) -> None:
        self.folder = folder
        self._own = own
        self._tables = {} if own is None else own.tables
        self._sealed = {table: SealedFiles(folder, table) for table in TABLES}
        self._foreign = ForeignFiles(folder, self._names, self._sealed)

    def _names(self) -> Sequence[str]:
        """The name of this process's writer; empty if there is none."""
        return () if self._own is None else self._own.backend.names

    def unreadable(self) -> list[Path]:
        """The sealed files that can't be read, which are left out of all answers."""
        return [files.path(name) for files in self._sealed.values() for name in files.unreadable()]

    def forget(self) -> None:
        """Drop all caches."""
        for files in self._sealed.values():
            files.forget()
        self._foreign.forget()
        self.derived = None

    def is_alive(self, writer: str) -> bool:
        """Whether the process of a writer is alive, as far as can be known."""
        return writer in self._names() or is_alive(self.folder, writer)

    def version(self) -> Version:
        """Equal as long as nothing was written, by this process or another."""
        sealed = [files.names() for files in self._sealed.values()]
        own = {name: table.version for name, table in self._tables.items()}
        return Version(own.get(RECORDS), (own.get(NODES), *sealed, self._foreign.version()))

    def snapshot(self) -> StoreSnapshot:
        """A snapshot; nodes are read last, so that every record has its node."""
        records = self._fragments(RECORDS)
        nodes = self._fragments(NODES)
        index = IndexFile(self.folder.index_path, not self.folder.is_read_only)
        return StoreSnapshot(records, [*self._held(records, nodes), *nodes], index_file=index)

    def node_fragments(self) -> list[Fragment]:
        """All rows of the nodes table."""
        return self._fragments(NODES)

    def _held(
        self, records: Sequence[Fragment], nodes: Sequence[Fragment]
    ) -> list[InMemoryFragment]:
        """Rows that exclude records whose nodes an incomplete copy lacks.

        `recover` writes them permanently if the folder can be written.
        """
        foreign = {name.writer for name in self._foreign.names(*TABLES)}
        left = sorted(writer for writer in foreign if is_left(self.folder, writer))
        if not left or fragments_of(self.folder, NODES) is None:  # damage is reported
            return []
        lost = lost_nodes(left, records, nodes)
        return [held_nodes(self.folder, Origin(0, left[0], 0), lost)] if len(lost) else []

    def _fragments(self, table: str) -> list[Fragment]:
        while True:
            live = self._foreign.rows(table)
            own, listing = self._own_parts(table)
            try:
                sealed = self._sealed[table].open(listing)
            except FileNotFoundError:  # compacted away since the listing
                continue
            loose = self._unsealed([*live, *starmap(InMemoryFragment, own)], sealed)
            return sorted([*sealed, *loose], key=attrgetter("origin"))

    def _own_parts(self, table: str) -> tuple[list[SegmentBatch], Listing]:
        """The rows of this process that are in no sealed file, and the files that have the others."""
        files, own = self._sealed[table], self._tables.get(table)
        if own is None:
            return [], files.listing()
        with own.lock:
            return own.parts(), files.listing()

    def _unsealed(
        self, live: Sequence[InMemoryFragment], sealed: Sequence[ParquetFragment]
    ) -> list[InMemoryFragment]:
        """The live rows that are in no file."""
        files: dict[str, list[ParquetFragment]] = {each.origin.writer: [] for each in live}
        for file in sealed if live else ():
            for writer in file.writers & files.keys():
                files[writer].append(file)
        rests = (self._rest(each, files[each.origin.writer]) for each in live)
        return [rest for rest in rests if rest is not None]

    def _rest(
        self, rows: InMemoryFragment, files: Sequence[ParquetFragment]
    ) -> InMemoryFragment | None:
        """The rows of a segment that are in no file; None if all are.

        If sealing was interrupted between two steps, its rows are in both places. This process has
        more rows than were sealed if others presumed it dead.

        Args:
            files: the sealed files of the same writer.
        """
        _, writer, number = rows.origin
        found = (file.rows_of(writer, number) for file in files)
        sealed = next((count for count in found if count is not None), None)
        if sealed is None:
            return rows
        if writer not in self._names() or rows.rows <= sealed:
            return None
        (rest,) = rows.whole.slice(sealed).combine_chunks().to_batches()
        return InMemoryFragment(number, rest)
