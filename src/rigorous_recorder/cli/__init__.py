"""The command line, `rigorous`: an optional extra of the library."""

from __future__ import annotations

import importlib
import importlib.util
import sys

from rigorous_recorder.errors import RigorousError

__all__ = ["main"]

_EXTRA = ("typer", "rich", "plotext")


def main() -> None:
    """Run the command line; exits with 2, and the install line, where its extra is missing."""
    _require_extra()
    # not an import statement at the top: that would fail before the install line is told
    app = importlib.import_module(".app", __name__).app
    try:
        app(prog_name="rigorous")
    except (RigorousError, OSError) as error:
        sys.exit(f"rigorous: {error}")


def _require_extra() -> None:
    if not all(map(importlib.util.find_spec, _EXTRA)):
        sys.stderr.write("The command line needs packages that are not installed yet:\n")
        sys.stderr.write("pip install 'rigorous-recorder[cli]'\n")
        sys.exit(2)
