"""Collections that earlier versions wrote are read, by this version and by every later one."""

from __future__ import annotations

import datetime as dt
import json
import math
import os
import pickle
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._store.folder import Folder
from rigorous_recorder._store.footer import segments_in
from rigorous_recorder._store.store import FolderStore
from rigorous_recorder._store.watermark import checksum
from rigorous_recorder.errors import DamagedFileError, NewerFormatError, NotACollectionError

DATA = Path(__file__).parents[1] / "data"
FORMATS = sorted(path.name for path in DATA.glob("format-*"))

CLOSED: list[dict[str, Any]] = [
    {"model": "cnn", "lr": 0.1, "tags": {"a": [1, 2]}, "episode": 1, "total": 10, "step": 0, "loss": 0.5},
    {"model": "cnn", "lr": 0.1, "tags": {"a": [1, 2]}, "episode": 1, "total": 10, "step": 1, "loss": math.nan},
    {"model": "cnn", "lr": 0.1, "tags": {"a": [1, 2]}, "episode": 2, "total": 20, "step": 0, "loss": 0.25},
    {"model": "cnn", "lr": 0.1, "tags": {"a": [1, 2]}, "episode": 2, "total": 20, "step": 1, "loss": math.nan},
    {"model": "rnn", "lr": 0.01, "step": 0, "text": "naïve", "raw": b"\0\xff", "flag": True, "big": 2**100},
    {
        "model": "rnn",
        "lr": 0.01,
        "step": 1,
        "loss": "text",
        "day": dt.date(2026, 1, 2),
        "at": dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC),
        "plain": dt.datetime(2026, 1, 2, 3, 4, 5),
        "took": dt.timedelta(seconds=1.5),
        "array": np.arange(6, dtype=np.float32).reshape(2, 3),
        "ragged": [1.5, 2.5],
        "nested": {"b": [None, {"c": -0.0}]},
    },
]  # fmt: skip


def copy_of(name: str, kind: str, target: Path) -> Path:
    """A copy whose writers were last seen long ago, as those of any old folder."""
    folder = shutil.copytree(DATA / name / f"{kind}.collection", target / f"{kind}.collection")
    for path in folder.rglob("*"):
        os.utime(path, (1e9, 1e9))
    return folder


def shown(record: Any) -> str:
    """A record without what the library adds to each; NaN and the dtype of arrays count."""
    kept = {key: value for key, value in dict(record).items() if not is_built_in(key)}
    return repr(sorted(kept.items()))


def is_built_in(key: str) -> bool:
    """Whether an attribute is one that every experiment has."""
    return key.startswith("experiment_") or key in {"error_number", "had_error"}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.filterwarnings("ignore::rigorous_recorder.errors.MixedKindsWarning")
def test_a_closed_collection_of_each_format_is_read(name: str, tmp_path: Path) -> None:
    """Rows, Arrow and SQL have every value, and nothing of the deleted experiments."""
    folder = copy_of(name, "closed", tmp_path)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    with ExperimentCollection.open(folder, read_only=True) as collection:
        assert [shown(record) for record in collection.records] == [shown(row) for row in CLOSED]
        assert collection.records.to_arrow()["model"].to_pylist() == 4 * ["cnn"] + 2 * ["rnn"]
        query = "select experiment_number, count(*) from records group by all order by all"
        assert collection.sql(query).fetchall() == [(1, 4), (2, 2)]
        assert [each["experiment_number"] for each in collection.experiments] == [1, 2]
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.parametrize("name", FORMATS)
def test_a_killed_collection_of_each_format_is_recovered(name: str, tmp_path: Path) -> None:
    """Rows of live files are read, then sealed, and the number of the run that died is given again."""
    folder = copy_of(name, "killed", tmp_path)
    expected = [(1, step, f"step {step}, long enough for a buffer of its own") for step in range(5)]
    query = "select experiment_number, step, note from records where note is not null order by step"
    with ExperimentCollection.open(folder, read_only=True) as collection:
        assert collection.sql(query).fetchall() == expected
    with ExperimentCollection(folder, quiet=True) as collection:
        assert not list(folder.glob("live/*.arrow"))
        with collection.new_experiment() as experiment:
            experiment.push(step=5)
        assert (experiment["experiment_number"], experiment["error_number"]) == (1, 0)
        assert collection.sql(query).fetchall() == expected


def test_a_collection_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    """An old reader says that it needs an upgrade, and writes nothing."""
    folder = copy_of(FORMATS[-1], "closed", tmp_path)
    about = folder / "collection.json"
    about.write_text(about.read_text().replace('"version": 1', '"version": 2'))
    before = sorted(folder.rglob("*"))
    with pytest.raises(NewerFormatError, match="pip install --upgrade rigorous-recorder"):
        ExperimentCollection(folder)
    assert sorted(folder.rglob("*")) == before


# --- features -------------------------------------------------------------------------------------

#: Each way to a collection that is there, for reading and for writing.
WAYS: dict[str, Callable[[Path], object]] = {
    "open to write": lambda path: ExperimentCollection(path, extension=""),
    "open": ExperimentCollection.open,
    "open read-only": lambda path: ExperimentCollection.open(path, read_only=True),
    "union": lambda path: ExperimentCollection.union([path, path.with_name("known")]),
    "verify": lambda path: ExperimentCollection.verify_folder(path, extension=""),
    "repair": lambda path: ExperimentCollection.repair(path, path.with_name("new"), extension=""),
}


def with_features(kind: str, target: Path) -> Path:
    """A copy of a collection that lists features."""
    return shutil.copytree(DATA / "features" / f"{kind}.collection", target)


def describe(folder: Path, **changes: object) -> None:
    """Change what is in ``collection.json``."""
    about = folder / "collection.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), **changes}))


@pytest.mark.parametrize("way", WAYS)
def test_a_collection_with_an_unknown_feature_is_refused(way: str, tmp_path: Path) -> None:
    """The error names the feature and the way out; nothing is read, and nothing written."""
    folder = with_features("unknown-feature", tmp_path / "newer")
    with_features("no-features", tmp_path / "known")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(NewerFormatError) as caught:
        WAYS[way](folder)
    assert str(caught.value) == (
        f"{folder} uses 'columns-in-pages', of a newer version of rigorous-recorder;"
        " this version would misread it. Upgrade: pip install --upgrade rigorous-recorder"
    )
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_feature_that_is_added_later_is_seen_by_what_opens_anew(tmp_path: Path) -> None:
    """A recorder that is unpickled, and a check of the open collection, report the feature."""
    folder = with_features("no-features", tmp_path / "study")
    with ExperimentCollection(folder, extension="", quiet=True) as collection:
        pickled = pickle.dumps(collection.experiment(1).recorder)
    describe(folder, features=["columns-in-pages"])
    with pytest.raises(NewerFormatError, match="columns-in-pages"):
        pickle.loads(pickled)
    (problem,) = collection.verify()
    assert "columns-in-pages" in problem.reason


@pytest.mark.parametrize("features", [None, []])
def test_a_collection_without_features_is_read_and_copied(
    features: list[str] | None, tmp_path: Path
) -> None:
    """An empty list means the same as no list, and a copy has the description as it was."""
    folder = with_features("no-features", tmp_path / "study")
    if features is None:
        about = json.loads((folder / "collection.json").read_text())
        del about["features"]
        (folder / "collection.json").write_text(json.dumps(about))
    with ExperimentCollection(folder, extension="", quiet=True) as collection:
        assert [(row["model"], row["loss"]) for row in collection.records] == [("cnn", 0.5)]
        collection.copy_to(tmp_path / "copy", extension="")
    for name in ("study", "copy"):
        assert (
            json.loads((tmp_path / name / "collection.json").read_text()).get("features")
            == features
        )


@pytest.mark.parametrize("features", ["text", {"a": 1}, [1], None])
def test_features_that_are_not_names_are_a_damaged_description(
    features: object, tmp_path: Path
) -> None:
    """What can't be checked is not taken for a collection without features."""
    folder = with_features("no-features", tmp_path / "study")
    describe(folder, features=features)
    with pytest.raises(NotACollectionError, match=r"its features are .*not a list of names"):
        ExperimentCollection.open(folder)


def test_a_footer_lists_two_or_three_numbers_of_a_segment() -> None:
    """Its number, its rows and those that were deleted; a segment continues in no other one."""
    metadata = {"writer": "0a1b2c3d", "started": 1, "segments": [[4, 7], [5, 2, 1]]}
    assert [(each.key[1], each.rows, each.end) for each in segments_in(metadata)] == [
        (4, 7, 7),
        (5, 2, 3),
    ]
    for others in ([[7, 50, 0, 5, 100]], [[7]], [[7, -1]], []):
        with pytest.raises(DamagedFileError, match="does not list its segments"):
            segments_in({**metadata, "segments": others})


def of_older_version(folder: Path, writer: str) -> None:
    """Let a running writer be one that does not record which features it knows."""
    path = folder / "live" / f"{writer}.json"
    found = json.loads(path.read_text().rstrip())
    for name in ("checksum", "features"):
        del found[name]
    path.write_text(json.dumps({**found, "checksum": checksum(found)}))


def test_a_feature_waits_until_all_writers_know_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is running does not read the list again, which older versions would need."""
    folder = Folder(tmp_path / "study.collection")
    mine, other, older = (FolderStore(folder.path) for _ in range(3))
    for store in (mine, other, older):
        store.backend.open()
    of_older_version(folder.path, older.backend.writer)
    assert not mine.backend.allows_sparse()
    assert "features" not in folder.info()
    older.close()
    now = time.monotonic()
    assert not mine.backend.allows_sparse()  # it does not look each time
    monkeypatch.setattr(time, "monotonic", lambda: now + 1.5)
    assert mine.backend.allows_sparse()
    assert folder.info()["features"] == ["sparse"]
    older = FolderStore(folder.path)
    older.backend.open()
    of_older_version(folder.path, older.backend.writer)
    assert other.backend.allows_sparse()
    before = folder.info()
    for store in (mine, other, older):
        store.close()
    assert folder.info() == before
