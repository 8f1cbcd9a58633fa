"""Features: additions to the format that a collection uses, and that older versions refuse."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Final

from ..errors import NewerFormatError, NotACollectionError
from .folder import Folder
from .liveness import is_alive
from .watermark import read_watermark

__all__ = ["Feature"]

#: A process of an older version is looked for again only after this time.
_SECONDS: Final = 1.0


class Feature:
    """An addition to the format, which a writer lists in the collection before it uses it.

    A running process does not read the list again. So the feature waits for all writers to know it:
    each records which ones it knows.
    """

    def __init__(self, folder: Folder, name: str) -> None:
        self._folder = folder
        self._name = name
        self._is_listed = False
        self._next_look = 0.0

    def is_usable(self, own: Collection[str]) -> bool:
        """Whether files may use the feature; if so, the collection lists it from now on.

        Args:
            own: the names that this process writes under.

        Raises:
            OSError: the folder can't be read or written.
        """
        if not self._is_listed and time.monotonic() >= self._next_look:
            self._is_listed = self._list(own)
            self._next_look = time.monotonic() + _SECONDS
        return self._is_listed

    def _list(self, own: Collection[str]) -> bool:
        try:
            listed = self._name in self._folder.features()
        except (NewerFormatError, NotACollectionError):  # reported when it is opened
            return False
        if not listed and all(map(self._is_known_to, set(self._folder.writers()).difference(own))):
            self._folder.add_feature(self._name)
            return True
        return listed

    def _is_known_to(self, writer: str) -> bool:
        found = read_watermark(self._folder, writer)
        is_known = found is not None and self._name in found.features
        return is_known or not is_alive(self._folder, writer)
