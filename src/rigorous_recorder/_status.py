"""Statuses of experiments, and the exceptions that mean that one was stopped on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from ._keys import STATUS_KEY
from ._public import public
from .errors import ArgumentError, ArgumentTypeError

__all__ = ["STOPS", "Status", "ending", "register_stop", "status_at_end", "status_of_error"]


@public
class Status(StrEnum):
    """The status of an experiment."""

    RUNNING = "running"
    FINISHED = "finished"
    #: It ended with an error.
    FAILED = "failed"
    #: Its process died before the end.
    CRASHED = "crashed"
    #: It was ended on purpose, as by Ctrl-C.
    STOPPED = "stopped"
    #: A search gave it up, as Optuna does.
    PRUNED = "pruned"


#: The statuses that an experiment can end with, and those that are neither success nor failure.
_ENDS: Final = (Status.FINISHED, Status.FAILED, Status.STOPPED, Status.PRUNED)
STOPS: Final = (Status.STOPPED, Status.PRUNED)

#: By type, or by full name if the library may not be imported.
_STOPPING: Final[dict[type[BaseException] | str, Status]] = {
    KeyboardInterrupt: Status.STOPPED,
    "asyncio.exceptions.CancelledError": Status.STOPPED,
    "optuna.exceptions.TrialPruned": Status.PRUNED,
}


def register_stop(error: type[BaseException], /, status: Status | str = Status.STOPPED) -> None:
    """Register exceptions, including derived ones, that mean that a run was stopped on purpose.

    ``KeyboardInterrupt`` and ``asyncio.CancelledError`` (stopped) and Optuna's ``TrialPruned``
    (pruned) are registered by default. The registration applies to this process.

    Args:
        error: the type of the exceptions.
        status: the status of experiments that end with one: "stopped" or "pruned"; "failed" makes
            it an ordinary error again.

    Raises:
        ArgumentTypeError: ``error`` is not an exception type.
        ArgumentError: ``status`` is not one of these.

    Examples:
        >>> class EarlyStop(Exception):
        ...     pass
        >>> register_stop(EarlyStop, "stopped")
    """
    if not (isinstance(error, type) and issubclass(error, BaseException)):
        message = f"register_stop expects a type of exceptions such as EarlyStop, not {error!r:.60}"
        raise ArgumentTypeError(message)
    _STOPPING[error] = _one_of((*STOPS, Status.FAILED), status)


def ending(status: Status | str) -> Status:
    """Validate a status that a run can be ended with.

    Raises:
        ArgumentError: it is not one of these.
    """
    return _one_of(_ENDS, status)


def _one_of(expected: tuple[Status, ...], status: object) -> Status:
    if isinstance(status, str) and status in expected:
        return Status(status)
    message = f"status={status!r:.60}: expected one of {', '.join(expected)}"
    raise ArgumentError(message)


def status_of_error(error: BaseException | None) -> Status:
    """The status of an experiment that ended with an exception; the nearest registered type wins."""
    for kind in type(error).__mro__:
        found = _STOPPING.get(kind)
        try:
            found = found or _STOPPING.get(f"{kind.__module__}.{kind.__qualname__}")
        except Exception:  # noqa: BLE001, S112 - a user's metaclass can raise anything
            continue
        if found is not None:
            return found
    return Status.FAILED


def status_at_end(attributes: Mapping[str, Any]) -> Status | None:
    """The status with which an experiment ended, from its attributes; None if it has not."""
    is_good = attributes.get("had_error") is False
    if attributes.get("experiment_end_time") is None and not is_good:
        return None
    stored = attributes.get(STATUS_KEY)
    if isinstance(stored, str) and stored in STOPS:
        return Status(stored)
    return Status.FINISHED if is_good else Status.FAILED
