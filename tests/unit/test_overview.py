"""`find` and `overview`: which collections there are, and what became of their experiments."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rigorous_recorder import ExperimentCollection, ExperimentOverview, Status

RUNNING = """
import sys
from rigorous_recorder import ExperimentCollection
with ExperimentCollection(sys.argv[1]).new_experiment(model="m1") as experiment:
    experiment.push(x=1).push(x=2)
    print("running", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[ExperimentCollection]:
    with closing(ExperimentCollection(tmp_path / "study", quiet=True)) as opened:
        yield opened


def make(folder: Path) -> Path:
    with ExperimentCollection(folder) as collection, collection.new_experiment() as experiment:
        experiment.push(x=1)
    return folder.with_name(f"{folder.name}.collection")


# --- find ----------------------------------------------------------------------------------------


def test_collections_are_found_below_a_folder(tmp_path: Path) -> None:
    """All of them, at any depth, sorted; folders and files that are none are passed over."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("nothing")
    found = [make(tmp_path / "b"), make(tmp_path / "a" / "deep" / "c"), make(tmp_path / "a" / "d")]
    assert ExperimentCollection.find(tmp_path) == sorted(found)


def test_a_collection_is_found_below_more_folders_than_calls_can_be_nested(tmp_path: Path) -> None:
    """How deep it is does not matter."""
    levels = [tmp_path]
    for _ in range(600):
        levels.append(levels[-1] / "d")
        levels[-1].mkdir()
    path = make(levels[-1] / "c")
    assert ExperimentCollection.find(tmp_path) == [path]
    shutil.rmtree(path)
    for level in reversed(levels[1:]):  # nothing else takes so deep a folder away
        level.rmdir()


def test_a_collection_is_found_at_the_folder_itself(tmp_path: Path) -> None:
    """A folder that is a collection is the only one; text names it as well as a path."""
    path = make(tmp_path / "a")
    assert ExperimentCollection.find(path) == [path]
    assert ExperimentCollection.find(str(path)) == [path]


def test_collections_in_hidden_folders_links_and_collections_are_not_looked_for(
    tmp_path: Path,
) -> None:
    """What is hidden, inside a collection, or behind a link is not looked into."""
    outer = make(tmp_path / "seen" / "outer")
    make(outer / "inner")
    make(tmp_path / "seen" / ".trash" / "old")
    make(tmp_path / "elsewhere" / "other")
    (tmp_path / "seen" / "link").symlink_to(tmp_path / "elsewhere")
    assert ExperimentCollection.find(tmp_path / "seen") == [outer]


@pytest.mark.parametrize("text", ["", "[]", '"x"', '{"format": "something else"}', "{"])
def test_a_collection_json_of_others_makes_no_collection(tmp_path: Path, text: str) -> None:
    """A file of that name that this library did not write is none of its collections."""
    (tmp_path / "collection.json").write_text(text)
    assert ExperimentCollection.find(tmp_path) == []


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """There is a difference between a folder without collections and none."""
    with pytest.raises(FileNotFoundError):
        ExperimentCollection.find(tmp_path / "nowhere")


# --- overview ------------------------------------------------------------------------------------


def test_a_collection_without_experiments_has_an_empty_overview(
    collection: ExperimentCollection,
) -> None:
    """Nothing is there, nothing is made by asking, and nothing takes room."""
    assert collection.overview() == []
    assert collection.size_on_disk() == 0
    assert not Path(str(collection)).exists()


def test_an_experiment_that_ended_well_is_finished(collection: ExperimentCollection) -> None:
    """It has its number, start and duration, its records at and below it, and their keys."""
    before = time.time()
    with collection.new_experiment(lr=0.1) as experiment:
        experiment.push(note="start")
        for model in ("m1", "m2"):
            experiment.child(model=model).push(loss=0.5).push(loss=0.4)
    (found,) = collection.overview()
    assert found == ExperimentOverview(
        experiment_number=1,
        error_number=0,
        status=Status.FINISHED,
        start=found.start,
        duration=found.duration,
        records=5,
        keys=["lr", "model", "note", "loss"],
    )
    assert found.start is not None
    assert found.duration is not None
    assert before <= found.start <= found.start + found.duration <= time.time()


def test_an_experiment_that_ended_with_an_error_is_failed(
    collection: ExperimentCollection,
) -> None:
    """Each attempt has a row of its own, with the number of the attempt."""
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), collection.new_experiment() as experiment:
            experiment.push(x=1)
            raise ZeroDivisionError
    said = [
        (each.experiment_number, each.error_number, each.status) for each in collection.overview()
    ]
    assert said == [(1, 1, Status.FAILED), (1, 2, Status.FAILED)]


def test_an_experiment_of_this_process_is_running(collection: ExperimentCollection) -> None:
    """Until its end it runs, and its duration is the time since its start."""
    with collection.new_experiment() as experiment:
        experiment.push(x=1)
        (first,) = collection.overview()
        (second,) = collection.overview()
    assert (first.status, first.records) == (Status.RUNNING, 1)
    assert first.duration is not None
    assert second.duration is not None
    assert 0 <= first.duration <= second.duration


def test_an_experiment_of_another_process_runs_until_that_is_killed(tmp_path: Path) -> None:
    """While the process lives it is running, to any number of onlookers; then it is crashed."""
    folder = tmp_path / "study"
    with subprocess.Popen(
        [sys.executable, "-c", RUNNING, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        with closing(ExperimentCollection(folder)) as watcher:
            (found,) = watcher.overview()
            assert (found.status, found.records, found.keys) == ("running", 2, ["model", "x"])
            process.kill()
            process.wait()
            (found,) = watcher.overview()
            assert (found.status, found.records, found.duration) == ("crashed", 2, None)
    with closing(ExperimentCollection(folder, quiet=True)) as recovered:
        (found,) = recovered.overview()
        assert (found.status, found.records, found.keys) == ("crashed", 2, ["model", "x"])


@pytest.mark.skipif(os.geteuid() == 0, reason="to root every folder can be written")
def test_a_folder_that_can_only_be_read_is_overviewed(
    tmp_path: Path, collection: ExperimentCollection
) -> None:
    """Reading needs no right to write, also where a process runs."""
    with collection.new_experiment() as experiment:
        experiment.push(x=1)
        live = tmp_path / "study.collection" / "live"
        live.chmod(0o555)
        with closing(ExperimentCollection(tmp_path / "study")) as reader:
            assert [each.status for each in reader.overview()] == [Status.RUNNING]
        live.chmod(0o755)


def test_what_is_set_above_all_experiments_is_not_of_any(collection: ExperimentCollection) -> None:
    """Data and records of the study itself count for none of its experiments."""
    collection.recorder["study"] = "a"
    collection.recorder.push(note="before")
    with collection.new_experiment() as experiment:
        experiment.push(x=1)
    (found,) = collection.overview()
    assert (found.records, found.keys) == (1, ["x"])


STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),  # the experiment
        st.integers(0, 2),  # how far below it
        st.sampled_from(["a", "b", "a.b", "list", "text"]),
    ),
    max_size=30,
)
VALUES = {"a": 1, "b": None, "a.b": 2.5, "list": [1, 2], "text": "x"}


@settings(max_examples=15)
@given(STEPS, st.sampled_from(["live", "saved", "half", "compact"]))
def test_counts_and_keys_are_those_of_the_rows(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, str]], stored: str
) -> None:
    """However records of several experiments are stored, each has what its rows have."""
    folder = tmp_path_factory.mktemp("overview") / "study"
    with closing(ExperimentCollection(folder)) as collection:
        for _ in range(3):
            with collection.new_experiment():
                pass
        roots = collection.recorder.children
        chains = [[root, root.child(), root.child().child(depth=2)] for root in roots]
        for number, (experiment, depth, key) in enumerate(steps):
            chains[experiment][depth].push({key: VALUES[key]})
            if stored == "half" and number == len(steps) // 2:
                collection.save()
        if stored in {"saved", "compact"}:
            collection.save()
        if stored == "compact":
            collection.close()
            collection.compact()
        for number, found in enumerate(collection.overview(), 1):
            rows = list(collection.records.where(experiment_number=number))
            known = {"depth"} | {key for row in rows for key in row if "experiment" not in key}
            assert found.records == len(rows)
            assert set(found.keys) == known - {"error_number", "had_error"}


def test_the_size_is_that_of_all_files(tmp_path: Path) -> None:
    """Bytes of every file in the folder, of those below it too."""
    path = make(tmp_path / "study")
    with closing(ExperimentCollection(path)) as collection:
        expected = sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
        assert collection.size_on_disk() == expected > 0


def test_keys_of_records_that_stand_above_are_not_an_experiments(
    collection: ExperimentCollection,
) -> None:
    """Also where the same file has records of both."""
    collection.recorder.push(above=1)
    with collection.new_experiment() as experiment:
        experiment.push(x=1)
    collection.save()
    assert [each.keys for each in collection.overview()] == [["x"]]
