"""Pictures, sounds, tables and other files of W&B's history: their bytes, and what is known of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from .contract import Report, media, numbered
from .files import read_bounded
from .texts import file_inside

__all__ = ["Media"]

_TYPES: Final = ("-file", "html", "molecule")
#: Keys with lists of files in what is several files: of paths, or of dicts with one.
_PATHS: Final = "filenames"
_LISTS: Final = ("audio", "videos", "html")
#: Media are not looked for deeper than this.
_DEEPEST: Final = 20


class Media:
    """Gives files of a run as fields of its records."""

    def __init__(self, file: Path, report: Report) -> None:
        self._file, self._report = file, report

    def fields(self, values: dict[str, Any]) -> dict[str, Any]:
        """Values in which those that tell of files are fields of media."""
        found: dict[str, Any] = {}
        for key, value in values.items():
            found |= self._fields(key, value, 0) if isinstance(value, dict) else {key: value}
        return found

    def _fields(self, key: str, value: dict[str, Any], depth: int) -> dict[str, Any]:
        kind = value.get("_type")
        if not isinstance(kind, str):
            return self._inside(key, value, depth)
        if files := list(_several(value)):
            found: dict[str, Any] = {}
            for at, each in enumerate(files):
                found |= self._file_of(numbered(key, at, len(files)), each)
            lists = {_PATHS, "captions", "_type", *_LISTS}
            rest = {f"{key}/{name}": each for name, each in value.items() if name not in lists}
            return found | rest
        return self._file_of(key, value) if kind.endswith(_TYPES) else {key: value}

    def _inside(self, key: str, value: dict[str, Any], depth: int) -> dict[str, Any]:
        """A dict that was logged, out of which files are taken."""
        if not _has_files(value, depth):
            return {key: value}
        rest = {name: each for name, each in value.items() if not _has_files(each, depth + 1)}
        found: dict[str, Any] = {key: rest} if rest else {}
        for name, each in value.items():
            if name not in rest:
                found |= self._fields(f"{key}/{name}", each, depth + 1)
        return found

    def _file_of(self, key: str, value: dict[str, Any]) -> dict[str, Any]:
        """The fields of a file; without its bytes if it is not there."""
        path = str(value.get("path", ""))
        about = {name: each for name, each in value.items() if name not in {"_type", "path"}}
        file = file_inside(self._file.parent / "files", path)
        if file is None:
            self._report.add(self._file, "media outside of the run's files: not read")
        data = None if file is None else read_bounded(file, self._report)
        if data is not None:
            return media(key, data, path, **about)
        return {f"{key}/name": path} | {f"{key}/{name}": each for name, each in about.items()}


def _several(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What is known of each of several files."""
    captions, paths = (_list(value.get(key)) for key in ("captions", _PATHS))
    for at, path in enumerate(paths):
        yield {"path": path, **({"caption": captions[at]} if at < len(captions) else {})}
    for name in _LISTS:
        yield from (each for each in _list(value.get(name)) if isinstance(each, dict))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _has_files(value: Any, depth: int) -> bool:
    """Whether something tells of files, or a dict has something inside that does."""
    if not isinstance(value, dict) or depth > _DEEPEST:
        return False
    if isinstance(kind := value.get("_type"), str):
        return kind.endswith(_TYPES) or any(True for _ in _several(value))
    return any(_has_files(each, depth + 1) for each in value.values())
