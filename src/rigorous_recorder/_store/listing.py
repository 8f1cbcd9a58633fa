"""A listing: which sealed files of a table count, by their names and the footers of merged ones."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from .folder import FileName, MergedName, SealedName, counting, sealed_name
from .parquet_fragment import ParquetFragment

__all__ = ["Listing"]


class Listing:
    """The sealed files of a table that count, in one snapshot.

    Attributes:
        names: the names in the folder.
        files: those that count.
        covered: those that don't, because others have their rows.
        unsure: merged files whose footer can't be read, so that it is unknown what they cover.
    """

    def __init__(self) -> None:
        self.names = frozenset[str]()
        self.files: list[FileName] = []
        self.covered = frozenset[FileName]()
        self.unsure: list[MergedName] = []
        self._ranges: dict[str, _Ranges] = {}

    @classmethod
    def of(
        cls,
        names: frozenset[str],
        merged: Mapping[MergedName, ParquetFragment | None],
        damaged: Collection[SealedName] = (),
    ) -> Listing:
        """The listing of all names in a folder.

        Args:
            names: the names.
            merged: the merged files among them.
            damaged: files of one writer whose footer can't be read, which therefore cover no others.
        """
        listing = cls()
        listing.names = names
        listing.unsure = [name for name, file in merged.items() if file is None]
        found = [each for each in map(sealed_name, names) if each is not None]
        readable = [
            _FileRanges(file.ranges, -file.rewritten, name) for name, file in merged.items() if file
        ]
        names_of_one = {each for each in found if isinstance(each, SealedName)}
        plain = counting(names_of_one.difference(damaged))
        # Files that cover others come before them.
        for each in sorted(
            [*readable, *(_FileRanges([name], 1, name) for name in plain)], key=_rank
        ):
            listing._add_unless_covered(each.name, each.ranges)
        for name in sorted(damaged):
            listing._add_unless_covered(name, [name])
        listing.covered = frozenset(found).difference(listing.files, listing.unsure)
        return listing

    def _add_unless_covered(self, name: FileName, ranges: Sequence[SealedName]) -> None:
        """Let a file count, unless those that were added before have all that is in it."""
        if all(self._holder(each) for each in ranges):
            return
        self.files.append(name)
        for each in ranges:
            self._ranges.setdefault(each.writer, _Ranges()).add(each, name)

    def with_names(self, names: frozenset[str]) -> Listing | None:
        """The listing of more names; None if it takes more than looking at these.

        That is unless each is of one writer, and has no segment in common with the files here.
        """
        added = list(map(sealed_name, names - self.names))
        if not self.names <= names or any(isinstance(each, MergedName) for each in added):
            return None
        new = sorted(each for each in added if isinstance(each, SealedName))
        more = Listing()
        more.names, more.covered, more.unsure = names, self.covered, self.unsure
        more.files = [*self.files, *new]
        more._ranges = self._ranges | {
            writer: self._ranges.get(writer, _Ranges()).copy() for writer in {n.writer for n in new}
        }
        for each in new:
            ranges = more._ranges[each.writer]
            if ranges.meet(each):
                return None
            ranges.add(each, each)
        return more

    def _holder(self, name: SealedName) -> FileName | None:
        """A file that counts and has all segments of another; None if there is none."""
        found = self._ranges.get(name.writer)
        return None if found is None else found.holder(name)

    def holder(self, writer: str, number: int) -> FileName | None:
        """The file that counts and has a writer's segment; None if it is not sealed."""
        return self._holder(SealedName(writer, number, number))

    def of_writer(self, writer: str) -> list[FileName]:
        """The files that count and have segments of a writer."""
        return self._ranges[writer].files if writer in self._ranges else []

    def last_number(self, writer: str) -> int:
        """The highest number of a writer's sealed segments; -1 if there are none."""
        return self._ranges[writer].last if writer in self._ranges else -1

    def has_writer(self, writer: str) -> bool:
        """Whether any segment of a writer is sealed."""
        return writer in self._ranges


class _Ranges:
    """The ranges of one writer in files that count.

    Those that no other one includes are sorted by their first numbers, and so by their last ones.

    Attributes:
        files: the files.
    """

    def __init__(self) -> None:
        self.files: list[FileName] = []
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._names: list[FileName] = []

    def copy(self) -> _Ranges:
        """A copy that can be added to."""
        new = _Ranges()
        for name, values in vars(self).items():
            setattr(new, name, values.copy())
        return new

    def add(self, added: SealedName, name: FileName) -> None:
        """Add the range of a file, which is the holder of what it shares only with smaller ones."""
        self.files.append(name)
        if self.holder(added) is not None:
            return
        start = stop = bisect_left(self._firsts, added.first)
        while stop < len(self._lasts) and self._lasts[stop] <= added.last:
            stop += 1
        self._firsts[start:stop] = [added.first]
        self._lasts[start:stop] = [added.last]
        self._names[start:stop] = [name]

    def holder(self, other: SealedName) -> FileName | None:
        """A file whose range includes another; None if there is none."""
        at = bisect_right(self._firsts, other.first) - 1
        return self._names[at] if at >= 0 and self._lasts[at] >= other.last else None

    def meet(self, other: SealedName) -> bool:
        """Whether any range has a number of another one."""
        at = bisect_right(self._firsts, other.last) - 1
        return at >= 0 and self._lasts[at] >= other.first

    @property
    def last(self) -> int:
        """The highest number."""
        return self._lasts[-1]


class _FileRanges(NamedTuple):
    """The ranges in a file, and its rank: of files with the same ranges the lowest one counts."""

    ranges: Sequence[SealedName]
    age: int
    name: FileName


def _rank(held: _FileRanges) -> tuple[int, int, FileName]:
    return -sum([1 + each.last - each.first for each in held.ranges]), held.age, held.name
