"""A virtual environment for each tool that is compared, made once and found again."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

__all__ = ["WORKING_TREE", "EnvironmentFailed", "python_of"]

WORKING_TREE = "the working tree"
"""The requirement that stands for this library as it is now; it stands alone."""
ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / "benchmarks" / ".environments"
SOURCES = ("src", "pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE")


class EnvironmentFailed(Exception):  # noqa: N818 - what happened, not whose fault it is
    """A tool could not be installed; the message is pip's own, in one line."""


def python_of(name: str, requirements: tuple[str, ...]) -> Path:
    """The interpreter of an environment that has these requirements, made where it is missing.

    This library is installed anew each time, so that what is measured is the code as it is.
    """
    folder = ENVIRONMENTS / name
    python = folder / "bin" / "python"
    is_ours = requirements == (WORKING_TREE,)
    recipe, receipt = _recipe(requirements), folder / "installed.txt"
    is_new = not receipt.exists() or receipt.read_text() != recipe
    if is_new:
        print(f"installing {name}", file=sys.stderr)
        venv.create(folder, clear=True, with_pip=True)
    if is_ours:
        _install_working_tree(python, is_new=is_new)
    elif is_new and requirements:
        _pip_install(python, *requirements)
    receipt.write_text(recipe)
    return python


def _recipe(requirements: tuple[str, ...]) -> str:
    """All that an environment depends on; where it changes, the environment is made anew."""
    declared = (ROOT / "pyproject.toml").read_text() if WORKING_TREE in requirements else ""
    return "\n".join((sys.version, *requirements, declared))


def _install_working_tree(python: Path, *, is_new: bool) -> None:
    """Install from a copy, so that pip's build leaves nothing in the tree and takes nothing old."""
    with tempfile.TemporaryDirectory() as folder:
        for name in SOURCES:
            source, copy = ROOT / name, Path(folder, name)
            if source.is_dir():
                shutil.copytree(source, copy, ignore=shutil.ignore_patterns("*.egg-info", "*.so"))
            elif source.exists():
                shutil.copy(source, copy)
        if is_new:
            _pip_install(python, folder)
        else:
            _pip_install(python, "--force-reinstall", "--no-deps", folder)


def _pip_install(python: Path, *arguments: str) -> None:
    command = [python, "-m", "pip", "install", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise EnvironmentFailed((errors or ["pip failed"])[0].removeprefix("ERROR: "))
