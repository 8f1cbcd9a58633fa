"""Numbers and times that other tools write as text."""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf, nan
from pathlib import Path
from typing import Any, Final

__all__ = ["file_inside", "float_named", "iso_time"]

_FLOATS: Final = {"NaN": nan, "Infinity": inf, "-Infinity": -inf}


def float_named(value: Any) -> Any:
    """NaN or an infinity for its name; any other value as it is."""
    return _FLOATS.get(value, value) if isinstance(value, str) else value


def iso_time(text: Any) -> datetime | None:
    """The time of a text in ISO format, in UTC if it has no zone; None if it is not one."""
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None


def file_inside(folder: Path, name: str) -> Path | None:
    """The path of a file below a folder; None if the name leads out of it."""
    try:
        top = folder.resolve()
        file = (top / name).resolve()
    except (OSError, ValueError, RuntimeError):
        return None
    return file if name and file != top and file.is_relative_to(top) else None
