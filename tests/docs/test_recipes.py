"""The recipes are right: their numbers are those that are reckoned by hand, in every engine."""

from __future__ import annotations

import os
import re
import statistics
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import t as student

from . import pages

PAGE = pages.ROOT / "docs/recipes.md"


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the page's program has at its end."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("recipes"))
    yield pages.run(PAGE)
    os.chdir(before)


@pytest.fixture
def losses(names: dict[str, Any]) -> dict[tuple[str, int], list[float]]:
    """The losses of runs without an error, by model and epoch."""
    found = defaultdict(list)
    for row in names["collection"].records.where(had_error=False):
        found[row["model"], row["epoch"]].append(row["loss"])
    return found


def query_under(heading: str) -> str:
    """The first query below a heading of the page."""
    below = PAGE.read_text(encoding="utf-8").split(f"## {heading}\n")[1]
    return below.split('"""')[1]


def test_quantiles_of_the_band_are_those_of_student_s_t() -> None:
    """The list has the 0.975 quantile for each number of degrees of freedom, from one on."""
    found = re.search(r"\[([\d., ]+)\]\[count", query_under("Mean and confidence band over seeds"))
    assert found is not None
    listed = [float(each) for each in found[1].split(",")]
    assert listed == [round(float(student.ppf(0.975, n)), 3) for n in range(1, len(listed) + 1)]


def test_band_is_the_interval_of_the_mean(
    names: dict[str, Any], losses: dict[tuple[str, int], list[float]]
) -> None:
    """Mean and ends of the band, as the standard library and SciPy have them."""
    query = query_under("Mean and confidence band over seeds")
    rows = names["collection"].sql(query).fetchall()
    assert len(rows) == len(losses)
    for model, epoch, seeds, mean, half, low, high in rows:
        values = losses[model, epoch]
        error = statistics.stdev(values) / len(values) ** 0.5
        expected = student.interval(0.95, len(values) - 1, statistics.fmean(values), error)
        assert (seeds, mean) == (len(values), pytest.approx(statistics.fmean(values)))
        assert (low, high) == pytest.approx(expected, abs=1e-4)  # three digits of t
        assert half == pytest.approx((high - low) / 2)


def test_polars_and_pandas_say_the_same(
    names: dict[str, Any], losses: dict[tuple[str, int], list[float]]
) -> None:
    """Means, and moving averages, of one frame are those of the other."""
    summary = names["summary"]
    for (model, epoch), values in losses.items():
        counted = summary.loc[(model, epoch)]
        assert counted["mean"] == pytest.approx(statistics.fmean(values))
        assert counted["std"] == pytest.approx(statistics.stdev(values))
    assert names["pivot"].loc[4, "small"] == pytest.approx(statistics.fmean(losses["small", 4]))


def test_last_values_join_one_row_for_each_experiment(names: dict[str, Any]) -> None:
    """No attempt is lost or doubled by the join, the one with an error included."""
    rows = names["collection"].sql(query_under("One row for each experiment")).fetchall()
    assert [row[:3] for row in rows] == [
        (each["experiment_number"], each["seed"], each["had_error"])
        for each in names["collection"].experiments
    ]


def test_every_heading_is_in_the_list_at_the_top() -> None:
    """Links at the top lead to the sections, in order."""
    text = PAGE.read_text(encoding="utf-8")
    anchors = [
        re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-")
        for head in re.findall(r"^## (.+)$", text, re.MULTILINE)
    ]
    assert re.findall(r"\]\(#([\w-]+)\)", text.split("\n## ")[0]) == anchors
