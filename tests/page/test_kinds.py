"""What further kinds of charts are drawn from, against numpy and SQL over the same records."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
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

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.page.app import application
from rigorous_recorder.page.kinds import heatmap, scatter
from rigorous_recorder.page.workspace import Workspace

STEPS = 500


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> ExperimentCollection:
    """Three runs: losses with a NaN and infinities, episodes with rewards, matrices and vectors."""
    random = np.random.default_rng(6)
    collection = ExperimentCollection(tmp_path_factory.mktemp("kinds") / "study", quiet=True)
    for seed, rate in enumerate((0.1, 0.01, 0.1)):
        with collection.new_experiment(seed=seed, lr=rate) as run:
            loss = random.normal(seed, 1, STEPS)
            loss[7:10] = [math.nan, math.inf, -math.inf]
            run["odd"] = (math.nan, 2.0, 0.5)[seed]
            run.extend({"step": list(range(STEPS)), "loss": loss.tolist(), "acc": (-loss).tolist()})
            for number in range(2 + seed):
                episode = run.child(episode=number, reward=float(10 * seed + number))
                episode.extend({"t": list(range(5 * number + 1))})
            for epoch in range(4):
                matrix = [[epoch, seed], [1, 2], [3, 4]]
                lists = {"confusion": matrix, "weights": [float(epoch), math.nan]}
                arrays = {f"np_{key}": np.array(value) for key, value in lists.items()}
                run.push(words=["a"], epoch=10 * epoch, **lists, **arrays)
    return collection


@pytest.fixture(scope="module")
def client(study: ExperimentCollection) -> Iterator[TestClient]:
    """A browser of a page, as far as requests go."""
    workspace = Workspace([study._to_write().folder.path])
    with TestClient(application(workspace, hosts=frozenset({"testserver"}))) as found:
        yield found


def plot(client: TestClient, **request: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header of a chart, and its arrays by name."""
    found = client.post("/api/plot", json=request)
    assert found.status_code == 200, found.text
    size = int.from_bytes(found.content[:8], "little")
    header = json.loads(found.content[8 : 8 + size])
    numbers = np.frombuffer(found.content[8 + size :], "<f8")
    lengths = [length for _, length in header["arrays"]]
    assert sum(lengths) == len(numbers)
    parts = np.split(numbers, np.cumsum(lengths)[:-1]) if lengths else []
    return header, dict(zip((name for name, _ in header["arrays"]), parts, strict=True))


def runs_of(client: TestClient) -> list[str]:
    """The names of all runs in the page."""
    return [run["key"] for run in client.get("/api/runs").json()["runs"]]


def column(study: ExperimentCollection, sql: str) -> Any:
    """The first column of an answer."""
    return np.array([row[0] for row in study.sql(sql).fetchall()], "f8")


def test_a_scatter_has_every_pair_of_a_run_or_of_an_attribute(
    client: TestClient, study: ExperimentCollection
) -> None:
    """What can't be a point is counted: odd y as marks, odd x as lost; chosen runs alone."""
    header, arrays = plot(client, kind="scatter", x="step", y="loss")
    for at, line in enumerate(header["lines"]):
        expected = column(
            study,
            f"FROM records SELECT loss WHERE experiment_number = {at + 1} AND isfinite(loss)"
            " ORDER BY step",
        )
        assert arrays[f"{at}.y"].tolist() == expected.tolist()
        assert (line["n"], line["odd"], line["lost"]) == (STEPS, 3, 0)
        assert arrays[f"{at}.mark_x"].tolist() == [7, 8, 9]
        assert arrays[f"{at}.mark_kind"].tolist() == [0, 1, 2]
    chosen = runs_of(client)[:2]
    header, arrays = plot(client, kind="scatter", x="loss", y="acc", by=["lr"], runs=chosen)
    assert [line["label"] for line in header["lines"]] == ["0.1", "0.01"]
    assert sum(line["lost"] for line in header["lines"]) == 6  # of the chosen runs
    assert (arrays["0.x"] == -arrays["0.y"]).all()
    _, part = plot(client, kind="scatter", x="loss", y="acc", by=["lr"], runs=chosen, low=0, top=-1)
    inside = arrays["0.x"][arrays["0.x"] >= 1]
    assert sorted(part["0.x"]) == sorted(inside)


def test_many_points_are_one_for_each_square(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the picture is the same, no outlier is missing, and the answer has what a dot stands for."""
    monkeypatch.setattr(scatter, "_MOST", 100)
    request = {"kind": "scatter", "x": "step", "y": "loss", "width": 40, "height": 10}
    header, arrays = plot(client, **request)
    monkeypatch.undo()
    whole, every = plot(client, **request)
    assert (whole["is_reduced"], whole["most"], header["is_reduced"]) == (False, 1, True)
    square, ends = (
        header["square"],
        [f([f(every[f"{at}.y"]) for at in range(3)]) for f in (min, max)],
    )
    counts = []
    for at in range(3):
        drawn, there = (
            Counter(
                (
                    int(x * 40 / (STEPS - 1)) // square,
                    int((y - ends[0]) * 10 / (ends[1] - ends[0])) // square,
                )
                for x, y in zip(found[f"{at}.x"], found[f"{at}.y"], strict=True)
            )
            for found in (arrays, every)
        )
        assert drawn.keys() == there.keys()
        assert sum(drawn.values()) <= len(there) + 4
        counts.append(max(there.values()))
        for axis in "xy":
            some, all_of = arrays[f"{at}.{axis}"], every[f"{at}.{axis}"]
            assert (some.min(), some.max()) == (all_of.min(), all_of.max())
    assert header["most"] == max(counts)


def test_attributes_count_once_for_each_recorder(
    client: TestClient, study: ExperimentCollection
) -> None:
    """An episode's reward is one point, however many records the episode has."""
    header, arrays = plot(client, kind="scatter", x="lr", y="reward")
    assert [line["n"] for line in header["lines"]] == [2, 3, 4]
    assert arrays["2.y"].tolist() == [20, 21, 22, 23]
    assert arrays["2.x"].tolist() == [0.1] * 4
    _, arrays = plot(client, kind="histogram", y="reward", by=["lr"], bins=3)
    rewards = [study.level("episode").where(lr=rate).to_arrow()["reward"] for rate in (0.1, 0.01)]
    for at, values in enumerate(rewards):
        counts, _ = np.histogram(values.to_numpy(), arrays["edges"])
        assert arrays[f"{at}.counts"].tolist() == counts.tolist()
    assert (arrays["edges"][0], arrays["edges"][-1]) == (0, 23)


def test_a_histogram_counts_all_values(client: TestClient, study: ExperimentCollection) -> None:
    """NaN, infinities and what is beyond the axis are counted apart; all lines have the same bins."""
    header, arrays = plot(client, kind="histogram", y="loss", bins=25)
    for at, line in enumerate(header["lines"]):
        values = column(
            study,
            f"FROM records SELECT loss WHERE experiment_number = {at + 1} AND isfinite(loss)",
        )
        counts, _ = np.histogram(values, arrays["edges"])
        assert arrays[f"{at}.counts"].tolist() == counts.tolist()
        assert counts.sum() == STEPS - 3
        assert [line[each] for each in ("nan", "inf", "minus_inf", "outside")] == [1, 1, 1, 0]
    header, arrays = plot(client, kind="histogram", y="loss", bins=5, is_log=True)
    assert np.diff(np.log(arrays["edges"])) == pytest.approx(np.diff(np.log(arrays["edges"]))[0])
    below = column(study, "FROM records SELECT count(*) WHERE loss <= 0 AND isfinite(loss)")
    assert sum(line["outside"] for line in header["lines"]) == below[0]
    _, alone = plot(client, kind="histogram", y="seed", bins=4, runs=runs_of(client)[1:2])
    assert alone["edges"].tolist() == [0.5, 0.75, 1, 1.25, 1.5]
    assert alone["0.counts"].tolist() == [0, 0, 1, 0]


def test_one_value_far_from_0_is_in_a_bin(tmp_path: Path) -> None:
    """A width that is added to it must not be lost by rounding."""
    collection = ExperimentCollection(tmp_path / "study", quiet=True)
    with collection.new_experiment() as run:
        run.push(y=1e300)
    workspace = Workspace([tmp_path / "study.collection"])
    client = TestClient(application(workspace, hosts=frozenset({"testserver"})))
    header, arrays = plot(client, kind="histogram", y="y")
    assert (arrays["0.counts"].sum(), header["lines"][0]["outside"]) == (1, 0)
    wrong = {"y": ["y"], "x": "", "by": ["nowhere"]}
    answer = client.post("/api/chart", json=wrong)
    assert b"no collection has all of 'y', 'nowhere'" in answer.content


def test_a_bar_is_the_mean_of_runs(client: TestClient, study: ExperimentCollection) -> None:
    """A run counts once, whatever it has logged; one whose last value is NaN is counted apart."""
    header, arrays = plot(client, kind="bars", y="loss", by=["lr"], band="minmax")
    assert [(bar["label"], bar["runs"], bar["odd"]) for bar in header["bars"]] == [
        ("0.01", 1, 0),
        ("0.1", 2, 0),
    ]
    last = column(
        study,
        "FROM records SELECT last(loss ORDER BY step) WHERE loss IS NOT NULL"
        " GROUP BY experiment_number ORDER BY experiment_number",
    )
    assert arrays["mean"].tolist() == [last[1], (last[0] + last[2]) / 2]
    assert arrays["low"].tolist() == [last[1], min(last[0], last[2])]
    header, _ = plot(client, kind="histogram", y="epoch", by=["np_weights"])  # by arrays of records
    assert [line["label"] for line in header["lines"]][:2] == ["[0.0, nan]", "[1.0, nan]"]
    header, _ = plot(client, kind="bars", y="loss", by=["odd"])
    assert [bar["label"] for bar in header["bars"]] == ["0.5", "2.0", "nan"]
    header, arrays = plot(client, kind="bars", y="reward", by=["lr"], statistic="mean", band="sem")
    means = [0.5, 21.5]  # of the two runs with this rate
    assert arrays["mean"].tolist() == [11, np.mean(means)]
    assert arrays["high"][1] == pytest.approx(np.mean(means) + np.std(means, ddof=1) / 2**0.5)


@pytest.mark.parametrize("form", ["", "np_"])
def test_a_heat_map_is_a_matrix_of_a_record_or_vectors_over_steps(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """The last record, or a chosen one, of lists or arrays; NaN stays; many vectors are thinned out, and it says so."""
    run = runs_of(client)[1]
    header, arrays = plot(client, kind="heatmap", y=f"{form}confusion", x="epoch", run=run)
    assert (header["shape"], header["total"], header["at"], header["at_x"]) == ([3, 2], 4, 3, 30)
    assert arrays["cells"].tolist() == [3, 1, 1, 2, 3, 4]
    header, arrays = plot(client, kind="heatmap", y=f"{form}confusion", x="epoch", run=run, at=1)
    assert (header["at"], header["at_x"], arrays["cells"][0]) == (1, 10, 1)
    header, arrays = plot(client, kind="heatmap", y=f"{form}weights", x="epoch", run=run)
    assert (header["shape"], header["every"]) == ([2, 4], 1)
    assert arrays["x"].tolist() == [0, 10, 20, 30]
    assert np.array_equal(arrays["cells"], [0, 1, 2, 3, *[math.nan] * 4], equal_nan=True)
    monkeypatch.setattr(heatmap, "_MOST_COLUMNS", 1)
    header, arrays = plot(client, kind="heatmap", y=f"{form}weights", run=run)
    assert (header["every"], header["total"], arrays["x"].tolist()) == (2, 4, [0, 2])


def test_parallel_coordinates_have_the_last_value_of_each_run(client: TestClient) -> None:
    """NaN where there is none."""
    header, arrays = plot(client, kind="parallel", keys=["reward", "epoch"])
    assert header["runs"] == runs_of(client)
    assert arrays["0"].tolist() == [1, 12, 23]
    assert arrays["1"].tolist() == [30, 30, 30]


def test_wrong_requests_are_refused(client: TestClient) -> None:
    """By a reason that names what is wrong."""
    for body, reason in (
        ({"kind": "pie"}, "pie"),
        ({"kind": "scatter", "x": "step"}, "a key for y"),
        ({"kind": "scatter", "x": "step", "y": "nowhere"}, "nowhere"),
        ({"kind": "scatter", "x": "lr", "y": "seed", "by": ["nowhere"]}, "nowhere"),
        ({"kind": "bars", "y": "loss"}, "a key for by"),
        ({"kind": "heatmap", "y": "loss", "run": "x"}, "no run 'x'"),
        ({"kind": "heatmap", "y": "loss", "run": runs_of(client)[0]}, "no lists of numbers"),
        ({"kind": "heatmap", "y": "words", "run": runs_of(client)[0]}, "no lists of numbers"),
        ({"kind": "histogram", "y": "loss", "low": "nan"}, "finite"),
        ({"kind": "histogram", "y": "loss", "runs": [3]}, "a list of text"),
        ([], "not a valid request"),
    ):
        found = client.post("/api/plot", json=body)
        assert found.status_code == 400
        assert reason in found.json()["error"]
