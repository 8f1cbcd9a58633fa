"""The summary of a W&B run: what it has beside the values that were logged last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from .contract import Report
from .protobuf import BadMessageError, fields
from .wandb_items import items_of, merge, path_of, rebuilt, remove

__all__ = ["Summary"]

#: Longer texts are compared by checksums.
_READABLE: Final = 64


class Summary:
    """Follows the records of a summary, and the values that are logged.

    W&B writes the summary of a row of history before that, and older versions write it at the end.

    Args:
        state: what ``state`` gave, to go on.
    """

    def __init__(self, file: Path, report: Report, state: Mapping[str, Any] | None = None) -> None:
        state = state or {}
        self._file, self._report = file, report
        self._values: dict[str, Any] = dict(state.get("values", {}))
        #: The values that were logged last, and marks of those of an earlier import.
        self._last: dict[str, Any] = {}
        self._marks: dict[str, str] = dict(state.get("marks", {}))
        #: A record that may have only what the next row of history has.
        self._mirror: bytes | None = None
        self._clock = b""
        #: Whether it has other values of metrics than the last ones, by rules of ``define_metric``.
        self.has_rules = bool(state.get("rules"))

    def state(self) -> dict[str, Any]:
        """What ``Summary`` takes to go on, plain JSON."""
        marks = self._marks | {key: _mark(value) for key, value in self._last.items()}
        return {"values": self._values, "marks": marks, "rules": self.has_rules}

    def note(self, data: bytes) -> None:
        """Take a record of the summary."""
        self._settle()
        if b"\x12\x05_step" in data:
            self._mirror = data
        elif data != self._clock:
            self.take(data)
            self._clock = data

    def before(self, data: bytes, begin: int, end: int) -> None:
        """Take what stands before a row of history."""
        mirror, self._mirror = self._mirror, None
        if mirror is None:
            return
        if self.has_rules or not _is_mirror(mirror, data, begin, end):
            self.take(mirror)
        elif self._values:
            for key in self._values.keys() & {path[0] for path, _ in items_of(mirror)[0]}:
                del self._values[key]

    def logged(self, columns: Mapping[str, list[Any]]) -> None:
        """Take the values of rows of history."""
        for key, values in columns.items():
            if (last := values[-1]) is None:
                last = next((each for each in reversed(values) if each is not None), None)
            if last is not None:
                self._last[key] = last

    def take(self, data: bytes) -> None:
        """Set the values of a record, and remove those that it removes."""
        try:
            found, _ = items_of(data)
            removed = [path_of(value) for number, value in fields(data) if number == 2]
        except BadMessageError as error:
            self._report.add(self._file, f"summaries left out: {error}")
            return
        values = rebuilt(found, self._file, self._report)
        for key in ("_wandb", "_step", "_timestamp", "_runtime"):
            values.pop(key, None)
        merge(self._values, values)
        remove(self._values, removed)

    def final(self) -> dict[str, Any]:
        """All values that are not those that were logged last."""
        self._settle()
        return {
            key: value
            for key, value in self._values.items()
            if value is not None and not self._is_last(key, value)
        }

    def _settle(self) -> None:
        """Take the record that was not followed by its row."""
        mirror, self._mirror = self._mirror, None
        if mirror is not None:
            self.take(mirror)

    def _is_last(self, key: str, value: Any) -> bool:
        mark = _mark(self._last[key]) if key in self._last else self._marks.get(key)
        return mark == _mark(value)


def _mark(value: Any) -> str:
    """Equal for equal values, also NaN, and for dicts but for None; short ones are readable."""
    text = json.dumps(_without_none(value), sort_keys=True, default=repr)
    return text if len(text) <= _READABLE else blake2b(text.encode(), digest_size=16).hexdigest()


def _without_none(value: Any) -> Any:
    """A value as it is in the summary, in which dicts lack what is None."""
    if not isinstance(value, dict):
        return value
    return {key: _without_none(each) for key, each in value.items() if each is not None}


def _is_mirror(summary: bytes, history: bytes, begin: int, end: int) -> bool:
    """Whether a summary is as long as a history record, which has its step behind the same items."""
    at = begin + len(summary)
    return at + 1 < end and history[at] == 0x12 and at + 2 + history[at + 1] == end
