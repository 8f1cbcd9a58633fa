"""Names and text in SQL: the only place that quotes."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["identifier", "literal", "sql_names"]


def identifier(name: str) -> str:
    """A name as SQL takes it, whatever it contains."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def sql_names(keys: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """For each key the name of its column in SQL.

    SQL compares names without case and has no empty name, so of keys that meet there the first
    keeps its name and the others get ``_2``, ``_3``, ... behind it; an empty key is ``_empty``.
    NUL, which ends a statement, is written as U+2400.
    """
    names: dict[str, str] = {}
    used = {name.casefold() for name in taken}
    wanted = list(keys)
    exact = {key.casefold() for key in wanted}
    for key in wanted:
        base = name = key.replace("\0", "\u2400") or "_empty"
        count = 1
        while name.casefold() in used or (count > 1 and name.casefold() in exact):
            count += 1
            name = f"{base}_{count}"
        used.add(name.casefold())
        names[key] = name
    return names
