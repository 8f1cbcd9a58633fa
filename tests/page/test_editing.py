"""Changes of experiments from the page: only with --edit, only of the page itself, and as by Python."""

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

HOSTILE = "<img src=x onerror=alert(1)>\u202e"


@pytest.fixture
def study(tmp_path: Path) -> ExperimentCollection:
    """Two experiments, of which one has records."""
    collection = ExperimentCollection(tmp_path / "study", quiet=True)
    with collection.new_experiment(name="old", tags=["a", "b"]) as experiment:
        experiment.extend({"step": [0, 1, 2]})
    with collection.new_experiment():
        pass
    return collection


class Page:
    """A page that can edit, with what its own scripts send."""

    def __init__(self, study: ExperimentCollection, *, edits: bool = True) -> None:
        workspace = Workspace([study._to_write().folder.path])
        self.client = TestClient(
            application(workspace, hosts=frozenset({"testserver"}), edits=edits)
        )
        runs = self.client.get("/api/runs").json()
        self.keys = [run["key"] for run in runs["runs"]]
        self.token = runs["edit_token"]
        self.headers = {"origin": "http://testserver", "x-rigorous-edit": self.token or ""}

    def post(self, path: str, body: Any, **headers: str | None) -> Any:
        sent = {**self.headers, **{key.replace("_", "-"): value for key, value in headers.items()}}
        kept = {key: value for key, value in sent.items() if value is not None}
        return self.client.post(path, json=body, headers=kept)


def test_runs_are_named_tagged_archived_and_deleted(study: ExperimentCollection) -> None:
    """As by Python, for several at once; text is stored as it is."""
    page = Page(study)
    change = {"runs": page.keys, "note": HOSTILE, "add_tags": ["c"], "remove_tags": ["a"]}
    assert page.post("/api/update", change).json() == {"changed": 2}
    one = {"runs": page.keys[:1], "name": "", "archived": True}
    assert page.post("/api/update", one).json() == {"changed": 1}
    first, second = study.experiments
    assert (first.name, first.note, first.tags) == (None, HOSTILE, ("b", "c"))
    assert (second.tags, first["archived"], second["archived"]) == (("c",), True, None)
    assert page.post("/api/delete", {"runs": page.keys[:1]}).json() == {"records": 3}
    assert [each.number for each in study.experiments] == [2]
    gone = page.post("/api/update", {"runs": page.keys, "name": "x"})
    assert (gone.status_code, "may have been deleted" in gone.text) == (400, True)
    assert study.experiment(2).name is None  # nothing was set


def test_a_running_experiment_is_not_deleted(study: ExperimentCollection) -> None:
    """The reason is reported."""
    run = study.start()
    page = Page(study)
    found = page.post("/api/delete", {"runs": page.keys[-1:]})
    assert (found.status_code, "still runs" in found.text) == (400, True)
    run.finish()


def test_only_the_page_itself_can_edit(study: ExperimentCollection) -> None:
    """By POST, with its token and its Origin; a form of another site has neither."""
    page = Page(study)
    body = {"runs": page.keys, "name": "x"}
    for headers in (
        {"origin": None},
        {"origin": "null"},
        {"origin": "http://evil.example"},
        {"x_rigorous_edit": None},
        {"x_rigorous_edit": "wrong"},
    ):
        for path in ("/api/update", "/api/delete"):
            assert page.post(path, body, **headers).status_code == 403
    for method in ("get", "put", "delete"):
        assert page.client.request(method, "/api/delete", headers=page.headers).status_code == 405
    bad: list[Any] = [{}, [], {"runs": []}, {"runs": "x"}, {"runs": page.keys, "name": 3}, None]
    for body in [*bad, {"runs": page.keys, "archived": 1}, {"runs": page.keys, "add_tags": "x"}]:
        assert page.post("/api/update", body).status_code == 400
    assert [each.name for each in study.experiments] == ["old", None]


def test_without_the_flag_there_is_nothing_to_edit_with(study: ExperimentCollection) -> None:
    """Neither a token nor an address."""
    page = Page(study, edits=False)
    assert page.token is None
    for path in ("/api/update", "/api/delete"):
        assert page.post(path, {"runs": page.keys}).status_code == 404
    assert len(study.experiments) == 2
