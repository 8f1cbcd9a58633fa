"""Exports the flat table to a dataset of Hugging Face, as ``load_from_disk`` reads it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from rigorous_recorder._arrow import pa
from rigorous_recorder._lazy import lazy_module

from .contract import Losses, Target
from .flat import flat_table
from .study import Study

if TYPE_CHECKING:
    datasets: Any
else:
    datasets = lazy_module("datasets", install="datasets")


def _write(study: Study, path: Path, losses: Losses) -> None:
    dataset = datasets.Dataset
    batches = flat_table(study, losses, is_plain=False)
    with TemporaryDirectory(prefix=".", dir=path.parent) as folder, _quiet():
        file = Path(folder, "records.arrow")
        with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, batches.schema) as writer:
            for batch in batches.reader:
                writer.write_batch(batch)
        dataset.from_file(str(file)).save_to_disk(str(path))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without progress bars."""
    was = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if was:
            datasets.enable_progress_bars()


TARGET: Final = Target("hf-dataset", "Hugging Face datasets", _write)
