"""The environment of a run, as one mapping."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .dependencies import dependencies
from .git import repository
from .job import job
from .machine import machine
from .program import command, packages, python, script_folder
from .wanted import DEPENDENCIES_KEY, ENVIRONMENT_KEY

__all__ = ["environment", "recorded"]


def recorded() -> dict[str, Any]:
    """The attributes of a recorder: the environment, and the dependencies as texts of files."""
    files = _storable(_safely(dependencies))
    return {ENVIRONMENT_KEY: environment()} | ({DEPENDENCIES_KEY: files} if files else {})


def environment() -> dict[str, Any]:
    """The sections ``git``, ``command``, ``python``, ``packages``, ``machine`` and ``job``.

    A section that is empty, or can't be read, is missing; nothing raises.
    """
    sections: dict[str, Callable[[], Any]] = {
        "git": _repository,
        "command": command,
        "python": python,
        "packages": packages,
        "machine": machine,
        "job": job,
    }
    found = {name: _safely(section) for name, section in sections.items()}
    return {name: _storable(section) for name, section in found.items() if section}


def _repository() -> dict[str, Any] | None:
    """That of the script, or else of the working folder."""
    folder = script_folder()
    return (repository(folder) if folder is not None else None) or repository(Path.cwd())


def _safely(section: Callable[[], Any]) -> Any:
    try:
        return section()
    except Exception:  # noqa: BLE001 - a run starts, whatever its environment is like
        return None


def _storable(value: Any) -> Any:
    """Text of names with bytes that are not UTF-8, which Python holds as lone surrogates, escaped."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_storable(key): _storable(each) for key, each in value.items()}
    return [_storable(each) for each in value] if isinstance(value, list) else value
