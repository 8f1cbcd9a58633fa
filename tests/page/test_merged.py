"""Means in which each level counts once, x from the start of runs, and bands, against plain loops."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

pytest.importorskip("numpy")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("youplot")

import numpy as np

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.page.merged import Merged, merged
from rigorous_recorder.page.reduce import mean_by_x
from rigorous_recorder.page.workspace import Opened


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> ExperimentCollection:
    """Runs of models of episodes of records, unlike in numbers at each level."""
    random = np.random.default_rng(8)
    collection = ExperimentCollection(tmp_path_factory.mktemp("merged") / "study", quiet=True)
    for lr in (0.1, 0.1, 0.2):
        with collection.new_experiment(lr=lr) as run:
            for model in "ab":
                of_model = run.child(model=model)
                of_model.push(step=1, loss=float(random.normal()))
                for number in range(int(random.integers(1, 4))):
                    episode = of_model.child(episode=number)
                    for _ in range(int(random.integers(1, 5))):
                        episode.push(step=int(random.integers(2)), loss=float(random.normal()))
    return collection


def lines_of(collection: ExperimentCollection, y: str, x: str, **options: Any) -> list[Merged]:
    given: dict[str, Any] = {"by": (), "band": "std", "from_start": False, "levels_once": False}
    opened = [Opened("study", collection, Path("study"))]
    return merged(opened, y, x, **(given | options), runs=None, stop=None)


def mean_of(members: Any) -> float:
    """The mean of a tree of dicts and lists, each counted once."""
    if isinstance(members, dict):
        return fmean(mean_of(each) for each in members.values())
    return fmean(members)


def test_each_recorder_counts_once_beside_its_siblings(study: ExperimentCollection) -> None:
    """A mean of runs is of means of models, which are of means of episodes; its band is of runs."""
    found = lines_of(study, "loss", "step", by=("lr",), levels_once=True)
    assert [line.labels for line in found] == [("0.1",), ("0.2",)]
    for line, lr in zip(found, (0.1, 0.2), strict=True):
        for at, step in enumerate(line.band.x):
            trees: dict[Any, Any] = {}
            for row in study.records.where(lr=lr, step=int(step)):
                of_run = trees.setdefault(row["experiment_number"], {})
                of_model = of_run.setdefault(row["model"], {})
                of_model.setdefault(row["episode"], []).append(row["loss"])
            runs = [mean_of(each) for each in trees.values()]
            assert line.band.mean[at] == pytest.approx(fmean(runs))
            if len(runs) > 1:
                spread = np.std(runs, ddof=1)
                assert line.band.high[at] == pytest.approx(fmean(runs) + spread)
    of_runs = lines_of(study, "loss", "step", levels_once=True, band="minmax")
    for line in of_runs:
        assert line.run is not None
        rows = study.records.where(experiment_number=line.run[0], step=1)
        models: dict[Any, Any] = {}
        for row in rows:
            models.setdefault(row["model"], {}).setdefault(row["episode"], []).append(row["loss"])
        means = [mean_of(each) for each in models.values()]
        assert line.band.low[-1] == pytest.approx(min(means))
        assert line.band.mean[-1] == pytest.approx(fmean(means))


def test_without_levels_all_records_count(study: ExperimentCollection) -> None:
    """As for lines that are not merged; NaN and infinities are apart."""
    (line, _) = lines_of(study, "loss", "step", by=("lr",), band="quantile")
    for at, step in enumerate(line.band.x):
        rows = study.records.where(lr=0.1, step=int(step))
        values = [row["loss"] for row in rows]
        assert line.band.mean[at] == pytest.approx(fmean(values))
        assert line.band.low[at] == pytest.approx(np.quantile(values, 0.25))
        assert line.band.high[at] == pytest.approx(np.quantile(values, 0.75))


@pytest.fixture
def clocks(tmp_path: Path) -> Iterator[ExperimentCollection]:
    """Runs that log times and steps, which begin at different ones."""
    with ExperimentCollection(tmp_path / "clocks", quiet=True) as collection:
        for first in (0, 100):
            with collection.new_experiment(kind="k") as run:
                for step in (0, 1):
                    now = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=60 * step)
                    run.push(when=now, step=first + step, loss=[1.0, np.inf][step])
        yield collection


def test_x_is_counted_from_the_start_of_each_run(clocks: ExperimentCollection) -> None:
    """Times from the start of the run, numbers from its lowest; lines of several runs meet."""
    for line in lines_of(clocks, "loss", "when", from_start=True):
        assert line.there == 2
        assert 0 <= line.band.x[0] < 30
        assert 60 <= line.odd[0][0] < 90
    (both,) = lines_of(clocks, "loss", "step", by=("kind",), from_start=True)
    assert (both.band.x.tolist(), both.odd[0].tolist(), both.there) == ([0], [1, 1], 4)
    (by_number,) = lines_of(clocks, "step", "", by=("kind",), from_start=True, band="minmax")
    assert by_number.band.low.tolist() == [0, 1]
    assert by_number.band.high.tolist() == [100, 101]


@pytest.mark.parametrize("band", ["std", "sem", "minmax", "quantile", "none"])
def test_bands_are_those_of_numpy(band: str) -> None:
    """Over equal x, of one value and of many."""
    random = np.random.default_rng(9)
    x, y = np.sort(random.integers(0, 30, 400)).astype("f8"), random.normal(size=400)
    x[-1] = 99
    found = mean_by_x(x, y, band)
    for at, each in enumerate(found.x):
        some = y[x == each]
        deviation = np.std(some, ddof=1) if len(some) > 1 else 0.0
        mean = some.mean()
        expected = {
            "std": (mean - deviation, mean + deviation),
            "sem": (mean - deviation / len(some) ** 0.5, mean + deviation / len(some) ** 0.5),
            "minmax": (some.min(), some.max()),
            "quantile": tuple(np.quantile(some, (0.25, 0.75))),
            "none": (mean, mean),
        }[band]
        assert (found.low[at], found.high[at]) == pytest.approx(expected)
        assert found.mean[at] == pytest.approx(mean)
