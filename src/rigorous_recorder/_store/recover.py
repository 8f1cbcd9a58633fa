"""Recovery: live files of dead writers become sealed files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import NamedTuple

from .._durable import make_folder, publish, sync_folder
from ..errors import DamagedFileError
from .corruption import warn_damaged
from .folder import RECORDS, TABLES, Folder, LiveName, SealedName
from .footer import segment_metadata
from .live_files import has_more, read_live
from .liveness import lock_if_dead
from .losses import hold_lost, left_segments
from .path_checks import check_folder
from .seal import write_sealed
from .sealed_files import SealedFiles
from .verify import live_problem
from .watermark import Watermark, read_watermark

__all__ = ["Recovered", "recover"]


class Recovered(NamedTuple):
    """The result of a recovery.

    Attributes:
        records: how many records of dead processes were sealed.
        set_aside: how many live files had rows after the last sync before a machine crash: they are
            moved out of the collection.
    """

    records: int = 0
    set_aside: int = 0

    def plus(self, other: Recovered) -> Recovered:
        """Both together."""
        return Recovered(self.records + other.records, self.set_aside + other.set_aside)


def recover(folder: Folder) -> Recovered:
    """Seal what dead writers left; running ones are left alone.

    It can be interrupted and repeated: a live file is removed only after its rows are sealed.
    """
    recovered = Recovered()
    with contextlib.ExitStack() as locks:
        is_whole: dict[str, bool] = {}
        lives: list[LiveName] = []
        for writer in folder.writers():
            with contextlib.suppress(OSError):  # a read-only folder: readers don't need this
                if (lock := lock_if_dead(folder, writer)) is not None:
                    locks.callback(lock.release)
                    names = [
                        each for t in TABLES for each in folder.lives(t) if each.writer == writer
                    ]
                    lives += names
                    found = _recover_writer(folder, writer, names)
                    is_whole[writer] = None not in found
                    recovered = _sum_of([recovered, *found])
        with contextlib.suppress(OSError):  # the next recovery does it
            hold_lost(folder, left_segments(folder, is_whole), lives)
            _let_go(folder, [writer for writer, whole in is_whole.items() if whole])
    with contextlib.suppress(OSError):
        _sweep(folder)
    return recovered


def _let_go(folder: Folder, writers: Iterable[str]) -> None:
    """Remove what is left of writers whose rows are sealed.

    Locks first: a lock without a watermark would count as that of a writer that is just starting.
    """
    for writer in writers:
        folder.lock_path(writer).unlink(missing_ok=True)
        folder.watermark_path(writer).unlink(missing_ok=True)
        folder.started_path(writer).unlink(missing_ok=True)


def _sum_of(found: Iterable[Recovered | None]) -> Recovered:
    """All together."""
    total = Recovered()
    for each in found:
        total = total.plus(each or Recovered())
    return total


def _sweep(folder: Folder) -> None:
    """Remove what is left of live files that their writers have finished with.

    A writer removes its lock last; after a power loss any file removed before it can reappear. A
    recovery may have been interrupted after removing the lock.
    """
    for watermark in folder.leftover_watermarks():
        if not folder.lock_path(watermark.stem).exists():  # a listing can miss a new lock
            watermark.unlink(missing_ok=True)
    for table in TABLES:
        left = [name for name in folder.lives(table) if not folder.lock_path(name.writer).exists()]
        if left:
            sealed = SealedFiles(folder, table)
            for name in left:
                before = sealed.rows_of(name.writer, name.number)
                if before is not None and not has_more(folder, name, before):
                    folder.live_path(name).unlink(missing_ok=True)


def _recover_writer(
    folder: Folder, writer: str, names: Iterable[LiveName]
) -> list[Recovered | None]:
    folder.create()  # missing subfolders: git and some other tools leave out empty ones
    sealed = {table: SealedFiles(folder, table) for table in TABLES}
    watermark = read_watermark(folder, writer)
    found = [_recover_file(folder, name, sealed[name.table], watermark) for name in names]
    for path in folder.leftovers(writer):
        path.unlink(missing_ok=True)
    for files in sealed.values():
        _remove_merged(files, writer)
    return found


def _remove_merged(files: SealedFiles, writer: str) -> None:
    """Remove the files that a writer had merged when it died, so that other tools find rows once."""
    for name in files.listing().covered:
        if isinstance(name, SealedName) and name.writer == writer:
            files.path(name).unlink(missing_ok=True)


def _recover_file(
    folder: Folder, name: LiveName, sealed: SealedFiles, watermark: Watermark | None
) -> Recovered | None:
    """Seal a live file; None if it is damaged, which leaves it for repair."""
    path = folder.live_path(name)
    is_cut = watermark is not None and watermark.is_cut_short()
    most = watermark.rows(name.table, name.number) if watermark and is_cut else None
    if most is not None:
        try:
            check_folder(folder.unsynced)
        except DamagedFileError as error:
            warn_damaged(folder.unsynced, error)
            return None
    if (before := sealed.rows_of(name.writer, name.number)) is not None:
        # Also if a recovery died, or was interrupted, before this.
        set_aside = most is not None and has_more(folder, name, before)
        _take_away(folder, name, set_aside=set_aside)
        return Recovered(set_aside=int(set_aside))
    if (problem := live_problem(path, name, most)) is not None:
        warn_damaged(path, DamagedFileError(problem.reason))
        return None
    found = read_live(path, name, most)
    rows = 0 if found is None else found.rows
    set_aside = most is not None and has_more(folder, name, rows)
    if found is not None:
        target = sealed.path(SealedName(name.writer, name.number, name.number))
        write_sealed(target, found.whole, [segment_metadata(name.number, rows)])
    _take_away(folder, name, set_aside=set_aside)
    return Recovered(rows if name.table == RECORDS else 0, int(set_aside))


def _take_away(folder: Folder, name: LiveName, *, set_aside: bool) -> None:
    """Delete a live file whose rows are sealed, or move it out of the collection."""
    if not set_aside:
        folder.live_path(name).unlink(missing_ok=True)
        return
    make_folder(folder.unsynced)
    publish(folder.live_path(name), folder.unsynced / str(name))
    sync_folder(folder.unsynced)
