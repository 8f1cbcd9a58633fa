"""Studies that queries are measured on: the collection, and the same rows as Parquet by hand."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rigorous_recorder import ExperimentCollection, Recorder

__all__ = [
    "DataSet",
    "Study",
    "episodes",
    "in_new_process",
    "keep",
    "million_nodes",
    "points",
    "write_parquet",
]

Answer = TypeVar("Answer")

LEAVES: Final = ["step", "x", "y"]
"""The records' own columns."""


class DataSet(NamedTuple):
    """Where the files of one study are."""

    folder: Path

    @property
    def study(self) -> Path:
        """The collection."""
        return self.folder / "study.collection"

    @property
    def flat(self) -> Path:
        """One file with what the parents know in every row."""
        return self.folder / "flat.parquet"

    @property
    def leaves(self) -> Path:
        """One file with the records' own columns alone."""
        return self.folder / "leaves.parquet"


class Study(NamedTuple):
    """Models and their episodes, each of so many steps with a random x and y.

    Args:
        log: logs the records of one episode, given its recorder and its rows.
        each: records of a step that is a recorder; 0 where a step is a record.
        writers: how many log it, one after the other, each an equal part of the models.
    """

    name: str
    models: int
    episodes: int
    steps: int
    log: Callable[[Recorder, pa.Table], object]
    each: int = 0
    writers: int = 1

    @property
    def records(self) -> int:
        """How many records there are."""
        return self.models * self.episodes * self.steps * max(self.each, 1)

    @property
    def nodes(self) -> int:
        """How many recorders have records."""
        return self.models * self.episodes * (self.steps if self.each else 1)

    @property
    def label(self) -> str:
        """Its size in words."""
        writers = f", {self.writers} writers" if self.writers > 1 else ""
        return f"{self.records:,} records of {self.nodes:,} nodes{writers}"

    def data(self, folder: Path) -> DataSet:
        """Its files in a folder, made where they are not there yet."""
        return DataSet(keep(folder / self.name, partial(_make, self)))

    def table(self, model: int) -> pa.Table:
        """The flat rows of one model."""
        rows = self.records // self.models
        noise = np.random.default_rng(model)
        steps = np.repeat(np.arange(self.steps), max(self.each, 1))
        return pa.table({
            "model": pa.repeat(f"model{model}", rows),
            "episode": np.repeat(np.arange(self.episodes), rows // self.episodes),
            "step": np.tile(steps, self.episodes),
            "x": noise.random(rows),
            "y": noise.random(rows),
        })  # fmt: skip


def points(scale: float, steps: int = 100_000) -> Study:
    """The study of the first README: few episodes of many steps, logged with ``extend``."""
    return Study(f"points_{steps}", 3, 10, max(100, int(steps * scale)), Recorder.extend)


def episodes(scale: float, writers: int = 1) -> Study:
    """Reinforcement learning: many episodes of few steps, logged with ``push``."""
    count = max(10, int(10_000 * scale))
    return Study(f"episodes_{writers}", 20, count, 100, _push, writers=writers)


def million_nodes(scale: float) -> Study:
    """Each step is a recorder, with two records."""
    return Study("million_nodes", 10, max(10, int(1_000 * scale)), 100, _push_below, each=2)


def _push(episode: Recorder, rows: pa.Table) -> None:
    for step, x, y in _values(rows):
        episode.push(step=step, x=x, y=y)


def _push_below(episode: Recorder, rows: pa.Table) -> None:
    """Rows of the same step follow each other."""
    last, recorder = None, episode
    for step, x, y in _values(rows):
        if step != last:
            last, recorder = step, episode.child(step=step)
        recorder.push(x=x, y=y)


def _values(rows: pa.Table) -> zip[tuple[int, float, float]]:
    return zip(*(column.to_numpy().tolist() for column in rows.columns), strict=True)


# --- files -----------------------------------------------------------------------------------


def keep(folder: Path, make: Callable[[Path], object]) -> Path:
    """A folder that is made where it is not there yet; it appears whole or not.

    It is made in a process of its own, which leaves nothing in the memory of this one.
    """
    if not folder.exists():
        half = folder.with_name(f"{folder.name}.half")
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        in_new_process(make, half)
        half.rename(folder)
    return folder


def in_new_process(call: Callable[[Path], Answer], folder: Path) -> Answer:
    """What a call of a function of a module returns in a process that did nothing before."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as process:
        return process.submit(call, folder).result()


def write_parquet(table: pa.Table, path: Path) -> None:
    """What people write by hand: pyarrow's defaults, with zstd."""
    pq.write_table(table, path, compression="zstd")


def _make(study: Study, folder: Path) -> None:
    data = DataSet(folder)
    _log(study, data.study)
    flat = pa.concat_tables(study.table(model) for model in range(study.models))
    write_parquet(flat, data.flat)
    write_parquet(flat.select(LEAVES), data.leaves)


def _log(study: Study, path: Path) -> None:
    part = study.models // study.writers
    for writer in range(study.writers):
        with (
            ExperimentCollection(path, quiet=True) as collection,
            collection.new_experiment() as experiment,
        ):
            for model in range(part * writer, part * (writer + 1)):
                _log_model(study, experiment.child(model=f"model{model}"), model)


def _log_model(study: Study, recorder: Recorder, model: int) -> None:
    leaves = study.table(model).select(LEAVES)
    rows = leaves.num_rows // study.episodes
    for episode in range(study.episodes):
        study.log(recorder.child(episode=episode), leaves.slice(episode * rows, rows))
