"""The compaction plan: which sealed files of finished writers are adjacent in reading order."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from .._arrow import ipc, pa
from .._live.column import Column
from .corruption import UNREADABLE
from .folder import TABLES, Folder, LiveName, SealedName
from .footer import Origin, metadata_of
from .listing import Listing
from .parquet_fragment import ParquetFragment
from .path_checks import check_regular
from .sealed_files import SealedFiles
from .watermark import read_watermark

__all__ = ["CompactionInput", "fitting", "runs", "stable_input"]

#: A file with this many rows is large enough.
_ENOUGH_ROWS: Final = 4_000_000
#: A file with this many columns is wide enough: each column costs something in every row group.
_ENOUGH_COLUMNS: Final = 1_000
#: A file with this many keys in sparse columns has enough: each reader holds all of them.
_ENOUGH_KEYS: Final = 65_536


class CompactionInput(NamedTuple):
    """The files of a table that count, and the writers that were running, at the same time.

    Attributes:
        listing: the files that count.
        files: the readable ones, in reading order.
        running: the writers that may still write, with their start times.
    """

    listing: Listing
    files: list[ParquetFragment]
    running: Mapping[str, int]


def stable_input(folder: Folder, files: SealedFiles) -> CompactionInput:
    """A consistent listing; writers that are not running have all of their files in it."""
    while True:
        listing = files.listing()
        found = files.open(listing)  # no other process removes files: the caller compacts
        running = {writer: _started(folder, writer) for writer in _running(folder)}
        if files.listing() is listing:
            return CompactionInput(listing, found, running)


def _running(folder: Folder) -> set[str]:
    lives = {name.writer for table in TABLES for name in folder.lives(table)}
    return lives.union(folder.writers())


def _started(folder: Folder, writer: str) -> int:
    """When a running writer started, in microseconds since the epoch."""
    lives = [name for table in TABLES for name in folder.lives(table) if name.writer == writer]
    starts = (_recorded_start(folder, name) for name in lives)
    found = next((start for start in starts if start is not None), None)
    if found is not None:
        return found
    if (watermark := read_watermark(folder, writer)) is not None and watermark.started:
        return watermark.started
    with contextlib.suppress(FileNotFoundError):  # it has just finished
        # It has recorded nothing yet. It created its lock file when it started.
        return folder.lock_path(writer).lstat().st_mtime_ns // 1000
    return 0


def _recorded_start(folder: Folder, name: LiveName) -> int | None:
    """The start time of a live file's writer, from the file; None if it can't be read."""
    try:
        check_regular(folder.live_path(name))
        with pa.OSFile(str(folder.live_path(name))) as file:
            return int(metadata_of(ipc.open_file(file).schema)["started"])
    except UNREADABLE:
        return None


def runs(state: CompactionInput) -> Iterator[list[ParquetFragment]]:
    """Groups of adjacent files that are small enough to merge.

    Nothing that counts, and nothing that is still to come, is between two files of a group.
    """
    return fitting(_in_order(state))


def fitting(files: Iterable[ParquetFragment | None]) -> Iterator[list[ParquetFragment]]:
    """Groups of files, in order, that are small enough to merge; none across None."""
    run = _AdjacentFiles()
    for file in files:
        if file is None or not run.has_room(file):
            yield run.files
            run = _AdjacentFiles()
        if file is not None:
            run.add(file)
    yield run.files


def _in_order(state: CompactionInput) -> list[ParquetFragment | None]:
    """The files of finished writers, in order, with None wherever there is something else."""
    places: list[tuple[Origin, ParquetFragment | None]] = [
        (Origin(start, writer, 0), None) for writer, start in state.running.items()
    ]
    for file in state.files:
        is_running = not state.running.keys().isdisjoint(file.writers)
        places.append((file.origin, None if is_running else file))
    places += [(origin, None) for origin in _damaged(state)]
    return [file for _, file in sorted(places, key=lambda place: (place[0], place[1] is not None))]


def _damaged(state: CompactionInput) -> Iterator[Origin]:
    """Positions of the files with damaged footers whose writers have other files."""
    read = {file.path.name for file in state.files}
    starts = {each.origin.writer: each.origin.started for f in state.files for each in f.segments}
    for name in state.listing.files:
        if isinstance(name, SealedName) and str(name) not in read and name.writer in starts:
            yield Origin(starts[name.writer], name.writer, name.first)


class _AdjacentFiles:
    """Neighbouring files."""

    def __init__(self) -> None:
        self.files: list[ParquetFragment] = []
        self._rows = 0
        self._columns: set[Column] = set()
        self._keys: set[Column] = set()

    def has_room(self, file: ParquetFragment) -> bool:
        """Whether a file of all of these and this one would be small enough."""
        there = file.file_columns
        return (
            self._rows + file.rows <= _ENOUGH_ROWS
            and _is_room(self._columns, there.stored, _ENOUGH_COLUMNS)
            and _is_room(self._keys, there.sparse, _ENOUGH_KEYS)
        )

    def add(self, file: ParquetFragment) -> None:
        """Add an adjacent file."""
        self.files.append(file)
        self._rows += file.rows
        self._columns.update(file.file_columns.stored)
        self._keys.update(file.file_columns.sparse)


def _is_room(here: set[Column], there: Collection[Column], enough: int) -> bool:
    """Whether both together are not too many, unless one has as many."""
    return len(here.union(there)) <= max(enough, len(here), len(there))
