"""Imports the datasets of Minari: a recorder for each episode, below the dataset."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rigorous_recorder._arrow import ipc, pa
from rigorous_recorder._lazy import lazy_module

from .columns import plain
from .contract import Event, Format, Record, Report, Rows, Run, Source
from .files import files_below, read_json, run_name

if TYPE_CHECKING:
    import pyarrow.parquet as pq

    h5py: Any
else:
    h5py = lazy_module("h5py", install="h5py")
    pq = lazy_module("pyarrow.parquet")

_FILE: Final = "main_data.hdf5"
_PART: Final = re.compile(r"part-(\d+)\.(arrow|parquet)")
_ABOUT: Final = "metadata.json"
_EPISODE: Final = "episode_"
#: What HDF5 files have before the number of a part of a tuple.
_OF_TUPLE: Final = "_index_"
#: What the last row of an Arrow file has, in which all other values are filled up.
_LAST: Final = ("observations", "infos")
#: How many steps are read at once.
_STEPS: Final = 4096

#: The shapes of arrays, by their paths: those of spaces.
_Shapes = Mapping[str, tuple[int, ...]]


def _find(path: Path, _options: Mapping[str, Any]) -> Iterator[Source]:
    folders: dict[Path, list[Path]] = {}
    for file in files_below(path):
        if file.name == _FILE and file.parent.name == "data":
            folders.setdefault(file.parent.parent, []).append(file)
        elif file.parent.parent.name == "data" and _is_of_episode(file):
            folders.setdefault(file.parent.parent.parent, []).append(file)
    for folder, files in folders.items():
        about = folder / "data" / _ABOUT
        if about.is_file() and any(file.name != _ABOUT for file in files):
            yield Source(folder, (about, *files), run_name(folder, path))


def _is_of_episode(file: Path) -> bool:
    is_known = file.name == _ABOUT or _PART.fullmatch(file.name) is not None
    return is_known and file.parent.name.isdecimal()


def _read(source: Source, report: Report, _position: Any) -> Iterator[Event]:
    about = read_json(source.files[0], report)
    about = about if isinstance(about, dict) else {}
    name = about.get("dataset_id")
    yield Run("", name if isinstance(name, str) else source.name, about)
    shapes = dict(_shapes(about))
    episodes: dict[int, list[Path]] = {}
    for file in source.files[1:]:
        if file.name == _FILE:
            yield from _of_hdf5(file, report, shapes)
        else:
            episodes.setdefault(int(file.parent.name), []).append(file)
    for number, files in sorted(episodes.items()):
        yield from _of_arrow(number, files, report, shapes)


def _begin(number: int, about: Mapping[str, Any]) -> Run:
    config = {key: value for key, value in about.items() if key != "id"}
    return Run(f"episode/{number}", config=config, parent="", part={"episode": number})


def _shapes(about: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The shapes of all arrays in the spaces of a dataset."""
    for key, name in (("observation_space", "observations"), ("action_space", "actions")):
        with suppress(ValueError, TypeError, AttributeError, RecursionError):
            yield from _shapes_in(json.loads(about.get(key, "{}")), name)


def _shapes_in(space: Mapping[str, Any], path: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    below = space.get("subspaces", {})
    named = below.items() if isinstance(below, dict) else enumerate(below)
    for name, each in named:
        yield from _shapes_in(each, f"{path}/{name}")
    shape = space.get("n") if space.get("type") == "MultiBinary" else space.get("shape")
    if shape is not None:
        yield path, tuple(map(int, shape if isinstance(shape, list) else [shape]))


# --- HDF5 --------------------------------------------------------------------------------------------


def _of_hdf5(file: Path, report: Report, shapes: _Shapes) -> Iterator[Event]:
    opened = h5py.File  # an error here is that it is not installed
    try:
        with opened(file, "r") as data:
            names = [name for name in data if name.removeprefix(_EPISODE).isdecimal()]
            for name in sorted(names, key=lambda each: int(each.removeprefix(_EPISODE))):
                number = int(name.removeprefix(_EPISODE))
                yield from _episode(number, data[name], shapes)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        report.add(file, f"can't be read further: {type(error).__name__}")


def _episode(number: int, group: Any, shapes: _Shapes) -> Iterator[Event]:
    """The steps of an episode, and then the last observation, which no action follows."""
    yield _begin(number, {key: _plain(value) for key, value in group.attrs.items()})
    columns = dict(_columns(group, ""))
    steps = min(map(len, columns.values()), default=0)
    for start in range(0, steps, _STEPS):
        stop = min(start + _STEPS, steps)
        parts = {key: _array(each[start:stop], shapes.get(key)) for key, each in columns.items()}
        yield Rows(f"episode/{number}", stop - start, parts, pa.array(range(start, stop)))
    last = {
        key: _array(each[steps : steps + 1], shapes.get(key))[0]
        for key, each in columns.items()
        if len(each) > steps
    }
    if last:
        yield Record(f"episode/{number}", last, steps)


def _columns(group: Any, before: str) -> Iterator[tuple[str, Any]]:
    """The arrays in a group, and in the groups in it, by their paths."""
    for name, each in group.items():
        path = f"{before}{name.removeprefix(_OF_TUPLE)}"
        if hasattr(each, "items"):
            yield from _columns(each, f"{path}/")
        elif getattr(each, "shape", ()):
            yield path, each


def _array(values: Any, shape: tuple[int, ...] | None) -> Any:
    """An array of numbers as it is, pictures as the bytes of their files, and texts as text."""
    is_file = shape is not None and len(shape) > 1 and values.ndim < 1 + len(shape)
    if is_file:
        return [bytes(each) for each in values]
    return [_plain(each) for each in values] if values.dtype.kind in "OS" else values


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.tolist() if hasattr(value, "tolist") else value


# --- Arrow and Parquet -------------------------------------------------------------------------------


def _of_arrow(number: int, files: list[Path], report: Report, shapes: _Shapes) -> Iterator[Event]:
    """An episode: its last row has an observation, and is filled up."""
    about, tables = {}, []
    for file in sorted(files, key=_place):
        if file.name == _ABOUT:
            about = read_json(file, report)
        elif (table := _table(file, report)) is not None:
            tables.append(table)
    about = about if isinstance(about, dict) else {}
    options = about.pop("options", None)
    options = options if isinstance(options, dict) else {}
    yield _begin(number, {**about, **{f"options/{key}": each for key, each in options.items()}})
    try:
        yield from _rows(number, pa.concat_tables(tables), shapes)
    except (pa.ArrowException, ValueError, KeyError) as error:
        report.add(files[0].parent, f"can't be read further: {type(error).__name__}")


def _place(file: Path) -> int:
    """The number of a part; the metadata come first."""
    found = _PART.fullmatch(file.name)
    return int(found[1]) if found else -1


def _table(file: Path, report: Report) -> Any:
    try:
        if file.suffix == ".parquet":
            return pq.ParquetFile(file).read()
        with pa.OSFile(str(file)) as data:
            return ipc.open_file(data).read_all()
    except (pa.ArrowException, OSError, ValueError) as error:
        report.add(file, f"can't be read further: {type(error).__name__}")
        return None


def _rows(number: int, table: Any, shapes: _Shapes) -> Iterator[Event]:
    if not table.num_rows:
        return
    steps = table.num_rows - 1
    for start in range(0, max(steps, 1), _STEPS):
        part = table.slice(start, min(_STEPS, steps - start) + 1).combine_chunks()
        count = part.num_rows - 1
        columns = {
            key: each
            for name in part.column_names
            for key, each in _flattened(name, part.schema.field(name), part[name], shapes)
        }
        rows = {key: each[:count] for key, each in columns.items()}
        if count:
            steps_of = pa.array(range(start, start + count))
            yield Rows(f"episode/{number}", count, rows, steps_of)
    last = {key: plain(each[count]) for key, each in columns.items() if key.startswith(_LAST)}
    if last:
        yield Record(f"episode/{number}", last, steps)


def _flattened(name: str, field: Any, values: Any, shapes: _Shapes) -> Iterator[tuple[str, Any]]:
    """The columns in a column of structs, by their paths, and arrays of more dimensions as such."""
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if pa.types.is_struct(values.type):
        for below in values.type:
            inner = values.field(below.name)
            yield from _flattened(f"{name}/{below.name}", below, inner, shapes)
        return
    shape = shapes.get(name)
    if text := (field.metadata or {}).get(b"shape"):
        shape = tuple(map(int, text.split(b",")))
    if shape is not None and pa.types.is_fixed_size_list(values.type):
        yield name, values.flatten().to_numpy(zero_copy_only=False).reshape(-1, *shape)
    else:
        yield name, values


FORMAT: Final = Format("minari", "Minari", _find, _read)
