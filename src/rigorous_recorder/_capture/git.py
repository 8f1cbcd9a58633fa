"""The state of the repository that a program is in."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from .git_files import commit_and_branch
from .secrets import masked_diff, without_credentials

__all__ = ["repository"]

_SECONDS: Final = 10
#: Longer diffs, and longer lists of untracked files, are cut; their size is recorded.
_LONGEST_DIFF: Final = 256 * 1024
_MOST_UNTRACKED: Final = 500
#: No lock is taken, nothing asks for a password, and of what a repository configures only the
#: filters of its files are run, without which all would look changed.
_SAFELY: Final = ("-c", "core.fsmonitor=false", "-c", "core.quotePath=false", "--no-pager")
_ENVIRONMENT: Final = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def repository(folder: Path) -> dict[str, Any] | None:
    """The commit, branch, remote and uncommitted changes; None outside of a repository.

    Returns:
        ``commit``, ``branch``, ``remote``, ``dirty``, and where there are any ``diff`` (against the
        commit) and ``untracked`` (names). What git can't tell is missing; if it is not installed, or
        refuses to read a repository of another user, there are ``commit`` and ``branch`` only.
    """
    status = _git(folder, "status", "--porcelain=v2", "--branch", "-z", "--untracked-files=normal")
    if status is None:
        return commit_and_branch(folder)
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
    """That of the branch, or else ``origin``, or else the first one."""
    # As it is configured: ``git remote get-url`` would rewrite it by insteadOf, which can have a token.
    found = _git(folder, "config", "-z", "--get-regexp", r"^remote\..*\.url$") or ""
    addresses = dict(each.split("\n", 1) for each in found.split("\0") if "\n" in each)
    names = [f"remote.{upstream.partition('/')[0]}.url", "remote.origin.url", *addresses]
    address = next((addresses[name] for name in names if name in addresses), "")
    return without_credentials(address.strip())


def _diff(folder: Path) -> dict[str, Any]:
    options = ("--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/")
    data, size = _begin_of_output(folder, "diff", *options, "HEAD", "--", ":/")
    is_cut = size != len(data)
    if is_cut:
        data = data[: data.rfind(b"\n") + 1]  # no half of a token
    found: dict[str, Any] = {"diff": masked_diff(data.decode("utf-8", "backslashreplace"))}
    found |= {"diff_is_cut": True} if is_cut else {}
    return found | ({} if size is None or not is_cut else {"diff_bytes": size})


def _names(untracked: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"untracked": untracked[:_MOST_UNTRACKED]}
    if len(untracked) > _MOST_UNTRACKED:
        found["untracked_files"] = len(untracked)
    return found


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints; None if it fails, is not installed, or takes too long."""
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are those above
            _command(arguments),
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


def _begin_of_output(folder: Path, *arguments: str) -> tuple[bytes, int | None]:
    """As much of what git prints as is recorded, and the size of all; the rest is not held in memory.

    The size is None if git fails or takes too long: then that is not all.
    """
    with subprocess.Popen(  # noqa: S603 - the arguments are those above
        _command(arguments),
        cwd=folder,
        env={**os.environ, **_ENVIRONMENT},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as git:
        assert git.stdout is not None
        in_time = threading.Timer(_SECONDS, git.kill)
        in_time.start()
        try:
            data = git.stdout.read(_LONGEST_DIFF)
            size = len(data)
            while more := len(git.stdout.read(65_536)):
                size += more
        finally:
            in_time.cancel()
    return data, None if git.returncode else size


def _command(arguments: Sequence[str]) -> list[str]:
    return ["git", *_SAFELY, *arguments]
