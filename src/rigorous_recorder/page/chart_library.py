"""The chart library uPlot, out of a wheel: served only if it is uPlot's own release, unchanged."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from ..errors import MissingPackageError

__all__ = ["library_files"]

#: SHA-256 of the files of uPlot's release 1.6.31, as in ``dist/`` of its repository.
_FILES: Final = {
    "uplot.iife.min.js": "2d27e8ad3d228164525ce213f9dc716f39b4e3aee0cc773fb3491c96cf4921a2",
    "uplot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}


def library_files() -> dict[str, bytes]:
    """The content of uPlot's files by name.

    Raises:
        MissingPackageError: they are not installed, or are not those of uPlot's release.
    """
    spec = find_spec("youplot")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    if not folders:
        message = "uPlot is not installed: pip install 'rigorous-recorder[page]'"
        raise MissingPackageError(message)
    return {name: _checked(Path(folders[0], "vendor", name)) for name in _FILES}


def _checked(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError:
        content = b""
    if hashlib.sha256(content).hexdigest() != _FILES[path.name]:
        message = (
            f"{path} is not the file of uPlot's release 1.6.31, and is not served:"
            " pip install --force-reinstall 'rigorous-recorder[page]'"
        )
        raise MissingPackageError(message)
    return content
