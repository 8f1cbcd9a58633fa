"""The README of the first version runs word for word; its page is kept beside this test."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rigorous_recorder import ExperimentCollection, Recorder

from . import pages

PAGE = Path(__file__).with_name("first-readme.md")
COMPLETE = [block.code for block in pages.blocks(PAGE) if "import" in block.code]


def run_words(code: str, folder: Path, more: str = "") -> str:
    """Run code of the page in a process of its own; what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code + textwrap.dedent(more)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_has_two_complete_examples() -> None:
    """The page has the small tree and the study."""
    assert len(COMPLETE) == 2


def test_small_tree_is_saved(tmp_path: Path) -> None:
    """The first example saves a tree from which all three timesteps read back with their parents."""
    run_words(COMPLETE[0], tmp_path)
    loaded = Recorder.load_from(tmp_path / "where/ever/you_want.pickle")
    assert [dict(row) for row in loaded.all_records] == [
        {"experiment": 1, "episode": 1, "x": n, "y": n} for n in (1, 2, 3)
    ]


def test_study_runs_twice_in_one_folder(tmp_path: Path) -> None:
    """The second example logs 201,000 records a run; experiment 2 follows 1; its averages are right."""
    check = """
        import json
        print(json.dumps([
            len(collection.records), len(records_first_half_of_time), all_records[0]["index"],
            first_half_average_loss, model1_first_half_loss, model2_first_half_loss,
        ]))
    """
    for run in (1, 2):
        printed = run_words(COMPLETE[1], tmp_path, check)
        first, numbers = printed.splitlines()
        assert first.startswith("first record {'experiment_number': 1, 'error_number': 0, ")
        count, half, index, both, one, two = map(float, numbers.strip("[]").split(","))
        assert (count, half, index) == (201_000 * run, 1000 * run, 0)
        collection = ExperimentCollection(tmp_path / "data/my_study")
        assert collection.experiment_numbers == tuple(range(1, run + 1))
        expected = collection.sql(
            "SELECT avg(loss), avg(loss) FILTER (model = 'model1'), "
            "avg(loss) FILTER (model = 'model2') FROM records WHERE training AND \"index\" < 500"
        ).fetchall()[0]
        assert (both, one, two) == pytest.approx(expected)
        collection.close()


def test_study_has_the_six_keys(tmp_path: Path) -> None:
    """The six keys of the page are inherited by every record."""
    words = COMPLETE[1].replace("100_000", "10").replace("range(500)", "range(5)")
    run_words(words, tmp_path)
    for row in ExperimentCollection(tmp_path / "data/my_study").records:
        assert row["experiment_number"] == 1
        assert row["error_number"] == 0
        assert row["had_error"] is False
        start, end = row["experiment_start_time"], row["experiment_end_time"]
        assert row["experiment_duration"] == end - start
