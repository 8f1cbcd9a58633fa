"""What a writer's calls give: keys, numbers and steps."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from rigorous_recorder._keys import RESERVED
from rigorous_recorder.integrations.guest import report_once
from rigorous_recorder.integrations.media import array_of, number

__all__ = ["free", "media", "pixels", "plain", "reporting"]

_Method = TypeVar("_Method", bound=Callable[..., Any])
#: Keys of every run and record, which no tag and no hyperparameter replaces.
_OWN: Final = RESERVED | {"name", "log_dir", "purge_step", "step", "wall_time"}


def reporting(method: _Method) -> _Method:
    """A method that reports what it can't log, with the tag and the step, instead of raising it."""
    names = list(inspect.signature(method).parameters)

    @functools.wraps(method)
    def call(*values: Any, **named: Any) -> Any:
        try:
            return method(*values, **named)
        except Exception as error:  # noqa: BLE001 - the training goes on
            known = {**dict(zip(names, values, strict=False)), **named}
            tag = known.get("tag", known.get("main_tag"))
            what = f"{method.__name__} could not log" + ("" if tag is None else f" {tag!r}")
            report_once(what, error, step=known.get("global_step"))
            return None

    return call  # type: ignore[return-value]


def free(key: str, before: str = "metric") -> str:
    """A key that is not one of every run or record."""
    return f"{before}.{key}" if key in _OWN else key


def plain(value: Any) -> Any:
    """A hyperparameter; that of an array or tensor with one element is a number."""
    return number(value) if getattr(value, "ndim", 0) and array_of(value).size == 1 else value


def pixels(value: Any) -> Any:
    """A picture whose numbers are between 0 and 1, unless they are bytes, as in the original."""
    found = array_of(value)
    return found if found.dtype.name == "uint8" else found.astype(float)


def media(tag: str, value: Any, about: Mapping[str, Any]) -> dict[str, Any]:
    """A value, with what describes it below its tag."""
    return {tag: value, **{f"{tag}/{name}": each for name, each in about.items()}}
