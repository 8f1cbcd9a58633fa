"""Imports ``metrics.csv`` of Lightning's CSVLogger, with ``hparams.yaml`` beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from .contract import Event, Format, Record, Report, Run, Source
from .files import files_below, read_yaml, run_name
from .lines import table_rows

_NAME: Final = "metrics.csv"
_HPARAMS: Final = "hparams.yaml"


def _find(path: Path, _options: Mapping[str, Any]) -> Iterator[Source]:
    for file in files_below(path):
        if file.name != _NAME:
            continue
        beside = file.with_name(_HPARAMS)
        if beside.exists() or file.parent.name.startswith("version_"):
            name = run_name(file.parent, path.parent if file == path else path)
            yield Source(file.parent, (file, *([beside] if beside.exists() else [])), name)


def _read(source: Source, report: Report, _position: Any) -> Iterator[Event]:
    """The file is written anew for each new column, so it is read from its start."""
    hparams = [read_yaml(file, report) for file in source.files[1:]]
    config = hparams[0] if hparams and isinstance(hparams[0], dict) else {}
    yield Run("", source.name, {str(key): value for key, value in config.items()})
    for _, record in table_rows(source.files[0], report, is_written=source.is_written):
        step = record.pop("step", None)
        if isinstance(step, (int, float)):
            yield Record("", record, step)
        else:
            yield Record("", record if step is None else {**record, "step": step})


FORMAT: Final = Format("lightning", "Lightning CSVLogger", _find, _read)
