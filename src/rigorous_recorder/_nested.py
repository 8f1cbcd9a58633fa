"""Nested values: a path into dicts, such as ``config.lr``, is read like a key.

A dict is stored once, as JSON text under its key, the root of its paths. Inheritance applies to the
root, so a record's own dict hides the inherited one as a whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final, Self

from ._arrow import pa
from ._live.column import Column
from ._values.classify import classify
from ._values.json_text import load
from ._values.kinds import JSON, Kind

__all__ = ["Path", "inside", "path_named", "paths_below", "root_of", "unnested", "value_at"]

#: The errors of parsing damaged JSON text.
_NO_JSON: Final = (ValueError, RecursionError)


class Path(str):
    """The name of values in the dicts under a key."""

    __slots__ = ("rest", "root")

    #: The key of the dicts, and the path in them.
    root: str
    rest: str

    def __new__(cls, root: str, rest: str) -> Self:
        """The path ``root.rest``."""
        self = super().__new__(cls, f"{root}.{rest}")
        self.root, self.rest = root, rest
        return self


def root_of(key: str) -> str:
    """The key that stores the values of a key or path."""
    return key.root if isinstance(key, Path) else key


def path_named(name: str, roots: Collection[str]) -> Path | None:
    """The path with this name; None if no key that it begins with has dicts.

    Of several such keys, the longest counts.
    """
    for head, rest in _splits(name):
        if head in roots:
            return Path(head, rest)
    return None


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """A name split at each of its dots, the last dot first."""
    at = name.rfind(".")
    while at >= 0:
        yield name[:at], name[at + 1 :]
        at = name.rfind(".", 0, at)


def inside(path: Path, by_kind: Mapping[Column, Any]) -> dict[Column, Any]:
    """The values at a path, by kind.

    Args:
        by_kind: the values of its root, by column.
    """
    found: dict[Column, Any] = {}
    for column, texts in by_kind.items():
        if column.kind == JSON:
            encoded = texts.dictionary_encode()
            for kind, values in _by_kind(path, encoded.dictionary.to_pylist()).items():
                array = kind.column(values)
                found[Column(path, kind)] = array.take(encoded.indices)
    return found


def _by_kind(path: Path, texts: list[str]) -> dict[Kind, list[Any]]:
    """For each kind the values in some dicts, None if missing or of another kind."""
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
    """The value at a path in a dict; a key that contains dots wins over the nested path."""
    if not isinstance(value, dict):
        return None
    if rest in value:
        return value[rest]
    for head, tail in _splits(rest):
        if isinstance(value.get(head), dict) and (found := _at(value[head], tail)) is not None:
            return found
    return None


def value_at(row: Mapping[str, Any], key: str) -> Any:
    """The value of a row under a key, or at a path in its dicts; None if there is none."""
    return _at(row.get(key.root), key.rest) if isinstance(key, Path) else row.get(key)


def paths_below(root: str, columns: Iterable[Any]) -> list[Path]:
    """The paths of all values in dicts except dicts, in order of first occurrence.

    Args:
        columns: arrays of JSON text.
    """
    found: dict[str, None] = {}
    for column in columns:
        for text in pa.array(column).unique().to_pylist():
            found.update(dict.fromkeys(_leaves(_loaded(text) if text else None)))
    return [Path(root, rest) for rest in found]


def unnested(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with the values at all paths in its dicts; a key wins over a path of the same name."""
    inner = ((key, Path(key, rest)) for key, value in row.items() for rest in _leaves(value))
    return {path: _at(row[key], path.rest) for key, path in inner} | dict(row)


def _leaves(value: Any) -> Iterator[str]:
    for key, each in value.items() if isinstance(value, dict) else ():
        if isinstance(each, dict):
            yield from (f"{key}.{rest}" for rest in _leaves(each))
        elif each is not None:
            yield key
