"""Imports the runs of other tools into a collection: once, again, or as they are written."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._arrow import pc
from rigorous_recorder.errors import ArgumentError, MissingPackageError

from .contract import Record, Report, Rows, Run, Source
from .formats import Found, find
from .readers import ReaderDiedError, Readers
from .reading import Task, events_of
from .target import SourceTarget, Target
from .watching import Watch

__all__ = ["Imported", "Listed", "find_runs", "import_runs", "list_runs"]

#: How many seconds of an import a kill repeats at most.
_CHECKPOINT: Final = 10.0
#: By so many first bytes a file is distinguished from another of its name.
_HEAD: Final = 4096
#: How many seconds there are between two calls that show the progress.
_SHOWN: Final = 0.1
#: A process that reads sources is worth its start for so many bytes of them.
_WORTH: Final = 16 << 20
#: How many seconds there are between two looks at the sources that are followed: so many times what
#: a look costs, within these bounds.
_TIMES: Final = 120
_SHORTEST: Final = 0.25
_LONGEST: Final = 0.6


#: The name, size and time of each file of a source.
_Fingerprint = list[list[Any]]


@dataclass(slots=True)
class Imported:
    """What an import did.

    Attributes:
        sources: how many sources there are, by the names of formats.
        unchanged: how many of them have nothing new since the last import.
        records: how many records were added.
        report: what was lost, marked or damaged.
    """

    sources: dict[str, int] = field(default_factory=dict)
    unchanged: int = 0
    records: int = 0
    report: Report = field(default_factory=Report)


@dataclass(slots=True)
class Listed:
    """A run of a source: its records, and how many of them have each key."""

    format: str
    source: Path
    run: Run
    records: int = 0
    keys: Counter[str] = field(default_factory=Counter)


def find_runs(
    sources: Iterable[str | PathLike[str]] | str | PathLike[str],
    *,
    format: str | None = None,  # noqa: A002 - the word of the command line
    **options: Any,
) -> Found:
    """What can be imported of some paths: pairs of a format and a source.

    Raises:
        ArgumentError: the format has no such name, or nothing of it is at one of the paths.
    """
    found: Found = []
    for path in _paths(sources):
        names = () if format is None else (format,)
        if "://" in str(path):
            here = find(Path(), ("mlflow",), {**options, "url": str(path)})
        else:
            here = find(_existing(path), names, options)
        if not here:
            what = "the runs of no known tool" if format is None else f"no runs of {format}"
            message = f"{path}: {what} found; expected a file, a run's folder or a folder of many"
            tables = "; folders of tables need their format: csv, jsonl or parquet"
            raise ArgumentError(message + (tables if format is None else ""))
        found += here
    if format is None and len({each.name for each, _ in found}) > 1:
        return [(each, replace(source, is_beside_others=True)) for each, source in found]
    return found


def _paths(
    sources: Iterable[str | PathLike[str]] | str | PathLike[str],
) -> list[str | PathLike[str]]:
    return [sources] if isinstance(sources, (str, PathLike)) else list(sources)


def _existing(path: str | PathLike[str]) -> Path:
    found = Path(path).expanduser().absolute()
    if not found.exists():
        message = f"{path} does not exist; expected a file or a folder with runs"
        raise ArgumentError(message)
    return found


def import_runs(  # noqa: PLR0913 - all but two by keyword
    sources: Iterable[str | PathLike[str]] | str | PathLike[str],
    collection: ExperimentCollection | str | PathLike[str],
    *,
    format: str | None = None,  # noqa: A002 - the word of the command line
    follow: bool | Callable[[], bool] = False,
    jobs: int | None = None,
    progress: Callable[[int, int, int], None] | None = None,
    found: Callable[[Found], None] | None = None,
    **options: Any,
) -> Imported:
    """Import the runs of other tools: the tree and all values of them, each once.

    Importing again adds only what is new, and an import that was killed is completed.

    Args:
        sources: files, folders of runs, or folders of many; also URLs of SQLAlchemy, such as
            ``postgresql://user@host/mlflow``, of databases of MLflow.
        collection: a collection, or its path.
        format: the name of the format, such as ``tensorboard``; None finds it by looking.
        follow: keep up with sources that are being written, until Ctrl-C or this returns False.
        jobs: how many processes read sources at once, with the same result; None for as many as there
            are cores, if there is enough to read.
        progress: is called with the number of sources done, of all of them, and of records.
        found: is called with what was found, before anything is written.
        options: what some formats take: ``parent=["fold"]`` for CSV, JSONL and Parquet.

    Raises:
        ArgumentError: a path does not exist, or has no runs; ``jobs`` is not a valid number.
        SaveError: the collection can't be written.

    Examples:
        >>> from rigorous_recorder.importers import import_runs
        >>> import_runs("runs/", "data/old")  # doctest: +SKIP
    """
    if jobs is not None and (type(jobs) is not int or jobs < 1):
        message = f"jobs={jobs!r}: expected a number of processes, 1 or more, or None"
        raise ArgumentError(message)
    paths = _paths(sources)
    watch = _watch(paths) if follow else None  # what is written from now on is seen later

    def find_all() -> Found:
        return find_runs(paths, format=format, **options)

    first = find_all()  # raises before anything is created
    if found is not None:
        found(first)
    with ExitStack() as opened:
        if not isinstance(collection, ExperimentCollection):
            collection = opened.enter_context(ExperimentCollection(collection))
        importing = _Importing(collection, progress)
        if watch is None or follow is False:
            importing.once(first, jobs)
            return importing.done
        following = _Following(importing, find_all, watch)
        following.begin(first, jobs)
        while follow is True or follow():
            time.sleep(following.pause)
            following.go_on()
        return importing.done


def _watch(paths: Iterable[str | PathLike[str]]) -> Watch:
    watch = Watch(path for path in paths if "://" not in str(path))
    watch.look()
    return watch


class _Following:
    """Imports what is written; while nothing is, sizes and times of files are all that is looked at."""

    def __init__(
        self,
        importing: _Importing,
        find_all: Callable[[], Found],
        watch: Watch,
    ) -> None:
        self._importing = importing
        self._find_all = find_all
        self._watch = watch
        self._found: Found = []
        #: The sources of which a file is one, by their numbers.
        self._by_file: dict[str, set[int]] = {}
        #: Those without files, such as remote databases: each time they are read.
        self._unwatched: set[int] = set()
        #: After how many seconds to look again.
        self.pause = _SHORTEST

    def begin(self, found: Found, jobs: int | None) -> None:
        """Import all that was found."""
        self._know(found)
        self._importing.once(self._found, jobs)

    def go_on(self) -> None:
        """Import what was written since the last time."""
        start = time.process_time()
        written = self._watch.look()
        cost = _TIMES * (time.process_time() - start)
        self.pause = min(max(cost, _SHORTEST), _LONGEST)
        if written is None or not written <= self._by_file.keys():
            self._find()
            self._importing.once(self._found, 1)
        elif numbers := self._unwatched.union(*(self._by_file[path] for path in written)):
            among = [self._found[each] for each in sorted(numbers)]
            self._importing.once(self._found, 1, among)

    def _find(self) -> None:
        try:
            found = self._find_all()
        except ArgumentError:
            found = []  # it was moved, and may come back
        self._know(found)

    def _know(self, found: Found) -> None:
        self._found = [(format_, replace(source, is_written=True)) for format_, source in found]
        self._by_file, self._unwatched = {}, set()
        for number, (_, source) in enumerate(self._found):
            if not source.files:
                self._unwatched.add(number)
            for file in map(str, source.files):
                self._by_file.setdefault(file, set()).add(number)
        self._watch.add(self._by_file)


class _Importing:
    def __init__(
        self,
        collection: ExperimentCollection,
        progress: Callable[[int, int, int], None] | None,
    ) -> None:
        self.target = Target(collection)
        self.done = Imported()
        self._progress = progress
        self._saved = time.monotonic()
        self._shown = 0.0
        #: The sizes and times of sources that are followed, or whose reader died, when they were read.
        self._seen: dict[Path, _Fingerprint] = {}

    def once(self, found: Found, jobs: int | None, among: Found | None = None) -> None:
        """Import what is new in the sources, or in those among them that may have something new."""
        self.done.sources = dict(Counter(format_.name for format_, _ in found))
        with self.target.turn():
            changed = list(self._changed(found if among is None else among))
            self.done.unchanged = len(found) - len(changed)
            tasks = [task for task, _ in changed]
            with Readers(tasks, _jobs_for(changed) if jobs is None else jobs) as readers:
                for number, (task, before) in enumerate(changed, 1 + self.done.unchanged):
                    self._import(task, before, readers)
                    if self._is_time():
                        self.target.flush()
                    self._show(number, len(found))

    def _changed(self, found: Found) -> Iterator[tuple[Task, _Fingerprint]]:
        """The sources that are new or were written since the last import, with sizes and times."""
        for format_, source in found:
            before = _fingerprint(source)
            if before and self._seen.get(source.path) == before:
                continue
            state = self.target.state(format_, source)
            levels = self._levels(source, state)
            if before and state.get("files") == before:
                continue
            is_anew = _is_anew(source, state.get("head"))
            task = Task(format_, levels, None if is_anew else state.get("position"), is_anew)
            yield task, before

    def _levels(self, source: Source, state: Mapping[str, Any]) -> Source:
        """A source with the levels that it was imported with, which can't be others any more."""
        known, given = state.get("parent", []), source.options.get("parent", [])
        if not state or known == given:
            return source
        if given:
            text = (
                f"was imported with {_named(known)}, and stays so: for others use a new collection"
            )
            self.done.report.add(source.path, text, once=True)
        return replace(source, options={**source.options, "parent": known})

    def _show(self, number: int, of: int) -> None:
        if self._progress is not None and (number == of or self._is_seen()):
            self.target.new_experiments.release()  # what is called may begin some itself
            self._progress(number, of, self.done.records)

    def _is_seen(self) -> bool:
        """Whether the progress was last shown so long ago that a change can be seen."""
        if time.monotonic() - self._shown < _SHOWN:
            return False
        self._shown = time.monotonic()
        return True

    def _import(self, task: Task, before: _Fingerprint, readers: Readers) -> None:
        format_, source, *_ = task
        report = self.done.report
        into = SourceTarget(self.target, format_, source, report)
        if task.is_anew:
            text = "was written anew since it was imported: as many records as then are not taken"
            report.add(source.path, text)
            into.restart()
        more: dict[str, Any] = {}
        try:
            into.write(readers.events(task, report), self._is_time)
            if before and format_.only_grows:
                more["head"] = _head(source, before[0][1])
        except MissingPackageError as error:
            if not source.is_beside_others:
                raise
            report.add(source.path, f"not taken: {error}", once=True)
            return  # it is not stored as read: the package may be installed later
        except ReaderDiedError as error:
            text = f"its reader ended ({error}): what came before is imported, the rest is not"
            report.add(source.path, text)
            self._seen[source.path] = before
        if source.is_written:
            self._seen[source.path] = before
        elif source.path not in self._seen:
            more["files"] = before
        into.save(**more)
        self.target.forget()
        self.done.records += into.written

    def _is_time(self) -> bool:
        if time.monotonic() - self._saved < _CHECKPOINT:
            return False
        self._saved = time.monotonic()
        return True


def _named(levels: list[str]) -> str:
    return " ".join(f"--parent {key}" for key in levels) or "no --parent"


def _jobs_for(changed: list[tuple[Task, _Fingerprint]]) -> int:
    """As many processes as read faster than one, of which each has enough to do."""
    slow = [before for task, before in changed if not task.format.is_quick]
    size: int = sum(file[1] for before in slow for file in before)
    return min(_cores(), len(changed), size // _WORTH)


def _cores() -> int:
    of_this = getattr(os, "sched_getaffinity", None)  # which macOS lacks
    return os.cpu_count() or 1 if of_this is None else len(of_this(0))


def _fingerprint(source: Source) -> _Fingerprint:
    """Size and time of the files of a source, which differ once one was written."""
    found = []
    for file in source.files or (source.path,):
        try:
            now = file.stat()
        except OSError:
            continue
        found.append([file.name, now.st_size, now.st_mtime_ns])
    return found


def _is_anew(source: Source, head: list[int] | None) -> bool:
    """Whether a file is shorter than it was, or begins otherwise."""
    now = _head(source, head[0]) if head else []
    return bool(now) and now != head


def _head(source: Source, size: int) -> list[int]:
    """The size of a file, or how much of that it has, and the checksum of its first bytes."""
    try:
        with source.path.open("rb") as file:
            first = file.read(min(size, _HEAD))
            return [min(size, file.seek(0, 2)), crc32(first)]
    except OSError:
        return []  # which is reported when it is read


def list_runs(found: Found, report: Report) -> Iterator[Listed]:
    """The runs of sources with their keys and counts; nothing is written."""
    for format_, source in found:
        runs: dict[str, Listed] = {}
        for event in events_of(Task(format_, source), report):
            if isinstance(event, Run):
                runs.setdefault(event.id, Listed(format_.name, source.path, event))
            elif isinstance(event, Record):
                present = (key for key, value in event.fields.items() if value is not None)
                _count(runs[event.run], dict.fromkeys(present, 1), 1)
            elif isinstance(event, Rows) and event.runs is not None:
                for number, run in enumerate(event.runs.dictionary.to_pylist()):
                    own = pc.equal(event.runs.indices, number)
                    columns = {key: each.filter(own) for key, each in event.columns.items()}
                    _count(runs[run], _counts(columns), pc.sum(own).as_py())
            elif isinstance(event, Rows):
                _count(runs[event.run], _counts(event.columns), event.size)
        yield from runs.values()


def _count(listed: Listed, keys: Mapping[str, int], records: int) -> None:
    listed.records += records
    listed.keys.update(keys)


def _counts(columns: Mapping[str, Any]) -> dict[str, int]:
    return {key: len(values) - getattr(values, "null_count", 0) for key, values in columns.items()}
