"""The methods of a sequence of rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Reversible
from typing import overload

from ._engines.rows import Row
from .errors import ArgumentError

__all__ = ["RowSequence"]


class RowSequence(Collection[Row], Reversible[Row]):
    """Rows by index, with all methods of a sequence.

    It is not an instance of ``collections.abc.Sequence``: of one, Polars finds columns in the first
    hundred rows alone, and drops those that come later. Of this it takes the Arrow stream.
    """

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    @abstractmethod
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        """A row, or a list of rows."""

    def __contains__(self, row: object) -> bool:
        return any(each == row for each in self)

    def __reversed__(self) -> Iterator[Row]:
        return map(self.__getitem__, range(len(self) - 1, -1, -1))

    def index(self, row: object, start: int = 0, stop: int | None = None) -> int:
        """The index of the first equal row, from ``start`` on and before ``stop``.

        Raises:
            ValueError: there is none.
        """
        places = range(len(self))[start:stop]
        for at, each in enumerate(self):
            if at in places and each == row:
                return at
        message = "no such row"
        raise ArgumentError(message)

    def count(self, row: object) -> int:
        """The number of equal rows."""
        return sum(each == row for each in self)
