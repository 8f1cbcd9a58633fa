"""What is done about a file that is not as it was written: it is told, and left out."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .._lazy import lazy_module
from .._report import error_message, warn
from ..errors import DamagedFileError, DamagedFileWarning

if TYPE_CHECKING:
    import pyarrow as pa
else:
    pa = lazy_module("pyarrow")

__all__ = ["UNREADABLE", "blame_file", "require_type", "warn_damaged"]

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
    reason = error_message(error).strip().splitlines() or [type(error).__name__]
    message = f"{path} is damaged and left out: {reason[0]}. See collection.verify()"
    warn(message, DamagedFileWarning, stacklevel=3)


def require_type(field: pa.Field, *types: pa.DataType) -> None:
    """Pass over a column of one of these types.

    Raises:
        DamagedFileError: it is of another.
    """
    if not any(field.type == each for each in types):
        message = f"column {field.name!r} is of type {field.type}, which is not that of its kind"
        raise DamagedFileError(message)
