"""The grid world example runs as its readers would run it, and its agents learn."""

from __future__ import annotations

import contextlib
import io
import runpy
import sys
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection

EXAMPLE = Path(__file__).parents[2] / "examples" / "gridworld.py"
EPISODES = range(1, 11)


def test_the_example_logs_each_timestep_and_sets_the_totals_late(tmp_path: Path) -> None:
    """Three experiments of ten episodes; every row has its episode's total, which grows."""
    folder = str(tmp_path / "gridworld")
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(sys, "argv", [str(EXAMPLE), folder])
        runpy.run_path(str(EXAMPLE), run_name="__main__")
    episodes: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    with ExperimentCollection.open(folder) as collection:
        for row in collection.records:
            episodes[row["experiment_number"], row["episode"]].append(dict(row))
    assert set(episodes) == {(number, episode) for number in (1, 2, 3) for episode in EPISODES}
    for rows in episodes.values():
        assert [row["timestep"] for row in rows] == list(range(1, len(rows) + 1))
        assert {row["total_reward"] for row in rows} == {sum(row["reward"] for row in rows)}
        assert rows[-1]["reward"] == 50 or len(rows) == 200
    for number in (1, 2, 3):
        totals = [episodes[number, each][0]["total_reward"] for each in EPISODES]
        assert fmean(totals[-3:]) > fmean(totals[:3]) + 30
    assert "experiment 3  learning_rate=0.9  seed=3" in printed.getvalue()
    assert "mean_total_reward" in printed.getvalue()


def test_the_learner_follows_the_rule_and_finds_the_shortest_way() -> None:
    """An update moves the value by learning rate times TD error; in time no step is a detour."""
    example = runpy.run_path(str(EXAMPLE))
    learner = example["QLearner"](2, learning_rate=0.5, seed=0, discount=0.9)
    learner.values[1]["up"] = 10.0
    assert learner.update(0, "left", -1.0, 1) == pytest.approx(-1.0 + 0.9 * 10.0)
    assert learner.values[0]["left"] == pytest.approx(0.5 * 8.0)
    assert learner.update(0, "up", 50.0, None) == 50.0
    world = example["GridWorld"]("S.#\n..G")
    assert world.step(0, "up") == (0, -1.0, False)
    assert world.step(1, "right") == (1, -1.0, False)
    assert world.step(4, "right") == (5, 50.0, True)
    learner = example["QLearner"](world.states, 0.5, seed=0)
    for episode in range(1, 51):
        list(example["run_episode"](world, learner, example["decayed_epsilon"](episode)))
    assert len(list(example["run_episode"](world, learner, 0.0))) == 3
