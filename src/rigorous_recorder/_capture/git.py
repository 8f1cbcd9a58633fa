"""The state of the repository that a program is in."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any, Final

from .secrets import masked_diff, without_credentials

__all__ = ["repository"]

_SECONDS: Final = 10
#: Longer diffs, and longer lists of untracked files, are cut; their size is recorded.
_LONGEST_DIFF: Final = 256 * 1024
_MOST_UNTRACKED: Final = 500
#: Nothing that a repository configures is run, no lock is taken, and nothing asks for a password.
_SAFELY: Final = ("-c", "core.fsmonitor=false", "-c", "core.quotePath=false", "--no-pager")
_ENVIRONMENT: Final = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def repository(folder: Path) -> dict[str, Any] | None:
    """The commit, branch, remote and uncommitted changes; None outside of a repository.

    Returns:
        ``commit``, ``branch``, ``remote``, ``dirty``, and where there are any ``diff`` (against the
        commit) and ``untracked`` (names). What git can't tell is missing.
    """
    status = _git(folder, "status", "--porcelain=v2", "--branch", "-z", "--untracked-files=normal")
    if status is None:
        return None
    lines = status.split("\0")
    head = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# branch."))
    untracked = [line[2:] for line in lines if line.startswith("? ")]
    is_dirty = any(line[:2] in {"1 ", "2 ", "u "} for line in lines)
    commit = head.get("branch.oid", "").replace("(initial)", "")
    facts: dict[str, Any] = {
        "commit": commit,
        "branch": head.get("branch.head", "").replace("(detached)", ""),
        "remote": _remote(folder, head.get("branch.upstream", "")),
    }
    found = {key: value for key, value in facts.items() if value} | {"dirty": is_dirty}
    if is_dirty and commit:
        found |= _diff(folder)
    return found | (_names(untracked) if untracked else {})


def _remote(folder: Path, upstream: str) -> str:
    name = upstream.partition("/")[0] or "origin"
    # As it is configured: ``git remote get-url`` would rewrite it by insteadOf, which can have a token.
    address = _git(folder, "config", "--get", f"remote.{name}.url") or ""
    return without_credentials(address.strip())


def _diff(folder: Path) -> dict[str, Any]:
    options = ("--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/")
    diff = _git(folder, "diff", *options, "HEAD", "--", ":/")
    if diff is None:
        return {}
    if len(diff) <= _LONGEST_DIFF:
        return {"diff": masked_diff(diff)}
    whole_lines = diff[: diff.rfind("\n", 0, _LONGEST_DIFF) + 1]  # no half of a token
    return {
        "diff": masked_diff(whole_lines),
        "diff_is_cut": True,
        "diff_characters": len(diff),
    }


def _names(untracked: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"untracked": untracked[:_MOST_UNTRACKED]}
    if len(untracked) > _MOST_UNTRACKED:
        found["untracked_files"] = len(untracked)
    return found


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints; None if it fails, is not installed, or takes too long."""
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are those above
            ["git", *_SAFELY, *arguments],  # noqa: S607 - the user's git
            cwd=folder,
            env={**os.environ, **_ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "backslashreplace")
