"""What charts answer, compared with plain computations over the rows of the flat table."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from statistics import fmean
from typing import Any

import pytest

pytest.importorskip("numpy")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("youplot")
pytest.importorskip("httpx2")

import numpy as np
from starlette.testclient import TestClient

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.page.app import application
from rigorous_recorder.page.workspace import Workspace

from .test_application import chart

PIXELS = 16
KEYS = ("experiment_number", "lr", "part", "step", "loss")
ODD = (np.nan, np.inf, -np.inf)


def columns(random: Any, count: int, *, is_rising: bool) -> dict[str, list[Any]]:
    """Steps, even or not, with ties unless they rise, and values of which some are odd or missing."""
    steps = random.choice([1.0, 1.0, 2.5, 40.0], count).cumsum() - 20
    if not is_rising:
        steps = np.floor(steps / 7)
    if random.random() < 0.3:
        random.shuffle(steps)
    values: list[Any] = np.round(random.normal(size=count), 1).tolist()
    values[count // 3] = 1e3
    for at in random.integers(0, count, count // 8):
        values[at] = random.choice([*ODD, None])
    x: list[Any] = steps.tolist()
    for at in random.integers(0, count, count // 20):
        x[at] = random.choice([None, np.nan, np.inf])
    return {"step": x, "loss": values}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, Any]]:
    """A page of two collections, in part sealed and in part live, and all their rows."""
    random, folder, rows = np.random.default_rng(11), tmp_path_factory.mktemp("truth"), []
    opened = []
    for name in ("one", "two"):
        collection = ExperimentCollection(folder / name, quiet=True)
        opened.append(collection)
        for number in range(3):
            with collection.new_experiment(lr=float(random.choice([0.1, 0.2])), seed=number) as run:
                is_rising = number % 2 == 0
                for part in range(int(random.integers(1, 4))):
                    to = run.child(part=part) if part else run
                    to.extend(columns(random, int(random.integers(20, 250)), is_rising=is_rising))
                for step in (5.0, 5.0, 6000.0):
                    run.push(step=step, loss=float(random.normal()))
            if number == 1:
                collection.save()
        if name == "one":
            collection.compact()
    for collection, name in zip(opened, ("one", "two"), strict=True):
        rows += [
            {"collection": name, **{key: row.get(key) for key in KEYS}}
            for row in collection.records
        ]
    client = TestClient(application(Workspace([folder]), hosts=frozenset({"testserver"})))
    yield client, rows
    for collection in opened:
        collection.close()


def lines_of(rows: Any, by: str, *, from_start: bool) -> dict[str, list[Any]]:
    """The rows with x and y of each line, by its name; x is in place of step."""
    there = [row for row in rows if row["step"] is not None and row["loss"] is not None]
    there = [row for row in there if math.isfinite(row["step"])]
    lowest: dict[Any, float] = {}
    for row in there:
        run = row["collection"], row["experiment_number"]
        lowest[run] = min(row["step"], lowest.get(run, math.inf))
    found: dict[str, list[Any]] = defaultdict(list)
    for row in there:
        start = lowest[row["collection"], row["experiment_number"]] if from_start else 0.0
        of = (
            row["collection"] if by == "experiment_number" else ""
        )  # a line by a key is one over all
        found[f"{of}/{row[by]}"].append({**row, "step": row["step"] - start})
    return found


def by_x(rows: list[Any]) -> dict[float, list[Any]]:
    """The finite rows of each x, in order."""
    found = defaultdict(list)
    for row in rows:
        if math.isfinite(row["loss"]):
            found[row["step"]].append(row)
    return dict(sorted(found.items()))


def banded(rows: list[Any], band: str) -> Any:
    """X, the means, and the ends of the band of each x, as columns."""
    found = []
    for x, some in by_x(rows).items():
        values = np.array([row["loss"] for row in some])
        mean, spread = values.mean(), values.std(ddof=1) if len(values) > 1 else 0.0
        half = spread / len(values) ** 0.5 if band == "sem" else spread
        ends = {
            "minmax": (values.min(), values.max()),
            "quantile": np.quantile(values, (0.25, 0.75)),
        }
        found.append((x, mean, *ends.get(band, (mean - half, mean + half))))
    return np.array(found).T


def by_levels(rows: list[Any]) -> Any:
    """The same with each level once, and the lowest and highest of the level of the band.

    It is the highest one at which the line has several members at any x: of runs, parts, or records.
    """
    trees = {}
    for x, some in by_x(rows).items():
        runs: Any = defaultdict(lambda: defaultdict(list))
        for row in some:
            run = row["collection"], row["experiment_number"]
            runs[run][row["part"]].append(row["loss"])
        trees[x] = [list(run.values()) for run in runs.values()]
    has_runs = any(len(runs) > 1 for runs in trees.values())
    has_parts = any(len(run) > 1 for runs in trees.values() for run in runs)
    found = []
    for x, runs in trees.items():
        means = list(map(mean_of, runs if has_runs else runs[0] if has_parts else runs[0][0]))
        found.append((x, mean_of(runs), min(means), max(means)))
    return np.array(found).T


def mean_of(members: Any) -> float:
    """The mean of a tree of lists, in which each member counts once."""
    return fmean(map(mean_of, members)) if isinstance(members, list) else members


def averages(x: Any, y: Any, weight: float) -> Any:
    """The average of each mean and all before it, point by point."""
    found, norm, average = [], 0.0, 0.0
    fades = weight ** (np.diff(x, prepend=x[0]) / np.median(np.diff(x)))
    for fade, value in zip(fades, y, strict=True):
        norm = norm * fade + 1
        average += (value - average) / norm
        found.append(average)
    return np.array(found)


def pixels_of(x: Any, *, is_log: bool) -> Any:
    """The pixel of each x."""
    if is_log and (x > 0).any():
        x = np.log10(np.maximum(x, x[x > 0].min()))
    return np.minimum((x - x[0]) / ((x[-1] - x[0]) / PIXELS), PIXELS - 1).astype(int)


def check(drawn: Any, expected: Any, *, is_log: bool) -> None:
    """Compare drawn columns with those of all points: values, and the ends of each pixel."""
    x, all_x = drawn[0], expected[0]
    assert (np.diff(x) > 0).all()
    places = np.searchsorted(all_x, x)
    assert np.array_equal(all_x[places], x)
    there = expected[:, places]
    assert (np.abs(drawn - there) <= 2e-7 * np.abs(there) + 1e-7).all()
    if len(all_x) <= 4 * PIXELS:
        assert len(x) == len(all_x)
        return
    pixels = pixels_of(all_x, is_log=is_log)
    for pixel in np.unique(pixels):
        some, ends = drawn[:, pixels[places] == pixel], expected[:, pixels == pixel]
        assert (some[0, 0], some[0, -1]) == (ends[0, 0], ends[0, -1])
        for end in (np.min, np.max):
            assert end(some, axis=1) == pytest.approx(end(ends, axis=1), rel=1e-6, abs=1e-6)


VIEWS: list[dict[str, Any]] = [
    {},
    {"from_start": True},
    {"low": 30.0, "high": 900.0},
    {"smooth": 0.9},
    {"smooth": 0.5, "log_x": True, "low": 2.5, "high": 400.0, "from_start": True},
]


KINDS = {np.isnan: 0, np.isposinf: 1, np.isneginf: 2}


@pytest.mark.parametrize(("by", "numbers"), [("experiment_number", ""), ("lr", ""), ("lr", "13")])
def test_lines_are_those_of_the_flat_table(
    pages: tuple[TestClient, Any], by: str, numbers: str
) -> None:
    """Values, bands, smoothing and marks, of all and of parts; no end of a pixel is missing.

    Args:
        numbers: those of the runs that are drawn; none for all.
    """
    client, rows = pages
    runs: Any = None
    if numbers:
        every, _ = chart(client, y="loss", x="step")
        runs = [each["run"] for each in every if each["run"].split("/")[1][0] in numbers]
        rows = [row for row in rows if str(row["experiment_number"]) in numbers]
    known: dict[Any, Any] = {}
    lines = [lines_of(rows, by, from_start=from_start) for from_start in (False, True)]
    for band, view in product(("std", "sem", "minmax", "quantile", "levels"), VIEWS):
        if band in {"sem", "quantile"} and view not in (VIEWS[0], VIEWS[-1]):
            continue
        options = {"band": "minmax", "levels_once": True} if band == "levels" else {"band": band}
        options |= {"by": [by] if by == "lr" else [], "runs": runs, **view}
        found, _ = chart(client, y="loss", x="step", pixels=PIXELS, **options)
        names = [
            (each.get("run") or each["key"]).replace("\0", "/").split("@")[0] for each in found
        ]
        expected = lines["from_start" in view]
        assert sorted(names) == sorted(expected)
        for line, some in zip(found, map(expected.__getitem__, names), strict=True):
            odd = [row for row in some if not math.isfinite(row["loss"])]
            kinds = [next(k for test, k in KINDS.items() if test(row["loss"])) for row in odd]
            marks = zip(line["mark_x"].tolist(), line["mark_kind"].tolist(), strict=True)
            assert sorted(marks) == sorted(zip((row["step"] for row in odd), kinds, strict=True))
            assert (line["n"], line["odd"]) == (len(some), len(odd))
            place = band, id(some)
            if place not in known:
                known[place] = by_levels(some) if band == "levels" else banded(some, band)
            whole = known[place]
            assert line["band"] == (whole.shape[1] < len(some) - len(odd))
            names_of = ["x", "y", *(("low", "high") if line["band"] else ())]
            whole = whole[: len(names_of)]
            if weight := view.get("smooth"):
                whole = np.vstack([whole, averages(*whole[:2], weight)])
                names_of.append("smoothed")
            first = max(0, int((whole[0] < view.get("low", -math.inf)).sum()) - 1)
            last = int((whole[0] <= view.get("high", math.inf)).sum()) + 1
            drawn = np.array([line[name] for name in names_of])
            check(drawn, whole[:, first:last], is_log="log_x" in view)
