"""Imports Aim's repositories, read by Aim itself from a copy, in a process of its own."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from rigorous_recorder.errors import MissingPackageError

from . import aim_reader
from .columns import events_of
from .contract import Event, Format, Position, Report, Run, Source, media, numbered, utc_time
from .files import files_below, run_name

_FOLDER: Final = ".aim"
_ABOUT: Final = "run_metadata.sqlite"
#: The kinds of series whose values are files.
_FILES: Final = ("images", "audios")
#: Metrics of the machine, which Aim itself logs.
_SYSTEM: Final = "__system__"


def _find(path: Path, _options: Mapping[str, Any]) -> Iterator[Source]:
    here = path.parent if path.name == _FOLDER else path
    for file in files_below(here / _FOLDER if (here / _FOLDER).is_dir() else here):
        if file.name == _ABOUT and file.parent.name == _FOLDER:
            stored = (each for each in files_below(file.parent) if not _is_note(each))
            name = run_name(file.parent.parent, path)
            yield Source(file.parent.parent, (file, *stored), name, is_ordered=False)


def _is_note(path: Path) -> bool:
    """Whether a file of RocksDB is written even by reading, and has no records."""
    return path.name.startswith(("LOG", "OPTIONS", "LOCK")) or path.name == _ABOUT


def _read(source: Source, report: Report, position: Any) -> Iterator[Event]:
    if find_spec("aim") is None:
        message = "Aim's repositories are read by Aim itself: pip install aim"
        raise MissingPackageError(message)
    done: dict[str, int] = dict(position or {})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        copy = Path(scratch, "copy")
        shutil.copytree(source.path / _FOLDER, copy / _FOLDER, symlinks=True)
        for file in (copy, *copy.rglob("*")):
            if not file.is_symlink():
                file.chmod(0o700)
        for line in _lines(copy, Path(scratch), source, report):
            kind, *rest = json.loads(line)
            if kind == "run":
                yield from _run(*rest)
            else:
                yield from _series(rest, done)


def _lines(copy: Path, home: Path, source: Source, report: Report) -> Iterator[bytes]:
    """What the other process writes: Aim's own threads, files and faults stay there."""
    command = [sys.executable, "-P", aim_reader.__file__, str(copy)]
    environment = {**os.environ, "HOME": str(home), "PYTHONWARNINGS": "ignore"}
    with subprocess.Popen(  # noqa: S603 - this interpreter, and a file of this package
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as reader:
        assert reader.stdout is not None
        try:
            yield from reader.stdout
        finally:
            reader.kill()
    if reader.returncode > 0:
        report.add(source.path, "Aim can't read it further")


def _run(run: str, about: dict[str, Any]) -> Iterator[Event]:
    config = about.pop("config")
    hparams = config.pop("hparams", {})
    if isinstance(hparams, dict):
        config = {**config, **hparams}
    else:
        config["hparams"] = hparams
    times = {key: utc_time(about.pop(key)) for key in ("start_time", "end_time")}
    yield Run(run, about.pop("name") or run, config, {**about, **times})


def _series(found: list[Any], done: dict[str, int]) -> Iterator[Event]:
    """Points of a metric; those of a context are below the run, with the context as attributes."""
    run, kind, name, context, steps, values, seconds, epochs = found
    of = run
    if context or name.startswith(_SYSTEM):
        part = {"part": "system"} if name.startswith(_SYSTEM) else context
        of = f"{run}/{json.dumps(part, sort_keys=True)}"
        yield Run(of, parent=run, part=part)
    key = json.dumps([run, kind, name, context], sort_keys=True)
    new = slice(max(0, done.get(key, 0) - steps[0][0]), None)
    columns = _columns(kind, name.removeprefix(_SYSTEM), values)
    if any(each is not None for each in epochs):
        columns["epoch"] = epochs
    columns = {each: column[new] for each, column in columns.items()}
    at = [step for _, step in steps]
    yield from events_of(of, columns, at[new], seconds[new])
    done[key] = max(done.get(key, 0), steps[-1][0] + 1)
    yield Position(dict(done))


def _columns(kind: str, name: str, values: list[Any]) -> dict[str, list[Any]]:
    if kind not in _FILES:
        return {name: values}
    rows = [_files(name, value if isinstance(value, list) else [value]) for value in values]
    keys = dict.fromkeys(key for row in rows for key in row)
    return {key: [row.get(key) for row in rows] for key in keys}


def _files(name: str, files: list[dict[str, Any]]) -> dict[str, Any]:
    """The fields of a picture or a sound, or of several at one step."""
    found: dict[str, Any] = {}
    for at, each in enumerate(files):
        key = numbered(name, at, len(files))
        more = {} if each["caption"] is None else {"caption": each["caption"]}
        found |= media(key, base64.b64decode(each["data"]), f"{key}.{each['suffix']}", **more)
    return found


FORMAT: Final = Format("aim", "Aim", _find, _read)
