"""Exports to TensorBoard's event files: a folder for each recorder with records."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Final

from rigorous_recorder.importers.event_frames import masked_crc

from .buffers import Files
from .contract import Losses, Target
from .names import Names, safe
from .protobuf import double, message, number, text
from .rows import whole_step
from .study import Logged, Run, Study
from .values import PICTURES, TIMES, as_float, flat, has_rounding, json_text, media_of, plain

_DOUBLE, _STRING = 2, 7
_SCALAR, _TENSOR = 1, 2
_HISTOGRAM: Final = ("min", "max", "num", "sum", "sum_squares")
_BUCKETS: Final = ("bucket_limit", "bucket")
_STATUS: Final = {"finished": 1, "failed": 2, "crashed": 2, "running": 3}
_KNOWN: Final = ("status", "start_time", "end_time", "host", "group")
_PNG: Final = b"\x89PNG\r\n\x1a\n"


def _write(study: Study, path: Path, losses: Losses) -> None:
    _Writing(path, losses).study(study)


class _Writing:
    """Writes the event files of a study."""

    def __init__(self, path: Path, losses: Losses) -> None:
        self._losses = losses
        self._files = Files()
        self._names = Names(path)
        self._begun: dict[tuple[int, tuple[str, ...]], Path] = {}

    def study(self, study: Study) -> None:
        for run in study.runs:
            self._run(run)
        for logged in study.logged():
            self._record(logged)
        self._files.flush()

    def _run(self, run: Run) -> None:
        """The file of a run, with its configuration and its end."""
        file = self._file(run, ())
        config = b"".join(self._hparam(*each) for each in run.config_with(*_KNOWN).items())
        group = text(4, str(run.about.get("group", "")))
        time = b"" if run.start is None else double(5, run.start)
        start = message(3, config + group + time)
        end = number(1, _STATUS.get(run.status, 0))
        end = message(4, end + (b"" if run.end is None else double(2, run.end)))
        begin = run.start or 0.0
        for name, data in (("session_start_info", start), ("session_end_info", end)):
            value = text(1, f"_hparams_/{name}") + _metadata("hparams", _TENSOR, data)
            self._event(file, begin, 0, message(5, message(1, value)))
        if run.status not in {"finished", "failed", "running"}:
            self._losses.add("statuses crashed, stopped and pruned: as failed, or none")

    def _hparam(self, key: str, value: Any) -> bytes:
        if isinstance(value, bool):
            data = number(4, value)
        elif isinstance(value, (int, float)) and not has_rounding(value):
            data = double(2, value)
        else:
            if not isinstance(value, str):
                self._losses.add(
                    "parts of configurations that are no numbers, bools or texts: as text"
                )
            data = text(3, json_text(value))
        return message(1, text(1, key) + message(2, data))

    def _file(self, run: Run, names: tuple[str, ...]) -> Path:
        """The file of a recorder, which is begun if it is new."""
        key = run.node, names
        if key not in self._begun:
            above = self._file(run.parent, ()).parent if run.parent is not None else None
            folder = self._names.folder(run.node, run.name, above)
            for name in names:
                folder = folder / safe(name)
            seconds = max(int(run.start or 0), 0)
            host = safe(str(run.about.get("host") or "localhost"))
            file = folder / f"events.out.tfevents.{seconds:010}.{host}"
            self._begun[key] = file
            self._event(file, run.start or 0.0, 0, text(3, "brain.Event:2"))
        return self._begun[key]

    def _event(self, file: Path, time: float, step: int, what: bytes) -> None:
        data = double(1, time) + (number(2, step) if step else b"") + what
        size = struct.pack("<Q", len(data))
        frame = size + _crc(size) + data + _crc(data)
        self._files.append(file, frame)

    # --- records ---------------------------------------------------------------------------------

    def _record(self, logged: Logged) -> None:
        files, fields = media_of(logged.fields)
        values = [self._media(key, each) for key, each in files.items()]
        for key, value in fields.items():
            values += self._values(key, value)
        if not (summary := b"".join(message(1, each) for each in values if each)):
            self._losses.add("records without values: not taken")
            return
        if logged.time is None:
            self._losses.add("records without a time: that of the start of the run")
        place, step = logged.place, whole_step(logged.step, self._losses)
        time = place.run.start or 0.0 if logged.time is None else logged.time
        self._event(self._file(place.run, place.names), time, step, message(5, summary))

    def _values(self, key: str, value: Any) -> list[bytes]:
        if isinstance(value, (bool, int, float)):
            return [_tensor(key, "scalars", _SCALAR, [as_float(value, self._losses)], ())]
        if isinstance(value, dict):
            return self._dict(key, value)
        if isinstance(value, TIMES):
            self._losses.add("times: as text")
        elif not isinstance(value, str):
            found = plain(value)
            if (dims := _dims(found)) is not None:
                numbers = [as_float(each, self._losses) for each in _leaves(found)]
                return [_tensor(key, "", 0, numbers, dims)]
            if found and isinstance(found, list) and all(isinstance(each, str) for each in found):
                return [_text(key, found, (len(found),))]
            self._losses.add("lists of other values than numbers, or than texts: as text")
        return [_text(key, [json_text(plain(value))], ())]

    def _dict(self, key: str, value: dict[str, Any]) -> list[bytes]:
        if value.keys() == {*_HISTOGRAM, *_BUCKETS}:
            return [text(1, key) + message(5, _histogram(value))]
        self._losses.add("dicts: their values by paths joined by /")
        found: list[bytes] = []
        for path, each in flat(value, key):
            if each is not None and each != {}:
                found += self._values(path, each)
        return found

    def _media(self, key: str, about: dict[str, Any]) -> bytes:
        data = about["data"]
        if data.startswith(tuple(PICTURES)):
            height, width = _size(data) if data.startswith(_PNG) else (0, 0)
            size = number(1, about.get("height") or height) + number(2, about.get("width") or width)
            channels = number(3, about.get("channels") or 3)
            return text(1, key) + message(4, size + channels + message(4, data))
        if data.startswith(b"RIFF"):
            sizes = double_float(1, float(about.get("sample_rate") or 0))
            sizes += number(2, about.get("channels") or 1) + number(3, about.get("frames") or 0)
            return text(1, key) + message(6, sizes + message(4, data) + text(5, "audio/wav"))
        self._losses.add("bytes that are no picture and no sound: not taken")
        return b""


def double_float(field: int, value: float) -> bytes:
    """A field with a float of 32 bits."""
    return bytes([field << 3 | 5]) + struct.pack("<f", value)


def _crc(data: bytes) -> bytes:
    return struct.pack("<I", masked_crc(data))


def _metadata(plugin: str, kind: int, content: bytes = b"") -> bytes:
    about = text(1, plugin) + (message(2, content) if content else b"")
    return message(9, message(1, about) + number(4, kind))


def _tensor(key: str, plugin: str, kind: int, numbers: list[float], dims: tuple[int, ...]) -> bytes:
    shape = b"".join(message(2, number(1, size)) for size in dims)
    packed = struct.pack(f"<{len(numbers)}d", *numbers)
    content = message(6, packed) if not dims else message(4, packed)
    data = number(1, _DOUBLE) + message(2, shape) + content
    about = _metadata(plugin, kind) if plugin else b""
    return text(1, key) + about + message(8, data)


def _text(key: str, values: list[str], dims: tuple[int, ...]) -> bytes:
    """A text, which has no dimension, or a list of texts."""
    shape = b"".join(message(2, number(1, size)) for size in dims)
    texts = b"".join(text(8, each) for each in values)
    data = number(1, _STRING) + message(2, shape) + texts
    return text(1, key) + _metadata("text", _TENSOR) + message(8, data)


def _histogram(value: dict[str, Any]) -> bytes:
    found = b"".join(double(at, float(value[key])) for at, key in enumerate(_HISTOGRAM, 1))
    for at, key in enumerate(_BUCKETS, 6):
        found += message(at, struct.pack(f"<{len(value[key])}d", *value[key]))
    return found


def _dims(value: Any) -> tuple[int, ...] | None:
    """The shape of nested lists of numbers; None if they have none."""
    if not isinstance(value, list):
        return () if isinstance(value, (bool, int, float)) else None
    below = {_dims(each) for each in value}
    if not below:
        return (0,)
    first = below.pop()
    return None if below or first is None else (len(value), *first)


def _leaves(value: Any) -> list[Any]:
    if not isinstance(value, list):
        return [value]
    return [leaf for each in value for leaf in _leaves(each)]


def _size(png: bytes) -> tuple[int, int]:
    width, height = struct.unpack(">II", png[16:24]) if len(png) >= 24 else (0, 0)
    return height, width


TARGET: Final = Target("tensorboard", "TensorBoard", _write, "tensorboard --logdir {}")
