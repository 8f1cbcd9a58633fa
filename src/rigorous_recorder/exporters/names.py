"""Names of files and folders, of runs that can have any name."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Final

__all__ = ["Names", "safe"]

#: The bytes of a name that all file systems take, with room for a number.
_LONGEST: Final = 200
_BAD: Final = str.maketrans(dict.fromkeys('<>:"|?*\\/', "_") | {chr(i): "_" for i in range(32)})


def safe(name: str) -> str:
    """A name that is one part of a path, on any system, and leads nowhere else."""
    found = name.translate(_BAD).encode("utf-8", "replace")[:_LONGEST].decode("utf-8", "ignore")
    found = found.rstrip(" .")
    return found if found.strip(".") else f"_{found}"


class Names:
    """Gives each run a folder of its own below a folder; ``/`` in names of runs makes folders."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._taken: dict[str, int] = {}
        self._folders: dict[int, Path] = {}

    def folder(self, key: int, name: str, above: Path | None = None) -> Path:
        """The folder of a run, the same for each call with its key."""
        if key not in self._folders:
            parts = [
                safe(part) for part in PurePosixPath(name).parts if part not in {"/", ".", ".."}
            ]
            wanted = (above or self._top).joinpath(*(parts or ["_"]))
            folder, number = wanted, 1
            while str(folder).casefold() in self._taken:
                number += 1
                folder = wanted.with_name(f"{wanted.name} ({number})")
            self._taken[str(folder).casefold()] = key
            self._folders[key] = folder
        return self._folders[key]
