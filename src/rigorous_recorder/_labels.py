"""Labels of experiments: plain attributes under well-known keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["ARCHIVED", "NAME", "NOTE", "TAGS", "listed_name_in", "name_in", "tags_in"]

NAME: Final = "name"
NOTE: Final = "note"
TAGS: Final = "tags"
ARCHIVED: Final = "archived"
#: The name that imported runs, and those of drop-ins, had in the other tool.
_RUN: Final = "run"


def name_in(attributes: Mapping[str, Any], key: str = NAME) -> str | None:
    """The name, or another label, as text; None if not set."""
    value = attributes.get(key)
    return None if value is None else str(value)


def listed_name_in(attributes: Mapping[str, Any]) -> str | None:
    """The name in lists: without one, the text that imported runs have as ``run``."""
    run = attributes.get(_RUN)
    return name_in(attributes) or (run if isinstance(run, str) else None)


def tags_in(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """The tags in order, without duplicates; a value that is not a list is a single tag."""
    tags = attributes.get(TAGS)
    if tags is None:
        return ()
    found = tags if isinstance(tags, (list, tuple)) else [tags]
    return tuple(dict.fromkeys(map(str, found)))
