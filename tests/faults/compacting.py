"""A process that is killed in the middle of a compaction.

Run as a script with two arguments: the collection's folder, and the step at which it is killed.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import rigorous_recorder._durable as durable
from rigorous_recorder import ExperimentCollection
from rigorous_recorder._store import compact

STEPS = ("in_write", "before_rename", "after_rename", "between_deletes")


def die() -> None:
    """As a process dies that the system kills."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(step: str) -> None:
    """Be killed at that step of merging the records."""
    publish, unlink, close = durable.publish, os.unlink, compact.pq.ParquetWriter.close
    deleted = 0

    def rename(temporary: Path, path: Path) -> None:
        is_due = path.parent.name == "records"
        if is_due and step == "before_rename":
            die()
        publish(temporary, path)
        if is_due and step == "after_rename":
            die()

    def delete(path: Any, **options: Any) -> None:
        nonlocal deleted
        unlink(path, **options)
        deleted += Path(path).parent.name == "records"
        if step == "between_deletes" and deleted == 2:
            die()

    def finish(writer: Any) -> None:
        if step == "in_write":
            die()
        close(writer)

    durable.publish, os.unlink = rename, delete
    compact.pq.ParquetWriter.close = finish


if __name__ == "__main__":
    die_at(sys.argv[2])
    ExperimentCollection(sys.argv[1]).compact()
