"""Recovery: what a writer that died left in live files becomes sealed files."""

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
from .marks import Watermark, read_watermark
from .path_checks import check_folder
from .seal import write_sealed
from .sealed_files import SealedFiles
from .verify import live_problem

__all__ = ["Recovered", "recover"]


class Recovered(NamedTuple):
    """What a recovery found.

    Attributes:
        records: how many records of dead processes are in sealed files now.
        set_aside: how many live files had rows that were logged after the last sync before the
            machine went down: they are kept, and are no part of the collection.
    """

    records: int = 0
    set_aside: int = 0

    def plus(self, other: Recovered) -> Recovered:
        """Both together."""
        return Recovered(self.records + other.records, self.set_aside + other.set_aside)


def recover(folder: Folder) -> Recovered:
    """Seal what dead writers left; running ones are left alone.

    It can be interrupted anywhere and done again: a live file goes only when its rows are sealed.
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
    """Take away what is left of writers whose rows are sealed.

    Their locks first: a lock without a mark would count as that of a writer that just begins.
    """
    for writer in writers:
        folder.lock_path(writer).unlink(missing_ok=True)
        folder.watermark_path(writer).unlink(missing_ok=True)
        folder.begun_path(writer).unlink(missing_ok=True)


def _sum_of(found: Iterable[Recovered | None]) -> Recovered:
    """All together."""
    total = Recovered()
    for each in found:
        total = total.plus(each or Recovered())
    return total


def _sweep(folder: Folder) -> None:
    """Take away what is left of live files whose writers are through with them.

    A writer takes its lock away last; after a loss of power any of the files before it can be back.
    A recovery can have been interrupted when it had taken the lock away.
    """
    for mark in folder.leftover_watermarks():
        if not folder.lock_path(mark.stem).exists():  # a listing can lack what has just come
            mark.unlink(missing_ok=True)
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
    folder.create()  # of what it lacks: git and some other tools leave out empty folders
    sealed = {table: SealedFiles(folder, table) for table in TABLES}
    mark = read_watermark(folder, writer)
    found = [_recover_file(folder, name, sealed[name.table], mark) for name in names]
    for path in folder.leftovers(writer):
        path.unlink(missing_ok=True)
    return found


def _recover_file(
    folder: Folder, name: LiveName, sealed: SealedFiles, mark: Watermark | None
) -> Recovered | None:
    """Seal one live file; None where it is damaged, which leaves it for repair."""
    path = folder.live_path(name)
    most = mark.rows(name.table, name.number) if mark and mark.is_cut_short() else None
    if most is not None:
        try:
            check_folder(folder.unsynced)
        except DamagedFileError as error:
            warn_damaged(folder.unsynced, error)
            return None
    if (before := sealed.rows_of(name.writer, name.number)) is not None:
        # Also where a recovery died, or was interrupted, before it could do that.
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
    """Delete a live file of which the rows are sealed, or keep it, out of the way."""
    if not set_aside:
        folder.live_path(name).unlink(missing_ok=True)
        return
    make_folder(folder.unsynced)
    publish(folder.live_path(name), folder.unsynced / str(name))
    sync_folder(folder.unsynced)
