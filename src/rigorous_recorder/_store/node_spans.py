"""Which nodes the records of a sealed file have, as ranges of ids in its footer.

A first query joins records with these nodes, and would otherwise read ``_node`` of all rows to find them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from .._arrow import pa, pc
from .._live.column import NODE
from .._values.chunks import bool_scalar, count_to, int64_array, int64_scalar
from .folder import RECORDS

__all__ = ["NODE_SPANS", "NodeSpans", "nodes_in"]

#: The key of the ranges in a file's metadata.
NODE_SPANS: Final = b"rigorous.nodes"
#: A file has at most one range for so many rows, or a few; else it has none, and is read.
_ROWS_OF_A_SPAN: Final = 512
_FEW: Final = 4


class NodeSpans:
    """The nodes of rows that are written to a file, if these are records.

    Args:
        path: the path of the file, or of another one of its table.
    """

    def __init__(self, path: Path) -> None:
        self._is_used = path.parent.name == RECORDS
        self._nodes = [int64_array([])]
        self._rows = 0

    def add(self, table: pa.Table) -> None:
        """Add those of some rows."""
        self._rows += table.num_rows
        if self._is_used:
            self._nodes += map(pc.unique, table.column(NODE).chunks)

    @property
    def metadata(self) -> dict[bytes, bytes]:
        """The metadata of a file of all these rows; none if there are too many ranges."""
        if not self._is_used:
            return {}
        ids = pc.unique(pa.concat_arrays(self._nodes))
        spans = _spans_of(ids.take(pc.sort_indices(ids)))
        if len(spans) > max(_FEW, self._rows // _ROWS_OF_A_SPAN):
            return {}
        return {NODE_SPANS: json.dumps(spans).encode()}


def _spans_of(ids: pa.Array) -> list[tuple[int, int]]:
    """The first and the last id of each contiguous range of sorted ids."""
    if not len(ids):
        return []
    goes_on = pc.equal(pc.pairwise_diff(ids), int64_scalar(1)).fill_null(bool_scalar(value=False))
    starts = pc.indices_nonzero(pc.invert(goes_on)).cast(pa.int64())
    stops = pa.concat_arrays([starts.slice(1), int64_array([len(ids)])])
    lasts = ids.take(pc.subtract(stops, int64_scalar(1)))
    return list(zip(ids.take(starts).to_pylist(), lasts.to_pylist(), strict=True))


def nodes_in(text: bytes | None, rows: int) -> pa.Array | None:
    """The ids in the metadata of a file with so many rows; None if it lists none that are valid."""
    try:
        spans = json.loads(text or b"null")
        counts = [_length(*span) for span in spans]
    except (TypeError, ValueError):
        return None
    if not 0 < sum(counts) <= rows:
        return None
    ranges = zip(spans, counts, strict=True)
    return pa.concat_arrays([_range(first, count) for (first, _), count in ranges])


def _length(first: Any, last: Any) -> int:
    if type(first) is not int or type(last) is not int or not -(2**63) <= first <= last < 2**63:
        message = "not a range of ids"
        raise ValueError(message)
    return last - first + 1


def _range(first: int, count: int) -> pa.Array:
    return pc.add(count_to(count), int64_scalar(first))
