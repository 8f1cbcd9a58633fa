"""Keys that are nowhere: what is reported of them, with the ones that are spelled alike."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from textwrap import shorten
from typing import Final

from .._report import warn
from .._tree import FIRST_KEYS
from .._values.kinds import Kind
from ..errors import ColumnError, ColumnWarning
from .conditions import Condition
from .scan import Moment

__all__ = ["no_such_key", "require_known", "warn_of_unknown"]

#: So many of the keys that there are get listed.
_LISTED: Final = 20


def require_known(moment: Moment, conditions: Sequence[Condition]) -> None:
    """Check that conditions ask for keys that anything in the collection has, or ever had.

    Where nothing was logged yet, every key may still come.

    Raises:
        ColumnError: a key is nowhere, where the message has the ones that are spelled alike; or no
            value under it can be the one that is asked for.
    """
    for message in _faults(moment, conditions):
        raise ColumnError(message)


def warn_of_unknown(moment: Moment, conditions: Sequence[Condition]) -> None:
    """As ``require_known``, for who waits for what is logged from now on: a key may still come."""
    for message in _faults(moment, conditions):
        warn(f"{message}. It may still be logged", ColumnWarning, stacklevel=3)


def _faults(moment: Moment, conditions: Sequence[Condition]) -> list[str]:
    if not conditions or not any(each.rows for each in moment.snapshot.records):
        return []
    known: dict[str, set[Kind]] = {}
    for column in [*moment.nodes.columns, *moment.record_columns]:
        if isinstance(column.key, str):
            known.setdefault(column.key, set()).add(column.kind)
    found = []
    for each in conditions:
        why = each.why_never(known.get(each.key, ()))
        if each.key not in known and each.key not in FIRST_KEYS:
            why = no_such_key(each.key, known)
        if why is not None:
            found.append(f"where({each.key}={_shown(each)}): {why}")
    return found


def _shown(condition: Condition) -> str:
    """The value of a condition as it was written; what is a number or text can be seen by it."""
    if condition.value is None:
        return "..."
    text = condition.value if condition.kind is None else repr(condition.value)
    return shorten(text, 60, placeholder="...")


def no_such_key(key: str, keys: Collection[str]) -> str:
    """What is reported of a key that is not among ``keys``."""
    near = get_close_matches(key, keys, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else _listed(keys)
    return f"there is no column {key!r}; {hint}"


def _listed(keys: Collection[str]) -> str:
    shown = ", ".join(map(repr, list(keys)[:_LISTED])) or "no columns at all"
    more = f" and {len(keys) - _LISTED:,} more" if len(keys) > _LISTED else ""
    return f"there are {shown}{more}"
