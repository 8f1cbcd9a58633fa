"""The points of charts in few bytes: a header in JSON, and arrays, each as small as is exact."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from .._lazy_imports import np
from .plain import json_bytes

__all__ = ["Packed", "header_of", "start_of"]

#: The largest int of which all smaller ones are exact as float64.
_LARGEST_INT: Final = 2.0**53
_DELTAS: Final = (("u1", 0xFF), ("u2", 0xFFFF), ("u4", 0xFFFFFFFF))


class Packed:
    """Arrays one after the other, each at a multiple of 8 bytes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def rising(self, arrays: Sequence[Any]) -> list[str]:
        """Add arrays, one after the other: whole numbers that rise in each by their differences.

        Returns:
            The type; if these are differences, also that of the first values, which follow.
        """
        x, starts = _joined(arrays)
        if len(x) and np.abs(x).max() < _LARGEST_INT and bool((x == np.trunc(x)).all()):
            steps = np.diff(x, prepend=x[0])
            steps[starts] = 0
            kind = next((kind for kind, most in _DELTAS if steps.max() <= most), None)
            if kind and steps.min() >= 0:
                self._add(steps, kind)
                return [kind, self.exact([x[starts]])]
        return [self.exact(arrays)]

    def exact(self, arrays: Sequence[Any]) -> str:
        """Add arrays, one after the other, as float32 if they are exact so; returns the type."""
        values, _ = _joined(arrays)
        with np.errstate(over="ignore"):
            small = values.astype("f4")
        kind = "f4" if np.array_equal(small, values, equal_nan=True) else "f8"
        self._add(values, kind)
        return kind

    def about(self, arrays: Sequence[Any]) -> str:
        """Add values that are only drawn, as float32 where that has their range."""
        values, _ = _joined(arrays)
        with np.errstate(over="ignore"):
            small = values.astype("f4")
        kind = "f4" if np.isfinite(small).all() else "f8"
        self._add(values, kind)
        return kind

    def _add(self, values: Any, kind: str) -> None:
        found = values.astype(f"<{kind}").tobytes()
        self._parts.append(found + b"\0" * (-len(found) % 8))

    def message(self, header: Mapping[str, Any]) -> bytes:
        """The size of the header as 8 bytes, the header, padded with spaces, and the arrays."""
        text = json_bytes(header)
        text += b" " * (-len(text) % 8)
        return b"".join([len(text).to_bytes(8, "little"), text, *self._parts])


def header_of(message: bytes) -> dict[str, Any]:
    """The header of a message."""
    found: dict[str, Any] = json.loads(message[8 : start_of(message)])
    return found


def start_of(message: bytes) -> int:
    """Where the arrays of a message begin."""
    return 8 + int.from_bytes(message[:8], "little")


def _joined(arrays: Sequence[Any]) -> tuple[Any, Any]:
    """Arrays one after the other, and where those that are not empty start."""
    sizes = np.array([len(each) for each in arrays], "i8")
    starts = np.cumsum(sizes) - sizes
    return np.concatenate([*arrays, np.empty(0)]), starts[sizes > 0]
