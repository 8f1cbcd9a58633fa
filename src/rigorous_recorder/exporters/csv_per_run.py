"""Exports a CSV file for each experiment: its flat table."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from .contract import Losses, Target
from .names import Names
from .study import Study


def _write(study: Study, path: Path, losses: Losses) -> None:
    names = Names(path)
    path.mkdir()
    for run in study.runs:
        if run.parent is not None:
            continue
        folder = names.folder(run.node, run.name)
        records = study.records_of(run)
        if not len(records):
            losses.add("runs without records: no file")
            continue
        records.save_to(folder.with_name(f"{folder.name}.csv"))


TARGET: Final = Target("csv-per-run", "CSV", _write)
