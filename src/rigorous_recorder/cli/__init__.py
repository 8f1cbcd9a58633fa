"""The command line, `rigorous`: an optional extra of the library."""

from __future__ import annotations

import importlib
import importlib.util
import io
import sys
import warnings

from rigorous_recorder.errors import (
    ArgumentError,
    ColumnError,
    MissingPackageError,
    NewerFormatError,
    NotACollectionError,
    RigorousError,
    RunningError,
    UnkeepableTypeError,
    UnkeepableValueError,
    UnknownFileTypeError,
)

__all__ = ["main"]

_EXTRA = ("typer", "rich", "plotext")
#: What was typed can't be done; everything else failed while it was done.
_WRONG_USE = (
    ArgumentError,
    ColumnError,
    MissingPackageError,
    NewerFormatError,
    NotACollectionError,
    RunningError,
    UnkeepableTypeError,
    UnkeepableValueError,
    UnknownFileTypeError,
)


def main() -> None:
    """Run the command line.

    It exits with 0 where all went well, 1 where something failed, 2 where what was typed can't be
    done (with the install line, where the extra is missing), and 130 at Ctrl-C.
    """
    _require_extra()
    warnings.showwarning = _warn
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal may not have every character
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        # not an import statement at the top: that would fail before the install line is told
        app = importlib.import_module(".app", __name__).app
        app(prog_name="rigorous")
    except (RigorousError, OSError) as error:
        sys.stderr.write(f"rigorous: {_words(error)}\n")
        sys.exit(2 if isinstance(error, _WRONG_USE) else 1)
    except KeyboardInterrupt:
        sys.exit(130)


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    sys.stderr.write(f"rigorous: {message}\n")


def _require_extra() -> None:
    if not all(map(importlib.util.find_spec, _EXTRA)):
        sys.stderr.write("The command line needs packages that are not installed yet:\n")
        sys.stderr.write("pip install 'rigorous-recorder[cli]'\n")
        sys.exit(2)
