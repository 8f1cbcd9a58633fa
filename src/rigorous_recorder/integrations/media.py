"""Pictures and sounds as TensorBoard's writers make them, of numpy and the standard library."""

from __future__ import annotations

import io
import struct
import wave
import zlib
from typing import Any, Final

from rigorous_recorder._lazy_imports import np

__all__ = ["array_of", "number", "picture", "sound"]

_COLORS: Final = {1: 0, 2: 4, 3: 2, 4: 6}


def array_of(value: Any) -> Any:
    """A tensor, array or list as an array in the memory of the host."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
    return np.asarray(value)


def number(value: Any) -> Any:
    """One number: of an array or tensor with one element, or of text."""
    if isinstance(value, (str, bytes)):
        return float(value)
    size = getattr(value, "size", 1)
    size = value.numel() if hasattr(value, "numel") else size
    if value is None or isinstance(value, (list, tuple, dict)) or size != 1:
        message = f"a scalar is one number, not {value!r:.60}"
        raise TypeError(message)
    return value.reshape(()) if getattr(value, "ndim", 0) else value


def picture(pixels: Any, form: str) -> tuple[bytes, dict[str, int]]:
    """A picture as PNG, with its height, width and channels; floats are between 0 and 1.

    Args:
        pixels: an array.
        form: its axes, such as "CHW", or "NCHW" for several pictures, eight in a row.
    """
    pixels, form = array_of(pixels), form.upper()
    if pixels.ndim != len(form) or set(form) - set("NCHW"):
        message = f"a picture of the shape {pixels.shape} does not have the axes {form!r}"
        raise ValueError(message)
    if pixels.dtype.kind == "f":
        pixels = np.clip(pixels.astype(np.float32) * 255.0, 0, 255)
    axes = [form.index(axis) for axis in "NHWC" if axis in form]
    pixels = pixels.astype(np.uint8).transpose(axes)
    pixels = pixels if "C" in form else pixels[..., None]
    if "N" in form:
        pixels = _grid(pixels)
    height, width, channels = pixels.shape
    return _png(pixels), {"height": height, "width": width, "channels": channels}


def _grid(pictures: Any) -> Any:
    """Pictures in rows of eight; what the last one lacks is black."""
    count, height, width, channels = pictures.shape
    columns = min(count, 8)
    rows = -(-count // columns)
    missing = np.zeros((rows * columns - count, height, width, channels), np.uint8)
    cells = np.concatenate((pictures, missing)).reshape(rows, columns, height, width, channels)
    return cells.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)


def _png(pixels: Any) -> bytes:
    height, width, channels = pixels.shape
    if channels not in _COLORS:
        message = f"a picture with {channels} channels: expected 1 to 4"
        raise ValueError(message)
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # each begins with its filter: none
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, _COLORS[channels], 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(_chunk, parts))


def _chunk(part: tuple[bytes, bytes]) -> bytes:
    name, data = part
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def sound(samples: Any, rate: int) -> bytes:
    """Samples between -1 and 1 as WAV, in 16 bits; also with an axis of channels after that of time.

    Raises:
        ValueError: the samples have more axes, or more channels than times.
    """
    samples = array_of(samples)
    samples = samples if samples.dtype.name == "float32" else samples.astype(np.float64)
    samples = samples.squeeze() if samples.size > 1 else samples.reshape(-1)
    frames, channels = (*samples.shape, 1)[:2]
    if samples.ndim > 2 or channels > frames:
        message = f"samples of the shape {samples.shape} are not (time,) or (time, channel)"
        raise ValueError(message)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((channels, 2, int(rate), frames, "NONE", ""))
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return file.getvalue()
