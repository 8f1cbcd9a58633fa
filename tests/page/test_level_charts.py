"""Charts of keys that recorders have and records don't: each recorder is one point."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

pytest.importorskip("numpy")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("youplot")
pytest.importorskip("httpx2")

from starlette.testclient import TestClient

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.page.app import application
from rigorous_recorder.page.workspace import Workspace

from .test_application import chart, charts

REWARDS = {0: [1.0, 5.0, math.nan], 1: [3.0, 9.0, 2.0, 4.0]}


@pytest.fixture
def page(tmp_path: Path) -> Iterator[tuple[TestClient, ExperimentCollection]]:
    """Two runs with episodes, whose rewards are known when they are over."""
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        for seed, rewards in REWARDS.items():
            with collection.new_experiment(seed=seed, lr=0.1, score=seed) as run:
                for number, reward in enumerate(rewards):
                    episode = run.child(episode=number)
                    episode.extend({"timestep": range(5 + number), "x": [1.0] * (5 + number)})
                    episode["reward"] = reward
                run.child(episode=9)  # not over
                run.child(model="m", width=64)  # counts nothing
        yield (
            TestClient(application(Workspace([tmp_path]), hosts=frozenset({"testserver"}))),
            collection,
        )


def test_keys_of_recorders_have_charts(page: tuple[TestClient, ExperimentCollection]) -> None:
    """Where these count something; those of runs are columns of the table."""
    client, _ = page
    keys = client.get("/api/keys").json()
    assert keys["metrics"] == ["timestep", "x"]
    assert keys["charts"] == ["reward", "timestep", "x"]


def test_a_recorder_is_a_point(page: tuple[TestClient, ExperimentCollection]) -> None:
    """However many records are below it; x is its own, whatever that of other charts is."""
    client, collection = page
    lines, header = chart(
        client, y="reward", x="timestep", is_likely=True, low=90.0, high=99.0, zoom_x="timestep"
    )
    assert header["x"] == "episode"
    assert [line["x"].tolist() for line in lines] == [[0, 1], [0, 1, 2, 3]]
    assert [line["y"].tolist() for line in lines] == [[1, 5], REWARDS[1]]
    assert [line["odd"] for line in lines] == [1, 0]
    lines, header = chart(client, y="reward", x="")
    assert header["x"] == ""
    assert lines[1]["x"].tolist() == [0, 1, 2, 3]
    with collection.new_experiment(seed=2, lr=0.2) as run:
        run.child(episode=4)["reward"] = 7.0
    lines, _ = chart(client, y="reward", x="episode", low=0.0, high=4.0)
    assert lines[-1]["y"].tolist() == [7]


def test_means_over_runs(page: tuple[TestClient, ExperimentCollection]) -> None:
    """Each episode counts once; with levels once each run."""
    client, collection = page
    with collection.new_experiment(seed=2, lr=0.1) as run:
        for reward in (10.0, 20.0):  # twice the same number
            run.child(episode=1)["reward"] = reward
    (line,), _ = chart(client, y="reward", x="episode", by=["lr"], band="minmax")
    assert line["label"] == "0.1"
    assert line["y"].tolist() == [2, fmean([5, 9, 10, 20]), 2, 4]
    assert (line["low"][1], line["high"][1]) == (5, 20)
    (line,), _ = chart(client, y="reward", x="episode", by=["lr"], levels_once=True)
    assert line["y"].tolist() == [2, fmean([5, 9, 15]), 2, 4]


@pytest.mark.usefixtures("page")
def test_a_collection_without_a_key_of_lines_is_left_out(tmp_path: Path) -> None:
    """The others have their lines, and the other charts of the request are there."""
    with ExperimentCollection(tmp_path / "other", quiet=True) as other:
        with other.new_experiment() as run:
            run.child(episode=0, reward=8.0).push(x=2.0)
        client = TestClient(application(Workspace([tmp_path]), hosts=frozenset({"testserver"})))
        request = {"y": ["reward", "x"], "x": "episode", "by": ["lr"], "is_likely": True}
        ((line,), _), (lines, _) = charts(client, **request)
        assert (line["label"], line["y"].tolist()) == ("0.1", [2, 7, 2, 4])
        assert [each["label"] for each in lines] == ["0.1"]
        found = client.post("/api/chart", json=request | {"by": ["nothing"]})
    assert found.status_code == 400
    assert "no collection has all of 'reward', 'episode', 'nothing'" in found.json()["error"]


def test_records_come_first(page: tuple[TestClient, ExperimentCollection]) -> None:
    """A key that records have too has a chart of these."""
    client, collection = page
    with collection.new_experiment() as run:
        run.push(episode=0, reward=0.5)
    keys: dict[str, Any] = client.get("/api/keys").json()
    assert keys["charts"] == keys["metrics"]
    assert "reward" in keys["charts"]
