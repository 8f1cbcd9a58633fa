"""Verification: read every file of a collection to its end, and list damage."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from .._values.kinds import Decoded
from .._values.sparse import SparseKind
from ..errors import DamagedFileError, NewerFormatError, NotACollectionError
from .folder import TABLES, Folder, LiveName
from .fragments import Fragment
from .live_files import gap_behind, has_more, read_live, unsynced
from .liveness import trusted_rows
from .losses import expected_segments, loss_of
from .parquet_fragment import ParquetFragment
from .salvage import salvage_live, unreadable
from .sealed_files import SealedFiles, open_sealed
from .watermark import is_readable

__all__ = ["Problem", "live_problem", "sealed_problem", "verify"]


class Problem(NamedTuple):
    """A damaged file.

    Attributes:
        path: the file.
        reason: what is wrong with it.
        rows: how many rows it was written with; None if unknown.
        readable: how many of them ``repair`` can recover.
        columns: keys with lost values in those.
    """

    path: Path
    reason: str
    rows: int | None = None
    readable: int = 0
    columns: tuple[str, ...] = ()


def verify(folder: Folder) -> list[Problem]:
    """Read every file of a collection to its end, and verify checksums. Nothing is changed.

    Returns:
        The damaged files; empty if there are none.
    """
    return list(_problems(folder))


def _problems(folder: Folder) -> Iterator[Problem]:
    try:
        if not folder.exists():
            return
    except (NotACollectionError, NewerFormatError) as error:
        yield Problem(folder.info_path, str(error))
    if folder.has_links():
        return  # reported above; the target of a link does not belong to the collection
    for place in folder.places:
        if not place.exists():
            yield Problem(place, "it is missing, with all that was in it")
    yield from _problems_of_files(folder)


def _problems_of_files(folder: Folder) -> Iterator[Problem]:
    for writer in folder.writers():
        if not is_readable(folder, writer):
            yield Problem(
                folder.watermark_path(writer), "it lacks the sync watermark of its writer"
            )
    if started := expected_segments(folder):
        reasons = loss_of(folder, started).reasons()
        yield from (Problem(folder.table(table), reason) for table, reason in reasons)
    yield from _problems_of_rows(folder)


def _problems_of_rows(folder: Folder) -> Iterator[Problem]:
    for table in TABLES:
        files = SealedFiles(folder, table, lambda _path, _error: None)
        for name in folder.all_sealed(table):
            if (found := sealed_problem(files, files.path(name))) is not None:
                yield found
        for live in folder.lives(table):
            path, most = folder.live_path(live), trusted_rows(folder, live)
            found = live_problem(path, live, most)
            if found is None and most is not None and has_more(folder, live, most):
                found = Problem(path, str(unsynced(most)), None, most)
            if found is not None and not files.has(live.writer, live.number):
                yield found


def sealed_problem(files: SealedFiles, path: Path) -> Problem | None:
    """What is wrong with a sealed file; None if it is sound, or was compacted away."""
    try:
        return _problem_of_rows(open_sealed(path, files.successor))
    except FileNotFoundError:
        return None
    except DamagedFileError as error:
        return Problem(path, str(error))


def _problem_of_rows(sealed: ParquetFragment) -> Problem | None:
    promised = sum(each.rows for each in sealed.segments)
    reason, readable, lost = "", 0, dict[str, None]()
    for group, rows in enumerate(sealed.group_rows):
        names, damage = sealed.sound_names(group)
        if damage is not None:
            reason = reason or str(damage) or type(damage).__name__
        if names:
            readable += rows
            lost |= {str(c.key): None for c in sealed.file_columns.not_all_in(names)}
            reason = reason or _no_values(sealed, group, names)
    if not reason and sealed.rows != promised:
        reason = f"has {sealed.rows} rows, and was written with {promised}"
    return Problem(sealed.path, reason, promised, readable, tuple(lost)) if reason else None


def live_problem(path: Path, name: LiveName, most: int | None = None) -> Problem | None:
    """What is wrong with a live file; None if it is sound, empty or gone.

    Args:
        most: the maximum number of rows to read; None for all.
    """
    try:
        found = read_live(path, name, most)
    except DamagedFileError as error:
        reason = str(error)
    else:
        if found is None:
            return None
        reason = (
            str(gap_behind(found.rows))
            if found.has_gap
            else _no_values(found, 0, found.file_columns.stored.values())
        )
        if not reason:
            return None
    saved = salvage_live(path, name, most)
    return Problem(path, reason, saved.rows, saved.readable, saved.columns)


def _no_values(fragment: Fragment, group: int, names: Collection[str]) -> str:
    """Report a column with values that are not valid for its kind; "" if there is none."""
    for column, name in fragment.file_columns.stored.items():
        kind = column.kind.kind if isinstance(column.kind, SparseKind) else column.kind
        if name in names and isinstance(kind, Decoded):
            table = fragment.stored(group, [column])
            if table is not None and (places := unreadable(column.kind, table.column(name))):
                return f"column {name!r}: {len(places)} values can't be read as {kind.name}"
    return ""
