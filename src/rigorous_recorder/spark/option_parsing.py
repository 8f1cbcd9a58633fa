"""Parsing of options shared by reading and writing: a path, names, JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ..errors import ArgumentError

__all__ = ["json_in", "local_path", "names_in"]


def local_path(text: str) -> Path:
    """Resolve a path of this machine's file system, or a ``file:`` URI.

    Raises:
        ArgumentError: it is a URI of another file system.
    """
    scheme, colon, rest = text.partition(":/")
    if colon and scheme == "file":
        return Path(unquote("/" + rest.lstrip("/")))
    if colon and scheme.isalnum():
        message = (
            f"{text}: expected a folder that every worker sees as a path of its file system (a mount"
            " such as /dbfs, /Volumes or NFS)"
        )
        raise ArgumentError(message)
    return Path(text).absolute()


def names_in(option: str, text: str) -> list[str]:
    """Split names separated by commas, or a JSON list of them.

    Raises:
        ArgumentError: it is neither.
    """
    if not text.lstrip().startswith("["):
        return [name for each in text.split(",") if (name := each.strip())]
    found = json_in(option, text)
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        message = f"{option}={text!r}: expected names separated by commas, or a JSON list of them"
        raise ArgumentError(message)
    return found


def json_in(option: str, text: str) -> Any:
    """Parse an option as JSON.

    Raises:
        ArgumentError: it is not valid JSON.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        message = f"{option}={text!r} is not valid JSON: {error}"
        raise ArgumentError(message) from error
