"""Unknown keys in conditions: errors and warnings that suggest similar keys."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Final

from .._keys import FIRST_KEYS
from .._nested import Path
from .._report import warn
from .._values.kinds import Kind
from ..errors import ColumnError, ColumnWarning
from .conditions import AnyCondition
from .mixed import Flat
from .node_conditions import Bound
from .scan import Scan
from .scanned_rows import Scope
from .snapshot import Snapshot
from .sql import identifier, literal
from .sql_conditions import BoundSql

__all__ = ["no_such_key", "require_known", "warn_of_unknown", "why_misnamed", "with_advice"]

#: At most this many of the existing keys are listed.
_LISTED: Final = 20


def require_known(snapshot: Snapshot, conditions: tuple[AnyCondition, ...]) -> None:
    """Raise for conditions on keys that nothing in the collection has, or ever had.

    As long as nothing is logged, every key is accepted.

    Raises:
        ColumnError: a key does not exist, and the message suggests similar ones; or no value of the
            key can equal the requested one.
    """
    for message in _faults(snapshot, conditions):
        raise ColumnError(message)
    texts = [
        each for each in Scan(snapshot, Scope(), conditions).bound if isinstance(each, BoundSql)
    ]
    if texts:
        used = [flat.name for each in texts for _, flat, _ in each.columns]
        Scan(snapshot, Scope()).warn_of_mixed(used)


def warn_of_unknown(snapshot: Snapshot, conditions: tuple[AnyCondition, ...]) -> None:
    """Like ``require_known``, as a warning for followers: the key may still be logged."""
    for message in _faults(snapshot, conditions):
        warn(with_advice(message, "It may still be logged"), ColumnWarning, stacklevel=3)


def with_advice(sentence: str, more: str) -> str:
    """Join two sentences, the first of which may end with a question mark."""
    return f"{sentence} {more}" if sentence.endswith("?") else f"{sentence}. {more}"


def _faults(snapshot: Snapshot, conditions: tuple[AnyCondition, ...]) -> list[str]:
    if not conditions or not any(each.rows for each in snapshot.fragments.records):
        return []
    known: dict[str, set[Kind]] = {}
    for column in [*snapshot.nodes.columns, *snapshot.record_columns]:
        if isinstance(column.key, str):
            known.setdefault(column.key, set()).add(column.kind)
    bound = Scan(snapshot, Scope(), conditions).bound
    return [why for each in bound if (why := _fault(each, known, snapshot)) is not None]


def _fault(condition: Bound, known: Mapping[str, set[Kind]], snapshot: Snapshot) -> str | None:
    if isinstance(condition, BoundSql):
        return _fault_in_sql(condition, list(Scan(snapshot, Scope()).flats))
    key = condition.key
    kinds = known.get(key) or (_kinds_at(snapshot, key) if isinstance(key, Path) else ())
    why = condition.why_never(kinds)
    if not kinds and key not in known and key not in FIRST_KEYS:
        why = no_such_key(key, [*known, *snapshot.paths_of_nodes(key)])
        if (named := key.rpartition(":")[0]) in known:
            why = (
                f"that is a column; conditions take keys, such as {named!r}, and values of every"
                " kind"
            )
    return None if why is None else f"{condition}: {why}"


def _kinds_at(snapshot: Snapshot, path: Path) -> set[Kind]:
    """The kinds of all values that are at a path."""
    return Scan(snapshot, Scope()).kinds_of(Flat(path, path))


def _fault_in_sql(condition: BoundSql, columns: Sequence[str]) -> str | None:
    used = [name for name, *_ in condition.columns]
    why = why_misnamed(condition.text, condition.unknown, used, columns)
    return condition.why_unfit() if why is None else f"{condition}: {why}"


def why_misnamed(
    text: str, unknown: Iterable[str], used: Iterable[str], columns: Sequence[str]
) -> str | None:
    """Why a SQL condition names no column where it should; None if all is well.

    Args:
        text: the condition.
        unknown: the names in it that are not columns.
        used: the columns that it names.
        columns: all columns.
    """
    for name in unknown:
        if name in FIRST_KEYS:
            continue
        why = no_such_key(name, columns, shown=identifier)
        if "did you mean" not in why or identifier(name) in text:
            why = with_advice(why, f"Text is written in single quotes: {literal(name)}")
        return why
    for name in used:
        if "." in name and identifier(name).casefold() not in text.casefold():
            return f"write {identifier(name)}, in double quotes, which make it one name"
    return None


def no_such_key(key: str, keys: Collection[str], shown: Callable[[str], str] = repr) -> str:
    """The message about a key that is not among ``keys``.

    Args:
        shown: formats a key.
    """
    near = get_close_matches(key, keys, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(shown, near))}?" if near else _listed(keys, shown)
    return f"there is no column {shown(key)}; {hint}"


def _listed(keys: Collection[str], write: Callable[[str], str]) -> str:
    shown = ", ".join(map(write, list(keys)[:_LISTED])) or "no columns at all"
    more = f" and {len(keys) - _LISTED:,} more" if len(keys) > _LISTED else ""
    return f"there are {shown}{more}"
