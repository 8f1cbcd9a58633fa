"""The framework that an integration needs: an error with the install line where it is missing or too old."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata

from rigorous_recorder.errors import MissingPackageError

__all__ = ["required"]


@contextmanager
def required(requirement: str) -> Iterator[None]:
    """Imports of a framework, such as "scikit-learn>=1.5", of which only these versions will do.

    Raises:
        MissingPackageError: it is not installed, or too old; the message has the install line.
    """
    package, least = re.split(r"(?:\[.*\])?>=", requirement)
    try:
        installed = metadata.version(package)
    except metadata.PackageNotFoundError:
        installed = None  # it may be there without metadata: then the import succeeds
    if installed is not None and _numbers(installed) < _numbers(least):
        message = f"{package} {installed} is too old: pip install '{requirement}'"
        raise MissingPackageError(message)
    try:
        yield
    except ImportError as error:
        if installed is not None:
            raise  # something that the framework itself needs
        message = f"{package} is not installed: pip install '{requirement}'"
        raise MissingPackageError(message) from error


def _numbers(version: str) -> tuple[int, ...]:
    """The release of a version, without pre-releases and local parts: 2.13.0+cpu is (2, 13, 0)."""
    release = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, release[0].split("."))) if release else ()
