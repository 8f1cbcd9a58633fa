"""NaN and infinities in JSON, which lacks them: null in their place, and a list of which they are.

``{"loss": NaN}`` becomes ``{"loss": null, "$nonfinite": ["NaN /loss"]}``: every parser accepts the
text, a column of numbers stays one, and non-finite numbers can be restored. The list is in the
outermost object and has, for each such number, its name and position as a JSON pointer (RFC 6901).
Other values are wrapped in an object: ``[NaN]`` becomes ``{"$value": [null], "$nonfinite": ["NaN
/0"]}``. Keys of the outermost object that look like these two get a further ``$``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from json import encoder as json_encoder
from typing import Any, Final

__all__ = ["compact", "dumps", "finite", "loads"]

_NONFINITE: Final = "$nonfinite"
_VALUE: Final = "$value"
_RESERVED: Final = r"\$+(nonfinite|value)"
#: Text without this has no key that begins with a dollar sign.
_DOLLAR: Final = '"$'
_NUMBERS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def dumps(value: Any, default: Callable[[Any], Any] | None = None, **options: Any) -> str:
    """JSON text of a value, which every parser accepts and ``loads`` restores.

    Args:
        default: converts values that JSON can't represent.
        options: options of ``json.JSONEncoder``.
    """
    return _text(value, json.JSONEncoder(default=default, allow_nan=False, **options))


#: Reused, because creating an encoder costs as much as using it.
_COMPACT: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def compact(value: Any) -> str:
    """The same without spaces and ASCII escapes."""
    return _text(value, _COMPACT)


def _refuse(value: Any) -> Any:
    message = f"{type(value).__name__} is not a plain value"
    raise TypeError(message)


#: What ``JSONEncoder.encode`` creates for each call, which costs more than encoding.
_make: Final = getattr(json_encoder, "c_make_encoder", None)  # not in every Python
_encode: Final[Callable[[Any, int], Iterable[str]]] = (
    (lambda value, _depth: [_COMPACT.encode(value)])
    if _make is None
    else _make(None, _refuse, json_encoder.encode_basestring, None, ":", ",", False, False, False)
)


def finite(value: Any) -> str:
    """Like ``compact``, but faster, for finite values without cycles or reserved keys.

    Raises:
        ValueError: it has non-finite numbers, a cycle, or a key that begins with a dollar sign.
    """
    text = "".join(_encode(value, 0))
    if _DOLLAR in text:
        message = "it has a key that begins with a dollar"
        raise ValueError(message)
    return text


def _text(value: Any, encoder: json.JSONEncoder) -> str:
    try:
        text = encoder.encode(value)
    except ValueError:  # it contains a non-finite number, or itself
        text = _DOLLAR
    if _DOLLAR not in text:
        return text
    plain = json.loads(json.dumps(value, default=encoder.default))
    return encoder.encode(_with_nonfinite_list(plain))


def loads(text: str) -> Any:
    """The value of JSON text; that of other programs is returned as parsed.

    Raises:
        ValueError: it is not valid JSON; a bare NaN is accepted.
    """
    value = json.loads(text)
    return _restored(value) if _DOLLAR in text and isinstance(value, dict) else value


def _with_nonfinite_list(value: Any) -> Any:
    entries: list[str] = []
    plain = _without(value, "", entries)
    if isinstance(plain, dict):
        plain = {f"${key}" if _is_reserved(key) else key: plain[key] for key in plain}
        return {**plain, _NONFINITE: entries} if entries else plain
    return {_VALUE: plain, _NONFINITE: entries} if entries else plain


def _is_reserved(key: str) -> bool:
    return key[:1] == "$" and re.fullmatch(_RESERVED, key) is not None


def _without(value: Any, place: str, entries: list[str]) -> Any:
    """The value with null for non-finite numbers, whose positions are appended to ``entries``."""
    if isinstance(value, float) and not math.isfinite(value):
        name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        entries.append(f"{name} {place}")
        return None
    if isinstance(value, dict):
        return {k: _without(v, f"{place}/{_escaped(k)}", entries) for k, v in value.items()}
    if isinstance(value, list):
        return [_without(each, f"{place}/{at}", entries) for at, each in enumerate(value)]
    return value


def _restored(value: dict[str, Any]) -> Any:
    entries = value.get(_NONFINITE)
    rest = {key: value[key] for key in value if key != _NONFINITE or not isinstance(entries, list)}
    plain: Any = {_without_dollar(key): each for key, each in rest.items()}
    if not isinstance(entries, list):
        return plain
    if rest.keys() == {_VALUE}:
        plain = rest[_VALUE]
    places = [_place(entry) for entry in entries]
    if not places or not all(place and _is_null(plain, place[1]) for place in places):
        return value  # of another program, with another meaning
    for number, path in filter(None, places):
        plain = _with(plain, path, number)
    return plain


def _without_dollar(key: str) -> str:
    return key[1:] if key[:2] == "$$" and _is_reserved(key) else key


def _place(entry: Any) -> tuple[float, list[str]] | None:
    """The number of an entry, and the steps to its position."""
    name, _, pointer = entry.partition(" ") if isinstance(entry, str) else ("", "", "")
    if name not in _NUMBERS:
        return None
    return _NUMBERS[name], [_unescaped(step) for step in pointer.split("/")[1:]]


def _is_null(value: Any, path: list[str]) -> bool:
    """Whether there is a null at the end of a path."""
    for step in path:
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return False
    return value is None


def _with(value: Any, path: list[str], number: float) -> Any:
    """The value with a number at the end of a path; changed in place if it is nested."""
    if not path:
        return number
    holder = value
    for step in path[:-1]:
        holder = holder[int(step) if isinstance(holder, list) else step]
    holder[int(path[-1]) if isinstance(holder, list) else path[-1]] = number
    return value


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _unescaped(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")
