"""What options of reading and of writing have in common: a path, names, JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ..errors import ArgumentError

__all__ = ["json_in", "local_path", "names_in"]


def local_path(said: str) -> Path:
    """A path of this machine's file system, also where it is said as a ``file:`` URI.

    Raises:
        ArgumentError: it is of another file system.
    """
    scheme, colon, rest = said.partition(":/")
    if colon and scheme == "file":
        return Path(unquote("/" + rest.lstrip("/")))
    if colon and scheme.isalnum():
        message = (
            f"{said}: expected a folder that every worker sees as a path of its file system (a mount"
            " such as /dbfs, /Volumes or NFS)"
        )
        raise ArgumentError(message)
    return Path(said).absolute()


def names_in(option: str, said: str) -> list[str]:
    """Names with commas between, or a JSON list of them.

    Raises:
        ArgumentError: it is neither.
    """
    if not said.lstrip().startswith("["):
        return [name for each in said.split(",") if (name := each.strip())]
    found = json_in(option, said)
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        message = f"{option}={said!r}: expected names with commas between, or a JSON list of them"
        raise ArgumentError(message)
    return found


def json_in(option: str, said: str) -> Any:
    """What JSON says.

    Raises:
        ArgumentError: it is none.
    """
    try:
        return json.loads(said)
    except ValueError as error:
        message = f"{option}={said!r} is not valid JSON: {error}"
        raise ArgumentError(message) from error
