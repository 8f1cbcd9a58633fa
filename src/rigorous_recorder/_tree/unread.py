"""Tables of updates whose columns are read when they are first used."""

from __future__ import annotations

from collections.abc import Sequence

from .._arrow import pa
from .._store.fragments import Fragment, is_lost

__all__ = ["UnreadTable", "unread_tables"]


class UnreadTable:
    """The rows of a group of a fragment as they are stored, of which nothing was read yet.

    Attributes:
        num_rows: how many there are.
        has_lost: whether values of a column can't be read, as far as columns were read.
    """

    def __init__(self, fragment: Fragment, group: int) -> None:
        self.num_rows = fragment.group_rows[group]
        self.has_lost = False
        self._fragment = fragment
        self._group = group
        self._known: dict[str, pa.ChunkedArray] = {}

    def column(self, name: str) -> pa.ChunkedArray:
        """A column of the file; of Arrow's null type, with a warning, if it can't be read."""
        if name not in self._known:
            stored = self._fragment.file_columns.stored
            wanted = [column for column, each in stored.items() if each == name]
            table = self._fragment.stored(self._group, wanted, nodes=False)
            lost = pa.chunked_array([pa.nulls(self.num_rows)])
            found = self._known[name] = lost if table is None else table.column(name)
            self.has_lost |= is_lost(found)
        return self._known[name]


def unread_tables(fragments: Sequence[Fragment]) -> list[tuple[Fragment, UnreadTable]]:
    """All rows of fragments, in order, each group with its fragment; none of them is read yet."""
    return [
        (fragment, UnreadTable(fragment, group))
        for fragment in fragments
        for group in range(len(fragment.group_rows))
    ]
