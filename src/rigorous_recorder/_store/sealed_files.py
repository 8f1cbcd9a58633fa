"""The sealed files of a table that count, by their names and the footers of merged ones."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path

from .._arrow import pa, pq
from ..errors import DamagedFileError
from .checksums import check_footer, damaged_chunks
from .corruption import UNREADABLE, blame_file, warn_damaged
from .folder import TABLES, FileName, Folder, MergedName, SealedName, counting, sealed_name
from .listed import Listed
from .listing import Listing
from .node_spans import NODE_SPANS
from .parquet_fragment import ParquetFragment, node_ranges_in
from .path_checks import check_regular

__all__ = ["SealedFiles", "is_used", "open_sealed"]


class SealedFiles:
    """The sealed files of one table; each one's footer is read once.

    Args:
        warn: called for files that can't be read, with the error.
    """

    def __init__(
        self, folder: Folder, table: str, warn: Callable[[Path, Exception], None] = warn_damaged
    ) -> None:
        self._place = folder.table(table)
        self._listed = Listed(self._place)
        self._warn = warn
        self._find_successor = self.successor  # a single object for all files
        self.forget()

    def forget(self) -> None:
        """Drop all caches."""
        self._opened: dict[FileName, ParquetFragment | None] = {}
        self._newest = Listing()
        #: The files of the listing that was opened last.
        self._in_order: tuple[Listing | None, list[ParquetFragment]] = None, []

    def names(self) -> frozenset[str]:
        """The names in the folder; the same object as before if they are the same."""
        return self._listed.names()

    def listing(self) -> Listing:
        """The files that count now."""
        while True:
            names, known = self.names(), self._newest
            if names is known.names:
                return known
            try:
                self._newest = known.with_names(names) or self._listed_anew(names)
            except FileNotFoundError:  # merged again since the listing
                continue
            for gone in map(sealed_name, known.names - names):
                if gone is not None:
                    self._opened.pop(gone, None)
            return self._newest

    def _listed_anew(self, names: frozenset[str]) -> Listing:
        return Listing.of(names, self._merged(names), self._damaged(names))

    def open(self, listing: Listing) -> list[ParquetFragment]:
        """The files that count, in order; what can't be read is left out with a warning.

        Raises:
            FileNotFoundError: one was compacted away since the listing.
        """
        known, files = self._in_order
        if known is not listing:
            found = [self._open(name) for name in listing.files]
            files = sorted([file for file in found if file is not None], key=attrgetter("origin"))
            self._in_order = listing, files
        return files

    def unreadable(self) -> list[FileName]:
        """The files whose footer can't be read, and that may otherwise count."""
        while True:
            listing = self.listing()
            with contextlib.suppress(FileNotFoundError):  # compacted away since the listing
                unread = [name for name in listing.files if self._open(name) is None]
                return [*listing.unsure, *unread]

    def has(self, writer: str, number: int) -> bool:
        """Whether a writer's segment is sealed, in a file whose footer can be read."""
        while (name := self.listing().holder(writer, number)) is not None:
            with contextlib.suppress(FileNotFoundError):  # compacted away since the listing
                return self._open(name) is not None
        return False

    def last_number(self, writer: str) -> int:
        """The highest number of a writer's sealed segments; -1 if there are none."""
        return self.listing().last_number(writer)

    def numbers_of(self, writer: str) -> set[int]:
        """The numbers of a writer's sealed segments, even if their rows were deleted."""
        while True:
            with contextlib.suppress(FileNotFoundError):  # compacted away since the listing
                names = self.listing().of_writer(writer)
                found = [self._numbers_in(name, writer) for name in names]
                return set().union(*found)

    def _numbers_in(self, name: FileName, writer: str) -> set[int]:
        if (file := self._open(name)) is None:  # its segments are damaged, not missing
            return set(range(name.first, name.last + 1)) if isinstance(name, SealedName) else set()
        return {each.origin.number for each in file.segments if each.origin.writer == writer}

    def rows_of(self, writer: str, number: int) -> int | None:
        """How many rows of a writer's segment are sealed; None where it is not, or can't be read."""
        while (name := self.listing().holder(writer, number)) is not None:
            with contextlib.suppress(FileNotFoundError):  # compacted away since the listing
                file = self._open(name)
                return None if file is None else file.rows_of(writer, number)
        return None

    def successor(self, file: ParquetFragment) -> ParquetFragment | None:
        """The file that has the rows of one that was compacted away; None if it is damaged.

        Raises:
            FileNotFoundError: there is none.
        """
        return self.file_with(file.origin.writer, file.origin.number)

    def file_with(self, writer: str, number: int) -> ParquetFragment | None:
        """The file that has a writer's segment; None if it is damaged.

        Raises:
            FileNotFoundError: there is none.
        """
        while (name := self.listing().holder(writer, number)) is not None:
            try:
                return self._open(name)
            except FileNotFoundError:
                continue
        place = str(self._place / f"{writer}-{number}.parquet")
        raise FileNotFoundError(errno.ENOENT, "gone from the collection", place)

    def path(self, name: FileName) -> Path:
        """The path of a file."""
        return self._place / str(name)

    def _merged(self, names: frozenset[str]) -> dict[MergedName, ParquetFragment | None]:
        found = [sealed_name(name) for name in names if name.startswith("merged-")]
        return {name: self._open(name) for name in found if isinstance(name, MergedName)}

    def _damaged(self, names: frozenset[str]) -> set[SealedName]:
        """Files that can't be read, and would hide others that can."""
        plain = {each for each in map(sealed_name, names) if isinstance(each, SealedName)}
        damaged: set[SealedName] = set()
        while True:
            counted = counting(plain - damaged)
            if not (hidden := plain.difference(damaged, counted)):
                return damaged
            found = {
                name
                for name in counted
                if any(name.includes(each) for each in hidden) and self._open(name) is None
            }
            if not found:
                return damaged
            damaged |= found

    def _open(self, name: FileName) -> ParquetFragment | None:
        """The footer of a file; None, with a warning, if it can't be read."""
        if name not in self._opened:
            try:
                # Not a Path, which would take a tenth of the time.
                path = f"{self._place}{os.sep}{name}"
                self._opened[name] = open_sealed(path, self._find_successor)
            except DamagedFileError as error:
                self._warn(self.path(name), error)
                self._opened[name] = None
        return self._opened[name]


def open_sealed(
    path: str | Path,
    find_successor: Callable[[ParquetFragment], ParquetFragment | None],
) -> ParquetFragment:
    """Read the footer of a sealed file.

    Args:
        find_successor: returns the file that has its rows after compaction.

    Raises:
        FileNotFoundError: it was compacted away.
        DamagedFileError: it is damaged.
    """
    try:
        check_regular(path)
        with pa.OSFile(str(path)) as source:
            sums = check_footer(source)
            file = pq.ParquetFile(source)
            meta = file.metadata
            rows = [meta.row_group(group).num_rows for group in range(meta.num_row_groups)]
            sealed = ParquetFragment(path, file.schema_arrow, rows, find_successor, sums=sums)
            sealed.node_ranges = node_ranges_in(meta)
            sealed.node_spans = meta.metadata.get(NODE_SPANS)
            if sums and not sealed.is_of_nodes:  # records without readable nodes do not count
                sealed.unplaced = frozenset(damaged_chunks(source, meta, sums, 0))
            return sealed
    except FileNotFoundError:
        raise
    except UNREADABLE as error:
        blame_file(error)
        if isinstance(error, OSError) and error.errno == errno.ESTALE:  # as file servers report it
            raise FileNotFoundError(errno.ENOENT, "removed meanwhile", str(path)) from error
        raise DamagedFileError(str(error)) from error


def is_used(folder: Folder, writer: str) -> bool:
    """Whether any file of a collection has, or had, rows of a writer."""

    def ignore(path: Path, error: Exception) -> None:
        """Ignore it: readers of the file issue a warning."""

    listings = (SealedFiles(folder, table, ignore).listing() for table in TABLES)
    return folder.is_named(writer) or any(listing.has_writer(writer) for listing in listings)
