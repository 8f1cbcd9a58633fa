"""The table of runs as its server answers: any level, filters, order, groups, statistics, courses."""

from __future__ import annotations

import math
from pathlib import Path
from time import time
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
from rigorous_recorder.page.summaries import Summary
from rigorous_recorder.page.workspace import Workspace

HOSTILE = "<img src=x onerror=alert(1)>"


def logged(folder: Path) -> None:
    """Two collections: one with three experiments and their episodes, one with another key."""
    with ExperimentCollection(folder / "one", quiet=True) as collection:
        for seed, model in ((1, "a"), (2, "b"), (3, "a")):
            with collection.new_experiment(seed=seed, model=model, same=0) as experiment:
                loss = [3.0 * seed, 1.0 * seed, 2.0 * seed]
                experiment.extend({"step": [0, 1, 2], "loss": loss})
                for episode in (0, 1):
                    child = experiment.child(episode=episode, reward=seed + episode / 10)
                    child.extend({"value": [float(episode), 10.0 * seed]})
        collection.experiment(1).tags = ["best", HOSTILE]
        collection.experiment(2)["archived"] = True
    with ExperimentCollection(folder / "two", quiet=True) as collection:
        with collection.new_experiment(other="x") as experiment:
            experiment.push(step=0, loss=math.nan)


class Table:
    """A page's table of runs."""

    def __init__(self, *paths: Path) -> None:
        workspace = Workspace(paths)
        self.client = TestClient(application(workspace, hosts=frozenset({"testserver"})))

    def __call__(self, **request: Any) -> dict[str, Any]:
        found = self.client.post("/api/table", json={"count": 100, **request})
        assert found.status_code == 200, found.text
        return dict(found.json())

    def numbers(self, **request: Any) -> list[Any]:
        """The numbers of the listed runs."""
        return [line["number"] for line in self(**request)["lines"]]

    def cells(self, *columns: str, **request: Any) -> list[list[Any]]:
        return [line["cells"] for line in self(columns=columns, **request)["lines"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both collections, which no test changes."""
    found = tmp_path_factory.mktemp("table")
    logged(found)
    return found


@pytest.fixture(scope="module")
def one(folder: Path) -> Table:
    """The first collection."""
    return Table(folder / "one")


def test_runs_are_filtered_sorted_and_paged(one: Table) -> None:
    """Archived ones are listed on request; what is listed is what charts draw."""
    first = one()
    assert (first["total"], first["listed"], first["all"]) == (2, 2, 3)
    assert [line["number"] for line in first["lines"]] == [3, 1]  # the newest first
    assert first["runs"] == [line["run"] for line in first["lines"]]
    whole = one(archived=True, first=1, count=1)
    assert ([line["number"] for line in whole["lines"]], whole["total"]) == ([2], 3)
    assert whole["runs"] is None
    for words, numbers in {
        "seed>1 and model=a": [3],
        "seed!=3": [2, 1],
        "BEST": [1],
        HOSTILE: [1],
        "status=finished and number<=2": [2, 1],
        "nowhere=1": [],
    }.items():
        assert one.numbers(words=words, archived=True) == numbers, words
    for column, text, numbers in (
        ("seed", "2..3", [3, 2]),
        ("seed", "..1", [1]),
        ("model", "B", [2]),
        (":number", "<2", [1]),
        (":min:loss", ">=2", [3, 2]),
    ):
        assert one.numbers(filters={column: text}, archived=True) == numbers, column
    assert one.numbers(sort="model", archived=True) == [1, 3, 2]
    assert one.numbers(sort=":last:loss", down=True, archived=True) == [3, 2, 1]


def test_a_sql_condition_selects_runs(one: Table) -> None:
    """A wrong one selects none, and the reason is reported; files can't be read."""
    assert one.numbers(where="seed > 1 and model = 'a'") == [3]
    for wrong in ("nowhere > 1", "seed >", "(SELECT 1) = 1", "read_text('/etc/passwd') <> ''"):
        found = one(where=wrong)
        assert (found["lines"], len(found["errors"])) == ([], 1), wrong


def test_statistics_of_records(one: Table) -> None:
    """Last in the order of logging, lowest, highest, mean and count, below each run."""
    columns = (":last:loss", ":min:loss", ":max:loss", ":mean:loss", ":count:value", ":max:value")
    assert one.cells(*columns) == [[6, 3, 9, 6, 4, 30], [2, 1, 3, 2, 4, 10]]
    assert one.cells(":last:nowhere") == [[None], [None]]


def test_rows_of_another_level(one: Table) -> None:
    """One for each recorder that has the key; their runs are those that charts draw."""
    found = one(level="episode", archived=True)
    assert found["levels"] == ["episode", "reward"]
    assert found["total"] == 6
    columns = (":number", "episode", "reward", ":mean:value", ":count:loss")
    some = one(level="episode", where="reward > 3", columns=columns)
    assert [line["cells"] for line in some["lines"]] == [[3, 1, 3.1, 15.5, None]]
    assert some["runs"] == [some["lines"][0]["run"]]
    course = {"level": "episode", "key": "value", "rows": [some["lines"][0]["key"], "nowhere"]}
    found = one.client.post("/api/courses", json=course).json()
    assert found == {some["lines"][0]["key"]: [[0, 1, 1], [24, 30, 30]]}


def test_groups_have_means_and_can_be_closed(one: Table) -> None:
    """In order of their values; the one value of all is shown as it is."""
    request = {"group": "model", "columns": ["model", "seed"], "archived": True}
    lines = one(**request, closed=["b"])["lines"]
    assert [line.get("group") for line in lines] == ["a", None, None, "b"]
    assert (lines[0]["count"], lines[0]["cells"]) == (2, ["a", {"mean": 2}])
    assert lines[3]["cells"] == ["b", 2]


def test_only_what_differs(one: Table) -> None:
    """Among the listed runs."""
    shown = [each["id"] for each in one(differs=True)["columns"]]
    assert shown == [":number", ":status", "seed", "tags", ":start", ":duration"]
    assert [each["id"] for each in one()["columns"]][2:-2] == [
        "seed",
        "model",
        "same",
        "tags",
        "archived",
    ]


def test_several_collections(folder: Path) -> None:
    """Runs of all, each by its collection; NaN and missing values come last."""
    table = Table(folder)
    columns = [":collection", "other", ":last:loss"]
    found = table(columns=columns, sort=":last:loss", down=True)
    assert [line["cells"] for line in found["lines"]] == [
        ["one", None, 6],
        ["one", None, 2],
        ["two", "x", "nan"],
    ]
    assert table.numbers(where="other = 'x'") == [1]
    assert [line["run"][:3] for line in table(level="episode")["lines"]] == ["one"] * 4


def test_values_of_several_kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal numbers are one value, text is another; long text is whole in filters and groups."""
    long = "x" * 600
    values = [1, 1.0, "1", True, "", math.nan, "nan", f"{long}a", f"{long}b", None]
    with ExperimentCollection(tmp_path / "kinds", quiet=True) as collection:
        for value in values:
            with collection.new_experiment() as run:
                run["v"] = value
        running = collection.start(v=1)
        table = Table(tmp_path / "kinds")
        lines = table(group="v")["lines"]
        groups = [(line["group"][:6], line["count"]) for line in lines if "group" in line]
        texts = [('""', 1), ('"1"', 1), ('"nan"', 1), ("True", 1), ("xxxxxx", 1), ("xxxxxx", 1)]
        assert groups == [("1", 3), *texts, ("", 1), ("nan", 1)]
        for text, numbers in {
            f"={long}b": [9],
            "xa": [8],
            "=1": [11, 3, 2, 1],
            "=true": [4],
            ">0": [11, 2, 1],
            "=nan": [7, 6],
        }.items():
            assert table.numbers(filters={"v": text}) == numbers, text
        assert table.numbers(words="xb") == [9]
        assert table.numbers(sort="v") == [1, 2, 11, 5, 3, 7, 4, 8, 9, 6, 10]
        assert [each["id"] for each in table(differs=True, filters={"v": ">0"})["columns"]][
            2:-2
        ] == []
        assert table(words="nowhere>1")["errors"] == ["there is no column 'nowhere'"]
        assert table.numbers(words="duration>1000") == []
        later = time() + 2_000
        for module in ("table", "table_cells"):
            monkeypatch.setattr(f"rigorous_recorder.page.{module}.time", lambda: later)
        assert table.numbers(words="duration>1000") == [11]
        running.finish()


def test_names_and_differences(one: Table) -> None:
    """Of runs by their keys; attributes that are equal are left out."""
    runs = [line["run"] for line in one(sort=":number")["lines"]]
    assert one.client.post("/api/names", json={"runs": runs}).json() == {}
    found = one.client.post("/api/compare", json={"runs": runs}).json()
    assert found["runs"] == runs
    known = {each["key"]: (each["of"], each["values"]) for each in found["differences"]}
    assert known["seed"] == ("attribute", [1, 3])
    assert known["loss"] == ("last record", [2, 6])
    assert "same" not in known
    for path, body in (
        ("compare", {"runs": ["x"] * 21}),
        ("compare", {}),
        ("names", {"runs": [1]}),
        ("courses", {"key": 1}),
        ("table", {"first": "x"}),
        ("table", {"filters": ["x"]}),
        ("table", []),
        ("table", {"columns": [1]}),
    ):
        assert one.client.post(f"/api/{path}", json=body).status_code == 400, body


def test_what_is_new_is_added_and_what_is_deleted_goes(tmp_path: Path) -> None:
    """A summary reads new rows only; the status of a run is the current one."""
    collection = ExperimentCollection(tmp_path / "live", quiet=True)
    run = collection.start(seed=1)
    run.push(loss=2.0)
    table = Table(tmp_path / "live")
    columns = (":status", ":last:loss", ":mean:loss")
    assert table.cells(*columns) == [["running", 2, 2]]
    run.push(loss=4.0)
    assert table.cells(*columns) == [["running", 4, 3]]
    with collection.new_experiment(seed=2) as other:
        other.child(part=1).push(loss=7.0)
    run.finish()
    assert table.cells(*columns) == [["finished", 7, 7], ["finished", 4, 3]]
    collection.delete(2)
    collection.save()
    collection.compact()
    assert table.cells(*columns) == [["finished", 4, 3]]
    read: list[int] = []
    summary = Summary(collection, "loss")
    nodes = collection.records._scan().snapshot.nodes
    for _ in range(2):
        found = summary.of_rows(nodes, np.zeros(nodes.count, int), 1)
        read.append(summary._read_rows)
    assert (found["count"], read) == ([2], [2, 2])
