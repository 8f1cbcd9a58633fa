"""Media, tables and histograms: what they become as fields of a record."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Final, NoReturn

from rigorous_recorder._lazy_imports import np, pd
from rigorous_recorder.integrations.media import array_of, picture, sound

from .advice import advice

__all__ = [
    "Audio",
    "Classes",
    "File",
    "Histogram",
    "Html",
    "Image",
    "Media",
    "Molecule",
    "Object3D",
    "Plotly",
    "Table",
    "Video",
    "WBValue",
    "drawn",
    "has_media",
    "owned",
]

#: An array with more axes is no picture.
_AXES_OF_PICTURES: Final = (2, 3)


class WBValue:
    """What all values of W&B's have in common: an error for what they do not have."""

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(advice(f"{type(self).__name__}.{name}"))


class Classes(list[Any]):
    """Dicts with ``id`` and ``name``, for masks and boxes of pictures."""


class Media(WBValue):
    """The bytes of a file with a name, and what else is known of it; a field each in a record."""

    suffix = ".bin"

    def __init__(self, data: Any, name: str | None, about: Mapping[str, Any]) -> None:
        self.data = data
        self.name = name
        self.about = {key: each for key, each in about.items() if each is not None}

    def fields(self, key: str) -> dict[str, Any]:
        """``key`` with the bytes, ``key/name``, and ``key/<what>`` for each thing that is known."""
        name = self.name or f"{key.rpartition('/')[2]}{self.suffix}"
        about = {f"{key}/{what}": each for what, each in self.about.items()}
        return {key: self.data, f"{key}/name": name, **about}


def _of_file(source: Any) -> tuple[bytes, str | None]:
    """The bytes of a file's path or of an open file, and its name."""
    if hasattr(source, "read"):
        data, name = source.read(), getattr(source, "name", None)
        return data.encode() if isinstance(data, str) else data, name and Path(name).name
    return Path(source).read_bytes(), Path(source).name


class File(Media):
    """A file as it is."""

    def __init__(self, path: str | PathLike[str], **about: Any) -> None:
        super().__init__(*_of_file(path), about)


class Image(Media):
    """A picture: an array or tensor, a picture of Pillow, a figure of Matplotlib, or a file's path.

    Args:
        data_or_path: arrays have the shape (height, width) or (height, width, channels), tensors of
            torch (channels, height, width); floats are between 0 and 1, or between 0 and 255.
        mode: as of Pillow; has no meaning for arrays.
        caption: a text beside it.
        boxes, masks: dicts beside it; they are not drawn.
    """

    suffix = ".png"

    def __init__(
        self,
        data_or_path: Any,
        mode: str | None = None,
        caption: str | None = None,
        grouping: int | None = None,
        classes: Any = None,
        boxes: Any = None,
        masks: Any = None,
        file_type: str | None = None,
        normalize: bool = True,
    ) -> None:
        name = None
        about: dict[str, Any] = {}
        if isinstance(data_or_path, str | PathLike):
            data, name = _of_file(data_or_path)
        elif hasattr(data_or_path, "savefig"):
            data = _saved(data_or_path.savefig, format="png")
        elif hasattr(data_or_path, "save") and hasattr(data_or_path, "mode"):
            data = _saved(data_or_path.save, format=file_type or "png")
        else:
            data, about = _picture(data_or_path, is_scaled=normalize)
        masks = {key: _plain(each) for key, each in masks.items()} if masks else None
        more = {"caption": caption, "boxes": boxes, "masks": masks, "classes": _plain(classes)}
        super().__init__(data, name, {**about, **more})


def _saved(save: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    save(file, **options)
    return file.getvalue()


def _picture(pixels: Any, *, is_scaled: bool) -> tuple[bytes, dict[str, int]]:
    is_tensor = hasattr(pixels, "detach")
    pixels = array_of(pixels)
    if is_tensor and pixels.ndim == len("CHW"):
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.ndim not in _AXES_OF_PICTURES:
        message = f"a picture has 2 or 3 axes, not the shape {pixels.shape}"
        raise ValueError(message)
    if pixels.dtype.kind == "f" and is_scaled and pixels.size and np.nanmax(pixels) > 1:
        pixels = np.clip(pixels, 0, 255).astype(np.uint8)
    elif pixels.dtype.kind == "b":
        pixels = pixels.astype(np.uint8) * 255
    return picture(pixels, "HW" if pixels.ndim == len("HW") else "HWC")


def _plain(value: Any) -> Any:
    """A value with lists for its arrays."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    return value.tolist() if hasattr(value, "tolist") else value


class Audio(Media):
    """A sound: samples between -1 and 1, or a file's path."""

    suffix = ".wav"

    def __init__(
        self, data_or_path: Any, sample_rate: int | None = None, caption: str | None = None
    ) -> None:
        name = None
        if isinstance(data_or_path, str | PathLike):
            data, name = _of_file(data_or_path)
        elif sample_rate is None:
            message = "Audio of samples needs a sample_rate, in hertz"
            raise ValueError(message)
        else:
            data = sound(data_or_path, sample_rate)
        super().__init__(data, name, {"sample_rate": sample_rate, "caption": caption})


class Video(Media):
    """A video's file as it is; frames as an array of the shape that was given."""

    suffix = ".npy"

    def __init__(
        self,
        data_or_path: Any,
        caption: str | None = None,
        fps: int | None = None,
        format: str | None = None,
    ) -> None:
        name = None
        if isinstance(data_or_path, str | PathLike) or hasattr(data_or_path, "read"):
            data, name = _of_file(data_or_path)
        else:
            data = array_of(data_or_path)
        super().__init__(data, name, {"caption": caption, "fps": fps, "format": format})


class Html(Media):
    """A page's text, or a file's path; stored as text, and never shown as a page."""

    suffix = ".html"

    def __init__(self, data: Any, inject: bool = True, data_is_not_path: bool = False) -> None:
        text = data.read() if hasattr(data, "read") else data
        is_path = not data_is_not_path and isinstance(text, str | PathLike)
        name = None
        if is_path and not fspath(text).lstrip().startswith("<") and Path(text).is_file():
            name, text = Path(text).name, Path(text).read_text(encoding="utf-8")
        super().__init__(str(text).encode(), name, {})


class Molecule(Media):
    """A molecule: a file, or the text of one."""

    suffix = ".pdb"

    def __init__(
        self, data_or_path: Any, caption: str | None = None, file_type: str | None = None
    ) -> None:
        data, name = _of_file(data_or_path)
        self.suffix = f".{file_type}" if file_type else self.suffix
        super().__init__(data, name, {"caption": caption})

    @classmethod
    def from_smiles(cls, data: str, caption: str | None = None, **_: Any) -> Molecule:
        """A SMILES text, which is stored as it is."""
        return cls(io.StringIO(data), caption, "smi")


class Object3D(Media):
    """Points as an array (points, 3, 4 or 6), a scene as a dict, or a file such as ``.obj``."""

    suffix = ".npy"

    def __init__(self, data_or_path: Any, caption: str | None = None, **about: Any) -> None:
        data, name = data_or_path, None
        if isinstance(data, Mapping):
            data = _plain(data)
        elif isinstance(data, str | PathLike) or hasattr(data, "read"):
            data, name = _of_file(data)
        else:
            data = array_of(data)
        super().__init__(data, name, {"caption": caption, **about})

    @classmethod
    def from_file(cls, data_or_path: Any, file_type: str | None = None) -> Object3D:
        """A file."""
        return cls(data_or_path, file_type=file_type)

    @classmethod
    def from_numpy(cls, data: Any) -> Object3D:
        """Points."""
        return cls(data)

    @classmethod
    def from_point_cloud(cls, points: Any, boxes: Any = None, **about: Any) -> Object3D:
        """Points, and boxes beside them."""
        return cls(points, boxes=_plain(boxes) if boxes else None, **about)


class Plotly(Media):
    """A figure of Plotly as its JSON."""

    suffix = ".plotly.json"

    def __init__(self, figure: Any) -> None:
        super().__init__(figure.to_json().encode(), None, {})


class Histogram(WBValue):
    """Counts between edges, of values or ready-made.

    Args:
        sequence: an array, tensor or list of any shape.
        np_histogram: counts and edges, as of ``numpy.histogram``.
        num_bins: between 1 and 512.
    """

    def __init__(self, sequence: Any = None, np_histogram: Any = None, num_bins: int = 64) -> None:
        if np_histogram is None:
            np_histogram = np.histogram(array_of(sequence).reshape(-1), bins=num_bins)
        counts, edges = np_histogram
        self.histogram, self.bins = array_of(counts).tolist(), array_of(edges).tolist()
        if len(self.histogram) + 1 != len(self.bins):
            message = f"{len(self.histogram)} counts need one more edge, not {len(self.bins)}"
            raise ValueError(message)

    def fields(self, key: str) -> dict[str, Any]:
        """A dict with ``values``, the counts, and ``bins``, the edges, as in W&B's files."""
        return {key: {"_type": "histogram", "values": self.histogram, "bins": self.bins}}


class Table(WBValue):
    """Rows with named columns; once logged they are records of a child of the run.

    Args:
        columns: names; by default Input, Output and Expected, as in W&B.
        data: rows, a two-dimensional array, or a DataFrame.
        dataframe: a DataFrame of pandas or Polars.
        rows: rows, another name of ``data``.
    """

    def __init__(
        self,
        columns: Sequence[str] | None = None,
        data: Any = None,
        rows: Any = None,
        dataframe: Any = None,
        dtype: Any = None,
        optional: Any = True,
        allow_mixed_types: bool = False,
        log_mode: str | None = None,
    ) -> None:
        given = data if rows is None else rows
        frame = dataframe if dataframe is not None else given if hasattr(given, "columns") else None
        if frame is not None:
            self.columns = _distinct(frame.columns)
            self.data = [
                list(each) for each in zip(*(frame[c] for c in frame.columns), strict=True)
            ]
        else:
            self.columns = _distinct(columns or ["Input", "Output", "Expected"])
            self.data = [list(row) for row in given] if given is not None else []
        for row in self.data:
            self._check(row)

    def _check(self, row: Sequence[Any]) -> None:
        if len(row) != len(self.columns):
            message = f"a row has {len(row)} values for {len(self.columns)} columns: {row!r:.60}"
            raise ValueError(message)

    def add_data(self, *values: Any) -> None:
        """Add a row."""
        self._check(values)
        self.data.append(list(values))

    def add_row(self, *values: Any) -> None:
        """Add a row."""
        self.add_data(*values)

    def add_column(self, name: str, data: Iterable[Any]) -> None:
        """Add a column, of as many values as there are rows."""
        values = list(data)
        if self.data and len(values) != len(self.data):
            message = f"column {name!r} has {len(values)} values for {len(self.data)} rows"
            raise ValueError(message)
        self.columns.append(name)
        self.data = [
            [*row, value]
            for row, value in zip(self.data or [[]] * len(values), values, strict=True)
        ]

    def get_column(self, name: str, convert_to: str | None = None) -> Any:
        """A column's values, as a list or, with "numpy", as an array."""
        at = self.columns.index(name)
        values = [row[at] for row in self.data]
        return np.asarray(values) if convert_to == "numpy" else values

    def get_dataframe(self) -> Any:
        """A DataFrame of pandas."""
        return pd.DataFrame(self.data, columns=self.columns)

    def iterrows(self) -> Iterable[tuple[int, list[Any]]]:
        """Index and values of each row."""
        return enumerate(self.data)

    def __len__(self) -> int:
        return len(self.data)


def _distinct(columns: Iterable[Any]) -> list[str]:
    """Names of columns as texts; a second "a" is "a (2)"."""
    found: dict[str, None] = {}
    for each in map(str, columns):
        names = (f"{each} ({number})" if number > 1 else each for number in count(1))
        found[next(name for name in names if name not in found)] = None
    return list(found)


def drawn(value: Any) -> Any:
    """A figure, a picture or a DataFrame of another package as a medium or a table."""
    if type(value).__name__ == "DataFrame" and hasattr(value, "columns"):
        return Table(dataframe=value)
    if hasattr(value, "savefig") or (hasattr(value, "save") and hasattr(value, "getbands")):
        return Image(value)
    if type(value).__module__.startswith("plotly") and hasattr(value, "to_json"):
        return Plotly(value)
    return value


def owned(value: Any) -> Any:
    """The value, or a copy if the script can change it before it is logged."""
    if isinstance(value, dict):
        return {key: owned(each) for key, each in value.items()}
    if isinstance(value, list):
        return [owned(each) for each in value]
    if hasattr(value, "detach"):
        return value.detach().clone()
    return value.copy() if hasattr(value, "__array__") and hasattr(value, "copy") else value


def has_media(value: Mapping[Any, Any]) -> bool:
    """Whether a dict has media, histograms or tables, also in dicts inside."""
    return any(
        has_media(each)
        if isinstance(each, Mapping)
        else isinstance(each, Media | Histogram | Table)
        for each in value.values()
    )
