"""What people give an experiment to find it again: plain attributes, under keys that are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["ARCHIVED", "NAME", "NOTE", "TAGS", "name_in", "tags_in"]

NAME: Final = "name"
NOTE: Final = "note"
TAGS: Final = "tags"
ARCHIVED: Final = "archived"


def name_in(attributes: Mapping[str, Any], key: str = NAME) -> str | None:
    """The name, or another text, as text; None where there is none."""
    value = attributes.get(key)
    return None if value is None else str(value)


def tags_in(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """The tags in order, each once; one that is no list is one tag."""
    tags = attributes.get(TAGS)
    if tags is None:
        return ()
    found = tags if isinstance(tags, (list, tuple)) else [tags]
    return tuple(dict.fromkeys(map(str, found)))
