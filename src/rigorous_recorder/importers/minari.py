"""Imports the datasets of Minari: a recorder for each episode, below the dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rigorous_recorder._arrow import ipc, pa
from rigorous_recorder._lazy import lazy_module

from .contract import Event, Format, Record, Report, Rows, Run, Source
from .files import files_below, read_json, run_name

if TYPE_CHECKING:
    h5py: Any
else:
    h5py = lazy_module("h5py", install="h5py")

_FILE: Final = "main_data.hdf5"
_PART: Final = "part-0.arrow"
_EPISODE: Final = "episode_"
#: How many steps are read at once.
_STEPS: Final = 4096


def _find(path: Path, _options: Mapping[str, Any]) -> Iterator[Source]:
    folders: dict[Path, list[Path]] = {}
    for file in files_below(path):
        if file.name == _FILE and file.parent.name == "data":
            folders.setdefault(file.parent.parent, []).append(file)
        elif file.name == _PART and file.parent.parent.name == "data":
            folders.setdefault(file.parent.parent.parent, []).append(file)
    for folder, files in folders.items():
        about = folder / "data" / "metadata.json"
        if about.is_file():
            yield Source(folder, (about, *files), run_name(folder, path))


def _read(source: Source, report: Report, _position: Any) -> Iterator[Event]:
    about = read_json(source.files[0], report)
    about = about if isinstance(about, dict) else {}
    name = about.get("dataset_id")
    yield Run("", name if isinstance(name, str) else source.name, about)
    numbered = sorted(source.files[1:], key=_number)
    for file in numbered:
        if file.name == _FILE:
            yield from _of_hdf5(file, report)
        else:
            yield from _of_arrow(file, report)


def _number(file: Path) -> int:
    return int(file.parent.name) if file.parent.name.isdecimal() else -1


def _begin(number: int, about: Mapping[str, Any]) -> Run:
    return Run(f"episode/{number}", about=about, parent="", part={"episode": number})


def _of_hdf5(file: Path, report: Report) -> Iterator[Event]:
    opened = h5py.File  # an error here is that it is not installed
    try:
        with opened(file, "r") as data:
            names = [name for name in data if name.removeprefix(_EPISODE).isdecimal()]
            for name in sorted(names, key=lambda each: int(each.removeprefix(_EPISODE))):
                yield from _episode(int(name.removeprefix(_EPISODE)), data[name])
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        report.add(file, f"can't be read further: {type(error).__name__}")


def _episode(number: int, group: Any) -> Iterator[Event]:
    """The steps of an episode, and then the last observation, which no action follows."""
    about = {key: _plain(value) for key, value in group.attrs.items()}
    about.pop("id", None)
    yield _begin(number, about)
    columns = dict(_columns(group, ""))
    steps = min(map(len, columns.values()), default=0)
    for start in range(0, steps, _STEPS):
        stop = min(start + _STEPS, steps)
        parts = {key: _array(each[start:stop]) for key, each in columns.items()}
        yield Rows(f"episode/{number}", stop - start, parts, pa.array(range(start, stop)))
    last = {key: _plain(each[steps]) for key, each in columns.items() if len(each) > steps}
    if last:
        yield Record(f"episode/{number}", last, steps)


def _columns(group: Any, before: str) -> Iterator[tuple[str, Any]]:
    """The arrays in a group, and in the groups in it, by their paths."""
    for name, each in group.items():
        if hasattr(each, "items"):
            yield from _columns(each, f"{before}{name}/")
        elif getattr(each, "shape", ()):
            yield f"{before}{name}", each


def _array(values: Any) -> Any:
    """An array of numbers as it is, and texts as text."""
    return [_plain(each) for each in values] if values.dtype.kind in "OS" else values


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.tolist() if hasattr(value, "tolist") else value


def _of_arrow(file: Path, report: Report) -> Iterator[Event]:
    """An episode: the last row has an observation, and is filled up."""
    number = _number(file)
    try:
        with pa.OSFile(str(file)) as data:
            table = ipc.open_file(data).read_all()
        yield _begin(number, {})
        steps = table.num_rows - 1
        for start in range(0, steps, _STEPS):
            part = table.slice(start, min(_STEPS, steps - start)).combine_chunks()
            columns = {name: part[name].combine_chunks() for name in part.column_names}
            count = part.num_rows
            yield Rows(f"episode/{number}", count, columns, pa.array(range(start, start + count)))
        keys = [name for name in table.column_names if name.startswith("observations")]
        if steps >= 0 and keys:
            last = {name: table[name][steps].as_py() for name in keys}
            yield Record(f"episode/{number}", last, steps)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        report.add(file, f"can't be read further: {type(error).__name__}")


FORMAT: Final = Format("minari", "Minari", _find, _read)
