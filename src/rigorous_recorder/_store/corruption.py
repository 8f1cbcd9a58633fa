"""What is done about a file that is not as it was written: it is told, and left out."""

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

#: What pyarrow, and what is made of its answer, raise for bytes that are not what they should be.
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
    MemoryError,  # a size that is not true asks for more than there is
)
_OF_PROCESS: Final = {errno.EMFILE, errno.ENFILE}


def blame_file(error: Exception) -> None:
    """Pass over what says something of a file, not of this process.

    Raises:
        OSError: no more files can be open; nothing is known of this one.
    """
    if isinstance(error, OSError) and error.errno in _OF_PROCESS:
        message = f"{error.strerror}. Close some, or allow more with ulimit -n, and do it again"
        raise OSError(error.errno, message, error.filename) from error


def warn_damaged(path: Path, error: Exception) -> None:
    """Say which file can't be read, and why; everything else still is."""
    _warn(f"{path} is damaged and left out: {_reason(error)}")


def warn_rows_left_out(path: Path, group: int, rows: int, error: Exception) -> None:
    """Report that the rows of a row group are left out, since ``_node`` can't be read there."""
    _warn(
        f"{path} is damaged: row group {group} ({rows:,} rows) is left out, since whose rows these"
        f" are can't be read: {_reason(error)}"
    )


def warn_values_missing(path: Path, group: int, rows: int, key: object, error: Exception) -> None:
    """Report that the values of one column in a row group can't be read; all else still is."""
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
    """Raise unless a column is of one of these types.

    Raises:
        DamagedFileError: it is of another.
    """
    if field.type not in types:
        message = f"column {field.name!r} is of type {field.type}, which is not that of its kind"
        raise DamagedFileError(message)
