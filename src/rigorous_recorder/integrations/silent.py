"""A recorder for where nothing is to be logged, so that code that logs runs there as well."""

from __future__ import annotations

from typing import Any

from rigorous_recorder import Recorder

__all__ = ["SilentRecorder"]


class SilentRecorder(Recorder):
    """A recorder that drops the records that it gets; its attributes can be read back."""

    __slots__ = ()

    def push(self, *_: Any, **__: Any) -> SilentRecorder:
        """Drop a record, a field, a table or a parent."""
        return self

    add = extend = set_parent = push

    def commit(self) -> SilentRecorder:
        """Drop what was added."""
        return self

    def child(self, data: object | None = None, /, **local_data: Any) -> SilentRecorder:
        """Another one, below none: it is forgotten with the last reference to it."""
        return SilentRecorder(data, **local_data)

    SubRecorder = SubRecordKeeper = child
