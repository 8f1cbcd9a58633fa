"""The small sealed files of a running writer, which merges them itself.

As in a log-structured merge tree, eight files of one size become one of the next size. So of n small
files a multiple of the logarithm of n is left, and each row is rewritten as often as that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from .._arrow import pa
from .._durable import sync_folder
from .._lazy import lazy_module
from .._live import table as live_table
from ..errors import DamagedFileError
from .folder import Folder, SealedName
from .locks import locked

if TYPE_CHECKING:
    from . import compact as compaction
else:  # a program that only reads does not need it
    compaction = lazy_module(f"{__package__}.compact")

__all__ = ["OwnFile", "OwnFiles", "load"]

#: As many files of one size are merged.
_FAN: Final = 8
#: A file with less of both than this fraction of a full live table's bytes, and its rows, is small.
_SMALL: Final = 4


def load() -> None:
    """Import what merging needs; as for sealing, not on a background thread."""
    _ = compaction.Merging


class OwnFile(NamedTuple):
    """A sealed file.

    Attributes:
        size: about as many bytes its rows have in memory.
    """

    name: SealedName
    rows: int
    size: int

    @property
    def level(self) -> int:
        """How often its rows were merged, at least: the logarithm of its number of segments."""
        segments = self.name.last - self.name.first + 1
        return (segments.bit_length() - 1) // (_FAN.bit_length() - 1)

    @property
    def is_small(self) -> bool:
        """Whether it is worth merging."""
        return self.rows < live_table.MOST_ROWS and self.size < live_table.MOST_BYTES // _SMALL

    def precedes(self, other: OwnFile) -> bool:
        """Whether no segment is between them."""
        return self.name.last + 1 == other.name.first


class OwnFiles:
    """The sealed files of one table that were written under one name, while its lock is held.

    Args:
        is_ours: whether the lock still is.
    """

    def __init__(self, folder: Folder, table: str, is_ours: Callable[[], bool]) -> None:
        self._folder = folder
        self._table = table
        self._is_ours = is_ours
        #: Those that are sealed, by any thread, since the last merge.
        self._new: list[OwnFile] = []
        #: The newest ones: small ones, without gaps. Only changed by merging.
        self._line: list[OwnFile] = []
        #: Those whose rows are in a merged file, but that could not be removed yet.
        self._rest: list[Path] = []
        self._turn = threading.RLock()
        self._is_over = False

    def add(self, file: OwnFile) -> bool:
        """Add a new file, the last one; whether it is time to merge."""
        self._new.append(file)
        return len(self._new) % _FAN == 0

    def merge(self) -> None:
        """Merge small files if there are many.

        If that fails, or a compaction is under way, they stay, and count as before.
        """
        with self._turn:
            self._line_up()
            while not self._is_over and (due := _due(self._line)) and self._merge(due):
                pass

    def end(self) -> None:
        """Merge no more; one that is under way is finished first."""
        self._is_over = True
        with self._turn:
            pass

    def _line_up(self) -> None:
        new = self._new[:]
        del self._new[: len(new)]
        for file in new:
            if not (self._line and self._line[-1].precedes(file) and file.is_small):
                self._line = []
            if file.is_small:
                self._line.append(file)

    def _merge(self, files: Sequence[OwnFile]) -> bool:
        """Merge the last files of the line into one; False if that is not possible now."""
        paths = [self._folder.sealed_path(self._table, file.name) for file in files]
        merged = _together(files)
        target = self._folder.sealed_path(self._table, merged.name)
        try:
            with locked(self._folder.live / "compact.lock", wait=False) as is_held:
                if not (is_held and self._is_ours()):
                    return False
                self._remove_rest()
                compaction.Merging(self._table, None).merge_paths(paths)
        except DamagedFileError:
            pass  # readers warn about it
        except (OSError, MemoryError, pa.ArrowException):
            if not target.exists():
                return False
            self._rest = paths
        is_one = merged.is_small and target.exists()
        self._line = [*self._line[: -len(files)], merged] if is_one else []
        return True

    def _remove_rest(self) -> None:
        if self._rest:
            sync_folder(self._folder.table(self._table))  # first the merged file has to stay
        while self._rest:
            self._rest[-1].unlink(missing_ok=True)
            self._rest.pop()


def _due(line: Sequence[OwnFile]) -> list[OwnFile]:
    """The last files, down to some level, of which there are many; empty if there are few."""
    due: list[OwnFile] = []
    for level in sorted({file.level for file in line}):
        last = list(takewhile(partial(_is_below, level), reversed(line)))
        if sum(file.level == level for file in last) >= _FAN:
            due = last[::-1]
    return due


def _is_below(level: int, file: OwnFile) -> bool:
    return file.level <= level


def _together(files: Sequence[OwnFile]) -> OwnFile:
    first, last = files[0].name, files[-1].name
    name = SealedName(first.writer, first.first, last.last)
    return OwnFile(name, sum(file.rows for file in files), sum(file.size for file in files))
