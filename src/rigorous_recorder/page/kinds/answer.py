"""What a kind of chart answers: a header, and arrays of float64 by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..._lazy_imports import np
from ..plain import json_bytes

__all__ = ["Answer"]


class Answer(NamedTuple):
    """A header for JSON, and its arrays."""

    header: Mapping[str, Any]
    arrays: Mapping[str, Any]

    def packed(self) -> bytes:
        """Both in one: see ``plot``."""
        names = [[name, len(values)] for name, values in self.arrays.items()]
        head = json_bytes({**self.header, "arrays": names})
        head += b" " * (-len(head) % 8)
        values = (np.ascontiguousarray(each, "<f8").tobytes() for each in self.arrays.values())
        return b"".join([len(head).to_bytes(8, "little"), head, *values])
