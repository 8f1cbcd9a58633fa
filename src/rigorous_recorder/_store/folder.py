"""The layout of a collection's folder: names of files, and which of a writer's files count."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from .._durable import make_folder, sync_folder, write_whole
from .._lazy_imports import shutil
from ..errors import DamagedFileError, NewerFormatError, NotACollectionError, ReadOnlyError
from .path_checks import check_folder, check_regular

__all__ = [
    "CACHE",
    "FEATURES",
    "FORMAT",
    "NODES",
    "RECORDS",
    "SPARSE",
    "TABLES",
    "FileName",
    "Folder",
    "LiveName",
    "MergedName",
    "SealedName",
    "counting",
    "finished_in",
    "live_name",
    "sealed_name",
]

FORMAT: Final = 1
#: Files can have sparse columns.
SPARSE: Final = "sparse"
#: The subfolder of what was computed from sealed files, and may be deleted at any time.
CACHE: Final = "cache"
#: Additions to the format that this version reads and writes; docs/format.md lists them.
FEATURES: Final = frozenset({SPARSE})
NAME: Final = "rigorous-recorder"
RECORDS: Final = "records"
NODES: Final = "nodes"
TABLES: Final = (RECORDS, NODES)

#: Compiled on first use, since many processes never need it.
_SEALED: Final = r"([0-9a-f]{8})-(\d{1,18})(?:-(\d{1,18}))?\.parquet"
_MERGED: Final = r"merged-([0-9a-f]{32})\.parquet"
_UNFINISHED: Final = r"\.([0-9a-f]{8}|merged)-[-0-9a-f]+\.parquet\.tmp"
_LIVE: Final = r"([0-9a-f]{8})-(\d{1,18})\.(records|nodes)\.arrow"
_LOCK: Final = r"([0-9a-f]{8})\.lock"
_MARK: Final = r"([0-9a-f]{8})\.json"
_IN_USE: Final = r"([0-9a-f]{8})(?:\.lock|-\d{1,18}\.(?:records|nodes)\.arrow)"
_OF_WRITER: Final = r"([0-9a-f]{8})(?:\.lock|\.segments|-\d{1,18}\.(?:records|nodes)\.arrow)"

#: Errors of reading an invalid description.
_NOT_WRITTEN: Final = (
    ValueError,
    KeyError,
    TypeError,
    ArithmeticError,
    RecursionError,
    MemoryError,
)

_README: Final = """\
This folder is a collection of experiments, logged by rigorous-recorder (format {version}).
Every file in it is Parquet, Arrow or JSON, and can be read without rigorous-recorder.

  records/*.parquet   one row is one record: _node (whose record it is) and a column per key
  nodes/*.parquet     one row is one update of a recorder: _node, _parent, _time, and a column per key
  live/*.arrow        rows of a running writer, not in a Parquet file yet (_node = 0: no row)
  index.parquet       made from nodes/ to open it faster; may be missing, and can be deleted

DuckDB:  SELECT * FROM read_parquet('records/*.parquet', union_by_name = true)
Polars:  pl.concat([pl.read_parquet(f) for f in glob('records/*.parquet')], how='diagonal_relaxed')
Spark:   spark.read.schema('_node BIGINT, loss DOUBLE').parquet('records')
A record's full row is its own columns and, by _node and then _parent, those of its ancestors;
the nearest value that is not null wins. A node whose _parent is 2 is deleted, with all below it.
docs/format.md of rigorous-recorder has the details.
"""


class SealedName(NamedTuple):
    """The name of a sealed file: segments ``first`` to ``last`` of one writer."""

    writer: str
    first: int
    last: int

    def __str__(self) -> str:
        span = f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"
        return f"{self.writer}-{span}.parquet"

    def covers(self, writer: str, number: int) -> bool:
        """Whether this file contains a writer's segment."""
        return self.writer == writer and self.first <= number <= self.last

    def includes(self, other: SealedName) -> bool:
        """Whether this file contains all segments of the other."""
        return self.writer == other.writer and self.first <= other.first <= other.last <= self.last


class MergedName(NamedTuple):
    """The name of a sealed file of several writers, whose segments are listed in its footer."""

    token: str

    @classmethod
    def new(cls) -> MergedName:
        """A name that no file has."""
        return cls(os.urandom(16).hex())

    def __str__(self) -> str:
        return f"merged-{self.token}.parquet"


FileName = SealedName | MergedName


def sealed_name(text: str) -> FileName | None:
    """Parse the name of a sealed file; None if it is not one."""
    if match := re.fullmatch(_SEALED, text):
        name = SealedName(match[1], int(match[2]), int(match[3] or match[2]))
        # Another spelling, such as 007, could never be found under its canonical name.
        return name if name.first <= name.last and str(name) == text else None
    if match := re.fullmatch(_MERGED, text):
        return MergedName(match[1])
    return None


class LiveName(NamedTuple):
    """The name of a live file: one writer's segment of one table."""

    writer: str
    number: int
    table: str

    def __str__(self) -> str:
        return f"{self.writer}-{self.number}.{self.table}.arrow"


def live_name(text: str) -> LiveName | None:
    """Parse the name of a live file; None if it is not one."""
    if match := re.fullmatch(_LIVE, text):
        name = LiveName(match[1], int(match[2]), match[3])
        return name if str(name) == text else None  # not with 007
    return None


def counting(names: Iterable[SealedName]) -> list[SealedName]:
    """The files of one writer each that no other file's range covers, in order."""
    found: list[SealedName] = []
    for name in sorted(names, key=lambda each: (each.writer, each.first, -each.last)):
        if not (found and found[-1].writer == name.writer and name.last <= found[-1].last):
            found.append(name)
    return found


class Folder:
    """The folder of a collection: its paths, and their creation.

    Args:
        is_read_only: whether nothing may be written in it, not even temporarily.
    """

    def __init__(self, path: Path, *, is_read_only: bool = False) -> None:
        self.path = path
        self.is_read_only = is_read_only
        self.live = path / "live"
        #: Live files with rows that can't be trusted: not part of the collection.
        self.unsynced = path / "unsynced"
        self.info_path = path / "collection.json"
        #: The segments that an incomplete copy should have.
        self.incomplete_path = path / "incomplete.json"
        #: What resolving the nodes takes longest to find out: derived, and written again.
        self.index_path = path / "index.parquet"
        #: Views of the page, as JSON: no part of the data.
        self.views = path / "views"

    def drop_cache(self) -> None:
        """Delete what was computed from sealed files, of which some have changed."""
        shutil.rmtree(self.path / CACHE, ignore_errors=True)

    @property
    def places(self) -> list[Path]:
        """The subfolders."""
        return [self.live, *(self.table(name) for name in TABLES)]

    def table(self, name: str) -> Path:
        """The folder of a table's sealed files."""
        return self.path / name

    def sealed_path(self, table: str, name: FileName) -> Path:
        """The path of a sealed file."""
        return self.table(table) / str(name)

    def live_path(self, name: LiveName) -> Path:
        """The path of a live file."""
        return self.live / str(name)

    def lock_path(self, writer: str) -> Path:
        """The path of a writer's lock file."""
        return self.live / f"{writer}.lock"

    def watermark_path(self, writer: str) -> Path:
        """The path of a writer's sync watermark."""
        return self.live / f"{writer}.json"

    def started_path(self, writer: str) -> Path:
        """The path of a writer's record of the segments that it has started."""
        return self.live / f"{writer}.segments"

    def exists(self) -> bool:
        """Whether there is a collection.

        Raises:
            NotACollectionError: something else exists, or one of its folders is a link, or its
                ``collection.json`` is missing.
            NewerFormatError: a newer version of this library created it, or added a feature to it.
        """
        if self.info_path.is_file():
            self.info()
            self.check_places()
            return True
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            advice = (
                "It has the folders records and nodes: if it is a collection that lost it, everything"
                " in them can be recovered: ExperimentCollection.repair(folder, into), or rigorous"
                " repair"
                if all(self.table(name).is_dir() for name in TABLES)
                else "Choose another path, or move the existing one away"
            )
            message = (
                f"{self.path} exists and is not a collection: it has no collection.json. {advice}"
            )
            raise NotACollectionError(message)
        return False

    def require_writable(self) -> None:
        """Raise unless writing is allowed.

        Raises:
            ReadOnlyError: the collection was opened read-only.
        """
        if self.is_read_only:
            message = (
                f"{self.path} was opened read-only, and can't be changed; open it to write with"
                f" ExperimentCollection.open({str(self.path)!r})"
            )
            raise ReadOnlyError(message)

    def is_ours(self) -> bool:
        """Whether there is a collection, of any version."""
        try:
            return bool(self._description()["format"] == NAME)
        except (OSError, *_NOT_WRITTEN):
            return False

    def info(self) -> dict[str, Any]:
        """The content of ``collection.json``: format, version, id, created.

        Raises:
            NotACollectionError: it is not a valid description of a collection.
            NewerFormatError: it has a higher version, or a feature, that this library does not know.
        """
        try:
            info = self._description()
            version = int(info["version"])
            if not isinstance(info["id"], str):
                message = f"its id is {info['id']!r}"
                raise DamagedFileError(message)
            features = _features(info)
        except _NOT_WRITTEN as error:
            message = (
                f"{self.info_path} is not readable as a collection's description: {error}. What else"
                " the folder holds can be saved: ExperimentCollection.repair, or rigorous repair"
            )
            raise NotACollectionError(message) from error
        if newer := _newer(version, features):
            message = f"{self.path} {newer}. Upgrade: pip install --upgrade rigorous-recorder"
            raise NewerFormatError(message)
        return dict(info)

    def features(self) -> list[str]:
        """The additions to the format that the collection uses.

        Raises:
            NotACollectionError, NewerFormatError: as of ``info``.
        """
        return _features(self.info())

    def add_feature(self, name: str) -> None:
        """List an addition to the format, which older versions then refuse.

        Raises:
            OSError: it can't be written.
        """
        info = self.info()
        features = sorted({*_features(info), name})
        write_whole(self.info_path, json.dumps({**info, "features": features}, indent=2).encode())

    def _description(self) -> Any:
        check_regular(self.info_path)
        return json.loads(self.info_path.read_text(encoding="utf-8"))

    def check_places(self) -> None:
        """Raise unless the subfolders are real folders.

        Raises:
            NotACollectionError: one of them is a link, which is not followed, or not a folder.
        """
        try:
            for place in self.places:
                check_folder(place)
        except DamagedFileError as error:
            raise NotACollectionError(str(error)) from error

    def has_links(self) -> bool:
        """Whether one of the subfolders is a link, or not a folder."""
        try:
            self.check_places()
        except NotACollectionError:
            return True
        return False

    def create(self, identity: str | None = None) -> None:
        """Create the folder if it does not exist; it appears whole, by one rename.

        In an existing one, missing subfolders are created.

        Raises:
            ReadOnlyError: the collection was opened read-only.
            OSError: it can't be created.
        """
        self.require_writable()
        if self.info_path.is_file():
            for place in self.places:
                place.mkdir(exist_ok=True)
            return
        make_folder(self.path.parent)
        draft = self.path.with_name(f".{os.urandom(16).hex()}.tmp")
        try:
            Folder(draft).make(identity or os.urandom(16).hex())
            draft.rename(self.path)
            sync_folder(self.path.parent)
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)
            if not self.info_path.is_file():
                raise

    def make(self, identity: str) -> None:
        """Create the folder, which must not exist, step by step, as an empty collection."""
        self.path.mkdir()
        for path in self.places:
            path.mkdir()
        (self.path / "README.txt").write_text(_README.format(version=FORMAT), encoding="utf-8")
        info = {
            "format": NAME,
            "version": FORMAT,
            "id": identity,
            "created": time.time(),
        }
        write_whole(self.info_path, json.dumps(info, indent=2).encode())

    def sealed(self, table: str) -> frozenset[str]:
        """The names in a table's folder, without unfinished files."""
        return finished_in(self.table(table))

    def all_sealed(self, table: str) -> list[FileName]:
        """All sealed files of a table, including those that don't count any more."""
        found = map(sealed_name, sorted(self.sealed(table)))
        return [name for name in found if name is not None]

    def unfinished(self, table: str) -> dict[Path, str]:
        """Sealed files that may never be finished, each with its writer, or ``merged``."""
        folder = self.table(table)
        found = (re.fullmatch(_UNFINISHED, name) for name in _names(folder))
        return {folder / match[0]: match[1] for match in found if match}

    def lives(self, *tables: str) -> list[LiveName]:
        """The live files of some tables that are there, counting or not."""
        found = map(live_name, _names(self.live))
        return sorted(name for name in found if name is not None and name.table in tables)

    def remove_lives(self, writer: str) -> None:
        """Remove a writer's live files if possible: their rows are sealed."""
        lives = [name for table in TABLES for name in self.lives(table) if name.writer == writer]
        unfinished = [path for path in self.leftovers(writer) if path.parent == self.live]
        notes = [self.started_path(writer), self.watermark_path(writer)]
        for path in [*map(self.live_path, lives), *unfinished, *notes]:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def writers(self) -> list[str]:
        """The writers with a lock file: running ones, and dead ones that are not recovered yet."""
        return [match[1] for name in _names(self.live) if (match := re.fullmatch(_LOCK, name))]

    def leftover_watermarks(self) -> list[Path]:
        """The watermarks of writers that have neither a lock file nor a live file."""
        names = _names(self.live)
        there = {match[1] for name in names if (match := re.fullmatch(_IN_USE, name))}
        found = (match for name in names if (match := re.fullmatch(_MARK, name)))
        return [self.live / match[0] for match in found if match[1] not in there]

    def live_writers(self) -> set[str]:
        """The writers with a lock file, a record of their segments, or a live file."""
        found = (re.fullmatch(_OF_WRITER, name) for name in _names(self.live))
        return {match[1] for match in found if match}

    def is_named(self, writer: str) -> bool:
        """Whether any sealed or live file is named after this writer."""
        return any(
            name.startswith(f"{writer}-")
            for folder in (self.live, *(self.table(table) for table in TABLES))
            for name in _names(folder)
        )

    def leftovers(self, writer: str) -> list[Path]:
        """Temporary files that a writer did not finish."""
        folders = (self.live, *(self.table(table) for table in TABLES))
        return [
            folder / name
            for folder in folders
            for name in _names(folder)
            if name.startswith((f".{writer}-", f".{writer}.")) and name.endswith(".tmp")
        ]


def _features(info: dict[str, Any]) -> list[str]:
    features = info.get("features", [])
    if not isinstance(features, list) or not all(isinstance(name, str) for name in features):
        message = f"its features are {features!r}, and not a list of names"
        raise DamagedFileError(message)
    return features


def _newer(version: int, features: list[str]) -> str:
    """What this version does not know about a collection; "" if it knows everything."""
    if version > FORMAT:
        return f"has format {version}; this version of rigorous-recorder reads up to {FORMAT}"
    unknown = ", ".join(repr(name) for name in features if name not in FEATURES)
    if not unknown:
        return ""
    return f"uses {unknown}, of a newer version of rigorous-recorder; this version would misread it"


def finished_in(folder: str | Path) -> frozenset[str]:
    """The names in a folder, without unfinished files."""
    return frozenset([name for name in _names(folder) if not name.startswith(".")])


def _names(folder: str | Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - a Path for each name costs more than all else
    except (FileNotFoundError, NotADirectoryError):
        return []
