"""Imports ``metrics.csv`` of Lightning's CSVLogger, with ``hparams.yaml`` beside it."""

from __future__ import annotations

import csv as csv_files
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from .contract import Event, Format, Record, Report, Run, Source
from .files import files_below, read_yaml, run_name
from .lines import table_rows

_NAME: Final = "metrics.csv"
_HPARAMS: Final = "hparams.yaml"


def _find(path: Path, _options: Mapping[str, Any]) -> Iterator[Source]:
    done = None
    for file in files_below(path):
        folder = file.parent
        if file.name not in {_NAME, _HPARAMS} or folder == done or not _is_of_logger(folder):
            continue
        done = folder
        files = [folder / _NAME, *([folder / _HPARAMS] if (folder / _HPARAMS).exists() else [])]
        yield Source(folder, tuple(files), run_name(folder, path.parent if file == path else path))


def _is_of_logger(folder: Path) -> bool:
    """Whether there is a table of it, or only a configuration, which other loggers write, too."""
    table = folder / _NAME
    is_version = folder.name.startswith("version_")
    if table.is_file():
        return is_version or (folder / _HPARAMS).exists() or _is_sorted(table)
    return is_version and not any("tfevents" in each.name for each in folder.iterdir())


def _is_sorted(table: Path) -> bool:
    """Whether the columns of a table have the order that is only the logger's, and a step."""
    with suppress(OSError, UnicodeError, csv_files.Error), table.open(newline="") as file:
        names = next(csv_files.reader(file), [])
        return "step" in names and names == sorted(names)
    return False


def _read(source: Source, report: Report, _position: Any) -> Iterator[Event]:
    """The file is written anew for each new column, so it is read from its start."""
    hparams = [read_yaml(file, report) for file in source.files[1:]]
    config = hparams[0] if hparams and isinstance(hparams[0], dict) else {}
    yield Run("", source.name, {str(key): value for key, value in config.items()})
    table = source.files[0]
    # each row that was written to its end has a line break
    rows = table_rows(table, report, is_written=True) if table.exists() else ()
    for _, record in rows:
        step = record.pop("step", None)
        if isinstance(step, (int, float)):
            yield Record("", record, step)
        else:
            yield Record("", record if step is None else {**record, "step": step})


FORMAT: Final = Format("lightning", "Lightning CSVLogger", _find, _read)
