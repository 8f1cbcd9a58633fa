"""Recent: what was read last, in bounded memory."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final

__all__ = ["Recent"]

#: How many results are held, whatever their size.
_MOST_RESULTS: Final = 256


class Recent:
    """Results by key, of which the least recently used are dropped.

    Two threads may drop the same result, or more than need be; none waits for the other.

    Args:
        most: the size of all results together, in bytes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: dict[Hashable, tuple[Any, int]] = {}

    def get(self, key: Hashable) -> Any:
        """A result; None if it is not there."""
        found = self._found.pop(key, None)
        if found is None:
            return None
        self._found[key] = found  # now the last to be dropped
        return found[0]

    def put(self, key: Hashable, result: Any, size: int) -> None:
        """Add a result, unless it alone is too large."""
        if size > self._most:
            return
        self._found[key] = result, size
        held = list(self._found.items())
        total = sum(each for _, (_, each) in held)
        for older, (_, each) in held[:-1]:
            if total <= self._most and len(self._found) <= _MOST_RESULTS:
                return
            self._found.pop(older, None)
            total -= each
