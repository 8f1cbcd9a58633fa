"""Timestamps of experiments, computed from the stored seconds since the epoch; never stored."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from .._arrow import pa, pc
from .sql import identifier

__all__ = ["instants_in", "select_with_instants", "with_instants"]

#: The key with the seconds of each timestamp.
_SECONDS: Final = {
    "experiment_start": "experiment_start_time",
    "experiment_end": "experiment_end_time",
    "experiment_attempt_start": "experiment_attempt_start_time",
}
_TYPE: Final[tuple[str, str]] = ("us", "UTC")


def instants_in(names: Collection[str], columns: Collection[str]) -> dict[str, str]:
    """The timestamps among some lower-case names, each with the column of its seconds.

    A stored column with the same name takes precedence.
    """
    return {
        name: seconds
        for name, seconds in _SECONDS.items()
        if name in names and seconds in columns and name not in columns
    }


def select_with_instants(source: str, instants: Mapping[str, str]) -> str:
    """A SELECT of the columns of a source, followed by timestamps."""
    added = "".join(
        f", to_timestamp({identifier(seconds)}) AS {name}" for name, seconds in instants.items()
    )
    return f"SELECT *{added} FROM {source}"


def with_instants(table: pa.Table) -> pa.Table:
    """The table with a UTC timestamp column for each of its columns of seconds."""
    for name, seconds in instants_in(_SECONDS, table.column_names).items():
        values = table[seconds]
        if pa.types.is_floating(values.type):
            microseconds = pc.round(pc.multiply(values, 1e6)).cast(pa.int64())
            table = table.append_column(name, microseconds.cast(pa.timestamp(*_TYPE)))
    return table
