"""A process whose records tell of themselves, and that notes what it has logged; and how such are checked.

Run as a script with a folder, the path of a note, the rows of a live table (0 for the usual number)
and whether live files are mapped.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import rigorous_recorder._live.table as live_table
from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._store import backend

#: Records of an episode.
EPISODE: Final = 200
_NOTE: Final = struct.Struct("<qq")


class Noted(NamedTuple):
    """How many records a process has logged, and of how many episodes it has said the total."""

    records: int
    totals: int


def read_note(path: Path) -> Noted:
    """What a process has recorded; zeros before the first time."""
    data = path.read_bytes() if path.exists() else b""
    return Noted(*_NOTE.unpack(data)) if len(data) == _NOTE.size else Noted(0, 0)


def fields_of(index: int) -> dict[str, Any]:
    """A record of which each value tells all others; the last column is the last in the file."""
    return {
        "i": index,
        "a": index * 7,
        "text": f"{index} is the number of this record",
        "short": str(index),
        "list": [index, index + 1],
        "d": index * 13,
    }


def is_right(row: dict[str, Any]) -> bool:
    """Whether a record is as it was logged, with all that it inherits; its total may be missing."""
    index = row["i"]
    episode = None if index is None else index // EPISODE
    return (
        index is not None
        and {key: row.get(key) for key in fields_of(0)} == fields_of(index)
        and (row["name"], row["episode"]) == ("a run", episode)
        and row.get("total") in {None, episode * 3}
    )


def log(experiment: Recorder) -> Iterator[Noted]:
    """Log without an end, each episode with what is known of it before and after its records."""
    index = 0
    while True:
        episode = experiment.child(episode=index // EPISODE)
        for _ in range(EPISODE):
            episode.push(fields_of(index))
            index += 1
            yield Noted(index, index // EPISODE)
        episode["total"] = 3 * (index // EPISODE - 1)


def main(folder: str, note: str, rows: int, *, is_mapped: bool) -> None:
    """Log until somebody ends it; what is written behind is recorded when it is written."""
    if rows:
        live_table.MOST_ROWS = rows  # type: ignore[misc]
        live_table.FIRST_ROWS = 64  # type: ignore[misc]
    backend.is_safe_to_map = lambda _: is_mapped  # type: ignore[attr-defined]
    collection = ExperimentCollection(folder, extension="", quiet=True)
    Path(note).write_bytes(_NOTE.pack(0, 0))
    with open(note, "r+b") as file, mmap.mmap(file.fileno(), _NOTE.size) as noted:  # noqa: PTH123
        with collection.new_experiment(name="a run") as experiment:
            for records, totals in log(experiment):
                if is_mapped:
                    # All pushes of a step have returned; of totals the last was said before it.
                    noted[:] = _NOTE.pack(records, max(totals - (records % EPISODE == 0), 0))
                elif records % 500 == 0:
                    collection._store.flush()
                    noted[:] = _NOTE.pack(records, max(totals - (records % EPISODE == 0), 0))
                if records % (100 if rows else 5000) == 0:
                    # Small tables are many files: without a pause a slow copy has ever more of them.
                    time.sleep(0.01 if rows else 0.001)
                if os.getppid() == 1:
                    return


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), is_mapped=sys.argv[4] == "mapped")
