"""Recovery: what a writer that died left in live files becomes sealed files."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from .._lazy import lazy_module
from ..errors import DamagedFileError
from .folder import RECORDS, TABLES, Folder, LiveName, SealedName
from .fragments import read_live, warn_damaged
from .locks import FileLock
from .seal import write_sealed
from .sealed_files import SealedFiles

if TYPE_CHECKING:
    import pyarrow as pa
else:
    pa = lazy_module("pyarrow")

__all__ = ["recover"]


def recover(folder: Folder) -> int:
    """Seal what dead writers left; running ones are left alone.

    It can be interrupted anywhere and done again: a live file goes only when its rows are sealed.

    Returns:
        How many records were recovered.
    """
    recovered = 0
    for writer in folder.writers():
        with contextlib.suppress(OSError):  # a folder that is read-only: readers don't need this
            recovered += _recover_writer(folder, writer)
    return recovered


def _recover_writer(folder: Folder, writer: str) -> int:
    lock = FileLock.take(folder.lock_path(writer))
    if lock is None:
        return 0
    done = False
    try:
        names = [name for table in TABLES for name in folder.lives(table) if name.writer == writer]
        sealed = {table: SealedFiles(folder, table) for table in TABLES}
        recovered = [_recover_file(folder, name, sealed[name.table]) for name in names]
        for path in folder.leftovers(writer):
            path.unlink(missing_ok=True)
        done = None not in recovered
        return sum(
            rows or 0 for name, rows in zip(names, recovered, strict=True) if name.table == RECORDS
        )
    finally:
        if done:
            lock.remove()
        else:
            lock.release()


def _recover_file(folder: Folder, name: LiveName, sealed: SealedFiles) -> int | None:
    """Seal one live file; None where it is damaged, which leaves it for repair."""
    path = folder.live_path(name)
    rows = 0
    if not sealed.listing().has(name.writer, name.number):
        try:
            found = read_live(path, name.number)
        except DamagedFileError as error:
            warn_damaged(path, error)
            return None
        if found is not None:
            rows = found.rows
            target = sealed.path(SealedName(name.writer, name.number, name.number))
            write_sealed(target, found.whole, [(name.number, rows)])
    path.unlink(missing_ok=True)
    return rows
