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

from .._arrow import pa, pq
from .._durable import sync_folder
from .._lazy import lazy_module
from .._live import table as live_table
from ..errors import DamagedFileError
from .corruption import UNREADABLE
from .folder import Folder, SealedName
from .footer import columns_in
from .locks import locked

if TYPE_CHECKING:
    from . import compact as compaction
else:  # a program that only reads does not need it
    compaction = lazy_module(f"{__package__}.compact")

__all__ = ["OwnFile", "OwnFiles", "load"]

#: As many files of one size are merged.
_FAN: Final = 8
#: A file with fewer rows than a full live table, and less than this fraction of its bytes and keys, is small.
_SMALL: Final = 4


def load() -> None:
    """Import what merging needs; as for sealing, not on a background thread."""
    _ = compaction.Merging


class OwnFile(NamedTuple):
    """A sealed file.

    Attributes:
        size: about as many bytes its rows have in memory.
        keys: at most so many keys its sparse columns have.
    """

    name: SealedName
    rows: int
    size: int
    keys: int = 0

    @property
    def level(self) -> int:
        """How often its rows were merged, at least: the logarithm of its number of segments."""
        segments = self.name.last - self.name.first + 1
        return (segments.bit_length() - 1) // (_FAN.bit_length() - 1)

    @property
    def is_small(self) -> bool:
        """Whether it is worth merging."""
        is_short = self.rows < live_table.MOST_ROWS and self.keys < live_table.MOST_KEYS // _SMALL
        return is_short and self.size < live_table.MOST_BYTES // _SMALL

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
        one = [_counted(merged, target)] if target.exists() else []
        self._line = [*self._line[: -len(files)], *one] if one and one[0].is_small else []
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
    rows, size, keys = (sum(each) for each in zip(*(file[1:] for file in files), strict=True))
    return OwnFile(name, rows, size, keys)


def _counted(file: OwnFile, path: Path) -> OwnFile:
    """A merged file with the number of its keys; those that it was merged of can share them."""
    if not file.keys:
        return file
    try:
        return file._replace(keys=len(columns_in(pq.read_schema(path)).sparse))
    except UNREADABLE:
        return file
