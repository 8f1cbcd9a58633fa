"""NaN and infinities in JSON, which has none: as null, with a list beside them that tells which.

``{"loss": NaN}`` is ``{"loss": null, "$nonfinite": ["NaN /loss"]}``: every reader takes the text, a
column of numbers stays one, and what is not finite comes back. The list stands in the outermost
object and has, for each such number, its name and its place as a JSON pointer (RFC 6901). What is no
object is put in one: ``[NaN]`` is ``{"$value": [null], "$nonfinite": ["NaN /0"]}``. Keys of the outermost
object that look like these two have a ``$`` more.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from json import encoder as json_encoder
from typing import Any, Final

__all__ = ["compact", "dumps", "finite", "loads"]

_MARKS: Final = "$nonfinite"
_VALUE: Final = "$value"
_RESERVED: Final = r"\$+(nonfinite|value)"
#: Text without it has no key that begins with a dollar.
_DOLLAR: Final = '"$'
_NUMBERS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def dumps(value: Any, default: Callable[[Any], Any] | None = None, **options: Any) -> str:
    """JSON text of a value, which every reader takes and ``loads`` reads back.

    Args:
        default: what stands in place of a value that has no form in JSON.
        options: of ``json.JSONEncoder``.
    """
    return _text(value, json.JSONEncoder(default=default, allow_nan=False, **options))


#: Made once: to make an encoder costs as much as to use it.
_COMPACT: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def compact(value: Any) -> str:
    """The same without blanks and with all characters as they are."""
    return _text(value, _COMPACT)


def _refuse(value: Any) -> Any:
    message = f"{type(value).__name__} is not a plain value"
    raise TypeError(message)


#: What ``JSONEncoder.encode`` makes anew at each call, which costs more than its work.
_make: Final = getattr(json_encoder, "c_make_encoder", None)  # not every Python has it
_encode: Final[Callable[[Any, int], Iterable[str]]] = (
    (lambda value, _depth: [_COMPACT.encode(value)])
    if _make is None
    else _make(None, _refuse, json_encoder.encode_basestring, None, ":", ",", False, False, False)
)


def finite(value: Any) -> str:
    """As ``compact``, of values that need no marks and don't contain themselves: faster.

    Raises:
        ValueError: it needs marks.
    """
    text = "".join(_encode(value, 0))
    if _DOLLAR in text:
        message = "it has a key that begins with a dollar"
        raise ValueError(message)
    return text


def _text(value: Any, encoder: json.JSONEncoder) -> str:
    try:
        text = encoder.encode(value)
    except ValueError:  # something in it is not finite, or it contains itself
        text = _DOLLAR
    if _DOLLAR not in text:
        return text
    plain = json.loads(json.dumps(value, default=encoder.default))
    return encoder.encode(_spelled(plain))


def loads(text: str) -> Any:
    """The value of which that is the text; of text that others wrote, what it says.

    Raises:
        ValueError: it is not JSON, of which a bare NaN is taken as well.
    """
    value = json.loads(text)
    return _restored(value) if _DOLLAR in text and isinstance(value, dict) else value


def _spelled(value: Any) -> Any:
    marks: list[str] = []
    plain = _without(value, "", marks)
    if isinstance(plain, dict):
        plain = {f"${key}" if _is_reserved(key) else key: plain[key] for key in plain}
        return {**plain, _MARKS: marks} if marks else plain
    return {_VALUE: plain, _MARKS: marks} if marks else plain


def _is_reserved(key: str) -> bool:
    return key[:1] == "$" and re.fullmatch(_RESERVED, key) is not None


def _without(value: Any, place: str, marks: list[str]) -> Any:
    """The value with null in place of what is not finite, of which the marks get the places."""
    if isinstance(value, float) and not math.isfinite(value):
        name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        marks.append(f"{name} {place}")
        return None
    if isinstance(value, dict):
        return {k: _without(v, f"{place}/{_escaped(k)}", marks) for k, v in value.items()}
    if isinstance(value, list):
        return [_without(each, f"{place}/{at}", marks) for at, each in enumerate(value)]
    return value


def _restored(value: dict[str, Any]) -> Any:
    marks = value.get(_MARKS)
    rest = {key: value[key] for key in value if key != _MARKS or not isinstance(marks, list)}
    plain: Any = {_without_dollar(key): each for key, each in rest.items()}
    if not isinstance(marks, list):
        return plain
    if rest.keys() == {_VALUE}:
        plain = rest[_VALUE]
    places = [_place(mark) for mark in marks]
    if not places or not all(place and _is_null(plain, place[1]) for place in places):
        return value  # of somebody else, who means something else by it
    for number, path in filter(None, places):
        plain = _with(plain, path, number)
    return plain


def _without_dollar(key: str) -> str:
    return key[1:] if key[:2] == "$$" and _is_reserved(key) else key


def _place(mark: Any) -> tuple[float, list[str]] | None:
    """The number of a mark, and the steps to its place."""
    name, _, pointer = mark.partition(" ") if isinstance(mark, str) else ("", "", "")
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
    """The value, changed in place where it has parts, with a number at the end of a path."""
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
