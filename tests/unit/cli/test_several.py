"""Commands that take several collections, and read them as one table."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.cli.target import complete_column

from .conftest import Run, make_study


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, in which there are the studies ``old`` and ``new``, and a folder of both."""
    monkeypatch.chdir(tmp_path)
    make_study(tmp_path / "old")
    with ExperimentCollection(tmp_path / "new") as new, new.new_experiment(lr=0.3) as experiment:
        experiment.push(epoch=0, loss=0.5)
    return tmp_path


def test_each_reads_them_as_one_table(run: Run, data: Path) -> None:
    """With a column that distinguishes them, under conditions as of one."""
    query = "SELECT collection, count(*) AS records FROM records GROUP BY ALL ORDER BY ALL"
    assert run("sql", "old", "new", query, "--json").json == [
        {"collection": "new", "records": 1},
        {"collection": "old", "records": 12},
    ]
    rows = run("tail", "old", "new.collection", "--no-follow", "-n", 99, "--json").json
    assert [row["collection"] for row in rows] == ["old"] * 12 + ["new"]
    (row,) = run("tail", "old", "new", "--no-follow", "--where", "collection=new", "--json").json
    assert row["lr"] == 0.3
    points = run("plot", "old", "new", "-x", "epoch", "-y", "loss", "--by", "collection", "--json")
    assert [(p["by"]["collection"], p["mean"]) for p in points.json][:2] == [
        ("new", 0.5),
        ("old", 1.0),
    ]
    assert "13 records" in run("export", "old", "new", "flat.jsonl").err
    lines = (data / "flat.jsonl").read_text().splitlines()
    assert {json.loads(line)["collection"] for line in lines} == {"old", "new"}
    context = SimpleNamespace(params={"paths": ["old", "new"]}, args=[])
    assert complete_column(context, "co") == ["collection"]  # type: ignore[arg-type]


def test_ls_lists_the_experiments_or_collections_of_all(run: Run, data: Path) -> None:
    """Of collections their experiments with its name, of folders their collections."""
    listed = run("ls", "old", "new", "--json").json
    assert [(each["collection"], each["experiment_number"]) for each in listed] == [
        ("old", 1),
        ("old", 2),
        ("new", 1),
    ]
    head, *rows = run("ls", "old", "new").lines
    assert head.split()[:2] == ["collection", "experiment"]
    assert [row.split()[0] for row in rows] == ["old", "old", "new"]
    (data / "folder").mkdir()
    (data / "old.collection").rename(data / "folder" / "old.collection")
    listed = run("ls", "folder", "new", "--json").json
    assert [each["collection"] for each in listed] == ["folder/old.collection", "new.collection"]
    assert run("ls", "folder", "nowhere").code == 2


def test_the_column_has_another_name_where_it_is_taken(run: Run, data: Path) -> None:
    """A key of a user's is not hidden: the command reports it, and takes another name."""
    with ExperimentCollection(data / "new") as new:
        new.recorder.push(collection="mine")
    query = "SELECT study, collection FROM records WHERE collection IS NOT NULL"
    refused = run("sql", "old", "new", "FROM records")
    assert refused.code == 2
    assert "--collection-key" in refused.err
    rows = run("sql", "old", "new", query, "--collection-key", "study", "--json").json
    assert rows == [{"study": "new", "collection": "mine"}]


def test_what_is_missing_or_given_twice_is_reported(run: Run, data: Path) -> None:
    """A path in place of a query or a file is no query; a collection is taken once."""
    result = run("export", "old")
    assert (result.code, "Missing argument 'FILE'" in result.err) == (2, True)
    assert "Missing argument" in run("export").err
    assert "name a collection" in run("sql").err
    assert "neither FROM records nor" in run("sql", "FROM records").err
    twice = run("sql", "old", "old.collection", "FROM records")
    assert (twice.code, "are one collection" in twice.err) == (2, True)
    assert "Did you mean" in run("tail", "old", "nwe", "--no-follow").err
    assert sorted(path.name for path in data.iterdir()) == ["new.collection", "old.collection"]
