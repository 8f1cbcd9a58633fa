"""Reads a source: its events, until it can't be read further; and how they go from one process to another."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import IO, Any, Final, NamedTuple

from rigorous_recorder._arrow import pa
from rigorous_recorder.errors import MissingPackageError

from .batches import batched
from .contract import Event, Format, Report, Rows, Source

__all__ = ["Task", "events_of", "packed", "receive", "send"]

_SIZE: Final = 8


class Task(NamedTuple):
    """A source that is to be read.

    Args:
        position: from which on; None for its start.
        is_anew: whether it is another file than was imported by its name.
    """

    format: Format
    source: Source
    position: Any = None
    is_anew: bool = False


def events_of(task: Task, report: Report) -> Iterator[Event]:
    """The events of a source until it can't be read further, which is reported.

    Raises:
        MissingPackageError: a package that its format needs is not installed.
    """
    path = task.source.path
    try:
        yield from batched(task.format.read(task.source, report, task.position))
    except MissingPackageError:
        raise
    except OSError as error:
        report.add(path, f"can't be read: {error.strerror}")
    except Exception as error:  # noqa: BLE001 - the other sources are imported whatever one has
        report.add(path, f"can't be read further: {type(error).__name__}")


def send(file: IO[bytes], message: bytes) -> None:
    """Write a message.

    Raises:
        OSError: the other process has ended.
    """
    file.write(len(message).to_bytes(_SIZE, "little"))
    file.write(message)
    file.flush()


def receive(file: IO[bytes]) -> Any:
    """The next message.

    Raises:
        EOFError: the other process has ended.
    """
    size = int.from_bytes(_exactly(file, _SIZE), "little")
    return pickle.loads(_exactly(file, size))  # noqa: S301 - of a process of this library


def _exactly(file: IO[bytes], size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise EOFError
    return data


def packed(events: list[Event]) -> bytes:
    """Events as a message; of columns that are a part of others, only that part."""
    found = [_whole(event) if type(event) is Rows else event for event in events]
    return pickle.dumps(found, pickle.HIGHEST_PROTOCOL)


def _whole(rows: Rows) -> Rows:
    columns = {key: _copied(values) for key, values in rows.columns.items()}
    steps, times, runs = map(_copied, (rows.steps, rows.times, rows.runs))
    return rows._replace(columns=columns, steps=steps, times=times, runs=runs)


def _copied(values: Any) -> Any:
    """A column without the rest of its buffers, which it would take along."""
    return pa.concat_arrays([values, values[:0]]) if isinstance(values, pa.Array) else values
