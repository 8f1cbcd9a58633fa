"""The command, the script, Python and its packages."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from pathlib import Path
from typing import Any, Final

from .secrets import masked_arguments

__all__ = ["command", "distributions", "packages", "python", "script_folder"]

_SUFFIXES: Final = (".dist-info", ".egg-info")


def command() -> dict[str, Any]:
    """The command line, the script, its arguments, and the working folder."""
    main = _script()
    found: dict[str, Any] = {
        "line": shlex.join(masked_arguments(sys.orig_argv)),
        "arguments": masked_arguments(sys.argv[1:]),
        "folder": _working_folder(),
    }
    return found if main is None else {"script": str(main), **found}


def python() -> dict[str, str]:
    """Its version, implementation and executable."""
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "executable": sys.executable,
    }


def packages() -> dict[str, str]:
    """The version of each installed package, by name; of several the one that is imported."""
    return {name: version for name, version, _ in distributions()}


def distributions() -> list[tuple[str, str, Path]]:
    """Name, version and metadata of each installed package, by name."""
    found: dict[str, tuple[str, str, Path]] = {}
    for folder in sys.path:
        for path in _listed(folder or "."):
            name = path.name
            stem = name.removesuffix(".dist-info").removesuffix(".egg-info")
            package, _, version = stem.partition("-")
            if name.endswith(_SUFFIXES) and version:
                package, version = package.replace("_", "-").lower(), version.partition("-py3")[0]
                found.setdefault(package, (package, version, path))
    return [found[name] for name in sorted(found)]


def _listed(folder: str) -> list[Path]:
    try:
        return sorted(Path(folder).iterdir())
    except OSError:  # a zip file, or a folder that is gone
        return []


def script_folder() -> Path | None:
    """The folder of the script or notebook; None in an interactive session."""
    main = _script()
    return None if main is None else main.parent


def _script() -> Path | None:
    """The file of the program: a script, a zip file of Python, or a notebook whose server reports it."""
    main = sys.modules.get("__main__")
    for path in (
        getattr(main, "__file__", None),
        getattr(main, "__vsc_ipynb_file__", None),
        os.environ.get("JPY_SESSION_NAME") if "ipykernel" in sys.modules else None,
    ):
        found = Path(path).absolute() if isinstance(path, str) else Path()
        if found.name == "__main__.py" and found.parent.is_file():
            return found.parent
        if found.is_file():
            return found
    return None


def _working_folder() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return ""
