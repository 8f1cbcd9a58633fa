"""A recorder for where nothing is to be logged, so that code that logs runs there as well."""

from __future__ import annotations

from typing import Any

from rigorous_recorder import Recorder

__all__ = ["SilentRecorder"]


class SilentRecorder(Recorder):
    """A recorder that drops what it gets."""

    __slots__ = ()

    def push(self, *_: Any, **__: Any) -> SilentRecorder:
        """Drop a record, a field, a table or a parent."""
        return self

    add = extend = set_parent = push

    def commit(self) -> SilentRecorder:
        """Drop what was added."""
        return self

    def child(self, *_: Any, **__: Any) -> SilentRecorder:
        """Drop what the child gets, as well."""
        return self

    def update(self, *_: Any, **__: Any) -> None:
        """Drop attributes."""

    def __setitem__(self, key: str, value: Any) -> None:
        pass
