"""The live files of other writers: which are there, and their rows, read again only if they changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ..errors import DamagedFileError
from .corruption import warn_damaged
from .folder import TABLES, Folder, LiveName, live_name
from .fragments import InMemoryFragment
from .listed import Listed
from .live_files import gap_behind, has_more, read_live, unsynced
from .live_state import LiveState, live_state
from .liveness import trusted_rows
from .sealed_files import SealedFiles
from .watermark import read_watermark

__all__ = ["ForeignFiles"]


class _Read(NamedTuple):
    """The rows of a live file, and its state before they were read."""

    state: LiveState
    rows: InMemoryFragment | None


class ForeignFiles:
    """The live files of other writers.

    Args:
        own: returns the names of this process's writer.
        sealed: the sealed files of each table, which may have the rows meanwhile.
    """

    def __init__(
        self,
        folder: Folder,
        own: Callable[[], Sequence[str]],
        sealed: Mapping[str, SealedFiles],
    ) -> None:
        self._folder = folder
        self._own = own
        self._sealed = sealed
        self._listed = Listed(folder.live)
        self._path = str(folder.live)
        self.forget()

    def forget(self) -> None:
        """Drop all caches."""
        self._parsed: tuple[frozenset[str], list[LiveName]] = frozenset(), []
        self._read: dict[LiveName, _Read] = {}
        #: Writers whose rows all count, since their machine has not crashed.
        self._trusted: set[str] = set()

    def names(self, *tables: str) -> list[LiveName]:
        """The live files of some tables that are there, counting or not, in order."""
        listed, found = self._parsed
        if listed is not (names := self._listed.names()):
            found = sorted(name for name in map(live_name, names) if name is not None)
            self._parsed = names, found
        if not found:
            return found
        own = self._own()
        return [name for name in found if name.writer not in own and name.table in tables]

    def version(self) -> object:
        """Equal as long as nothing was written to any of them."""
        states = [(name, self._state(name)) for name in self.names(*TABLES)]
        # What can't be trusted or read has to be read, and reported, each time.
        return object() if any(state is None for _, state in states) else tuple(states)

    def _state(self, name: LiveName) -> LiveState | None:
        """The state of a live file; None if it is not known."""
        if not self._is_trusted(name.writer):
            return None
        known = self._read.get(name)
        path = f"{self._path}{os.sep}{name}"  # not a Path, which would take as long as the rest
        return live_state(path, known.state if known else None)

    def _is_trusted(self, writer: str) -> bool:
        if writer in self._trusted:
            return True
        watermark = read_watermark(self._folder, writer)
        if watermark is not None and not watermark.is_cut_short():
            self._trusted.add(writer)
        return watermark is None or not watermark.is_cut_short()

    def rows(self, *tables: str) -> list[InMemoryFragment]:
        """The rows of the live files of some tables."""
        names = self.names(*tables)
        found = [self._rows_of(name) for name in names]
        there = set(self.names(*TABLES))
        self._read = {name: read for name, read in list(self._read.items()) if name in there}
        return [rows for rows in found if rows is not None]

    def _rows_of(self, name: LiveName) -> InMemoryFragment | None:
        state, known = self._state(name), self._read.get(name)
        if known is not None and known.state == state:
            return known.rows
        rows, damage = self._read_now(name)
        self._read.pop(name, None)
        if state is not None and damage is None:
            self._read[name] = _Read(state, rows)
        # If it was sealed meanwhile, all of its rows are elsewhere.
        if damage is not None and not self._sealed[name.table].has(name.writer, name.number):
            warn_damaged(self._folder.live_path(name), damage)
        return rows

    def _read_now(self, name: LiveName) -> tuple[InMemoryFragment | None, DamagedFileError | None]:
        """The rows of a live file, and what is wrong with it."""
        found, damage = None, None
        most = trusted_rows(self._folder, name)
        try:
            found = read_live(self._folder.live_path(name), name, most)
            if found is not None and found.has_gap:
                damage = gap_behind(found.rows)
        except DamagedFileError as error:
            damage = error
        if most is not None and has_more(self._folder, name, most):
            damage = damage or unsynced(most)
        return found, damage
