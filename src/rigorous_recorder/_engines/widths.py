"""Row widths: how many bytes a row has with all that it inherits, so that batches stay bounded.

A parent's value is stored once but repeated in every row of the flat table below it: a text of
5 MB in a batch of 262,144 rows would be 1.3 TB.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from .._arrow import pc
from ..errors import TooLargeError
from .mixed import Flat
from .piece import Piece
from .scan import Scan

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


__all__ = ["BATCH_BYTES", "fits", "is_large", "parts_of", "require_memory"]

#: Maximum bytes of a batch of the flat table, unless a single row is larger.
BATCH_BYTES: Final = 64 << 20
#: An inherited value of up to this many bytes may be copied any number of times.
_SMALL: Final = 256
#: The limit files of control groups, versions 2 and 1.
_LIMITS: Final = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def fits(
    scan: Scan, rows: int, most: int | None = None, *, keys: Sequence[str] | None = None
) -> bool:
    """Whether rows inherit at most so many bytes in all (None: the size of a batch).

    Args:
        keys: the inherited keys; None for all.
    """
    inherited = rows * sum(
        map(scan.snapshot.nodes.widest, scan.shown_node_keys if keys is None else keys)
    )
    return inherited <= (BATCH_BYTES if most is None else most)


def is_large(scan: Scan, flat: Flat, copies: int) -> bool:
    """Whether copies of a column's inherited values would take too much memory."""
    return (
        scan.inherits(flat)
        and scan.snapshot.nodes.widest(flat.key) > _SMALL
        and not fits(scan, copies, keys=[flat.key])
    )


def parts_of(piece: Piece, scan: Scan) -> Iterator[Piece]:
    """Split the rows of a piece so that each part fits into a batch."""
    own = piece.own_bytes // max(1, piece.rows)
    ends = [0, *piece.runs.run_ends.to_pylist()]
    first, size = 0, 0
    for (start, stop), inherited in zip(pairwise(ends), _widths(piece, scan), strict=True):
        width, at = max(1, own + inherited), start
        while at < stop:
            rows = min(stop - at, (BATCH_BYTES - size) // width)
            if rows < 1 and at > first:
                yield piece.slice(first, at - first)
                first, size = at, 0
                continue
            rows = max(1, rows)
            at, size = at + rows, size + rows * width
    if first < piece.rows:
        yield piece.slice(first, piece.rows - first)


def _widths(piece: Piece, scan: Scan) -> list[int]:
    """For each run of rows of a node how many bytes each row inherits."""
    nodes = scan.snapshot.nodes
    positions = nodes.positions(piece.runs.values)
    found = None
    for key in scan.shown_node_keys:
        sizes = nodes.sizes(key, positions)
        found = sizes if found is None else pc.add(found, sizes)
    return [0] * len(positions) if found is None else found.to_pylist()


def require_memory(scan: Scan) -> None:
    """Raise unless the inherited values of all rows, with a copy for each, fit into memory.

    Raises:
        TooLargeError: they don't fit.
    """
    nodes = scan.snapshot.nodes
    most, rows = _memory(), scan.row_count()
    if rows * sum(map(nodes.widest, scan.shown_node_keys)) <= most:
        return
    totals = {key: sum(_totals(scan, key)) for key in scan.shown_node_keys}
    if sum(totals.values()) > most:
        key = max(totals, key=lambda each: totals[each])
        message = (
            f"the records inherit {key!r} from their ancestors, which in {rows:,} rows is"
            f" {totals[key] / 1e9:,.1f} GB, and this process can have {most / 1e9:,.1f} GB. Leave it"
            " out: sql('SELECT ... FROM records') and to_polars(lazy=True).select(...) read only the"
            " columns that they name"
        )
        raise TooLargeError(message)


def _totals(scan: Scan, key: str) -> Iterator[int]:
    nodes = scan.snapshot.nodes
    for piece in scan.pieces([]):
        sizes = nodes.sizes(key, nodes.positions(piece.runs.values)).to_pylist()
        ends = [0, *piece.runs.run_ends.to_pylist()]
        spans = zip(pairwise(ends), sizes, strict=True)
        yield sum(size * (stop - start) for (start, stop), size in spans)


def _memory() -> int:
    """The maximum memory of this process in bytes, by the machine and its limits."""
    if resource is None:
        return 1 << 63  # unknown on Windows
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        found.append(soft)
    for path in _LIMITS:
        try:
            found.append(int(path.read_text()))
        except (OSError, ValueError):  # does not exist, or "max"
            continue
    return min(found)
