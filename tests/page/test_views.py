"""Named views: files in the collection that only a page that edits writes, with names that are safe."""

from __future__ import annotations

import json
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
from rigorous_recorder.errors import (
    ArgumentError,
    DamagedFileWarning,
    NotACollectionError,
    ReadOnlyError,
    UnknownViewError,
)
from rigorous_recorder.page.app import application
from rigorous_recorder.page.workspace import Workspace


def browser(folder: Path, *, edits: bool) -> TestClient:
    """A page of a folder, as far as requests go."""
    app = application(Workspace([folder]), hosts=frozenset({"testserver"}), edits=edits)
    return TestClient(app, headers={"origin": "http://testserver"})


def test_views_are_saved_listed_copied_and_deleted(tmp_path: Path) -> None:
    """By a page that edits; a copy has them; neither compaction, deletion nor a check minds them."""
    collection = ExperimentCollection(tmp_path / "study", quiet=True)
    for _ in range(2):
        with collection.new_experiment() as run:
            run.push(step=1, loss=0.5)
    reading, editing = (browser(tmp_path, edits=edits) for edits in (False, True))
    token = editing.get("/api/views").json()["edit_token"]
    nothing = {"views": [], "invalid": [], "edit_token": None}
    assert reading.get("/api/views").json() == nothing
    view = {"collection": "study", "name": "Best (lr=0.1)", "view": "x=step&hidden=study%2F1"}
    assert reading.post("/api/views/save", json=view).status_code == 404
    assert editing.post("/api/views/save", json=view).status_code == 403

    def change(path: str, **given: Any) -> int:
        return editing.post(path, json=view | given, headers={"x-rigorous-edit": token}).status_code

    assert change("/api/views/save", view="x=other") == 200
    assert change("/api/views/save") == 400  # there is one of this name
    assert change("/api/views/save", replaces=True) == 200
    listed = [{"collection": "study", "name": "Best (lr=0.1)", "address": view["view"]}]
    assert reading.get("/api/views").json()["views"] == listed
    names = ["../x", "..", ".x", "x/y", "x\\y", "", " x", "x.", "a" * 81, "a\0b", "a\n", None, 3]
    assert {change("/api/views/save", name=name) for name in names} == {400}
    assert change("/api/views/save", view=3) == 400
    folder = tmp_path / "study.collection" / "views"
    assert [path.name for path in folder.iterdir()] == ["Best (lr=0.1).json"]
    (folder / "other.json").write_text("[]")
    (folder / "broken.json").write_text("{")
    (folder / "newer.json").write_text('{"format": "rigorous-recorder view", "version": 2}')
    (folder / "link.json").symlink_to(folder / "Best (lr=0.1).json")
    found = reading.get("/api/views").json()
    assert found["views"] == listed
    reasons = ["is not JSON", "not a regular file", "its version is 2", 'has no "format"']
    assert [reason in each for reason, each in zip(reasons, found["invalid"], strict=True)] == [
        True
    ] * 4
    assert change("/api/views/rename", new="Best") == 200
    assert change("/api/views/rename", new="Best") == 400
    assert change("/api/views/rename", name="Best", new="Best (lr=0.1)") == 200
    collection.delete(1)
    collection.compact()
    assert collection.verify() == []
    copied = collection.copy_to(tmp_path / "elsewhere" / "copy")
    stored = json.loads((copied / "views" / "Best (lr=0.1).json").read_bytes())
    assert (stored["version"], stored["view"]) == (1, view["view"])
    assert len(ExperimentCollection.open(copied, read_only=True)) == 1
    ExperimentCollection.repair(copied, tmp_path / "elsewhere" / "repaired")
    repaired = ExperimentCollection.open(tmp_path / "elsewhere" / "repaired", read_only=True)
    assert dict(repaired.views) == {"Best (lr=0.1)": view["view"]}
    with pytest.raises(ReadOnlyError, match="opened read-only"):
        del repaired.views["Best (lr=0.1)"]
    assert change("/api/views/delete") == 200
    assert change("/api/views/delete") == 200
    assert reading.get("/api/views").json()["views"] == []


def test_views_are_a_mapping_of_a_collection(tmp_path: Path) -> None:
    """In Python; what is wrong of a file, a name or an address is an error that says so."""
    collection = ExperimentCollection(tmp_path / "study", quiet=True)
    with pytest.raises(NotACollectionError, match="log a record first"):
        collection.views["Losses"] = "x=step"
    with collection.new_experiment() as run:
        run.push(step=1, loss=0.5)
    views = collection.views
    assert repr(views) == "<SavedViews none yet>"
    views["Losses"] = "http://127.0.0.1:8123/#x=step&search=loss"
    views.update({"Café": "x=epoch"})
    assert dict(collection.views) == {"Café": "x=epoch", "Losses": "x=step&search=loss"}
    with pytest.raises(ArgumentError, match="a view 'Losses' already"):
        views.rename("Café", "Losses")
    views.rename("Losses", "All")
    assert list(views) == ["All", "Café"]
    assert ("Losses" in views, views.get("Losses")) == (False, None)
    with pytest.raises(UnknownViewError, match=r"no view 'Losses'; there are: 'All', 'Café'"):
        del views["Losses"]
    (tmp_path / "study.collection" / "views" / "All.json").write_text('{"format": 1}')
    with pytest.raises(
        ArgumentError, match=r"All.json in .* is not a valid view: it has no \"format\""
    ):
        views["All"]
    assert list(views.invalid) == ["All.json"]
    del views["All"]
    with pytest.raises(ReadOnlyError, match="union"):
        ExperimentCollection.union([collection]).views  # noqa: B018
    collection.close()


def test_a_damaged_file_is_named_and_the_rest_is_shown(tmp_path: Path) -> None:
    """In the banner of the page, as a collection that can't be opened is."""
    for name in ("a", "b"):
        with ExperimentCollection(tmp_path / name, quiet=True) as collection:
            with collection.new_experiment() as run:
                run.push(step=1, loss=0.5)
    (damaged,) = (tmp_path / "a.collection" / "records").iterdir()
    damaged.write_bytes(b"nothing")
    client = browser(tmp_path, edits=False)
    with pytest.warns(DamagedFileWarning, match=damaged.name):
        found = client.get("/api/runs").json()
    table = client.post("/api/table", json={"count": 9}).json()
    for each in (found, table):
        assert [(it["name"], "damaged" in it["reason"]) for it in each["failures"]] == [
            (str(damaged), True)
        ]
    assert [run["collection"] for run in found["runs"]] == ["a", "b"]
    rows = client.post("/api/rows", json={"collection": "b", "first": 0, "count": 5}).json()
    assert rows["total"] == 1
