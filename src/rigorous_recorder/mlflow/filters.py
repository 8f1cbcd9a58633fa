"""MLflow's filters and orders of runs."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from .entities import Run
from .exceptions import MlflowException

__all__ = ["is_chosen", "ordered"]

_FIELD: Final = r"""(?:(?P<table>\w+)\.)?(?P<key>`[^`]+`|"[^"]+"|[\w./-]+)"""
_CONDITION: Final = re.compile(
    rf"\s*{_FIELD}\s*(?P<how>!=|<=|>=|=|<|>|NOT\s+IN|IN|I?LIKE)\s*"
    r"(?P<value>\([^)]*\)|'[^']*'|\"[^\"]*\"|[-+.\w]+)\s*(?:AND\s+|$)",
    re.IGNORECASE,
)
_ORDER: Final = re.compile(rf"\s*{_FIELD}\s*(?P<how>ASC|DESC)?\s*$", re.IGNORECASE)


def _is_like(text: Any, pattern: Any) -> bool:
    return fnmatchcase(str(text), str(pattern).replace("%", "*").replace("_", "?"))


_HOW: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "IN": lambda value, others: value in others,
    "NOT IN": lambda value, others: value not in others,
    "LIKE": _is_like,
    "ILIKE": lambda value, other: _is_like(str(value).lower(), str(other).lower()),
}


def is_chosen(run: Run, text: str) -> bool:
    """Whether a run meets all conditions of a filter.

    Raises:
        MlflowException: it has something else than conditions that are joined by AND.
    """
    at = 0
    while text[at:].strip():
        found = _CONDITION.match(text, at)
        if found is None:
            message = (
                f"{text[at:]!r:.60} is not a valid condition; such as metrics.loss < 0.5,"
                " params.model = 'm1' or tags.kind LIKE 'a%', joined by AND"
            )
            raise MlflowException(message)
        value, other = _value(run, found["table"], found["key"]), ast.literal_eval(found["value"])
        if not isinstance(
            other, int | float
        ):  # texts, as which MLflow compares parameters and tags
            value = None if value is None else str(value)
        how = _HOW[" ".join(found["how"].upper().split())]
        if value is None or not how(value, other):
            return False
        at = found.end()
    return True


def _value(run: Run, table: str | None, key: str) -> Any:
    key = key.strip('`"')
    places = {
        "metric": run.data.metrics,
        "param": run.data.params,
        "parameter": run.data.params,
        "tag": run.data.tags,
    }
    name = (table or "attribute").lower().rstrip("s")
    return places[name].get(key) if name in places else vars(run.info).get(key)


def ordered(runs: Iterable[Run], orders: Iterable[str]) -> list[Run]:
    """Runs in an order; the newest first where it leaves any.

    Raises:
        MlflowException: it is not a valid order.
    """
    found = sorted(runs, key=lambda run: run.info.start_time or 0, reverse=True)
    for each in reversed(list(orders)):
        order = _ORDER.match(each)
        if order is None:
            message = f"{each!r} is not a valid order; such as metrics.loss DESC"
            raise MlflowException(message)
        is_down = (order["how"] or "ASC").upper() == "DESC"
        values = [_value(run, order["table"], order["key"]) for run in found]
        known = [(v, run) for v, run in zip(values, found, strict=True) if v is not None]
        known.sort(key=operator.itemgetter(0), reverse=is_down)
        missing = [run for v, run in zip(values, found, strict=True) if v is None]
        found = [*(run for _, run in known), *missing]
    return found
