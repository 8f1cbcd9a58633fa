"""Values of TensorBoard's summaries that are not one number: media, texts, histograms, tensors."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any, Final, NamedTuple

from .contract import media, numbered
from .protobuf import BadMessageError, bytes_of, fields, float_of, signed, text_of, varint
from .tensorboard_hparams import hparams_of

__all__ = ["Summary", "TooLargeError", "UnknownTypeError", "Value", "read", "summary_values"]

#: Tensors with more numbers, or of a higher rank, are not taken.
_MOST: Final = 1 << 20
_HIGHEST: Final = 64
_STRING: Final = 7
_BFLOAT16: Final = 14
#: What the types of tensors are for ``struct``.
_CODES: Final = dict(
    zip((1, 2, 3, 4, 5, 6, 9, 10, 17, 19, 22, 23), "fdiBhbq?HeIQ", strict=True)
) | {_BFLOAT16: "H"}
#: The fields of a tensor with numbers: floats, doubles, also of complex ones, and varints.
_FLOATS: Final = {5: "f", 6: "d", 9: "f", 12: "d"}
_INTS: Final = {7, 10, 11, 13, 16, 17}
#: Types of complex numbers, which are two floats or two doubles.
_COMPLEX: Final = {8: "f", 18: "d"}


class TooLargeError(ValueError):
    """A tensor has more numbers than are taken."""


class UnknownTypeError(ValueError):
    """A tensor has values of a type that is not known."""


class Value(NamedTuple):
    """A value of a summary: its tag, the plugin that shows it, and its other fields."""

    tag: str
    plugin: str
    content: bytes
    parts: dict[int, int | bytes]


class Summary(NamedTuple):
    """What a value is: fields of a record, or attributes of the run."""

    fields: Mapping[str, Any] = {}
    config: Mapping[str, Any] = {}
    about: Mapping[str, Any] = {}


def summary_values(summary: bytes, plugins: dict[str, str]) -> Iterator[Value]:
    """The values of a summary; ``plugins`` has those of tags, which some writers tell once.

    Raises:
        BadMessageError: it is not a summary.
    """
    for number, value in fields(summary):
        if number != 1 or isinstance(value, int):
            continue
        parts = dict(fields(value))
        tag = text_of(parts.pop(1, parts.get(7, b"")))
        plugin, content = _metadata(parts.pop(9, b""))
        if plugin and len(plugins) < 10_000:
            plugins.setdefault(tag, plugin)
        parts.pop(7, None)
        yield Value(tag, plugin or plugins.get(tag, ""), content, parts)


def _metadata(data: int | bytes) -> tuple[str, bytes]:
    plugin = dict(fields(bytes_of(dict(fields(bytes_of(data))).get(1, b""))))
    return text_of(plugin.get(1, b"")), bytes_of(plugin.get(2, b""))


def read(value: Value, step: int) -> Summary | None:
    """What a value is; None for something unknown.

    Raises:
        BadMessageError: it is not what it says.
        TooLargeError: it has more numbers than are taken.
        UnknownTypeError: it is a tensor of a type that is not known.
    """
    if value.plugin == "hparams":
        return Summary(**hparams_of(value.content))
    for number, kind in _SIMPLE.items():
        if number in value.parts:
            return Summary(kind(value.tag, value.parts[number], step))
    if 8 not in value.parts:
        return None
    dims, found = _tensor(bytes_of(value.parts[8]))
    if value.plugin == "custom_scalars" and found and isinstance(found[0], bytes):
        return Summary(about={"custom_scalars": _layout(found[0])})
    if value.plugin in _OF_PLUGIN and found and isinstance(found[0], bytes):
        return Summary(_OF_PLUGIN[value.plugin](value.tag, dims, found, step))
    return Summary(_plain(value.tag, dims, found))


def _plain(tag: str, dims: list[int], found: list[Any]) -> dict[str, Any]:
    """A tensor as nested lists; of bytes that are not text, each has a key of its own."""
    plain = [_text_or_bytes(each) if isinstance(each, bytes) else each for each in found]
    if any(isinstance(each, bytes) for each in plain):
        return {numbered(tag, at, len(plain)): each for at, each in enumerate(plain)}
    return {tag: _nested(plain, dims)}


def _text_or_bytes(data: bytes) -> str | bytes:
    """The text that bytes are; what is not UTF-8 stays as it is."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


# --- the first form, of torch and tensorboardX -------------------------------------------------------


def _scalar(tag: str, data: int | bytes, _step: int) -> dict[str, Any]:
    return {tag: float_of(data)}


def _image(tag: str, data: int | bytes, step: int) -> dict[str, Any]:
    parts = dict(fields(bytes_of(data)))
    about = {name: parts[number] for number, name in _IMAGE.items() if number in parts}
    return _picture(tag, bytes_of(parts.get(4, b"")), step, **about)


_IMAGE: Final = {1: "height", 2: "width", 3: "channels"}


def _picture(tag: str, data: bytes, step: int, **about: Any) -> dict[str, Any]:
    suffix = next((suffix for start, suffix in _STARTS.items() if data.startswith(start)), "bin")
    return media(tag, data, f"{tag}_{step}.{suffix}", **about)


_STARTS: Final = {b"\x89PNG": "png", b"GIF8": "gif", b"\xff\xd8": "jpg", b"RIFF": "wav"}


def _audio(tag: str, data: int | bytes, step: int) -> dict[str, Any]:
    parts = dict(fields(bytes_of(data)))
    about: dict[str, Any] = {
        name: parts[number] for number, name in ((2, "channels"), (3, "frames")) if number in parts
    }
    if 1 in parts:
        about["sample_rate"] = float_of(parts[1])
    return _picture(tag, bytes_of(parts.get(4, b"")), step, **about)


def _histogram(tag: str, data: int | bytes, _step: int) -> dict[str, Any]:
    """All that the histogram has: its first bucket ends at the least value, and is empty."""
    found: dict[str, Any] = dict.fromkeys(_HISTOGRAM.values(), 0.0)
    edges: dict[str, list[float]] = {"bucket_limit": [], "bucket": []}
    for number, part in fields(bytes_of(data)):
        if number in _HISTOGRAM:
            found[_HISTOGRAM[number]] = float_of(part)
        elif number in _BUCKETS:
            edges[_BUCKETS[number]] += _numbers(part, "d")
    return {tag: {**found, **edges}}


_HISTOGRAM: Final = {1: "min", 2: "max", 3: "num", 4: "sum", 5: "sum_squares"}
_BUCKETS: Final = {6: "bucket_limit", 7: "bucket"}


def _numbers(data: int | bytes, code: str) -> list[Any]:
    data, size = bytes_of(data), struct.calcsize(code)
    if len(data) % size:
        message = "numbers are cut off"
        raise BadMessageError(message)
    if len(data) > _MOST * size:
        raise TooLargeError
    return list(struct.unpack(f"<{len(data) // size}{code}", data))


_SIMPLE: Final = {2: _scalar, 4: _image, 5: _histogram, 6: _audio}


# --- tensors -----------------------------------------------------------------------------------------


def _tensor(data: bytes) -> tuple[list[int], list[Any]]:
    """The shape and the values of a tensor, which are numbers or bytes."""
    dtype, shape, content = 0, b"", b""
    found: list[Any] = []
    for number, part in fields(data):
        if number == 1:
            dtype = signed(part)
        elif number == 2:
            shape = bytes_of(part)
        elif number == 4:
            content = bytes_of(part)
        elif number == 8:
            found.append(bytes_of(part))
        elif number in _FLOATS:
            found += _numbers(part, _FLOATS[number])
        elif number in _INTS:
            found += _varints(part)
    dims = [
        signed(dict(fields(bytes_of(dim))).get(1, 0))
        for number, dim in fields(shape)
        if number == 2
    ]
    found = _decoded(dtype, content) if content else _typed(dtype, found)
    return dims, _filled(found, dims)


def _check_known(dtype: int) -> None:
    if dtype not in _CODES and dtype not in _COMPLEX and dtype != _STRING:
        raise UnknownTypeError


def _varints(data: int | bytes) -> list[int]:
    if isinstance(data, int):
        return [signed(data)]
    found, at = [], 0
    while at < len(data):
        value, at = varint(data, at)
        found.append(signed(value))
    return found


def _decoded(dtype: int, content: bytes) -> list[Any]:
    _check_known(dtype)
    found = _numbers(content, _COMPLEX.get(dtype) or _CODES.get(dtype, "B"))
    return _typed(dtype, found) if dtype in {_BFLOAT16, *_COMPLEX} else found


def _typed(dtype: int, found: list[Any]) -> list[Any]:
    """Values of fields that hold several types as what they are."""
    if dtype == 10:
        return [bool(each) for each in found]
    if dtype == 19 and found and isinstance(found[0], int):
        return [_half(each, "<e", "<H", 0) for each in found]
    if dtype == _BFLOAT16:
        return [_half(each, "<f", "<I", 16) for each in found]
    if dtype in _COMPLEX:
        return [list(pair) for pair in zip(found[::2], found[1::2], strict=True)]
    return [each & 0xFFFFFFFFFFFFFFFF for each in found] if dtype == 23 else found


def _half(bits: int, code: str, unsigned: str, shift: int) -> float:
    """A number of 16 bits; PyTorch writes the 32 bits of a float in the place of these."""
    bits &= 0xFFFFFFFF
    if bits > 0xFFFF:
        code, unsigned, shift = "<f", "<I", 0
    found: float = struct.unpack(code, struct.pack(unsigned, bits << shift))[0]
    return found


def _filled(found: list[Any], dims: list[int]) -> list[Any]:
    """The values of a shape; where there are fewer, the last is that of all others."""
    if any(dim < 0 for dim in dims):
        message = "a tensor has a negative size"
        raise BadMessageError(message)
    size = prod(dims)
    if prod(dim or 1 for dim in dims) > _MOST or len(dims) > _HIGHEST:
        raise TooLargeError
    if len(found) < size and not found:
        message = "a tensor has no values"
        raise BadMessageError(message)
    if len(found) > size:
        message = "a tensor has more values than its shape"
        raise BadMessageError(message)
    return found + found[-1:] * (size - len(found))


def _nested(found: list[Any], dims: list[int]) -> Any:
    if not dims:
        return found[0]
    for place in range(len(dims) - 1, 0, -1):
        dim, size = dims[place], prod(dims[:place])
        found = [found[at * dim : (at + 1) * dim] for at in range(size)]
    return found


# --- tensors of plugins ------------------------------------------------------------------------------


def _texts(tag: str, dims: list[int], found: list[bytes], _step: int) -> dict[str, Any]:
    """Text, or lists of texts; PyTorch and tensorboardX write one text as a list, below another tag."""
    texts = [text_of(each) for each in found]
    name = tag.removesuffix(_OF_TEXT)
    return {name: texts[0] if name != tag and prod(dims) == 1 else _nested(texts, dims)}


_OF_TEXT: Final = "/text_summary"


def _images(tag: str, _dims: list[int], found: list[bytes], step: int) -> dict[str, Any]:
    """Width and height as texts, and then pictures."""
    width, height = (int(each) if each.isdigit() else None for each in (*found, b"", b"")[:2])
    pictures = found[2:]
    result: dict[str, Any] = {}
    for number, picture in enumerate(pictures):
        key = numbered(tag, number, len(pictures))
        result |= _picture(key, picture, step, width=width, height=height)
    return result


def _sounds(tag: str, dims: list[int], found: list[bytes], step: int) -> dict[str, Any]:
    """Sounds, each with a label if there are two columns."""
    width = dims[1] if len(dims) == 2 and dims[1] else 1
    sounds = found[::width]
    result: dict[str, Any] = {}
    for number, sound in enumerate(sounds):
        key = numbered(tag, number, len(sounds))
        label = {"label": text_of(found[number * width + 1])} if width > 1 else {}
        result |= _picture(key, sound, step, **label)
    return result


_OF_PLUGIN: Final = {"text": _texts, "images": _images, "audio": _sounds}


# --- what is of the run ------------------------------------------------------------------------------


def _layout(data: bytes) -> list[dict[str, Any]]:
    """The categories of a layout of custom scalars, each with its charts."""
    return [
        {"title": _title(category), "charts": [_chart(chart) for chart in _all(category, 2)]}
        for category in _all(data, 2)
    ]


def _chart(data: bytes) -> dict[str, Any]:
    chart: dict[str, Any] = {"title": _title(data)}
    for lines in _all(data, 2):
        chart["lines"] = [text_of(each) for each in _all(lines, 1)]
    for margin in _all(data, 3):
        series = [dict(fields(each)) for each in _all(margin, 1)]
        names = {1: "value", 2: "lower", 3: "upper"}
        chart["margins"] = [
            {name: text_of(each.get(number, b"")) for number, name in names.items()}
            for each in series
        ]
    return chart


def _all(data: bytes, wanted: int) -> list[bytes]:
    return [bytes_of(part) for number, part in fields(data) if number == wanted]


def _title(data: bytes) -> str:
    return next((text_of(each) for each in _all(data, 1)), "")
