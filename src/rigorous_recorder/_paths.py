"""Paths of files and folders, as users pass them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .errors import ArgumentError, ArgumentTypeError

__all__ = ["path_of"]


def path_of(given: Any, what: str, example: str) -> Path:
    """A path that a user passed.

    Args:
        what: what is there, for the message of an error.
        example: a path as it is expected.

    Raises:
        ArgumentTypeError: it is neither text nor a path of text.
        ArgumentError: nothing can have this path.
    """
    name = os.fspath(given) if isinstance(given, (str, os.PathLike)) else None
    if not isinstance(name, str):
        message = (
            f"{given!r:.60} is not a valid path of {what}; expected text or a pathlib.Path, such as"
            f" {example!r}"
        )
        raise ArgumentTypeError(message)
    try:
        is_possible = b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        is_possible = False
    if not is_possible:
        message = (
            f"{name!r:.60} is not a valid path of {what}, since it has a character that no file's"
            f" name can have; expected one such as {example!r}"
        )
        raise ArgumentError(message)
    return Path(name)
