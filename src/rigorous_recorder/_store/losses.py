"""What a copy of a folder lacks that was copied file by file while it was logged to.

Tools list and read the files of a folder one after the other. So a copy can lack a segment that was
sealed in the middle of it, and can have records without the recorders that they belong to. Here both
are found. What is found is reported, and records without their recorders are excluded from query results.
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
from .._values.chunks import one_array
from ..errors import DamagedFileError
from .begun import Spans, read_begun, spans_of
from .corruption import UNREADABLE, blame_file
from .folder import NODES, RECORDS, TABLES, Folder, LiveName, SealedName
from .footer import Origin, describe_file, segment_metadata
from .fragments import Fragment, InMemoryFragment
from .live_files import gap_behind, read_live
from .liveness import is_alive, trusted_rows
from .locks import is_held
from .marks import read_watermark, this_boot
from .node_ids import DELETED, ROOT, WRITER_BITS, writer_of
from .parquet_fragment import ParquetFragment
from .path_checks import check_regular
from .seal import write_sealed
from .sealed_files import SealedFiles

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

#: When it is set on a node that it is missing: before all that is ever set on it.
_BEFORE_ALL: Final = 0


class Loss(NamedTuple):
    """What a folder lacks.

    Attributes:
        segments: for each table the numbers of missing segments, by writer.
        nodes: ids of the recorders of which nothing is known, though others belong to them.
        records: how many records are left out, since they are below one of these.
        is_sure: whether all that is there could be read.
    """

    segments: Mapping[str, Mapping[str, Sequence[int]]]
    nodes: pa.Array
    records: int
    is_sure: bool = True

    def __bool__(self) -> bool:
        return any(self.segments.values()) or len(self.nodes) > 0

    def reasons(self) -> Iterator[tuple[str, str]]:
        """For each table of which anything is missing its name, and what that is."""
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


# --- which writers are looked at -----------------------------------------------------------------


def is_left(folder: Folder, writer: str) -> bool:
    """Whether what a writer has in `live/` may be a copy, and no running process fills it.

    A copy that is made of hard links shares the lock that the writer holds; another one has a lock
    file of its own, of which the heartbeat is the time at which it was copied.
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
    mark = read_watermark(folder, writer)
    if mark is None or not is_alive(folder, writer):
        return True
    domain = mark.domain
    return (
        mark.boot == this_boot()
        and domain is not None
        and domain.device == found.st_dev
        and domain.inode != found.st_ino
    )


def left_segments(folder: Folder, writers: Iterable[str]) -> dict[str, Spans]:
    """For each writer the segments that it had begun when its files were copied, or it died."""
    return {writer: _begun_by(folder, writer) for writer in writers}


def expected_segments(folder: Folder) -> dict[str, Spans]:
    """The segments that the folder should have of writers that run no more, where that is known."""
    left = [writer for writer in folder.live_writers() if is_left(folder, writer)]
    return read_incomplete(folder) | left_segments(folder, left)


def _begun_by(folder: Folder, writer: str) -> Spans:
    begun = read_begun(folder.begun_path(writer))
    mark = read_watermark(folder, writer)
    if begun is None:  # not copied: the numbers that are there may have a gap
        return {table: _unbroken(folder, table, writer) for table in TABLES}
    if mark is None or not mark.is_cut_short():
        return begun
    # Of what was not synced when the machine went down nothing is expected.
    most = {table: max(mark.synced[table], default=-1) for table in TABLES}
    return {
        table: [[first, min(last, most[table])] for first, last in spans if first <= most[table]]
        for table, spans in begun.items()
    }


def _unbroken(folder: Folder, table: str, writer: str) -> list[list[int]]:
    """All numbers from the least to the greatest that is there."""
    numbers = {name.number for name in folder.lives(table) if name.writer == writer}
    numbers |= SealedFiles(folder, table, _ignore).numbers_of(writer)
    return [[min(numbers), max(numbers)]] if numbers else []


def _ignore(path: Path, error: Exception) -> None:
    """Whoever reads the file warns of it."""


# --- the note of an incomplete copy --------------------------------------------------------------


def read_incomplete(folder: Folder) -> dict[str, Spans]:
    """The segments of writers that the folder should have, as far as it was found incomplete."""
    try:
        check_regular(folder.incomplete_path)
        file_metadata = json.loads(folder.incomplete_path.read_bytes())["begun"]
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


def record_incomplete(folder: Folder, begun: Mapping[str, Spans]) -> None:
    """Note which segments the folder should have, so that each opening reports what is missing.

    Raises:
        OSError: it can't be written.
    """
    file_metadata = {**read_incomplete(folder), **begun}
    write_whole(
        folder.incomplete_path, json.dumps({"begun": file_metadata}, sort_keys=True).encode()
    )


def forget_incomplete(folder: Folder, writers: Iterable[str]) -> None:
    """Take notes away of what is there by now, as where a copy was made anew.

    Raises:
        OSError: one can't be taken away.
    """
    folder.incomplete_path.unlink(missing_ok=True)
    lives = {name.writer for table in TABLES for name in folder.lives(table)}
    for writer in writers:
        if writer not in lives and not folder.lock_path(writer).exists():
            folder.begun_path(writer).unlink(missing_ok=True)


# --- what is missing -----------------------------------------------------------------------------


def loss_of(
    folder: Folder,
    begun: Mapping[str, Spans],
    lives: Collection[LiveName] | None = None,
) -> Loss:
    """What is missing of these writers, given the segments that each of them has begun.

    Args:
        lives: the live files that were there before a recovery, which takes empty ones away; None
            for those that are there.
    """
    # Live files are listed before sealed ones: what is sealed meanwhile is in one of the two.
    if lives is None:
        lives = [name for table in TABLES for name in folder.lives(table)]
    segments: dict[str, dict[str, list[int]]] = {}
    for table in TABLES:
        files = SealedFiles(folder, table, _ignore)
        for writer, spans in begun.items():
            there = {n.number for n in lives if (n.table, n.writer) == (table, writer)}
            there |= files.numbers_of(writer)
            expected = [n for first, last in spans[table] for n in range(first, last + 1)]
            if missing := [number for number in expected if number not in there]:
                segments.setdefault(table, {})[writer] = missing
    records, nodes = (fragments_of(folder, table) for table in (RECORDS, NODES))
    if records is None or nodes is None:  # what is damaged is reported, and hides nothing else
        return Loss(segments, pa.array([], pa.int64()), 0, is_sure=False)
    lost = lost_nodes(begun, records, nodes)
    return Loss(segments, lost, _rows_below(lost, records, nodes) if len(lost) else 0)


def fragments_of(folder: Folder, table: str) -> list[Fragment] | None:
    """All rows of a table; None where some can't be read, or not what is set on parents."""
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
    """The rows of a live file; None where it is gone or empty.

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
    """Ids of nodes that rows belong to, and of which no row of `nodes` is there.

    Only rows of these writers, and nodes of theirs, are looked at. All of `nodes` can be read.
    """
    file_metadata = [each for fragment in nodes for each in _metadata_in(fragment)]
    known = pa.concat_arrays(
        [pa.array([ROOT, DELETED], pa.int64()), *(each.node for each in file_metadata)]
    )
    wanted = [
        each.parent if _is_of(each.fragment, writers) else _made_by(writers, each.parent)
        for each in file_metadata
    ]
    wanted += _wanted(writers, records, _complete(writers, known))
    found = pc.unique(pa.concat_arrays([pa.array([], pa.int64()), *wanted]))
    lost = found.filter(pc.invert(pc.is_in(found, value_set=known)))
    return lost.take(pc.sort_indices(lost))


def _is_sound(fragment: Fragment) -> bool:
    """Whether it can be read whose the rows are; whoever reads what can't be read warns of it."""
    return not isinstance(fragment, ParquetFragment) or fragment.is_sound([])


class _Said(NamedTuple):
    """What some rows of nodes say: nodes, and the parent of each."""

    fragment: Fragment
    node: pa.Array
    parent: pa.Array


def _metadata_in(fragment: Fragment) -> Iterator[_Said]:
    for table in fragment.tables([PARENT_COLUMN, TIME_COLUMN]):
        node, *rest = (one_array(column) for column in table.columns)
        if len(rest) < 2:  # nothing was set on a parent here
            nothing = node.slice(0, 0)
            yield _Said(fragment, nothing, nothing)
            continue
        parent, time = rest
        is_said = pc.and_(parent.is_valid(), pc.greater(time.cast(pa.int64()), _BEFORE_ALL))
        yield _Said(fragment, node.filter(is_said), parent.filter(is_said))


def _is_of(fragment: Fragment, writers: Collection[str]) -> bool:
    return any(each.origin.writer in writers for each in fragment.segments)


def _made_by(writers: Iterable[str], nodes: pa.Array) -> pa.Array:
    """Those of the nodes that these writers made."""
    made_by = pc.bit_wise_and(pc.shift_right(nodes, WRITER_BITS), 2**WRITER_BITS - 1)
    numbers = pa.array([int(writer, 16) for writer in writers], pa.int64())
    return nodes.filter(pc.is_in(made_by, value_set=numbers))


def _complete(writers: Iterable[str], known: pa.Array) -> dict[str, tuple[int, int]]:
    """The least and the greatest node of those writers of whose nodes none in between is unknown."""
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
    """The nodes that records belong to: those of these writers, and all that they logged to.

    Groups are not read of which the statistics tell that all of their nodes are known.
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
    """How many records belong to nodes that are lost, or to nodes below those."""
    file_metadata = [each for fragment in nodes for each in _metadata_in(fragment)]
    below, level = lost, lost
    while len(level):
        found = [each.node.filter(pc.is_in(each.parent, value_set=level)) for each in file_metadata]
        fresh = pc.unique(pa.concat_arrays([pa.array([], pa.int64()), *found]))
        level = fresh.filter(pc.invert(pc.is_in(fresh, value_set=below)))
        below = pa.concat_arrays([below, level])
    rows = 0
    for fragment in records:
        for group in range(len(fragment.group_rows)) if _is_sound(fragment) else ():
            decoded = pc.run_end_decode(fragment.runs_of(group))
            rows += pc.sum(pc.is_in(decoded, value_set=below)).as_py() or 0
    return rows


def held_nodes(folder: Folder, origin: Origin, nodes: pa.Array) -> InMemoryFragment:
    """Rows that keep nodes of which nothing is known, and all below them, out of every answer.

    They are older than whatever is set on these nodes, which counts where it is there one day.
    """
    count = len(nodes)
    file_metadata = {
        PARENT_COLUMN: pa.repeat(pa.scalar(DELETED, pa.int64()), count),
        TIME_COLUMN: pa.repeat(pa.scalar(_BEFORE_ALL, TIME_COLUMN.kind.sealed_type), count),
        DELETION_COLUMN: pa.repeat(pa.scalar(False), count),
    }
    metadata = describe_file(
        table=NODES, collection=folder.info()["id"], writer=origin.writer, started=origin.started
    )
    return InMemoryFragment(origin.number, sealed_batch(nodes, file_metadata, metadata))


def hold_lost(
    folder: Folder,
    begun: Mapping[str, Spans],
    lives: Collection[LiveName] | None = None,
) -> None:
    """Keep records out of answers whose recorders are missing, as they can be in a copy.

    What should be there is noted first, so that each opening reports what is missing.

    Raises:
        OSError: that can't be written.
    """
    loss = loss_of(folder, begun, lives) if begun else None
    if not loss:
        return
    record_incomplete(folder, begun)
    if len(loss.nodes):
        writer = min(begun)
        place = _place_behind(folder, writer, begun[writer][NODES])
        held = held_nodes(folder, place, loss.nodes)
        name = SealedName(writer, place.number, place.number)
        file_metadata = [segment_metadata(place.number, held.rows)]
        write_sealed(folder.sealed_path(NODES, name), held.whole, file_metadata)


def _place_behind(folder: Folder, writer: str, begun: Sequence[Sequence[int]]) -> Origin:
    """Where rows of nodes stand behind all that a writer has said, also what is missing of that."""
    files = SealedFiles(folder, NODES, _ignore)
    lives = [name.number for name in folder.lives(NODES) if name.writer == writer]
    numbers = [*lives, files.last_number(writer), *(last for _, last in begun)]
    started = 0
    with contextlib.suppress(FileNotFoundError):  # compacted away since the listing
        found = (each.origin for file in files.open(files.listing()) for each in file.segments)
        started = next((each.started for each in found if each.writer == writer), 0)
    return Origin(started, writer, max(numbers) + 1)
