"""Repair: a new collection with everything that is readable in a damaged one."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .._arrow import pa, pq
from .._durable import replacing, sync_folder, write_whole
from .._lazy_imports import shutil
from .._values.chunks import no_rows
from ..errors import ArgumentError, DamagedFileError, NotACollectionError
from . import checksums
from .copying import copy_views
from .corruption import UNREADABLE, blame_file
from .folder import TABLES, FileName, Folder, LiveName, MergedName, SealedName, sealed_name
from .footer import SegmentRange, metadata_of, segment_metadata, writers_metadata
from .liveness import trusted_rows
from .losses import expected_segments, hold_lost, loss_of
from .parquet_fragment import ParquetFragment
from .path_checks import check_regular
from .salvage import salvage_live, salvage_sealed, segments_left
from .seal import write_sealed, write_with_metadata
from .sealed_files import SealedFiles, open_sealed
from .verify import Problem, live_problem, sealed_problem

__all__ = ["repair"]


def repair(folder: Folder, into: Path) -> list[Problem]:
    """Write a new collection with everything that is readable, without changing the old one.

    Sound files are copied byte for byte; a damaged one becomes a file of the same name with the
    readable rows and values. Rows of live files are sealed. The id stays. It appears whole.

    Returns:
        The losses of each damaged file; empty if there was no damage.

    Raises:
        ArgumentError: ``into`` exists.
        NotACollectionError: nothing in the folder belongs to a collection, or a folder is a link.
        NewerFormatError: a newer version of this library created it.
        OSError: something can't be written, or was removed meanwhile.
    """
    if os.path.lexists(into):
        message = f"{into} already exists; a repaired collection is a new one: give another path"
        raise ArgumentError(message)
    if not any(place.is_dir() for place in folder.places):
        message = (
            f"{folder.path} has none of the folders records, nodes and live: nothing to repair"
        )
        raise NotACollectionError(message)
    folder.check_places()
    into.parent.mkdir(parents=True, exist_ok=True)
    draft = Folder(into.with_name(f".{os.urandom(16).hex()}.tmp"))
    try:
        problems = list(_written(folder, draft))
        draft.path.rename(into)
    except BaseException:
        shutil.rmtree(draft.path, ignore_errors=True)
        raise
    sync_folder(into.parent)
    return problems


def _written(folder: Folder, draft: Folder) -> Iterator[Problem]:
    try:
        info = folder.info()
    except (FileNotFoundError, NotACollectionError) as error:
        yield Problem(folder.info_path, str(error))
        draft.make(_identity(folder))
    else:
        draft.make(info["id"])
        write_whole(draft.info_path, json.dumps(info, indent=2).encode())
    yield from (Problem(p, "it is missing") for p in folder.places if not p.is_dir())
    for table in TABLES:
        yield from _Table(folder, draft, table).written()
    copy_views(folder, draft)
    started = expected_segments(folder)
    if started and (loss := loss_of(folder, started)):
        hold_lost(draft, started)
        yield from (Problem(folder.table(table), reason) for table, reason in loss.reasons())
    for table in TABLES:
        sync_folder(draft.table(table))


def _identity(folder: Folder) -> str:
    """The id of a collection without a description, by the majority of its files."""
    metadata = Counter[str]()
    for table in TABLES:
        for path in map(SealedFiles(folder, table).path, folder.all_sealed(table)):
            if isinstance(found := _metadata(path).get("collection"), str):
                metadata[found] += 1
    return metadata.most_common(1)[0][0] if metadata else os.urandom(16).hex()


def _metadata(path: Path) -> dict[str, Any]:
    """The metadata of a sealed file with any name; empty if it can't be read."""
    try:
        check_regular(path)
        with pa.OSFile(str(path)) as source:
            checksums.check_footer(source)
            return dict(metadata_of(pq.ParquetFile(source).schema_arrow))
    except UNREADABLE as error:
        blame_file(error)
        return {}


class _Table:
    """The files of a table, and the repaired ones."""

    def __init__(self, folder: Folder, draft: Folder, table: str) -> None:
        self._folder = folder
        self._draft = draft
        self._table = table
        self._old = SealedFiles(folder, table, _leave)
        self._new = SealedFiles(draft, table, _leave)

    def written(self) -> Iterator[Problem]:
        """Write everything that is readable; return the losses of damaged files."""
        names = self._folder.all_sealed(self._table)
        yield from self._write_sealed(names)
        for live in self._folder.lives(self._table):
            if not self._new.has(live.writer, live.number):
                yield from self._write_live(live)
        # What was sealed meanwhile has the rows that were read of its live file, and more.
        yield from self._write_sealed(set(self._folder.all_sealed(self._table)).difference(names))

    def _write_sealed(self, names: Iterable[FileName]) -> Iterator[Problem]:
        found = {name: sealed_problem(self._old, self._old.path(name)) for name in names}
        for name, problem in found.items():
            if problem is None:
                self._copy(self._old.path(name), self._new.path(name))
        for name, problem in found.items():
            if problem is not None:
                yield self._save(self._old.path(name), problem)

    def _write_live(self, live: LiveName) -> Iterator[Problem]:
        path, most = self._folder.live_path(live), trusted_rows(self._folder, live)
        problem = live_problem(path, live, most)
        if problem is not None and not self._old.has(live.writer, live.number):
            yield problem
        saved = salvage_live(path, live, most)
        if saved.table is not None:
            target = SealedName(live.writer, live.number, live.number)
            metadata = segment_metadata(live.number, saved.readable)
            write_sealed(self._new.path(target), saved.table, [metadata])

    @staticmethod
    def _copy(path: Path, target: Path) -> None:
        with replacing(target) as temporary:
            shutil.copyfile(path, temporary, follow_symlinks=False)

    def _save(self, path: Path, problem: Problem) -> Problem:
        """Write the readable part of a damaged file."""
        try:
            sealed = open_sealed(path, self._old.successor)
        except DamagedFileError:
            return self._put_right(path, problem)
        if all(self._new.has(writer, number) for (_, writer, number), *_ in sealed.segments):
            reason = f"{problem.reason}; its rows are in other files"
            return problem._replace(reason=reason, readable=problem.rows or 0, columns=())
        self._write(sealed)
        return problem

    def _put_right(self, path: Path, problem: Problem) -> Problem:
        """Rename a sound file to the name in its footer, if it has another one."""
        metadata = _metadata(path)
        name = _name_in_metadata(metadata)
        table = metadata.get("table")
        if name is None or table not in TABLES or metadata.get("collection") != self._identity:
            return problem
        target = SealedFiles(self._draft, table, _leave).path(name)
        if target.exists() or (self._folder.table(table) / str(name)) == path:
            return problem
        self._copy(path, target)
        files = SealedFiles(self._draft, table, _leave)
        if sealed_problem(files, target) is not None:
            target.unlink()
            return problem
        rows = open_sealed(target, files.successor).rows
        reason = f"{problem.reason}; it is {name} of the {table}, and gets that name back"
        return Problem(path, reason, rows, rows)

    @property
    def _identity(self) -> str:
        return str(self._draft.info()["id"])

    def _write(self, sealed: ParquetFragment) -> None:
        """Write the readable rows of a sealed file, without those that other files have."""
        groups = [salvage_sealed(sealed, group) for group in range(len(sealed.group_rows))]
        left = segments_left(sealed, [group is not None for group in groups])
        segments = [
            each._replace(rows=rows) for each, rows in zip(sealed.segments, left, strict=True)
        ]
        whole = pa.concat_tables([no_rows(sealed.schema), *(g for g in groups if g is not None)])
        is_written = [self._new.has(origin.writer, origin.number) for origin, *_ in segments]
        if not any(is_written):
            self._write_file(sealed_name(sealed.path.name), whole, segments)
            return
        first = 0  # a file with this name would hide those that have some of its segments
        for segment, is_done in zip(segments, is_written, strict=True):
            if not is_done:
                rows = whole.slice(first, segment.rows)
                origin = segment.origin
                name = SealedName(origin.writer, origin.number, origin.number)
                self._write_file(name, rows, [segment])
            first += segment.rows

    def _write_file(
        self, name: FileName | None, rows: pa.Table, segments: list[SegmentRange]
    ) -> None:
        if name is None or not rows.num_rows:
            return
        metadata = metadata_of(rows.schema)
        shared = {key: metadata[key] for key in metadata if key not in _OF_ROWS}
        if isinstance(name, MergedName):
            shared["merged"] = str(name).removesuffix(".parquet")
            writers = {"writers": writers_metadata(segments)}
        else:
            writers = writers_metadata(segments)[0]
        write_with_metadata({**shared, **writers}, self._new.path(name), rows)


#: The metadata that describes a file's rows only.
_OF_ROWS = frozenset({"merged", "writers", "writer", "started", "segments"})


def _name_in_metadata(metadata: dict[str, Any]) -> FileName | None:
    """The name of the file with this metadata."""
    try:
        if "merged" in metadata:
            return sealed_name(f"{metadata['merged']}.parquet")
        numbers = [number for number, *_ in metadata["segments"]]
        return sealed_name(str(SealedName(metadata["writer"], min(numbers), max(numbers))))
    except UNREADABLE:
        return None


def _leave(path: Path, error: Exception) -> None:
    """Ignore it: all damage is listed at the end."""
