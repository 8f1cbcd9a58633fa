"""Rows in plain Python: a loop over all of them, access by index, and the memory of it."""

from __future__ import annotations

import random
import statistics
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import psutil  # type: ignore[import-untyped]
import pyarrow.parquet as pq

from query_contenders import open_collection
from query_shapes import DataSet
from turns import require_equal, seconds

__all__ = ["ACCESSES", "Access", "access_seconds", "loop_turns", "peak_of_list", "peak_of_loop"]

_STEPS: Final = 500
_SAMPLE_SECONDS: Final = 0.001
_CALLS: Final = 200

Rows = Sequence[Mapping[str, Any]]


def total(rows: Iterable[Mapping[str, Any]]) -> float:
    """The way to filter of the first README: two conditions, and a sum of what is left."""
    return float(sum(row["x"] for row in rows if row["episode"] == 2 and row["step"] < _STEPS))


def plain_rows(data: DataSet) -> list[dict[str, Any]]:
    """The flat rows, all in memory."""
    rows: list[dict[str, Any]] = pq.read_table(data.flat).to_pylist()
    return rows


# --- loop ------------------------------------------------------------------------------------


def loop_turns(data: DataSet, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of the loop over the records, and over a list, in turns.

    The list is made anew for each of its turns: while it is alive, Python's garbage collector goes
    through all its dicts again and again, which would slow the other one's turn.
    """
    records = open_collection(data).records
    require_equal(total(records), total(plain_rows(data)))
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(seconds(lambda: total(records)))
        rows = plain_rows(data)
        theirs.append(seconds(lambda rows=rows: total(rows)))  # type: ignore[misc]
        del rows
    return ours, theirs


# --- access ----------------------------------------------------------------------------------


class Access(NamedTuple):
    """One way to read some rows, at a place."""

    label: str
    rows: int
    places: Callable[[int], list[int]]
    take: Callable[[Rows, int], Any]


def _anywhere(count: int) -> list[int]:
    chance = random.Random(0)
    return [chance.randrange(count - 1_000) for _ in range(_CALLS)]


def _onwards(_count: int) -> list[int]:
    return list(range(_CALLS))


def _nowhere(_count: int) -> list[int]:
    return [0]


ACCESSES: Final = (
    Access("`records[i]`, i at random", 1, _anywhere, lambda rows, i: rows[i]),
    Access("`records[i]`, one after the other", 1, _onwards, lambda rows, i: rows[i]),
    Access("`records[i:i + 100]`, i at random", 100, _anywhere, lambda rows, i: rows[i : i + 100]),
    Access("`records[:1_000]`", 1_000, _nowhere, lambda rows, _: rows[:1_000]),
    Access("`records[-1_000:]`", 1_000, _nowhere, lambda rows, _: rows[-1_000:]),
    Access("`records[::300]`", 0, _nowhere, lambda rows, _: rows[::300]),
)


def access_seconds(data: DataSet, access: Access, rounds: int) -> float:
    """Seconds of one call, the median of rounds."""
    records = open_collection(data).records
    places = access.places(len(records))
    _check(data, access, records, places)

    def read() -> None:
        for place in places:
            access.take(records, place)

    return statistics.median(seconds(read) for _ in range(rounds)) / len(places)


def _check(data: DataSet, access: Access, records: Rows, places: list[int]) -> None:
    """See that the rows are those of the flat file."""
    rows = plain_rows(data)
    for place in places:
        found, expected = access.take(records, place), access.take(rows, place)
        for ours, theirs in _pairs(found, expected):
            require_equal({key: ours[key] for key in theirs}, theirs)


def _pairs(found: Any, expected: Any) -> Iterable[tuple[Mapping[str, Any], dict[str, Any]]]:
    return zip(found, expected, strict=True) if isinstance(found, list) else [(found, expected)]


# --- memory ----------------------------------------------------------------------------------


def peak_of_loop(folder: Path) -> int:
    """Bytes that this process needs for the loop, on top of what it has after the first row."""
    records = open_collection(DataSet(folder)).records
    return _peak(records, lambda: total(records))


def peak_of_list(folder: Path) -> int:
    """Bytes that this process needs for all rows as a list, on top of the same."""
    records = open_collection(DataSet(folder)).records
    return _peak(records, lambda: list(map(dict, records)))


def _peak(records: Rows, call: Callable[[], object]) -> int:
    next(iter(records))
    held = psutil.Process().memory_info
    before = peak = held().rss
    ended = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(_SAMPLE_SECONDS):
            peak = max(peak, held().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    result = call()
    ended.set()
    watcher.join()
    return max(peak, held().rss) - before if result is not None else 0
