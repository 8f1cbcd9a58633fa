"""Which keys of a table have columns of their own, and which are sparse.

A key in few rows is sparse: its values are cells of a column that all such keys share, so that a row
costs for the keys that it has. Readers do not depend on any of this.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from .._report import level_of_caller, warn_or_report
from .._values.sparse import SPARSE_KINDS, SparseKind
from ..errors import ManyKeysWarning
from .column import SPARSE_COLUMNS, Column, InternalKey
from .segment import Segment

__all__ = [
    "MOST_COUNTED",
    "MOST_DENSE",
    "KeyCount",
    "Split",
    "is_wasteful",
    "recounted",
    "split_new",
]

#: The keys of a table without rows get columns of their own, up to this many; later ones as long as
#: there are few. Keys that are counted get them, too, up to a larger number.
MOST_DENSE: Final = 256
FEW_DENSE: Final = 32
MOST_COUNTED: Final = 1024
#: A key with values in this fraction of the rows gets a column of its own; it loses it at half of that.
_SHARE: Final = 8
#: Columns of their own for keys in few rows, from which on they are not copied.
_MANY_RARE: Final = 8
#: Different keys of a table of a writer from which on the user is warned.
_MANY_KEYS: Final = 100_000


class Split(NamedTuple):
    """Columns of their own, and the keys that are sparse."""

    dense: tuple[Column, ...]
    sparse: tuple[Column, ...]


def split_new(new: Iterable[Column], columns: Iterable[Column], *, is_empty: bool) -> Split:
    """Columns of a table that have no place yet, split.

    Args:
        new: these columns.
        columns: the columns that there are.
        is_empty: whether there are no rows yet.
    """
    has_sparse, known = False, 0
    for column in columns:
        has_sparse |= isinstance(column.kind, SparseKind)
        known += 1
    room = 0 if has_sparse else (MOST_DENSE if is_empty else FEW_DENSE) - known
    own: list[Column] = []
    sparse: list[Column] = []
    for column in new:
        is_own = room > 0 or not _can_be_sparse(column)
        (own if is_own else sparse).append(column)
        room -= is_own
    return Split(tuple(own), tuple(sparse))


def _can_be_sparse(column: Column) -> bool:
    return column.kind in SPARSE_KINDS and not isinstance(column.key, InternalKey)


def recounted(segment: Segment, *, is_sparse: bool) -> tuple[Column, ...]:
    """The columns for the rows after a segment, by those that it has.

    Args:
        is_sparse: whether keys may be sparse.
    """
    rows, counts = segment.rows, segment.dense_counts()
    sparse = segment.sparse_counts()
    if not is_sparse or (not sparse and len(counts) <= FEW_DENSE):
        return _worth_storing(segment)
    pending = segment.pending.columns()
    own = [
        column
        for column, count in counts.items()
        if 2 * _SHARE * count >= rows or column in pending or not _can_be_sparse(column)
    ]
    risen = [c for c, n in sparse.items() if c not in counts and _SHARE * n >= rows]
    dense = (own + risen)[: max(MOST_COUNTED, len(own))]
    shared = [c for c in segment.columns_in_use() if isinstance(c.kind, SparseKind)]
    shared += [SPARSE_COLUMNS[column.kind] for column in set(counts).difference(dense)]
    return (*dense, *sorted(set(shared), key=list(SPARSE_COLUMNS.values()).index))


def is_wasteful(segment: Segment) -> bool:
    """Whether many columns of their own belong to keys in few rows."""
    counts, rows = segment.dense_counts(), segment.rows
    if len(counts) < FEW_DENSE:
        return False
    return sum(2 * _SHARE * n < rows for n in counts.values()) >= _MANY_RARE


def _worth_storing(segment: Segment) -> tuple[Column, ...]:
    """The columns of the next segment: those of this one, unless most of them had no values."""
    columns = [c for c in segment.layout.columns if not isinstance(c.kind, SparseKind)]
    used = segment.columns_in_use()
    return used if 2 * len(used) < len(columns) else tuple(columns)


class KeyCount:
    """Counts the different keys of a table, and warns once where there are very many."""

    def __init__(self) -> None:
        self._keys: dict[str, None] | None = {}

    def add(self, columns: Iterable[Column]) -> None:
        """Count the keys of columns."""
        if self._keys is None:
            return
        new = (column.key for column in columns if isinstance(column.key, str))
        self._keys |= dict.fromkeys(new)
        if (count := len(self._keys)) >= _MANY_KEYS:
            example, self._keys = next(reversed(self._keys)), None
            _warn_of_many(count, example)


def _warn_of_many(count: int, example: str) -> None:
    pattern = re.sub(r"\d+", "<number>", example)
    message = (
        f"{count:,} different keys were logged, such as {pattern!r}. Records of any keys are"
        " stored, but tables with so many columns are slow to read: log what differs as a value, as in"
        " push(step=17, loss=0.5) instead of push({'loss/17': 0.5})"
    )
    warn_or_report(message, ManyKeysWarning, stacklevel=level_of_caller())
