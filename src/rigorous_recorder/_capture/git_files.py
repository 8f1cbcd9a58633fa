"""The commit of a repository from its files, where git is not installed or refuses to read it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["commit_and_branch"]

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def commit_and_branch(folder: Path) -> dict[str, str] | None:
    """``commit`` and ``branch`` of the repository that a folder is in; None if it is in none."""
    above = [folder, *folder.parents]
    place = next((each / ".git" for each in above if (each / ".git").exists()), None)
    if place is None:
        return None
    if place.is_file():  # of a worktree or a submodule
        place = place.parent / _text(place).removeprefix("gitdir:").strip()
    head = _text(place / "HEAD").strip()
    branch = head.removeprefix("ref: refs/heads/") if head.startswith("ref: ") else ""
    commits = [head] if not branch else _commits(place, head.removeprefix("ref: "))
    commit = next((each for each in commits if _COMMIT.fullmatch(each)), "")
    if not commit:  # there is none yet, or the repository keeps them in another way
        return None
    return {"commit": commit} | ({"branch": branch} if branch else {})


def _commits(place: Path, name: str) -> Iterator[str]:
    """What files have as the commit of a name; worktrees share those of their repository."""
    shared = place / (_text(place / "commondir").strip() or ".")
    yield _text(place / name).strip()
    yield _text(shared / name).strip()
    for line in _text(shared / "packed-refs").splitlines():
        commit, _, packed = line.partition(" ")
        if packed == name:
            yield commit


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
