"""Values of TensorBoard's summaries that are not one number: media, texts, histograms, hparams."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any, Final, NamedTuple

from .contract import media, numbered, utc_time
from .protobuf import BadMessageError, fields, float_of, signed, text_of, varint

__all__ = ["Summary", "TooLargeError", "Value", "read", "summary_values"]

#: Tensors with more numbers are not taken.
_MOST: Final = 1 << 20
_TEXT: Final = 7
_BFLOAT16: Final = 14
#: What the types of tensors are for ``struct``.
_CODES: Final = dict(
    zip((1, 2, 3, 4, 5, 6, 9, 10, 17, 19, 22, 23), "fdiBhbq?HeIQ", strict=True)
) | {_BFLOAT16: "H"}
#: The fields of a tensor with numbers: floats, doubles, and the others as varints.
_FLOATS: Final = {5: 4, 6: 8}
_INTS: Final = {7, 10, 11, 13, 16, 17}
_STATUS: Final = {1: "finished", 2: "failed", 3: "running"}


class TooLargeError(ValueError):
    """A tensor has more numbers than are taken."""


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
    plugin = dict(fields(_bytes(dict(fields(_bytes(data))).get(1, b""))))
    return text_of(plugin.get(1, b"")), _bytes(plugin.get(2, b""))


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        message = "a field is a number"
        raise BadMessageError(message)
    return value


def read(value: Value, step: int) -> Summary | None:
    """What a value is; None for something unknown.

    Raises:
        BadMessageError: it is not what it says.
        TooLargeError: it has more numbers than are taken.
    """
    if value.plugin == "hparams":
        return _hparams(value.content)
    for number, kind in _SIMPLE.items():
        if number in value.parts:
            return Summary(kind(value.tag, value.parts[number], step))
    if 8 not in value.parts:
        return None
    dims, found = _tensor(_bytes(value.parts[8]))
    if value.plugin == "custom_scalars" and found and isinstance(found[0], bytes):
        return Summary(about={"custom_scalars": _layout(found[0])})
    if value.plugin in _OF_PLUGIN and found and isinstance(found[0], bytes):
        return Summary(_OF_PLUGIN[value.plugin](value.tag, dims, found, step))
    plain = [text_of(each) if isinstance(each, bytes) else each for each in found]
    return Summary({value.tag: _nested(plain, dims)})


# --- the first form, of torch and tensorboardX -------------------------------------------------------


def _scalar(tag: str, data: int | bytes, _step: int) -> dict[str, Any]:
    return {tag: float_of(data)}


def _image(tag: str, data: int | bytes, step: int) -> dict[str, Any]:
    parts = dict(fields(_bytes(data)))
    about = {name: parts[number] for number, name in _IMAGE.items() if number in parts}
    return _picture(tag, _bytes(parts.get(4, b"")), step, **about)


_IMAGE: Final = {1: "height", 2: "width", 3: "channels"}


def _picture(tag: str, data: bytes, step: int, **about: Any) -> dict[str, Any]:
    suffix = next((suffix for start, suffix in _STARTS.items() if data.startswith(start)), "bin")
    return media(tag, data, f"{tag}_{step}.{suffix}", **about)


_STARTS: Final = {b"\x89PNG": "png", b"GIF8": "gif", b"\xff\xd8": "jpg", b"RIFF": "wav"}


def _audio(tag: str, data: int | bytes, step: int) -> dict[str, Any]:
    parts = dict(fields(_bytes(data)))
    about: dict[str, Any] = {
        name: parts[number] for number, name in ((2, "channels"), (3, "frames")) if number in parts
    }
    if 1 in parts:
        about["sample_rate"] = float_of(parts[1])
    return _picture(tag, _bytes(parts.get(4, b"")), step, **about)


def _histogram(tag: str, data: int | bytes, _step: int) -> dict[str, Any]:
    """All that the histogram has: its first bucket ends at the least value, and is empty."""
    found: dict[str, Any] = dict.fromkeys(_HISTOGRAM.values(), 0.0)
    edges: dict[str, list[float]] = {"bucket_limit": [], "bucket": []}
    for number, part in fields(_bytes(data)):
        if number in _HISTOGRAM:
            found[_HISTOGRAM[number]] = float_of(part)
        elif number in _BUCKETS:
            edges[_BUCKETS[number]] += _numbers(part, "d")
    return {tag: {**found, **edges}}


_HISTOGRAM: Final = {1: "min", 2: "max", 3: "num", 4: "sum", 5: "sum_squares"}
_BUCKETS: Final = {6: "bucket_limit", 7: "bucket"}


def _numbers(data: int | bytes, code: str) -> list[Any]:
    data, size = _bytes(data), struct.calcsize(code)
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
            shape = _bytes(part)
        elif number == 4:
            content = _bytes(part)
        elif number == 8:
            found.append(_bytes(part))
        elif number in _FLOATS:
            found += _numbers(part, "f" if _FLOATS[number] == 4 else "d")
        elif number in _INTS:
            found += _varints(part)
    dims = [
        signed(dict(fields(_bytes(dim))).get(1, 0)) for number, dim in fields(shape) if number == 2
    ]
    found = _decoded(dtype, content) if content else _typed(dtype, found)
    return dims, _filled(found, dims)


def _varints(data: int | bytes) -> list[int]:
    if isinstance(data, int):
        return [signed(data)]
    found, at = [], 0
    while at < len(data):
        value, at = varint(data, at)
        found.append(signed(value))
    return found


def _decoded(dtype: int, content: bytes) -> list[Any]:
    if dtype not in _CODES:
        message = "a tensor has an unknown type"
        raise BadMessageError(message)
    found = _numbers(content, _CODES[dtype])
    return _typed(dtype, found) if dtype == _BFLOAT16 else found


def _typed(dtype: int, found: list[Any]) -> list[Any]:
    """Values of fields that hold several types as what they are."""
    if dtype == 10:
        return [bool(each) for each in found]
    if dtype == 19 and found and isinstance(found[0], int):
        return [_half(each, "<e", "<H", 0) for each in found]
    if dtype == _BFLOAT16:
        return [_half(each, "<f", "<I", 16) for each in found]
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
    if size > _MOST:
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
    for dim in reversed(dims[1:]):
        found = [found[at : at + dim] for at in range(0, len(found), dim)] if dim else []
    return found


# --- tensors of plugins ------------------------------------------------------------------------------


def _texts(tag: str, dims: list[int], found: list[bytes], _step: int) -> dict[str, Any]:
    texts = [text_of(each) for each in found]
    return {
        tag.removesuffix("/text_summary"): texts[0] if prod(dims) == 1 else _nested(texts, dims)
    }


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


def _hparams(content: bytes) -> Summary:
    """The configuration, and how the session began and ended."""
    about: dict[str, Any] = {}
    config: dict[str, Any] = {}
    for number, part in fields(content):
        if number == 3:
            config = _session_start(_bytes(part), about)
        elif number == 4:
            end = dict(fields(_bytes(part)))
            about["status"] = _STATUS.get(signed(end.get(1, 0)))
            about["end_time"] = utc_time(float_of(end[2])) if 2 in end else None
    return Summary(
        config=config, about={key: each for key, each in about.items() if each is not None}
    )


def _session_start(data: bytes, about: dict[str, Any]) -> dict[str, Any]:
    config = {}
    for number, part in fields(data):
        if number == 1:
            entry = dict(fields(_bytes(part)))
            config[text_of(entry.get(1, b""))] = _plain(_bytes(entry.get(2, b"")))
        elif number == 4:
            about["group"] = text_of(part) or None
        elif number == 5:
            about["start_time"] = utc_time(float_of(part))
    return config


def _plain(data: bytes, depth: int = 0) -> Any:
    """The value of a ``google.protobuf.Value``."""
    if depth > 50:
        message = "a value is nested too deeply"
        raise BadMessageError(message)
    for number, part in fields(data):
        if number == 2:
            return float_of(part)
        if number == 3:
            return text_of(part)
        if number == 4:
            return bool(part)
        if number == 5:
            entries = [dict(fields(_bytes(entry))) for _, entry in fields(_bytes(part))]
            return {
                text_of(each.get(1, b"")): _plain(_bytes(each.get(2, b"")), depth + 1)
                for each in entries
            }
        if number == 6:
            return [_plain(_bytes(each), depth + 1) for _, each in fields(_bytes(part))]
    return None


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
    return [_bytes(part) for number, part in fields(data) if number == wanted]


def _title(data: bytes) -> str:
    return next((text_of(each) for each in _all(data, 1)), "")
