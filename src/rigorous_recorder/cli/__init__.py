"""The command line, `rigorous`: an optional extra of the library."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import io
import os
import sys
import warnings
from importlib.abc import MetaPathFinder
from typing import Any

from rigorous_recorder._report import write_line
from rigorous_recorder.errors import (
    ArgumentError,
    ColumnError,
    MissingPackageError,
    NewerFormatError,
    NotACollectionError,
    ReservedKeyError,
    RigorousError,
    RunningError,
    UnknownExperimentError,
    UnknownFileTypeError,
    UnsupportedTypeError,
    UnsupportedValueError,
)

__all__ = ["main", "run"]

_EXTRA = ("typer", "rich", "plotext")
#: Errors of what was typed, with exit code 2; all other errors exit with 1.
_WRONG_USE = (
    ArgumentError,
    ColumnError,
    MissingPackageError,
    NewerFormatError,
    NotACollectionError,
    ReservedKeyError,
    RunningError,
    UnsupportedTypeError,
    UnsupportedValueError,
    UnknownExperimentError,
    UnknownFileTypeError,
)


def run() -> None:
    """Run the command line in its own process, as ``main``."""
    # pyarrow imports pandas if it is installed, which takes longer than most commands.
    sys.meta_path.insert(0, _NoPandas())
    gc.disable()  # until the command is loaded: none of it becomes garbage
    try:
        main()
    finally:
        gc.freeze()  # everything lives until the process ends


class _NoPandas(MetaPathFinder):
    """Makes pandas look as if it were not installed: no command uses it."""

    def find_spec(self, fullname: str, *_: object) -> None:
        """Find nothing; raise for pandas.

        Raises:
            ModuleNotFoundError: it is pandas.
        """
        if fullname == "pandas":
            message = "the command line does not use pandas"
            raise ModuleNotFoundError(message, name=fullname)


def main() -> None:
    """Run the command line.

    The exit code is 0 on success, 1 on failure, 2 if what was typed is not valid or the extra is not
    installed, and 130 on Ctrl-C.
    """
    _open_closed_streams()
    _require_extra()
    warnings.showwarning = _warn
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal may not support all characters
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        # not imported at the top: that would fail before the install line is printed
        make_app = importlib.import_module(".app", __name__).make_app
        gc.enable()
        try:
            make_app(_typed())(prog_name="rigorous")
        finally:
            sys.stdout.flush()
    except (RigorousError, OSError) as error:
        write_line(f"rigorous: {_words(error)}")
        _give_up_output()
        sys.exit(2 if isinstance(error, _WRONG_USE) else 1)
    except KeyboardInterrupt:
        sys.exit(130)


def _typed() -> str:
    """The command that was typed; empty for completion, which needs all of them."""
    return "" if "_RIGOROUS_COMPLETE" in os.environ else "".join(sys.argv[1:2])


def _open_closed_streams() -> None:
    """Discard output to standard streams that are closed, as by ``>&-``.

    Otherwise the next file that is opened would become standard output to every library.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, _nowhere(mode))


def _give_up_output() -> None:
    """Discard output that can't be written, which Python would report again at exit."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        sys.stdout = _nowhere("w")


def _nowhere(mode: str) -> Any:
    return open(os.devnull, mode, encoding="utf-8")  # noqa: PTH123 - until the process ends


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    write_line(f"rigorous: {message}")


def _require_extra() -> None:
    if not all(map(importlib.util.find_spec, _EXTRA)):
        write_line("The command line needs packages that are not installed yet:")
        write_line("pip install 'rigorous-recorder[cli]'")
        sys.exit(2)
