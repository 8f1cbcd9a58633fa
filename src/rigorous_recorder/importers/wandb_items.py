"""The items of W&B's history, summary and configuration: paths and JSON values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from .contract import Report
from .protobuf import BadMessageError, fields, signed, text_of

__all__ = ["Item", "items_of", "merge", "parsed", "path_of", "raw_items", "rebuilt", "remove"]

#: The path of a value, and its JSON.
Item = tuple[list[str], bytes]

#: Values are not nested deeper than this.
_DEEPEST: Final = 64


def raw_items(data: bytes, at: int, end: int) -> dict[bytes, bytes] | None:
    """The JSON of items by key; None if a key is a path.

    The usual shape is read here, since that is most of the work of an import.

    Raises:
        BadMessageError: the bytes are not such a message.
    """
    found: dict[bytes, bytes] = {}
    begin = at
    try:
        while at < end and data[at] == 0x0A:
            size = data[at + 1]
            key = at + 4
            stop = key + data[at + 3]
            at += 2 + size
            if (
                size > 127
                or data[key - 2] != 0x12
                or data[stop : stop + 2] != b"\x82\x01"
                or data[stop + 2] != at - stop - 3
            ):
                return _flat_items(data[begin:end])
            found[data[key:stop]] = data[stop + 3 : at]
    except IndexError:
        return _flat_items(data[begin:end])
    if at > end or (at < end and data[at] != 0x12):
        return _flat_items(data[begin:end])
    return found


def _flat_items(data: bytes) -> dict[bytes, bytes] | None:
    items, _ = items_of(data)
    if any(len(path) != 1 for path, _ in items):
        return None
    return {path[0].encode("utf-8", "replace"): raw for path, raw in items}


def items_of(data: bytes) -> tuple[list[Item], int | None]:
    """The items of a history, summary or config message, and the step if there is one.

    Raises:
        BadMessageError: the bytes are not such a message.
    """
    found: list[Item] = []
    step = None
    for number, value in fields(data):
        if number == 1:
            found.append(_item(value))
        elif number == 2 and not isinstance(value, int):
            steps = (each for key, each in fields(value) if key == 1 and isinstance(each, int))
            step = next(map(signed, steps), 0)
    return [item for item in found if item[0]], step


def _item(value: int | bytes) -> Item:
    if isinstance(value, int):
        message = "an item is not a message"
        raise BadMessageError(message)
    key, nested, raw = "", [], b""
    for number, each in fields(value):
        if number == 1:
            key = text_of(each)
        elif number == 2:
            nested.append(text_of(each))
        elif number == 16 and not isinstance(each, int):
            raw = each
    path = nested or [key]
    return (path if len(path) <= _DEEPEST else [".".join(path)]), raw


def parsed(values: list[bytes], file: Path, report: Report) -> list[Any]:
    """The values of JSON texts; None, which is reported, for those that are not valid.

    ``-0`` is a float, since no int is written like that.
    """
    text = b"[" + b",".join(values) + b"]"
    try:
        found = json.loads(text, parse_int=_int if b"-0" in text else None)
        if len(found) == len(values):
            return list(found)
    except (ValueError, RecursionError):
        pass
    return [_parsed(each, file, report) for each in values]


def _parsed(value: bytes, file: Path, report: Report) -> Any:
    try:
        return json.loads(value, parse_int=_int)
    except (ValueError, RecursionError):
        report.add(file, "values that are not valid JSON: left out")
        return None


def _int(text: str) -> int | float:
    return -0.0 if text == "-0" else int(text)


def rebuilt(items: list[Item], file: Path, report: Report) -> dict[str, Any]:
    """Values by key, in which longer paths are dicts again."""
    found: dict[str, Any] = {}
    values = parsed([raw for _, raw in items], file, report)
    for (path, _), value in zip(items, values, strict=True):
        into = found
        for name in path[:-1]:
            below = into.get(name)
            if not isinstance(below, dict):
                below = into[name] = {}
            into = below
        into[path[-1]] = value
    return found


def path_of(value: int | bytes) -> list[str]:
    """The path of an item."""
    return _item(value)[0]


def merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Set values, inside of the dicts that there are already."""
    for key, value in values.items():
        known = into.get(key)
        if isinstance(value, dict) and isinstance(known, dict):
            into[key] = dict(known)
            merge(into[key], value)
        else:
            into[key] = value


def remove(values: dict[str, Any], paths: list[list[str]]) -> None:
    """Remove what is at paths, inside of dicts."""
    for *above, key in paths:
        inside: Any = values
        for name in above:
            inside = inside.get(name) if isinstance(inside, dict) else None
        if isinstance(inside, dict):
            inside.pop(key, None)
