"""Losses in copies of a folder that were made file by file while it was logged to.

Tools list and read the files of a folder one after the other. So a copy can lack a segment that was
sealed meanwhile, and can have records without their recorders. This module detects both; losses are
reported, and records without their recorders are excluded from query results.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from .._arrow import pa, pc
from .._durable import write_whole
from .._live.batches import sealed_batch
from .._live.column import DELETION_COLUMN, PARENT_COLUMN, TIME_COLUMN
from .._values.chunks import bool_scalar, int64_array, int64_scalar, one_array
from ..errors import DamagedFileError
from .corruption import UNREADABLE, blame_file
from .folder import NODES, RECORDS, TABLES, Folder, LiveName, SealedName
from .footer import Origin, describe_file, segment_metadata
from .fragments import Fragment, InMemoryFragment
from .live_files import gap_behind, read_live
from .liveness import is_alive, trusted_rows
from .locks import is_held
from .node_ids import DELETED, ROOT, WRITER_BITS, writer_of
from .parquet_fragment import ParquetFragment
from .path_checks import check_regular
from .seal import write_sealed
from .sealed_files import SealedFiles
from .started_segments import Spans, read_started, spans_of
from .watermark import read_watermark, this_boot

__all__ = [
    "Loss",
    "expected_segments",
    "forget_incomplete",
    "fragments_of",
    "held_nodes",
    "hold_lost",
    "is_left",
    "left_segments",
    "loss_of",
    "lost_nodes",
    "read_incomplete",
    "record_incomplete",
]

#: The time of updates that mark a node as missing: before all other updates.
_BEFORE_ALL: Final = 0


class Loss(NamedTuple):
    """What a folder lacks.

    Attributes:
        segments: the numbers of missing segments, by table and writer.
        nodes: ids of the missing recorders, which others refer to.
        records: how many records are left out because they are below one of these.
        is_sure: whether all existing files could be read.
    """

    segments: Mapping[str, Mapping[str, Sequence[int]]]
    nodes: pa.Array
    records: int
    is_sure: bool = True

    def __bool__(self) -> bool:
        return any(self.segments.values()) or len(self.nodes) > 0

    def reasons(self) -> Iterator[tuple[str, str]]:
        """Each table that lacks something, with a description of what."""
        for table, by_writer in self.segments.items():
            for writer, numbers in by_writer.items():
                spans = ", ".join(_span_text(*span) for span in spans_of(numbers))
                which = f"segment{'s' if len(numbers) > 1 else ''} {spans}"
                yield table, f"it lacks all {table} of {which} of writer {writer}"
        if len(self.nodes):
            recorders = f"{len(self.nodes):,} recorders"
            yield (NODES, f"{self.records:,} records are left out: it lacks all of {recorders}")


def _span_text(first: int, last: int) -> str:
    return f"{first}" if first == last else f"{first} to {last}"


# --- candidates ----------------------------------------------------------------------------------


def is_left(folder: Folder, writer: str) -> bool:
    """Whether a writer's files in `live/` may be a copy, rather than those of a running process.

    A copy made of hard links shares the lock that the writer holds; any other copy has its own lock
    file, whose heartbeat is the time of copying.
    """
    path = folder.lock_path(writer)
    try:
        found = path.lstat()
    except FileNotFoundError:
        return True
    if found.st_nlink > 1:
        return True
    if is_held(path):
        return False
    watermark = read_watermark(folder, writer)
    if watermark is None or not is_alive(folder, writer):
        return True
    domain = watermark.domain
    return (
        watermark.boot == this_boot()
        and domain is not None
        and domain.device == found.st_dev
        and domain.inode != found.st_ino
    )


def left_segments(folder: Folder, writers: Iterable[str]) -> dict[str, Spans]:
    """For each writer the segments that it had started when its files were copied, or it died."""
    return {writer: _started_by(folder, writer) for writer in writers}


def expected_segments(folder: Folder) -> dict[str, Spans]:
    """The segments that the folder should have of writers that are not running, as far as known."""
    left = [writer for writer in folder.live_writers() if is_left(folder, writer)]
    return read_incomplete(folder) | left_segments(folder, left)


def _started_by(folder: Folder, writer: str) -> Spans:
    started = read_started(folder.started_path(writer))
    watermark = read_watermark(folder, writer)
    if started is None:  # not copied: the numbers that are there may have a gap
        return {table: _unbroken(folder, table, writer) for table in TABLES}
    if watermark is None or not watermark.is_cut_short():
        return started
    # What was not synced when the machine crashed is not expected.
    most = {table: max(watermark.synced[table], default=-1) for table in TABLES}
    return {
        table: [[first, min(last, most[table])] for first, last in spans if first <= most[table]]
        for table, spans in started.items()
    }


def _unbroken(folder: Folder, table: str, writer: str) -> list[list[int]]:
    """All numbers from the least to the greatest that is there."""
    numbers = {name.number for name in folder.lives(table) if name.writer == writer}
    numbers |= SealedFiles(folder, table, _ignore).numbers_of(writer)
    return [[min(numbers), max(numbers)]] if numbers else []


def _ignore(path: Path, error: Exception) -> None:
    """Ignore it: readers of the file issue a warning."""


# --- the record of an incomplete copy ------------------------------------------------------------


def read_incomplete(folder: Folder) -> dict[str, Spans]:
    """The segments of writers that the folder should have, if it was found incomplete."""
    try:
        check_regular(folder.incomplete_path)
        file_metadata = json.loads(folder.incomplete_path.read_bytes())["started"]
        return {str(writer): _spans(spans) for writer, spans in file_metadata.items()}
    except FileNotFoundError:
        return {}
    except UNREADABLE as error:
        blame_file(error)
        return {}


def _spans(file_metadata: Mapping[str, Any]) -> Spans:
    return {
        table: [[int(first), int(last)] for first, last in file_metadata[table]] for table in TABLES
    }


def record_incomplete(folder: Folder, started: Mapping[str, Spans]) -> None:
    """Record the segments that the folder should have, so that each opening reports missing ones.

    Raises:
        OSError: it can't be written.
    """
    file_metadata = {**read_incomplete(folder), **started}
    write_whole(
        folder.incomplete_path, json.dumps({"started": file_metadata}, sort_keys=True).encode()
    )


def forget_incomplete(folder: Folder, writers: Iterable[str]) -> None:
    """Remove records of what exists by now, as after another copy.

    Raises:
        OSError: one can't be removed.
    """
    folder.incomplete_path.unlink(missing_ok=True)
    lives = {name.writer for table in TABLES for name in folder.lives(table)}
    for writer in writers:
        if writer not in lives and not folder.lock_path(writer).exists():
            folder.started_path(writer).unlink(missing_ok=True)


# --- detection -----------------------------------------------------------------------------------


def loss_of(
    folder: Folder,
    started: Mapping[str, Spans],
    lives: Collection[LiveName] | None = None,
) -> Loss:
    """What is missing of some writers, given the segments that each of them has started.

    Args:
        lives: the live files before a recovery, which removes empty ones; None for the current
            ones.
    """
    # Live files are listed before sealed ones, so a segment that is sealed meanwhile is in one.
    if lives is None:
        lives = [name for table in TABLES for name in folder.lives(table)]
    segments: dict[str, dict[str, list[int]]] = {}
    for table in TABLES:
        files = SealedFiles(folder, table, _ignore)
        for writer, spans in started.items():
            there = {n.number for n in lives if (n.table, n.writer) == (table, writer)}
            there |= files.numbers_of(writer)
            expected = [n for first, last in spans[table] for n in range(first, last + 1)]
            if missing := [number for number in expected if number not in there]:
                segments.setdefault(table, {})[writer] = missing
    records, nodes = (fragments_of(folder, table) for table in (RECORDS, NODES))
    if records is None or nodes is None:  # damage is reported, and hides no other problem
        return Loss(segments, int64_array([]), 0, is_sure=False)
    lost = lost_nodes(started, records, nodes)
    return Loss(segments, lost, _rows_below(lost, records, nodes) if len(lost) else 0)


def fragments_of(folder: Folder, table: str) -> list[Fragment] | None:
    """All rows of a table; None if some, or their parents, can't be read."""
    damaged: list[Path] = []
    files = SealedFiles(folder, table, lambda path, _: damaged.append(path))
    try:
        found = [_read_whole(folder, name) for name in folder.lives(table)]
    except DamagedFileError:
        return None
    live = [each for each in found if each is not None]
    while True:
        with contextlib.suppress(FileNotFoundError):  # compacted away since the listing
            sealed = files.open(files.listing())
            needed = [PARENT_COLUMN, TIME_COLUMN] if table == NODES else None
            is_sound = needed is None or all(each.is_sound(needed) for each in sealed)
            return [*sealed, *live] if is_sound and not damaged else None


def _read_whole(folder: Folder, name: LiveName) -> InMemoryFragment | None:
    """The rows of a live file; None if it is gone or empty.

    Raises:
        DamagedFileError: some can't be read.
    """
    found = read_live(folder.live_path(name), name, trusted_rows(folder, name))
    if found is not None and found.has_gap:
        raise gap_behind(found.rows)
    return found


def lost_nodes(
    writers: Collection[str], records: Sequence[Fragment], nodes: Sequence[Fragment]
) -> pa.Array:
    """Ids of nodes that rows refer to, but that have no row in `nodes`.

    Only considers rows and nodes of these writers. All of `nodes` must be readable.
    """
    file_metadata = [each for fragment in nodes for each in _parents_in(fragment)]
    known = pa.concat_arrays([int64_array([ROOT, DELETED]), *(each.node for each in file_metadata)])
    wanted = [
        each.parent if _is_of(each.fragment, writers) else _made_by(writers, each.parent)
        for each in file_metadata
    ]
    wanted += _wanted(writers, records, _complete(writers, known))
    found = pc.unique(pa.concat_arrays([int64_array([]), *wanted]))
    lost = found.filter(pc.invert(pc.is_in(found, value_set=known)))
    return lost.take(pc.sort_indices(lost))


def _is_sound(fragment: Fragment) -> bool:
    """Whether the nodes of its rows can be read; if not, readers of the file issue a warning."""
    return not isinstance(fragment, ParquetFragment) or fragment.is_sound([])


class _Parents(NamedTuple):
    """Some rows of the nodes table: nodes, and the parent of each."""

    fragment: Fragment
    node: pa.Array
    parent: pa.Array


def _parents_in(fragment: Fragment) -> Iterator[_Parents]:
    for table in fragment.tables([PARENT_COLUMN, TIME_COLUMN]):
        node, *rest = (one_array(column) for column in table.columns)
        if len(rest) < 2:  # no parents were set here
            nothing = node.slice(0, 0)
            yield _Parents(fragment, nothing, nothing)
            continue
        parent, time = rest
        is_set = pc.and_(
            parent.is_valid(), pc.greater(time.cast(pa.int64()), int64_scalar(_BEFORE_ALL))
        )
        yield _Parents(fragment, node.filter(is_set), parent.filter(is_set))


def _is_of(fragment: Fragment, writers: Collection[str]) -> bool:
    return any(each.origin.writer in writers for each in fragment.segments)


def _made_by(writers: Iterable[str], nodes: pa.Array) -> pa.Array:
    """The nodes that these writers created."""
    made_by = pc.bit_wise_and(
        pc.shift_right(nodes, int64_scalar(WRITER_BITS)), int64_scalar(2**WRITER_BITS - 1)
    )
    numbers = int64_array([int(writer, 16) for writer in writers])
    return nodes.filter(pc.is_in(made_by, value_set=numbers))


def _complete(writers: Iterable[str], known: pa.Array) -> dict[str, tuple[int, int]]:
    """The smallest and largest node of each writer whose nodes in between are all known."""
    found: dict[str, tuple[int, int]] = {}
    for writer in writers:
        nodes = pc.unique(_made_by([writer], known))
        low, high = pc.min_max(nodes).as_py().values()
        if len(nodes) and high - low + 1 == len(nodes):
            found[writer] = low, high
    return found


def _wanted(
    writers: Collection[str],
    records: Iterable[Fragment],
    complete: Mapping[str, tuple[int, int]],
) -> Iterator[pa.Array]:
    """The nodes that records refer to: those of these writers, and all that they logged to.

    Groups are skipped if their statistics show that all of their nodes are known.
    """
    for fragment in records:
        is_theirs = _is_of(fragment, writers)
        for group, (low, high) in enumerate(fragment.node_ranges):
            made_by = {writer_of(low), writer_of(high)}
            known_low, known_high = complete.get(writer_of(low), (1, 0))
            if len(made_by) == 1 and (
                known_low <= low <= high <= known_high or not (is_theirs or made_by & {*writers})
            ):
                continue
            if not _is_sound(fragment):
                break
            found = fragment.nodes_of(group)
            yield found if is_theirs else _made_by(writers, found)


def _rows_below(lost: pa.Array, records: Iterable[Fragment], nodes: Iterable[Fragment]) -> int:
    """How many records belong to lost nodes, or to nodes below those."""
    file_metadata = [each for fragment in nodes for each in _parents_in(fragment)]
    below, level = lost, lost
    while len(level):
        found = [each.node.filter(pc.is_in(each.parent, value_set=level)) for each in file_metadata]
        fresh = pc.unique(pa.concat_arrays([int64_array([]), *found]))
        level = fresh.filter(pc.invert(pc.is_in(fresh, value_set=below)))
        below = pa.concat_arrays([below, level])
    rows = 0
    for fragment in records:
        for group in range(len(fragment.group_rows)) if _is_sound(fragment) else ():
            decoded = pc.run_end_decode(fragment.runs_of(group))
            rows += pc.sum(pc.is_in(decoded, value_set=below)).as_py() or 0
    return rows


def held_nodes(folder: Folder, origin: Origin, nodes: pa.Array) -> InMemoryFragment:
    """Rows that exclude missing nodes, and everything below them, from query results.

    They are older than all other updates of these nodes, which count once they appear.
    """
    count = len(nodes)
    file_metadata = {
        PARENT_COLUMN: pa.repeat(int64_scalar(DELETED), count),
        TIME_COLUMN: pa.repeat(pa.scalar(_BEFORE_ALL, TIME_COLUMN.kind.sealed_type), count),
        DELETION_COLUMN: pa.repeat(bool_scalar(value=False), count),
    }
    metadata = describe_file(
        table=NODES, collection=folder.info()["id"], writer=origin.writer, started=origin.started
    )
    return InMemoryFragment(origin.number, sealed_batch(nodes, file_metadata, metadata))


def hold_lost(
    folder: Folder,
    started: Mapping[str, Spans],
    lives: Collection[LiveName] | None = None,
) -> None:
    """Exclude records from query results whose recorders are missing, as in an incomplete copy.

    What should exist is recorded first, so that each opening reports what is missing.

    Raises:
        OSError: it can't be written.
    """
    loss = loss_of(folder, started, lives) if started else None
    if not loss:
        return
    record_incomplete(folder, started)
    if len(loss.nodes):
        writer = min(started)
        place = _place_behind(folder, writer, started[writer][NODES])
        held = held_nodes(folder, place, loss.nodes)
        name = SealedName(writer, place.number, place.number)
        file_metadata = [segment_metadata(place.number, held.rows)]
        write_sealed(folder.sealed_path(NODES, name), held.whole, file_metadata)


def _place_behind(folder: Folder, writer: str, spans: Sequence[Sequence[int]]) -> Origin:
    """The position after all rows of nodes of a writer, including missing ones."""
    files = SealedFiles(folder, NODES, _ignore)
    lives = [name.number for name in folder.lives(NODES) if name.writer == writer]
    numbers = [*lives, files.last_number(writer), *(last for _, last in spans)]
    started = 0
    with contextlib.suppress(FileNotFoundError):  # compacted away since the listing
        found = (each.origin for file in files.open(files.listing()) for each in file.segments)
        started = next((each.started for each in found if each.writer == writer), 0)
    return Origin(started, writer, max(numbers) + 1)
