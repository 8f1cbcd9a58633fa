"""Artifacts: files with a name and versions, which lie beside the collection."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, Self

from .errors import Error, UsageError

__all__ = ["Artifact", "copied", "found_artifact", "stored"]

_MANIFEST: Final = "artifact.json"


class Artifact:
    """Files of one kind, such as a model or a data set.

    ``run.log_artifact`` copies them beside the collection, as the next version, ``v0``, ``v1`` and so
    on; files that are the same as those of the version before make no new one.

    Args:
        name: letters, digits, "-", "_" and "."; unique in the project.
        type: what it is, such as "model".
    """

    def __init__(
        self,
        name: str,
        type: str,
        description: str | None = None,
        metadata: dict[str, Any] | None = None,
        incremental: bool = False,
        use_as: str | None = None,
    ) -> None:
        if not name or name.startswith(".") or not all(c.isalnum() or c in "-_." for c in name):
            message = (
                f"{name!r} is not a valid name of an artifact: use letters, digits, -, _ and ."
            )
            raise ValueError(message)
        self.name, self.type, self.description = name, type, description
        self.metadata = dict(metadata or {})
        self.aliases: list[str] = []
        self.references: dict[str, str] = {}
        self.version: str | None = None
        self._files: dict[str, Path | bytes] = {}
        self._folder: Path | None = None

    def add_file(self, local_path: str | PathLike[str], name: str | None = None, **_: Any) -> Self:
        """Add a file, under its own name or another."""
        path = Path(local_path)
        if not path.is_file():
            message = f"{path} is no file"
            raise ValueError(message)
        self._files[_inside(name or path.name)] = path
        return self

    @contextmanager
    def new_file(
        self, name: str, mode: str = "x", encoding: str | None = None
    ) -> Iterator[io.StringIO | io.BytesIO]:
        """A file to write to, which is added at the end of the ``with`` block."""
        file = io.BytesIO() if "b" in mode else io.StringIO()
        yield file
        data = file.getvalue()
        self._files[_inside(name)] = (
            data if isinstance(data, bytes) else data.encode(encoding or "utf-8")
        )

    def add_dir(self, local_path: str | PathLike[str], name: str | None = None, **_: Any) -> None:
        """Add the files below a folder."""
        folder = Path(local_path)
        if not folder.is_dir():
            message = f"{folder} is no folder"
            raise ValueError(message)
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            self.add_file(path, str(Path(name or "") / path.relative_to(folder)))

    def add_reference(self, uri: str, name: str | None = None, **_: Any) -> None:
        """Note where something lies, which is not copied."""
        self.references[name or uri.rpartition("/")[2]] = str(uri)

    def add(self, obj: Any, name: str) -> None:
        """Add a table or a medium under a name."""
        if hasattr(obj, "columns"):
            table = {"columns": list(obj.columns), "data": obj.data}
            data = json.dumps(table, default=str).encode()
            self._files[_inside(f"{name}.table.json")] = data
        else:
            self._files[_inside(name)] = bytes(obj.data)

    def get(self, name: str) -> Any:
        """A table that was added under a name: a dict with ``columns`` and ``data``.

        Raises:
            UsageError: there is no such table.
        """
        data = self._files.get(f"{name}.table.json")
        if data is None:
            message = f"artifact {self.name!r} has no table {name!r}"
            raise UsageError(message)
        return json.loads(data if isinstance(data, bytes) else data.read_bytes())

    @property
    def manifest(self) -> SimpleNamespace:
        """``entries``: what is known of each file and reference, by its name."""
        found = {name: {"path": name, "reference": uri} for name, uri in self.references.items()}
        return SimpleNamespace(entries=found | {row["path"]: row for row in self.rows()})

    def wait(self, timeout: float | None = None) -> Self:
        """Itself; nothing is sent anywhere."""
        return self

    def files(self) -> Iterator[str]:
        """The names of the files, in order."""
        return iter(sorted(self._files))

    def download(self, root: str | PathLike[str] | None = None, **_: Any) -> str:
        """The folder that has the files: where they lie, or a copy at ``root``.

        Raises:
            UsageError: it was not logged yet.
        """
        if self._folder is None:
            message = f"artifact {self.name!r} was not logged yet: log_artifact comes first"
            raise UsageError(message)
        if root is None:
            return str(self._folder)
        for name, data in self._files.items():
            _put(data, Path(root) / name)
        return str(root)

    def file(self, root: str | PathLike[str] | None = None) -> str:
        """The path of its only file.

        Raises:
            UsageError: it has several, or none.
        """
        if len(self._files) != 1:
            message = f"artifact {self.name!r} has {len(self._files)} files: use download()"
            raise UsageError(message)
        return str(Path(self.download(root), next(iter(self._files))))

    def get_path(self, name: str) -> Path:
        """The path of a file by its name."""
        return Path(self.download(), _inside(name))

    def rows(self) -> list[dict[str, Any]]:
        """A dict with ``path``, ``size`` in bytes and ``sha256`` for each file."""
        return [
            {"path": name, "size": _size(data), "sha256": _digest(data)}
            for name, data in sorted(self._files.items())
        ]


def _inside(name: str) -> str:
    path = Path(name)
    if path.is_absolute() or ".." in path.parts or not path.name or name == _MANIFEST:
        message = f"{name!r} is not a valid name of a file of an artifact"
        raise ValueError(message)
    return path.as_posix()


def _size(data: Path | bytes) -> int:
    return data.stat().st_size if isinstance(data, Path) else len(data)


def _digest(data: Path | bytes) -> str:
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()
    with data.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _put(data: Path | bytes, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(data, bytes):
        path.write_bytes(data)
    else:
        shutil.copyfile(data, path)


def copied(file: Path, folder: Path, base: Path) -> Path:
    """Copy a file to the folder, at its path below ``base`` if it is there; the copy."""
    if file.is_relative_to(folder):
        return file
    is_below = file.is_relative_to(base) and ".." not in file.parts
    copy = folder / (file.relative_to(base) if is_below else file.name)
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, copy)
    return copy


def stored(artifact: Artifact, folder: Path, aliases: list[str]) -> list[dict[str, Any]]:
    """Copy an artifact's files below a folder as its next version, and describe them.

    The version's folder gets its name when all is there.
    """
    rows = artifact.rows()
    about = {
        "name": artifact.name,
        "type": artifact.type,
        "description": artifact.description,
        "metadata": artifact.metadata,
        "references": artifact.references,
        "files": rows,
    }
    known = _versions(folder / artifact.name)
    last = _manifest(known[-1]) if known else {}
    text = json.dumps({**about, "aliases": aliases}, default=str, indent=1)
    is_same = known and all(
        last.get(key) == each for key, each in json.loads(text).items() if key != "aliases"
    )
    place = (
        known[-1]
        if is_same
        else folder / artifact.name / f"v{_number(known[-1]) + 1 if known else 0}"
    )
    if is_same:
        _add_aliases(place, aliases)
    else:
        draft = place.with_name(f".{place.name}.tmp")
        shutil.rmtree(draft, ignore_errors=True)
        for name, data in artifact._files.items():
            _put(data, draft / name)
        draft.mkdir(parents=True, exist_ok=True)
        (draft / _MANIFEST).write_text(text, encoding="utf-8")
        draft.rename(place)
    artifact.version, artifact.aliases, artifact._folder = place.name, aliases, place
    artifact._files = {row["path"]: place / row["path"] for row in rows}
    return rows


def _add_aliases(place: Path, aliases: list[str]) -> None:
    """Note further names of a version that is there."""
    about = _manifest(place)
    about["aliases"] = list(dict.fromkeys([*about.get("aliases", []), *aliases]))
    draft = place / f".{_MANIFEST}"
    draft.write_text(json.dumps(about, indent=1), encoding="utf-8")
    draft.replace(place / _MANIFEST)


def found_artifact(name: str, folder: Path) -> Artifact:
    """A logged artifact: ``name``, ``name:v3``, ``name:latest`` or ``name:<alias>``.

    Raises:
        Error: there is none.
    """
    title, _, wanted = name.rpartition("/")[2].partition(":")
    known = _versions(folder / _inside(title))
    wanted = wanted or "latest"
    for place in reversed(known):
        about = _manifest(place)
        if wanted in ("latest", place.name) or wanted in about.get("aliases", []):
            return _of_manifest(about, place)
    message = f"there is no artifact {name!r}; {title!r} has the versions {[p.name for p in known]}"
    raise Error(message)


def _of_manifest(about: dict[str, Any], place: Path) -> Artifact:
    found = Artifact(about["name"], about["type"], about["description"], about["metadata"])
    found.version, found.aliases, found._folder = place.name, about["aliases"], place
    found.references = about["references"]
    found._files = {_inside(row["path"]): place / row["path"] for row in about["files"]}
    return found


def _versions(folder: Path) -> list[Path]:
    found = [each for each in folder.glob("v*") if each.name[1:].isdigit()]
    return sorted(found, key=_number)


def _number(place: Path) -> int:
    return int(place.name[1:])


def _manifest(place: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place / _MANIFEST).read_text(encoding="utf-8"))
    return found
