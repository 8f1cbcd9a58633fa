"""What a format gives to an import: its sources, and their contents as a stream of events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

__all__ = [
    "Event",
    "Format",
    "Loss",
    "Position",
    "Record",
    "Report",
    "Rows",
    "Run",
    "Source",
    "media",
    "numbered",
    "utc_time",
]

_START: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: An import reports at most this many different lines, however damaged the sources are.
_MOST_LINES: Final = 1000


@dataclass(frozen=True, slots=True)
class Source:
    """The smallest part of what is imported that is read, followed and resumed by itself.

    Args:
        path: a file, or the folder of a run.
        files: what is read of it; while size and time of all of them are the same, nothing is new.
        name: the run's name where the source has none: its path below the path that was given.
        options: what the format needs to read it, as given by the caller.
        is_ordered: whether records of a run that were given before come first, in the same order, when
            it is read again after it has grown.
        is_joined: whether values that follow each other are joined to records, so that one of which
            only a part had been written was imported in parts, with the same step and time.
        is_written: whether it may be written on at any time, since it is followed.
        is_beside_others: whether sources of other formats were found with it: one that needs a
            package that is not installed does not end the import then.
    """

    path: Path
    files: tuple[Path, ...] = ()
    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    is_ordered: bool = True
    is_joined: bool = False
    is_written: bool = False
    is_beside_others: bool = False


class Run(NamedTuple):
    """A run, or a part of one; given again, its attributes are updated.

    Args:
        id: by which records refer to it, unique in the source; also its attribute ``run_id``. If
            the source has none, it is empty, and ``run_id`` is the name of the file or folder.
        name: the attribute ``run``; None for a part of a run, such as its system metrics.
        config: the configuration, by its own names.
        about: all other attributes, with names that are the same for all formats: ``status`` (running,
            finished, failed, crashed, stopped, pruned), ``start_time`` and ``end_time`` (by
            ``utc_time``), ``tags``, ``notes``, ``host``, ``user``, ``group``, ``job_type``,
            ``project``, ``experiment``, ``exit_code``, ``git_commit``, ``command``.
        parent: the id of the run that it is below; None for a run of its own.
        part: of a part of a run, its attribute ``part``, unique below its parent, such as ``system``;
            or the attributes by which it is known.
    """

    id: str
    name: str | None = None
    config: Mapping[str, Any] = {}
    about: Mapping[str, Any] = {}
    parent: str | None = None
    part: str | Mapping[str, Any] | None = None


class Record(NamedTuple):
    """A record of a run that was given before: what one call logged at one step.

    Args:
        run: the run's id.
        fields: metrics by their names in the source, each with a value that can be stored.
        step: None if the source has none.
        time: when it was logged, by ``utc_time``; None if the source does not tell.
    """

    run: str
    fields: Mapping[str, Any]
    step: int | float | None = None
    time: datetime | None = None


class Rows(NamedTuple):
    """Many records of a run as columns of one length; what is null in a column is missing.

    Args:
        run: the run's id; empty if they are of several.
        columns: metrics by their names in the source.
        steps, times: a column, or None.
        runs: of which run each record is, as a dictionary column, if they are of several.
    """

    run: str
    size: int
    columns: Mapping[str, Any]
    steps: Any = None
    times: Any = None
    runs: Any = None


class Position(NamedTuple):
    """From where the source can be read on, plain JSON; all events before it are given.

    None, before all other events, is the start: the position that was given to ``read`` is of no use.
    Without any position the source is read from its start each time, and what was written is skipped.
    """

    value: Any


Event = Run | Record | Rows | Position


@dataclass(slots=True)
class Loss:
    """A line of the report: what was lost, marked or damaged in a file, and how often."""

    file: Path
    text: str
    offset: int | None = None
    count: int = 0

    def __str__(self) -> str:
        where = "" if self.offset is None else f" at byte {self.offset:,}"
        times = f" ({self.count:,})" if self.count != 1 else ""
        return f"{self.file}{where}: {self.text}{times}"


class Report:
    """Collects what was lost, marked or damaged, in one line for each file and kind."""

    def __init__(self) -> None:
        self._lines: dict[tuple[Path, str], Loss] = {}
        #: How many kinds were left out, because there were too many.
        self.left_out = 0

    def add(
        self,
        file: Path,
        text: str,
        *,
        offset: int | None = None,
        count: int = 1,
        once: bool = False,
    ) -> None:
        """Count something that happened in a file, where it happened first, and how often.

        Args:
            text: what it is, alike for all cases of its kind: no value of the file in it.
            once: whether it is a state of the file, which is seen each time that it is read.
        """
        key = file, text
        if once and key in self._lines:
            self._lines[key].offset = offset
            return
        if key not in self._lines:
            if len(self._lines) >= _MOST_LINES:
                self.left_out += 1
                return
            self._lines[key] = Loss(file, text, offset)
        self._lines[key].count += count

    def merge(self, other: Report) -> None:
        """Add what another report has, which was made elsewhere of sources of its own."""
        for loss in other.losses:
            self.add(loss.file, loss.text, offset=loss.offset, count=loss.count)
        self.left_out += other.left_out

    @property
    def losses(self) -> list[Loss]:
        """The lines, in order of their first case."""
        return list(self._lines.values())


@dataclass(frozen=True, slots=True)
class Format:
    """A format of another tool.

    Args:
        name: what is typed: ``tensorboard``.
        title: the tool's own name.
        find: the sources at or below a path, sorted; it looks at names, and at first bytes, and gives
            nothing that it is not sure of.
        read: the events of a source in order, from a position on that it gave before (None: from the
            start); it reports what is damaged and goes on, and raises only ``OSError``.
        is_general: whether any tool can write such files, as CSV: found only if it is named, or if the
            path is such a file itself.
        options: names of the options that ``find`` copies to its sources.
        is_quick: whether it is read faster than what is read goes from one process to another.
        only_grows: whether files of it are text that is only ever written on at the end.
    """

    name: str
    title: str
    find: Callable[[Path, Mapping[str, Any]], Iterator[Source]]
    read: Callable[[Source, Report, Any], Iterator[Event]]
    is_general: bool = False
    options: tuple[str, ...] = ()
    only_grows: bool = False
    is_quick: bool = False


def utc_time(seconds: Any) -> datetime | None:
    """The time that is so many seconds after 1970; None if it is not a time of the years 1 to 9999."""
    try:
        return _START + timedelta(seconds=seconds)
    except (OverflowError, ValueError, TypeError):
        return None


def numbered(key: str, at: int, of: int) -> str:
    """The key of one of several values of a key: the key itself if there is only one."""
    return key if of == 1 else f"{key}/{at}"


def media(key: str, data: bytes, name: str, **more: Any) -> dict[str, Any]:
    """The fields of a picture, a sound or another file: its bytes, its name, and more about it."""
    about = {f"{key}/{each}": value for each, value in more.items()}
    return {key: data, f"{key}/name": name, **about}
