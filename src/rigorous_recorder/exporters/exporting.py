"""Exports the runs of a collection to the formats of other tools."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Final

from rigorous_recorder import ExperimentCollection, Records
from rigorous_recorder._durable import make_folder, publish, sync_folder
from rigorous_recorder.errors import ArgumentError

from .contract import Losses, Target
from .study import Study

__all__ = ["TARGETS", "Exported", "export_runs"]

#: Each is a module with a ``TARGET``.
TARGETS: Final[tuple[str, ...]] = (
    "tensorboard",
    "wandb-offline",
    "mlflow",
    "trackio",
    "csv-per-run",
    "hf-dataset",
    "delta",
    "lance",
    "xarray-zarr",
)


@dataclass(slots=True)
class Exported:
    """What an export did.

    Attributes:
        path: where it was written.
        runs, records: how many there were.
        losses: what the target can't hold, one line for each kind, with counts.
        reading: how the tool opens it; empty if there is no command for it.
    """

    path: Path
    runs: int = 0
    records: int = 0
    losses: list[str] = field(default_factory=list)
    reading: str = ""


def export_runs(
    collection: ExperimentCollection | str | PathLike[str],
    target: str | PathLike[str],
    *,
    to: str,
    records: Records | None = None,
    step: str = "step",
) -> Exported:
    """Export a collection to another tool, in a folder that appears whole or not at all.

    Memory is bounded, whatever the number of records.

    Args:
        collection: a collection, or its path.
        target: the folder to create.
        to: the name of the format: one of ``TARGETS``.
        records: those to export, such as ``collection.records.where("loss < 1")``; all by default.
        step: the key of the records' steps.

    Raises:
        ArgumentError: there is no such format, or something is at that path.
        MissingPackageError: the format needs a package that is not installed.
        OSError: it can't be written.

    Examples:
        >>> from rigorous_recorder.exporters import export_runs
        >>> export_runs("data/my_study", "runs", to="tensorboard")  # doctest: +SKIP
    """
    found = _target_named(to)
    place = Path(target).expanduser().absolute()
    _require_free(place)
    if not isinstance(collection, ExperimentCollection):
        opened = ExperimentCollection.open(collection, read_only=True, quiet=True)
        try:
            return export_runs(opened, place, to=to, records=records, step=step)
        finally:
            opened.close()
    chosen = collection.records if records is None else records
    losses = Losses()
    study = Study(collection, chosen, losses, step)
    _write(found, study, place)
    about = losses.lines()
    return Exported(place, len(study.runs), len(chosen), about, found.reading.format(place))


def _target_named(name: str) -> Target:
    if name not in TARGETS:
        message = f"to={name!r}: expected one of {', '.join(TARGETS)}"
        raise ArgumentError(message)
    found: Target = import_module(f".{name.replace('-', '_')}", __package__).TARGET
    return found


def _require_free(place: Path) -> None:
    if place.exists() or place.is_symlink():
        message = (
            f"{place} already exists; nothing is overwritten: choose another path, or remove it"
        )
        raise ArgumentError(message)


def _write(target: Target, study: Study, place: Path) -> None:
    """Write to a folder beside the target, which is renamed once it is whole."""
    make_folder(place.parent)
    temporary = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        target.write(study, temporary, study.losses)
        temporary.mkdir(exist_ok=True)  # of a study without runs
        _sync(temporary)
        _require_free(place)
        publish(temporary, place)
    except BaseException:
        with suppress(OSError):
            shutil.rmtree(temporary)
        raise
    sync_folder(place.parent)


def _sync(folder: Path) -> None:
    """Block until all files of a folder are on the device."""
    for where, _, names in os.walk(folder):
        for name in names:
            descriptor = os.open(Path(where, name), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(Path(where))
