"""What the page computes, compared with the flat table while runs are logged, resumed and deleted."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numpy")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("youplot")
pytest.importorskip("httpx2")

import numpy as np
from starlette.testclient import TestClient

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder.page.app import application
from rigorous_recorder.page.workspace import Workspace

from .test_application import chart

STATISTICS = ("last", "min", "max", "mean", "count")
#: Beside numbers that are drawn from a normal distribution.
ODD = (math.nan, math.inf, -math.inf, 2.0)


def log(recorder: Recorder, seeded: random.Random) -> None:
    """Some records with few different x, of which some have no x or no value, of two recorders."""
    for _ in range(seeded.randint(1, 6)):
        value = seeded.choice([*ODD, *(seeded.gauss(0, 1) for _ in range(6))])
        record = {"step": seeded.randint(0, 3), "loss": value}
        record.pop(seeded.choice(["step", "loss", "", ""]), None)
        (recorder.child(part=1) if seeded.random() < 0.3 else recorder).push(record)


def statistics(values: list[float]) -> list[Any]:
    """Lowest and highest without NaN; a mean over NaN is NaN."""
    if not values:
        return [None] * 5
    with np.errstate(all="ignore"):
        found = [values[-1], np.fmin.reduce(values), np.fmax.reduce(values), np.mean(values)]
    return [*map(float, found), len(values)]


def means(records: list[dict[str, Any]]) -> dict[float, float]:
    """The mean of finite values for each x."""
    found = defaultdict(list)
    for each in records:
        if each.get("step") is not None and math.isfinite(each["loss"]):
            found[each["step"]].append(each["loss"])
    return {x: float(np.mean(found[x])) for x in sorted(found)}


def check(client: TestClient, collection: ExperimentCollection) -> None:
    """Compare the statistics and the lines of all runs with their rows."""
    of_runs = defaultdict(list)
    for row in collection.records:
        if row.get("loss") is not None:
            of_runs[row["experiment_number"]].append(dict(row))
    columns = [":number", *(f":{each}:loss" for each in STATISTICS)]
    table = client.post("/api/table", json={"count": 99, "columns": columns}).json()
    assert {line["number"] for line in table["lines"]} == {*collection.experiment_numbers}
    for line in table["lines"]:
        number, *found = line["cells"]
        values = [float(each["loss"]) for each in of_runs[number]]
        found = [float(each) if isinstance(each, str) else each for each in found]
        assert found == pytest.approx(statistics(values), nan_ok=True), number
    lines, _ = chart(client, y="loss", x="step")
    drawn = {
        int(line["run"].partition("/")[2].partition("@")[0]): dict(
            zip(line["x"].tolist(), line["y"].tolist(), strict=True)
        )
        for line in lines
    }
    expected = {number: means(records) for number, records in of_runs.items()}
    assert {n: each for n, each in drawn.items() if each} == {
        n: pytest.approx(each) for n, each in expected.items() if each
    }


FIRST = """
import sys
from rigorous_recorder.page.chart_request import ChartRequest
from rigorous_recorder.page.charts import charts
from rigorous_recorder.page.keys import keys_of
from rigorous_recorder.page.table import RunTable, TableRequest
from rigorous_recorder.page.workspace import Workspace

workspace = Workspace([sys.argv[1]])
keys_of(workspace)
RunTable(workspace).page(TableRequest.of({"count": 9, "columns": [":mean:loss"]}))
for by in ([], ["lr"]):
    for once in (False, True):
        given = {"y": "loss", "x": "step", "by": by, "levels_once": once, "smooth": 0.5}
        charts(workspace, ChartRequest.of(given))
print({"pandas", "duckdb", "polars"} & {*sys.modules})
"""


def test_what_a_page_shows_first_imports_no_pandas(tmp_path: Path) -> None:
    """It takes longer than all else until the first lines are drawn."""
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        for lr in (0.1, 0.2):
            with collection.new_experiment(lr=lr, name="n") as run:
                run.extend(
                    {"step": [0, 1, 1], "loss": [1.0, None, 3.0], "even": [True, False, True]}
                )
                run.child(part=1).push(step=1, loss=2.0)
    done = subprocess.run(
        [sys.executable, "-c", FIRST, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_statistics_and_lines_are_those_of_the_flat_table(tmp_path: Path) -> None:
    """After each of new runs, resumes, records, deletions and compactions."""
    seeded = random.Random(0)
    collection = ExperimentCollection(tmp_path / "study", quiet=True)
    with collection.new_experiment() as first:
        first.push(step=0, loss=1.0)
    client = TestClient(application(Workspace([tmp_path]), hosts=frozenset({"testserver"})))
    for change in seeded.sample(["new", "resume", "push", "delete", "compact"] * 3, 15):
        number = seeded.choice([*collection.experiment_numbers, 0])
        if change == "new" or not number:
            with collection.new_experiment() as run:
                log(run, seeded)
        elif change == "resume":
            with collection.resume(number) as run:
                log(run, seeded)
        elif change == "push":
            log(collection.experiment(number).recorder, seeded)
        elif change == "delete" and number > 1:  # one stays, so that no key is lost
            collection.delete(number)
        else:
            collection.save()
            collection.compact()
        check(client, collection)
