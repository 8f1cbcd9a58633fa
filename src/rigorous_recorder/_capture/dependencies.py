"""The packages of a run as files: requirements by pip's rules, lock files, and conda's packages."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from .program import distributions, script_folder
from .secrets import masked, masked_lines, without_credentials

__all__ = ["dependencies"]

_LOCK_FILES: Final = (
    *("uv.lock", "poetry.lock", "pdm.lock", "pixi.lock", "pylock.toml", "Pipfile.lock"),
    *("conda-lock.yml", "requirements.txt", "environment.yml", "environment.yaml"),
)
#: Larger files are recorded by their hash.
_LARGEST: Final = 4 * 1024 * 1024
#: Longer ones are written by tools.
_LONGEST_OF_HAND: Final = 64 * 1024
#: What the folder of a project has; above it no lock file is of this program.
_ENDS_OF_PROJECT: Final = (".git", "pyproject.toml")


def dependencies() -> dict[str, str]:
    """Texts by the names of files.

    ``pip-freeze.txt`` has a line for each installed package, ``conda-list.txt`` for each one of conda.
    Lock files are those nearest to the script, up to the folder of its project, or else those in the
    working folder. One of more than 4 MB is a comment with its size and hash.
    """
    found = {"pip-freeze.txt": "".join(f"{line}\n" for line in _requirements())}
    if (prefix := os.environ.get("CONDA_PREFIX")) and (packages := sorted(_of_conda(prefix))):
        found["conda-list.txt"] = "".join(f"{line}\n" for line in packages)
    return found | _lock_files(script_folder() or Path.cwd())


def _requirements() -> Iterator[str]:
    for name, version, folder in distributions():
        yield _requirement(name, version, folder / "direct_url.json")


def _requirement(name: str, version: str, origin: Path) -> str:
    try:
        about = json.loads(origin.read_text("utf-8"))
        return _from_url(name, version, about)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"{name}=={version}"  # from an index, or the file is not as PEP 610 has it


def _from_url(name: str, version: str, about: dict[str, Any]) -> str:
    url = without_credentials(about["url"])
    if "vcs_info" in about:
        vcs = about["vcs_info"]
        commit = vcs["commit_id"]
        return f"{name} @ {vcs['vcs']}+{url}@{commit}{_within(about)}  # {version}"
    if about.get("dir_info", {}).get("editable"):
        return f"-e {unquote(urlsplit(url).path)}  # {name}=={version}"
    hashes = about.get("archive_info", {}).get("hashes", {})
    kinds = "&".join(f"{kind}={value}" for kind, value in hashes.items())
    return f"{name} @ {url}{f'#{kinds}' if kinds else ''}  # {version}"


def _within(about: dict[str, Any]) -> str:
    folder = about.get("subdirectory")
    return f"#subdirectory={folder}" if folder else ""


def _of_conda(prefix: str) -> Iterator[str]:
    """Name, version and build, as ``conda list --export`` has them."""
    for path in Path(prefix, "conda-meta").glob("*.json"):
        name, version, build = path.stem.rsplit("-", 2)
        yield f"{name}={version}={build}"


def _lock_files(folder: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in (*_project(folder), Path.cwd()):
        for name in _LOCK_FILES:
            if name not in found and (text := _text(each / name)) is not None:
                found[name] = text
    return found


def _project(folder: Path) -> Iterator[Path]:
    """The folders of a project, from one of them up; only that one if it is in no project."""
    above = [folder, *folder.parents]
    ends = [
        n for n, each in enumerate(above) if any((each / end).exists() for end in _ENDS_OF_PROJECT)
    ]
    yield from above[: ends[0] + 1] if ends else [folder]


def _text(path: Path) -> str | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if len(data) > _LARGEST:
        return f"# {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}\n"
    text = data.decode("utf-8", "backslashreplace")
    return masked(text) if len(text) <= _LONGEST_OF_HAND else masked_lines(text)
