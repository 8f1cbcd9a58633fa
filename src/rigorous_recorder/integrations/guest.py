"""What all integrations share: a failure to log is reported once, and never raised into a training."""

from __future__ import annotations

import atexit
import functools
import sys
from collections.abc import Callable
from os import PathLike
from typing import Any, Final, TypeVar

from rigorous_recorder import ExperimentCollection, Run
from rigorous_recorder._report import error_line, report

__all__ = ["Place", "collection_at", "end_at_exit", "guest", "report_once"]

Place = ExperimentCollection | str | PathLike[str]

_Method = TypeVar("_Method", bound=Callable[..., Any])
_REPORTED: Final[set[str]] = set()


def guest(method: _Method) -> _Method:
    """A method that reports an exception of its own instead of raising it; it then returns None."""

    @functools.wraps(method)
    def call(*values: Any, **named: Any) -> Any:
        try:
            return method(*values, **named)
        except Exception as error:  # noqa: BLE001 - the training goes on
            report_once(f"{method.__qualname__} could not log", error)
            return None

    return call  # type: ignore[return-value]


def report_once(what: str, error: Exception) -> None:
    """Report a failure, the first time that it occurs in this process."""
    line = f"{what}: {error_line(error)}"
    if line not in _REPORTED:
        _REPORTED.add(line)
        report(line)


def collection_at(place: Place) -> ExperimentCollection:
    """The collection, or the one at a path."""
    return place if isinstance(place, ExperimentCollection) else ExperimentCollection(place)


def end_at_exit(run: Run) -> None:
    """End the run with the process, unless it has ended: with its exception, if it dies of one."""
    atexit.register(_end, run)


def _end(run: Run) -> None:
    error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    try:
        if error is None:
            run.finish()
        else:
            run.fail(error)
    except Exception:  # noqa: BLE001 - it has ended, or belongs to the parent of a fork
        return
