"""A cache of the lows and highs of sealed files: Arrow files in the folder ``cache`` of a collection.

They may be deleted at any time. They are in the collection, not in a folder of the user, so that a
compaction that drops deleted rows can delete them, too, and a deleted collection leaves none. Each
names the size and time of the file it is of; if these differ, or it can't be read, it is not used.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

from .._arrow import pa
from .._lazy_imports import np
from .._store.folder import CACHE
from .reduce import block_ends

__all__ = ["PART", "Summaries", "Summary", "summary_of"]

_FORMAT: Final = "1"
#: Points of a block.
PART: Final = 256
#: In place of a position: NaN or infinity.
_ODD: Final = -1


class Summary(NamedTuple):
    """Of each block of many points the first, last, lowest and highest.

    Attributes:
        finite: the number of points with finite values.
        at: positions among these.
        x, y: their values.
        odd_x, odd_y: the points with NaN and infinities.
    """

    finite: int
    at: Any
    x: Any
    y: Any
    odd_x: Any
    odd_y: Any


def summary_of(x: Any, y: Any) -> Summary | None:
    """The summary of points in order of x; None if x does not rise."""
    is_finite = np.isfinite(y)
    odd_x, odd_y = x[~is_finite], y[~is_finite]
    x, y = x[is_finite], y[is_finite]
    if not len(y) or not np.isfinite(x).all() or not (x[1:] > x[:-1]).all():
        return None
    starts = np.arange(0, len(y), PART)
    rest = np.arange(len(y) // PART * PART, len(y))
    stops = np.append(starts[1:] - 1, len(y) - 1)
    at = np.unique(np.concatenate([starts, stops, *block_ends(y, PART), rest])).astype("i4")
    return Summary(len(y), at, x[at], y[at], odd_x, odd_y)


class Summaries:
    """The summaries of the row groups of sealed files, for one key over another."""

    def __init__(self, x: str, y: str) -> None:
        self._keys = {"x": x, "y": y}
        self._suffix = sha256(f"{x}\0{y}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
        self._read: dict[Path, dict[int, Summary]] = {}

    def of(self, sealed: Path, group: int) -> Summary | None:
        """The summary of a row group, if it is there."""
        if sealed not in self._read:
            self._read[sealed] = self._load(sealed)
        return self._read[sealed].get(group)

    def write(self, sealed: Path, found: Mapping[int, Summary]) -> None:
        """Write the summaries of a file, unless the folder can't be written."""
        found = {**self._read.get(sealed, {}), **found}
        self._read.pop(sealed, None)
        with suppress(OSError):
            self._write(sealed, found, self._metadata(sealed))

    def _path(self, sealed: Path) -> Path:
        return sealed.parent.parent / CACHE / f"{sealed.stem}-{self._suffix}.arrow"

    def _metadata(self, sealed: Path) -> dict[str, str]:
        there = sealed.stat()
        state = {"size": str(there.st_size), "changed": str(there.st_mtime_ns)}
        return {"format": _FORMAT, "file": sealed.name, **state, **self._keys}

    def _write(self, sealed: Path, found: Mapping[int, Summary], metadata: dict[str, str]) -> None:
        path = self._path(sealed)
        path.parent.mkdir(exist_ok=True)
        _sweep(path.parent, sealed.parent)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        table = pa.concat_tables([_table(group, each) for group, each in found.items()])
        coded = {key: value.encode("utf-8", "surrogatepass") for key, value in metadata.items()}
        try:
            table = table.replace_schema_metadata(coded)
            with (
                pa.OSFile(str(unfinished), "wb") as file,
                pa.ipc.new_file(file, table.schema) as to,
            ):
                to.write_table(table)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        # A compaction deletes the cache last: what is written after that is deleted here.
        with suppress(FileNotFoundError):
            if self._metadata(sealed) == metadata:
                return
        path.unlink(missing_ok=True)

    def _load(self, sealed: Path) -> dict[int, Summary]:
        try:
            with pa.OSFile(str(self._path(sealed)), "rb") as file:
                table = pa.ipc.open_file(file).read_all()
            there = {
                key.decode(): value.decode("utf-8", "surrogatepass")
                for key, value in (table.schema.metadata or {}).items()
            }
            if there != self._metadata(sealed):
                return {}
            return _summaries(*(table.column(name).to_numpy() for name in _COLUMNS))
        except (OSError, pa.ArrowException, KeyError, ValueError):
            return {}


def _sweep(cache: Path, records: Path) -> None:
    """Delete what is of files that are not there any more."""
    for each in cache.glob("*.arrow"):
        if not (records / f"{each.stem.rpartition('-')[0]}.parquet").exists():
            each.unlink(missing_ok=True)


_COLUMNS: Final = ("group", "position", "x", "y")


def _table(group: int, summary: Summary) -> pa.Table:
    odd = np.full(len(summary.odd_x), _ODD, "i4")
    arrays = {
        "position": np.concatenate([summary.at, odd]),
        "x": np.concatenate([summary.x, summary.odd_x]),
        "y": np.concatenate([summary.y, summary.odd_y]),
    }
    groups = np.full(len(arrays["x"]), group, "i4")
    return pa.table({"group": groups, **arrays})


def _summaries(groups: Any, positions: Any, xs: Any, ys: Any) -> dict[int, Summary]:
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    found = {}
    for start, stop in zip(starts, [*starts[1:], len(groups)], strict=True):
        at, x, y = (each[start:stop] for each in (positions, xs, ys))
        is_odd = at == _ODD
        odd = x[is_odd], y[is_odd]
        at, x, y = at[~is_odd], x[~is_odd], y[~is_odd]
        found[int(groups[start])] = Summary(int(at[-1]) + 1, at, x, y, *odd)
    return found
