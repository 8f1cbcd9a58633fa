"""Selecting runs: by number, by attribute, by start time."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._engines.known_keys import no_such_key
from rigorous_recorder._nested import unnested
from rigorous_recorder.errors import ArgumentError

from .output import cell, json_line

if TYPE_CHECKING:  # most commands read no record
    from rigorous_recorder import ExperimentOverview, Records

__all__ = ["Since", "began_since", "known_keys", "meets", "numbers_of", "records_since"]

_RANGE: Final = re.compile(r"(\d+)(?:-(\d+))?")
_AGE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}

Since = Annotated[
    str | None,
    typer.Option(
        metavar="WHEN",
        help="Only runs that began since then: an age, such as 2h, 30m, 3d or 1w, or a local date or time, such as 2026-01-31.",
        show_default=False,
    ),
]


def numbers_of(typed: Iterable[str], there: Collection[int]) -> list[int]:
    """Parse experiment numbers and ranges such as ``2-5``; each number once.

    A range selects the existing numbers in it.

    Raises:
        typer.BadParameter: a word is neither a number nor a range.
        ArgumentError: a range contains no existing number.
    """
    found: dict[int, None] = {}
    for word in typed:
        parts = _RANGE.fullmatch(word)
        if parts is None:
            message = f"{word!r} is not a valid experiment number; expected one such as 3, or 2-5"
            raise typer.BadParameter(message, param_hint="NUMBER")
        first, last = int(parts[1]), int(parts[2] or parts[1])
        inside = [number for number in sorted(there) if first <= number <= last]
        if parts[2] and not inside:
            message = f"there is no experiment in {word}; `rigorous ls` lists all"
            raise ArgumentError(message)
        found |= dict.fromkeys(inside if parts[2] else [first])
    return list(found)


def seconds_since(when: str) -> float:
    """Parse an age, or a local date or time, into seconds since the epoch.

    Raises:
        typer.BadParameter: it is neither.
    """
    if (age := _AGE.fullmatch(when.strip())) is not None:
        return time.time() - float(age[1]) * _SECONDS[age[2]]
    try:
        return dt.datetime.fromisoformat(when.strip()).astimezone().timestamp()
    except (ValueError, OverflowError):
        message = (
            f"{when!r}: expected an age, such as 2h or 3d, or a date or time, such as 2026-01-31"
        )
        raise typer.BadParameter(message, param_hint="--since") from None


def began_since(
    experiments: Iterable[ExperimentOverview], when: str | None
) -> list[ExperimentOverview]:
    """The runs that began since then; all if None."""
    if when is None:
        return list(experiments)
    seconds = seconds_since(when)
    return [each for each in experiments if each.start is not None and each.start >= seconds]


def records_since(records: Records, when: str | None) -> Records:
    """The records of runs that began since then; all if None."""
    if when is None:
        return records
    return records.where(f"experiment_start_time >= {seconds_since(when)!r}")


def meets(
    run: Mapping[str, Any], status: str, conditions: Iterable[str], known: Collection[str]
) -> bool:
    """Whether a run has all values, each typed as ``key=value``; ``status`` counts as a key.

    Raises:
        typer.BadParameter: a condition is not ``key=value``.
        ArgumentError: no run has the key.
    """
    values = unnested(run)
    for condition in conditions:
        key, equals, wanted = condition.partition("=")
        if not equals:
            message = f"{condition!r} is not a valid condition; expected key=value, such as lr=0.1"
            raise typer.BadParameter(message, param_hint="--where")
        if key != "status" and key not in known:
            raise ArgumentError(no_such_key(key, known))
        value = status if key == "status" and key not in known else values.get(key)
        if wanted not in {cell(value), json_line(value)}:
            return False
    return True


def known_keys(collection: ExperimentCollection) -> list[str]:
    """The keys that runs of a collection have, and the paths in their dicts."""
    return list(dict.fromkeys(key for run in collection.experiments for key in unnested(run)))
