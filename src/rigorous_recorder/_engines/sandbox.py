"""A DuckDB connection without external access, for users' conditions."""

from __future__ import annotations

import os
from typing import Final

from .._lazy_imports import duckdb

__all__ = ["sandbox"]

_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "enable_external_access": "false",  # no file, no network, no extension
    "autoinstall_known_extensions": "false",
    "threads": "1",  # callers have their own threads, and rows stay in order
}
_SETTINGS: Final = (
    "TimeZone = 'UTC'",  # not in the config: it loads an extension first
    "python_enable_replacements = false",  # names don't refer to variables of this library
    "lock_configuration = true",
)
#: The database of this process once it is open, and those of the processes that forked it, which
#: are neither used nor closed here.
_of_process: Final[list[duckdb.DuckDBPyConnection]] = []
_of_parents: Final[list[duckdb.DuckDBPyConnection]] = []


def sandbox() -> duckdb.DuckDBPyConnection:
    """A new connection without tables."""
    if not _of_process:
        _of_process.append(_opened())  # two threads that meet here each get one
    return _of_process[0].cursor()


def _opened() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config=_CONFIG)
    for setting in _SETTINGS:
        connection.execute(f"SET GLOBAL {setting}")
    return connection


def _leave_to_parent() -> None:
    _of_parents.extend(_of_process)
    _of_process.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
