"""What all integrations share: a failure to log is reported once, and never raised into a training."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from rigorous_recorder import Recorder, Run
from rigorous_recorder._report import error_line, report
from rigorous_recorder.errors import RigorousError

__all__ = ["guest", "push", "report_once", "set_attributes"]

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


def report_once(what: str, error: Exception, *, step: Any = None) -> None:
    """Report a failure, the first time that it occurs in this process, and at which step that is."""
    line = f"{what}: {error_line(error)}"
    if line not in _REPORTED:
        _REPORTED.add(line)
        report(line if step is None else f"{line} (first at step {step!r:.30})")


def push(recorder: Recorder | Run, fields: Mapping[str, Any]) -> None:
    """Log a record; a field that can't be stored is reported, and the others are logged."""
    try:
        recorder.push(fields)
    except RigorousError:
        recorder.push(_storable(fields, _leaving_out(fields.get("step"))))


def set_attributes(recorder: Recorder, attributes: Mapping[str, Any]) -> None:
    """Set attributes; of a value that can't be stored, its ``repr``."""
    recorder.update(_storable({str(key): value for key, value in attributes.items()}, _text))


def _storable(fields: Mapping[str, Any], other: Callable[[str, Any, Exception], Any]) -> Any:
    found: dict[str, Any] = {}
    for key, value in fields.items():
        try:
            Recorder().add({key: value})
        except RigorousError as error:
            found |= other(key, value, error)
        else:
            found[key] = value
    return found


def _leaving_out(step: Any) -> Callable[[str, Any, Exception], dict[str, Any]]:
    def nothing(key: str, _: Any, error: Exception) -> dict[str, Any]:
        report_once(f"{key!r} could not be logged", error, step=step)
        return {}

    return nothing


def _text(key: str, value: Any, _: Exception) -> dict[str, Any]:
    if isinstance(value, Mapping):
        found = {str(name): each for name, each in value.items()}
        return {key: _storable(found, _text)}
    return {key: repr(value)}
