"""The tree of recorders on the page: a part at a time, with counts."""

from __future__ import annotations

from pathlib import Path
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

CHILDREN = 1_000
HOSTILE = "<img src=x onerror=alert(1)>"


def test_recorders_below_one_are_listed_in_parts(tmp_path: Path) -> None:
    """Each with its records, those of all below, and how many are below; others are refused."""
    collection = ExperimentCollection(tmp_path / "study", quiet=True)
    with collection.new_experiment(name=HOSTILE) as run:
        for number in range(CHILDREN):
            child = run.child(number=number)
            if number % 200 == 0:
                child.extend({"step": [0, 1]})
                child.child(inner=True).push(step=2)
        run.push(step=3)
    client = TestClient(application(Workspace([tmp_path]), hosts=frozenset({"testserver"})))

    def ask(path: str = "/api/tree", **request: Any) -> Any:
        return client.post(path, json={"collection": "study"} | request).json()

    root = ask()
    (top,) = root["children"]
    assert (root["count"], top["children"]) == (1, CHILDREN)
    assert HOSTILE in top["label"]
    assert (top["records"], top["all_records"]) == (1, 16)
    page = ask(node=top["id"], first=CHILDREN - 200, count=3)
    assert page["count"] == CHILDREN
    assert [each["label"] for each in page["children"]] == [f"number={800 + i}" for i in range(3)]
    first = page["children"][0]
    assert [first[each] for each in ("records", "all_records", "children")] == [2, 3, 1]
    (inner,) = ask(node=first["id"])["children"]
    assert (inner["label"], inner["children"]) == ("inner=True", 0)
    assert ask(node=inner["id"]) == {"count": 0, "children": []}
    whole = ask("/api/tree/recorder", node=first["id"])
    assert whole["text"] == '{\n  "number": 800\n}'
    where = whole["where"]
    assert collection.records.where(where).to_arrow().num_rows == 3  # also of those below
    assert ask(node="77") == {"count": 0, "children": []}
    assert "no such recorder" in ask("/api/tree/recorder", node="77")["error"]
    for wrong in ({"node": "x"}, {"node": str(1 << 80)}, {"collection": "../x"}, {"first": "x"}):
        assert ask(**wrong)["error"]
    collection.delete(1)  # at once, however long counting took
    assert ask() == {"count": 0, "children": []}
    with collection.new_experiment(number=0.1, flag=True, odd=float("nan"), more=[1]) as other:
        other.push(step=9)
    client = TestClient(application(Workspace([tmp_path]), hosts=frozenset({"testserver"})))
    (last,) = ask()["children"]
    links = ask("/api/tree/recorder", node=last["id"])
    assert "flag" in links["where"]
    assert collection.records.where(links["where"]).to_arrow()["step"].to_pylist() == [9]
    assert links["run"].startswith("study/")
