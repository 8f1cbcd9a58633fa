"""MLflow's filters and orders of runs."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from .entities import Experiment, Run
from .exceptions import MlflowException

__all__ = ["is_chosen", "ordered"]

_FIELD: Final = r"""(?:(?P<table>\w+)\.)?(?P<key>`[^`]+`|"[^"]+"|[\w./-]+)"""
_CONDITION: Final = re.compile(
    rf"\s*{_FIELD}\s*(?:(?P<null>IS\s+(?:NOT\s+)?NULL)|(?P<how>!=|<=|>=|=|<|>|NOT\s+IN|IN|I?LIKE)\s*"
    r"(?P<value>\([^)]*\)|'[^']*'|\"[^\"]*\"|[-+.\w]+))\s*(?:AND\s+|$)",
    re.IGNORECASE,
)
_ORDER: Final = re.compile(rf"\s*{_FIELD}\s*(?P<how>ASC|DESC)?\s*$", re.IGNORECASE)


def _is_like(text: Any, pattern: Any) -> bool:
    return fnmatchcase(str(text), str(pattern).replace("%", "*").replace("_", "?"))


#: Other names of attributes of runs.
_NAMES: Final = {"created": "start_time", "id": "run_id", "run name": "run_name"}
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


def is_chosen(run: Run | Experiment, text: str) -> bool:
    """Whether a run, or an experiment, meets all conditions of a filter.

    Raises:
        MlflowException: it has something else than conditions that are joined by AND.
    """
    at = 0
    while text[at:].strip():
        found = _CONDITION.match(text, at)
        if found is None:
            raise _invalid(text[at:])
        if not _meets(_value(run, found["table"], found["key"]), found):
            return False
        at = found.end()
    return True


def _meets(value: Any, condition: re.Match[str]) -> bool:
    if condition["null"]:
        return (value is None) is ("NOT" not in condition["null"].upper())
    how, other = " ".join(condition["how"].upper().split()), _other(condition)
    if not isinstance(other, int | float):  # texts, as which MLflow compares parameters and tags
        value = None if value is None else str(value)
    try:
        return value is not None and _HOW[how](value, other)
    except TypeError:  # a text, and the other one is a number
        return False


def _other(condition: re.Match[str]) -> Any:
    """What a condition compares with: a number, a text, or several of them."""
    try:
        found = ast.literal_eval(condition["value"])
    except (ValueError, SyntaxError) as error:
        raise _invalid(condition[0]) from error
    if not condition["how"].upper().endswith("IN"):
        return found
    if not condition["value"].startswith("("):
        raise _invalid(condition[0])
    return found if isinstance(found, tuple) else (found,)  # parentheses alone make no tuple


def _invalid(text: str) -> MlflowException:
    return MlflowException(
        f"{text!r:.60} is not a valid condition; such as metrics.loss < 0.5,"
        " params.model = 'm1' or tags.kind LIKE 'a%', joined by AND"
    )


def _value(run: Run | Experiment, table: str | None, key: str) -> Any:
    key = key.strip('`"')
    if isinstance(run, Experiment):
        is_tag = (table or "").lower().startswith("tag")
        return run.tags.get(key) if is_tag else getattr(run, key, None)
    key = _NAMES.get(key.lower(), key)
    places: dict[str, Any] = {
        "metric": run.data.metrics,
        "param": run.data.params,
        "parameter": run.data.params,
        "tag": run.data.tags,
    }
    name = (table or "attribute").lower().rstrip("s")
    if name not in {*places, "attribute", "attr", "run"}:
        message = f"{table}.{key}: expected metrics, params, tags or attributes before the point"
        raise MlflowException(message)
    return places[name].get(key) if name in places else vars(run.info).get(key)


def _age(run: Run | Experiment) -> int:
    return -(run.info.start_time or 0) if isinstance(run, Run) else 0


def _rank(value: Any) -> tuple[bool, Any]:
    """What sorts values of any types: numbers, and after them texts."""
    is_number = isinstance(value, int | float)
    return not is_number, value if is_number else str(value)


def ordered(runs: Iterable[Run | Experiment], orders: Iterable[str]) -> list[Any]:
    """Runs, or experiments, in an order; the newest runs first where it leaves any.

    Raises:
        MlflowException: it is not a valid order.
    """
    found: list[Any] = sorted(runs, key=_age)
    for each in reversed(list(orders)):
        order = _ORDER.match(each)
        if order is None:
            message = f"{each!r} is not a valid order; such as metrics.loss DESC"
            raise MlflowException(message)
        is_down = (order["how"] or "ASC").upper() == "DESC"
        values = [_value(run, order["table"], order["key"]) for run in found]
        pairs = [*zip(values, found, strict=True)]
        known = [(_rank(v), run) for v, run in pairs if v == v and v is not None]  # noqa: PLR0124
        known.sort(key=operator.itemgetter(0), reverse=is_down)
        missing = [run for v, run in pairs if v is None or v != v]  # noqa: PLR0124
        found = [*(run for _, run in known), *missing]
    return found
