"""Handling of damaged files: they are reported, and left out."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Final

from .._arrow import pa
from .._report import error_message, warn
from ..errors import DamagedFileError, DamagedFileWarning

__all__ = [
    "UNREADABLE",
    "blame_file",
    "require_type",
    "warn_damaged",
    "warn_rows_left_out",
    "warn_values_missing",
]

#: Errors that pyarrow, and the code behind it, raises for invalid bytes.
UNREADABLE: Final = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    AttributeError,
    NotImplementedError,
    ArithmeticError,
    RecursionError,
    MemoryError,  # a wrong size requests more memory than there is
)
_OF_PROCESS: Final = {errno.EMFILE, errno.ENFILE}


def blame_file(error: Exception) -> None:
    """Raise unless an error is about the file, rather than this process.

    Raises:
        OSError: too many files are open; the file may be fine.
    """
    if isinstance(error, OSError) and error.errno in _OF_PROCESS:
        message = f"{error.strerror}. Close some, or raise the limit with ulimit -n, and try again"
        raise OSError(error.errno, message, error.filename) from error


def warn_damaged(path: Path, error: Exception) -> None:
    """Warn about a file that can't be read; everything else can."""
    _warn(f"{path} is damaged and left out: {_reason(error)}")


def warn_rows_left_out(path: Path, group: int, rows: int, error: Exception) -> None:
    """Warn that the rows of a row group are left out because ``_node`` can't be read there."""
    _warn(
        f"{path} is damaged: row group {group} ({rows:,} rows) is left out, because the recorders of"
        f" these rows can't be read: {_reason(error)}"
    )


def warn_values_missing(path: Path, group: int, rows: int, key: object, error: Exception) -> None:
    """Warn that the values of a column in a row group can't be read; everything else can."""
    _warn(
        f"{path} is damaged: column {str(key)!r} of row group {group} ({rows:,} rows) can't be read,"
        f" its values there are missing: {_reason(error)}"
    )


def _reason(error: Exception) -> str:
    lines = error_message(error).strip().splitlines() or [type(error).__name__]
    return lines[0]


def _warn(message: str) -> None:
    warn(f"{message}. See collection.verify()", DamagedFileWarning, stacklevel=4)


def require_type(field: pa.Field, *types: pa.DataType) -> None:
    """Raise unless a column has one of these types.

    Raises:
        DamagedFileError: it has another type.
    """
    if field.type not in types:
        message = f"column {field.name!r} is of type {field.type}, which is not that of its kind"
        raise DamagedFileError(message)
