"""Values inside of dicts: a path such as ``config.lr`` is read like a key of its own.

A dict is stored once, as JSON text under its key, the root of the paths in it. Which dict a record has
is found out for the root, so a record's own dict hides the inherited one as a whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final, Self

from ._arrow import pa
from ._live.column import Column
from ._values.classify import classify
from ._values.json_text import load
from ._values.kinds import JSON, Kind

__all__ = ["Path", "inside", "path_named", "paths_below", "root_of"]

#: What reading JSON text raises where it is damaged.
_NO_JSON: Final = (ValueError, RecursionError)


class Path(str):
    """The name of values inside of the dicts under a key."""

    __slots__ = ("rest", "root")

    #: The key that has the dicts, and the path within them.
    root: str
    rest: str

    def __new__(cls, root: str, rest: str) -> Self:
        """The path ``root.rest``."""
        self = super().__new__(cls, f"{root}.{rest}")
        self.root, self.rest = root, rest
        return self


def root_of(key: str) -> str:
    """The key under which the values of a key or of a path are stored."""
    return key.root if isinstance(key, Path) else key


def path_named(name: str, roots: Collection[str]) -> Path | None:
    """The path of that name; None where no key that it can begin with has dicts.

    Of several such keys it is the longest.
    """
    for head, rest in _splits(name):
        if head in roots:
            return Path(head, rest)
    return None


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """A name cut in two at each of its dots, the last dot first."""
    at = name.rfind(".")
    while at >= 0:
        yield name[:at], name[at + 1 :]
        at = name.rfind(".", 0, at)


def inside(path: Path, variants: Mapping[Column, Any]) -> dict[Column, Any]:
    """The values at a path, by kind.

    Args:
        variants: the values of its root, by column.
    """
    found: dict[Column, Any] = {}
    for column, texts in variants.items():
        if column.kind == JSON:
            encoded = texts.dictionary_encode()
            for kind, values in _by_kind(path, encoded.dictionary.to_pylist()).items():
                array = kind.column(values)
                found[Column(path, kind)] = array.take(encoded.indices)
    return found


def _by_kind(path: Path, texts: list[str]) -> dict[Kind, list[Any]]:
    """For each kind the values in some dicts, None where a value is missing or of another kind."""
    found: dict[Kind, list[Any]] = {}
    for at, text in enumerate(texts):
        value = _at(_loaded(text), path.rest)
        if value is not None:
            kind, plain = classify(path, value)
            found.setdefault(kind, [None] * len(texts))[at] = plain
    return found


def _loaded(text: str) -> Any:
    try:
        return load(text)
    except _NO_JSON:
        return None


def _at(value: Any, rest: str) -> Any:
    """What is at a path in a dict; a key that has dots itself goes before the path of that name."""
    if not isinstance(value, dict):
        return None
    if rest in value:
        return value[rest]
    for head, tail in _splits(rest):
        if isinstance(value.get(head), dict) and (found := _at(value[head], tail)) is not None:
            return found
    return None


def paths_below(root: str, columns: Iterable[Any]) -> list[Path]:
    """The paths of all values in dicts but for dicts, in the order in which they come up.

    Args:
        columns: arrays of JSON text.
    """
    found: dict[str, None] = {}
    for column in columns:
        for text in pa.array(column).unique().to_pylist():
            found.update(dict.fromkeys(_leaves(_loaded(text) if text else None)))
    return [Path(root, rest) for rest in found]


def _leaves(value: Any) -> Iterator[str]:
    for key, each in value.items() if isinstance(value, dict) else ():
        if isinstance(each, dict):
            yield from (f"{key}.{rest}" for rest in _leaves(each))
        elif each is not None:
            yield key
