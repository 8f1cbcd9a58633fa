"""Keys that are nowhere: what is reported of them, with the ones that are spelled alike."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Final

from .._report import warn
from .._tree import FIRST_KEYS, keys_of
from ..errors import ColumnError, ColumnWarning
from .conditions import Condition
from .scan import Moment

__all__ = ["no_such_key", "require_known", "warn_of_unknown"]

#: So many of the keys that there are get listed.
_LISTED: Final = 20


def require_known(moment: Moment, conditions: Iterable[Condition]) -> None:
    """Check that conditions ask for keys that anything in the collection has, or ever had.

    Where nothing was logged yet, every key may still come.

    Raises:
        ColumnError: a key is nowhere; the message has the ones that are spelled alike.
    """
    for message in _unknown(moment, conditions):
        raise ColumnError(message)


def warn_of_unknown(moment: Moment, conditions: Iterable[Condition]) -> None:
    """As ``require_known``, for who waits for what is logged from now on: a key may still come."""
    for message in _unknown(moment, conditions):
        warn(f"{message}. It may still be logged", ColumnWarning, stacklevel=3)


def _unknown(moment: Moment, conditions: Iterable[Condition]) -> list[str]:
    wanted = dict.fromkeys(each.key for each in conditions)
    if not wanted or not any(each.rows for each in moment.snapshot.records):
        return []
    known = dict.fromkeys([*keys_of(moment.nodes.columns), *keys_of(moment.record_columns)])
    return [
        f"where({key}=...): {no_such_key(key, known)}"
        for key in wanted
        if key not in known and key not in FIRST_KEYS
    ]


def no_such_key(key: str, keys: Collection[str]) -> str:
    """What is reported of a key that is not among ``keys``."""
    near = get_close_matches(key, keys, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else _listed(keys)
    return f"there is no column {key!r}; {hint}"


def _listed(keys: Collection[str]) -> str:
    shown = ", ".join(map(repr, list(keys)[:_LISTED])) or "no columns at all"
    more = f" and {len(keys) - _LISTED:,} more" if len(keys) > _LISTED else ""
    return f"there are {shown}{more}"
