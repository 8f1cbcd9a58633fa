"""What the page's server answers: charts, runs, rows, what is new; and whom it refuses."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
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
from rigorous_recorder.errors import ArgumentError, MissingPackageError, NotACollectionError
from rigorous_recorder.page import chart_library, reading, server
from rigorous_recorder.page.app import application
from rigorous_recorder.page.workspace import Workspace

HOSTS = frozenset({"testserver"})
STEPS = 10_000


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> ExperimentCollection:
    """A study that no test changes."""
    return logged(tmp_path_factory.mktemp("page"))


@pytest.fixture
def study(tmp_path: Path) -> ExperimentCollection:
    """One that a test may change."""
    return logged(tmp_path)


def logged(folder: Path) -> ExperimentCollection:
    """Two runs of many steps, with a spike, a NaN and infinities, and text that is markup."""
    collection = ExperimentCollection(folder / "study", quiet=True)
    for seed in (1, 2):
        with collection.new_experiment(seed=seed, lr=0.1, note="<b>bold</b>") as experiment:
            loss = [1 / (1 + step) for step in range(STEPS)]
            loss[5_000] = 100.0 + seed
            loss[6_000:6_003] = [math.nan, math.inf, -math.inf]
            experiment.extend({"step": list(range(STEPS)), "loss": loss})
            for model in ("a", "b"):
                child = experiment.child(model=model)
                child.extend({"epoch": [0, 1, 2], "score": [float(seed), 2.0 * seed, 3.0]})
    return collection


def browser(collection: ExperimentCollection, **options: Any) -> TestClient:
    """A browser of a page, as far as requests go."""
    workspace = Workspace([collection._to_write().folder.path])
    return TestClient(application(workspace, hosts=HOSTS, **options))


@pytest.fixture(scope="module")
def client(unchanged: ExperimentCollection) -> Iterator[TestClient]:
    """A browser of the study that no test changes."""
    with browser(unchanged) as found:
        yield found


def chart(client: TestClient, **request: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The lines of a chart with their arrays, and its header."""
    cursor = request.pop("cursor", None)
    (found,) = charts(client, cursors={request["y"]: cursor} if cursor else {}, **request)
    return found


def charts(client: TestClient, **request: Any) -> list[tuple[list[dict[str, Any]], dict[str, Any]]]:
    """The charts of several keys, as the browser unpacks them."""
    found = client.post("/api/chart", json=request)
    assert found.status_code == 200, found.text
    size = int.from_bytes(found.content[:8], "little")
    header, at = json.loads(found.content[8 : 8 + size]), 8 + size

    def take(kind: str, counts: list[int]) -> list[Any]:
        nonlocal at
        array = np.frombuffer(found.content, f"<{kind}", sum(counts), at)
        at += -(-array.nbytes // 8) * 8
        return [each.astype("f8") for each in np.split(array, np.cumsum(counts)[:-1])]

    def rising(kinds: list[str], counts: list[int]) -> list[Any]:
        arrays = take(kinds[0], counts)
        if len(kinds) > 1:
            (first,) = take(kinds[1], [sum(map(bool, counts))])
            for each, start in zip(filter(len, arrays), first, strict=True):
                each[:] = np.cumsum(each) + start
        return arrays

    def lines(one: dict[str, Any]) -> list[dict[str, Any]]:
        points, types = one["points"], one["types"]
        arrays = {"x": rising(types["x"], points), "y": take(types["y"], points)}
        banded = [count for count, has in zip(points, one["band"], strict=True) if has]
        bands = [iter(take(types[end], banded)) for end in ("low", "high")]
        arrays["smoothed"] = (
            take(types["smooth"], points) if types["smooth"] else [None] * len(points)
        )
        arrays |= {name: take(types[name], one["marks"]) for name in ("mark_x", "mark_kind")}
        made = []
        for number, name in enumerate(one["line"]):
            line = dict(header["names"][name]) | {key: each[number] for key, each in arrays.items()}
            line |= {key: one[key][number] for key in ("n", "points", "band", "odd")}
            if line["band"]:
                line["low"], line["high"] = map(next, bands)
            made.append(line)
        return made

    answers = [([] if "error" in one else lines(one), one) for one in header["charts"]]
    assert at == len(found.content)
    return answers


def test_a_chart_has_every_low_and_high_of_each_run(client: TestClient) -> None:
    """One step's spike survives 200 pixels; a zoom has all points of its part, and marks NaN."""
    lines, _ = chart(client, y="loss", x="step", pixels=200)
    assert [line["n"] for line in lines] == [STEPS, STEPS]
    for seed, line in enumerate(lines, start=1):
        assert line["points"] <= 4 * 200
        assert (line["x"][0], line["x"][-1]) == (0, STEPS - 1)
        assert (line["x"][line["y"].argmax()], line["y"].max()) == (5_000, 100.0 + seed)
        assert line["y"].min() == 1 / STEPS
        assert [*zip(line["mark_x"], line["mark_kind"], strict=True)] == [
            (6_000, 0),
            (6_001, 1),
            (6_002, 2),
        ]
    zoomed, _ = chart(client, y="loss", x="step", pixels=200, low=4_990, high=5_010)
    assert zoomed[0]["x"].tolist() == list(range(4_989, 5_012))
    by_number, _ = chart(client, y="loss", x="", pixels=4_000)
    assert by_number[1]["x"].tolist()[-1] == STEPS - 1


def test_lines_by_attributes_are_means_with_a_band(client: TestClient) -> None:
    """Records with the same x are averaged, whatever run they are of."""
    lines, _ = chart(client, y="score", x="epoch", by=["model"], band="minmax")
    assert [line["label"] for line in lines] == ["a", "b"]
    assert [lines[0][each].tolist() for each in ("x", "y", "low", "high")] == [
        [0, 1, 2],
        [1.5, 3, 3],
        [1, 2, 3],
        [2, 4, 3],
    ]
    deviation, _ = chart(client, y="score", x="epoch", by=["model"], band="std")
    assert deviation[0]["high"][0] == pytest.approx(1.5 + np.std([1, 2], ddof=1))
    quartiles, _ = chart(client, y="score", x="epoch", by=["model"], band="quantile")
    assert quartiles[0]["high"].tolist() == [1.75, 3.5, 3]
    merged, header = chart(client, y="loss", x="step", from_start=True, levels_once=True, pixels=99)
    assert [(line["run"], line["n"], line["odd"]) for line in merged] == [
        (line["run"], STEPS, 3) for line in chart(client, y="loss", x="step")[0]
    ]
    assert merged[1]["y"].max() == 102
    assert not header["is_tail"]
    runs, _ = chart(client, y="score", x="epoch", band="none")
    assert [(line["y"].tolist(), line["band"]) for line in runs] == [
        ([1, 2, 3], False),
        ([2, 4, 3], False),
    ]


def test_only_new_points_are_sent_after_a_cursor(study: ExperimentCollection) -> None:
    """As any run logs them; a cursor of another server is answered by the whole chart."""
    client = browser(study)
    _, before = chart(client, y="loss", x="step")
    with study.new_experiment(seed=3) as experiment:
        experiment.push(step=0, loss=0.5)
        study.experiment(1).recorder.push(step=STEPS, loss=0.25)
        tail, header = chart(client, y="loss", x="step", cursor=before["cursor"])
        assert header["is_tail"]
        assert {line["run"][:7]: [*line["x"], *line["y"]] for line in tail} == {
            "study/1": [STEPS, 0.25],
            "study/3": [0, 0.5],
        }
        experiment.push(step=1, loss=math.nan)
        more, last = chart(client, y="loss", x="step", cursor=header["cursor"])
    assert [(line["points"], line["mark_x"].tolist()) for line in more] == [(0, [1])]
    none, _ = chart(client, y="loss", x="step", cursor=last["cursor"])
    assert none == []
    whole, header = chart(client, y="loss", x="step", cursor={"study": [1, 2]})
    assert len(whole) == 3
    assert not header["is_tail"]


def test_runs_keys_and_rows(client: TestClient) -> None:
    """Values are plain, markup is text, and a filter is a SQL condition of records."""
    runs = client.get("/api/runs").json()
    assert runs["columns"] == ["seed", "lr", "note"]
    assert [(run["number"], run["status"]) for run in runs["runs"]] == [
        (1, "finished"),
        (2, "finished"),
    ]
    assert runs["runs"][0]["attributes"]["note"] == "<b>bold</b>"
    assert client.get("/api/keys").json()["metrics"] == ["step", "loss", "epoch", "score"]
    wanted = {"collection": "study", "where": "loss > 100", "first": 1, "count": 5}
    rows = client.post("/api/rows", json=wanted).json()
    assert rows["columns"][:3] == ["experiment_number", "seed", "lr"]
    assert rows["columns"][-1] == "experiment_duration"
    assert rows["total"] == 6  # in each run a spike, NaN (the largest in SQL) and infinity
    assert [dict(zip(rows["columns"], row, strict=True))["loss"] for row in rows["rows"]] == [
        "nan",
        "inf",
        102.0,
        "nan",
        "inf",
    ]


def test_wrong_requests_of_rows_are_refused(client: TestClient) -> None:
    """By a reason; no file is read, and nothing is changed."""
    conditions = (
        "loss > (SELECT 1)",
        "(SELECT count(*) FROM read_text('/etc/passwd')) > 0",
        "loss > 1; DROP TABLE records",
        "read_text('/etc/passwd') IS NOT NULL",
    )
    bodies: list[Any] = [{"collection": "study", "where": each} for each in conditions]
    for body in [*bodies, {"collection": "../study"}, {"first": 1}, [], "text", {"first": "x"}]:
        found = client.post("/api/rows", json=body)
        assert found.status_code == 400
        assert found.json()["error"]


def test_wrong_requests_of_charts_are_refused(client: TestClient) -> None:
    """An unknown key is named."""
    for body in ({"y": "nowhere", "x": "step"}, {"y": 3}, {"y": "loss", "band": "x"}, None):
        found = client.post("/api/chart", json=body)
        assert found.status_code == 400
        assert found.json()["error"]
    assert "nowhere" in client.post("/api/chart", json={"y": "nowhere"}).json()["error"]


def test_each_value_of_a_request_is_checked(client: TestClient) -> None:
    """The error names the value and what was expected; what has no value has its default."""
    wrong: dict[str, list[tuple[str, Any, str]]] = {
        "/api/chart": [
            *(
                (name, value, "finite number")
                for name in ("low", "high")
                for value in (math.nan, "1")
            ),
            *(("low", value, "finite number") for value in (True, math.inf, [1], 10**400)),
            ("low", 11, "at most high"),
            ("smooth", -math.inf, "finite number"),
            ("pixels", 1.5, "whole number"),
            ("pixels", "600", "whole number"),
            ("x", 3, "text"),
            ("by", "lr", "list of text"),
            ("by", [1], "list of text"),
            ("y", {"loss": 1}, "list of text"),
            ("band", "x", "one of std"),
            ("log_x", "false", "true or false"),
            ("cursors", [], "object"),
            ("cursors", {"loss": 3}, "object"),
            ("cursors", {"loss": {"study": [1]}}, "two whole numbers"),
        ],
        "/api/plot": [
            ("kind", ["bars"], "one of scatter"),
            ("top", math.nan, "finite number"),
            ("bottom", 1e300, "at most top"),
            ("bins", math.nan, "whole number"),
            ("at", "1", "whole number"),
            ("runs", "all", "list of text"),
            ("statistic", "median", "one of last"),
        ],
        "/api/table": [
            ("first", math.nan, "whole number"),
            ("count", True, "whole number"),
            ("filters", ["a"], "object"),
            ("filters", {"lr": 1}, "text"),
            ("closed", "a", "list of text"),
            ("down", 1, "true or false"),
        ],
        "/api/courses": [("rows", "a", "list of text"), ("key", 1, "text")],
        "/api/rows": [("where", 1, "text"), ("first", -math.inf, "whole number")],
        "/api/tree": [
            ("node", "x", "64 bits"),
            ("node", 1 << 63, "64 bits"),
            ("count", "1", "whole"),
        ],
    }
    right = {
        "y": "loss",
        "x": "step",
        "kind": "scatter",
        "high": 10,
        "top": 1,
        "collection": "study",
    }
    for path, changes in wrong.items():
        for name, value, expected in changes:
            content = json.dumps({**right, name: value})
            found = client.post(path, content=content)
            assert found.status_code == 400, (path, name, value)
            assert name in found.json()["error"] or name in {"cursors", "filters"}
            assert expected in found.json()["error"], (path, name, value, found.json())
        nothing = dict.fromkeys({name for name, _, _ in changes} - {"kind", "y"})
        assert client.post(path, json={**right, **nothing}).status_code == 200, path


def test_a_chart_of_too_many_lines_is_refused(
    study: ExperimentCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before all of them are in memory, by a reason that says what to do."""
    monkeypatch.setattr(reading, "_MOST_LINES", 2)
    client, request = browser(study), {"y": "loss", "x": "step"}
    assert client.post("/api/chart", json=request).status_code == 200
    for once in (False, True):
        found = client.post("/api/chart", json={**request, "by": ["step"], "levels_once": once})
        assert found.status_code == 400
        assert "more than 2 lines" in found.json()["error"]


def test_files_are_those_of_the_page_alone(client: TestClient) -> None:
    """No path leaves the page's folder, and the policy allows no other script."""
    found = client.get("/")
    assert found.headers["content-security-policy"].startswith("default-src 'none'; script-src")
    for name in ("main.js", "page.css", "uplot.iife.min.js"):
        assert client.get(f"/static/{name}").status_code == 200
    for path in ("/static/..%2fapp.py", "/static/../app.py", "/static/nowhere.js", "/etc/passwd"):
        assert client.get(path).status_code == 404
    assert "http" not in found.text.replace("http-equiv", "")


def test_modules_are_loaded_at_once(client: TestClient) -> None:
    """The page names all that its script imports, so that no one waits for another one's text."""
    wanted, seen = ["main.js"], set[str]()
    while wanted:
        if (name := wanted.pop()) not in seen:
            seen.add(name)
            text = client.get(f"/static/{name}").text
            wanted += re.findall(r"^import .* from \"./(.*)\";$", text, re.MULTILINE)
    named = set(re.findall(r'modulepreload" href="static/(.*?)"', client.get("/").text))
    assert named == seen


def test_charts_share_a_request(client: TestClient) -> None:
    """A key that is nowhere, or that no record has together with x, does not hide the others."""
    loss, nowhere, score = charts(client, y=["loss", "nowhere", "score"], x="step", pixels=100)
    assert [line["n"] for line in loss[0]] == [STEPS, STEPS]
    assert "nowhere" in nowhere[1]["error"]
    assert score[0] == []
    assert charts(client, y="loss", x="step", pixels=100)[0][1]["n"] == [STEPS, STEPS]


def test_other_sites_and_hosts_are_refused(client: TestClient) -> None:
    """A page of another site can't read through the browser, nor by a name that it owns."""
    for wrong in ("evil.example", "", "[", "[::1"):
        assert client.get("/", headers={"host": wrong}).status_code == 403
        assert client.get("/", headers={"origin": f"http://{wrong}"}).status_code == 403
    assert client.get("/", headers={"origin": "null"}).status_code == 403
    assert client.get("/api/runs", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.get("/", headers={"origin": "http://testserver"}).status_code == 200
    assert client.delete("/").status_code == 405


def test_a_token_is_needed_once(unchanged: ExperimentCollection) -> None:
    """Then a cookie has it."""
    client = browser(unchanged, token="secret")
    assert client.get("/").status_code == 401
    assert client.get("/?token=wrong").status_code == 401
    assert "set-cookie" not in client.get("/?token=wrong").headers
    first = client.get("/?token=secret")
    assert first.status_code == 200
    assert first.headers["set-cookie"].endswith("=secret; HttpOnly; SameSite=Strict; Path=/")
    assert client.get("/api/runs").status_code == 200
    other = browser(unchanged, token="another")  # at another port of this host
    assert other.get("/?token=another").status_code == 200
    both = dict(client.cookies) | dict(other.cookies)
    for each in (client, other):
        each.cookies.update(both)
        assert each.get("/api/runs").status_code == 200


def test_a_page_below_a_path(unchanged: ExperimentCollection) -> None:
    """As behind a proxy that passes the path on, or removes it, with its own name or another one."""
    client = browser(unchanged, root_path="/proxy/1", token="secret")
    moved = client.get("/proxy/1", follow_redirects=False)
    assert (moved.status_code, moved.headers["location"]) == (307, "1/")
    first = client.get("/proxy/1/?token=secret")
    assert first.headers["set-cookie"].endswith("; Path=/proxy/1")
    client.cookies.set(first.headers["set-cookie"].partition("=")[0], "secret")
    assert client.get("/proxy/1/api/keys").json() == client.get("/api/keys").json()
    other = {"origin": "https://example.org"}
    for own in ({"sec-fetch-site": "same-origin"}, {"x-forwarded-host": "example.org"}):
        asked = client.post("/proxy/1/api/rows", json={"collection": "study"}, headers=other | own)
        assert asked.status_code == 200
    known = browser(unchanged, origin="https://example.org")
    assert known.post("/api/rows", json={"collection": "study"}, headers=other).status_code == 200
    for wrong in ({}, {"sec-fetch-site": "same-site"}, {"x-forwarded-host": "example.com"}):
        assert client.post("/api/rows", headers=other | wrong).status_code == 403


@pytest.mark.parametrize(
    ("root_path", "path", "name", "address"),
    [
        ("", "", None, "http://127.0.0.1:8/"),
        ("/a/b/", "/a/b", None, "http://127.0.0.1:8/a/b/"),
        ("https://example.org:81/a/", "/a", "example.org", "https://example.org:81/a/"),
        ("https://example.org", "", "example.org", "https://example.org/"),
    ],
)
def test_the_address_at_a_proxy(root_path: str, path: str, name: str | None, address: str) -> None:
    """It is printed whole, if it is known, and its name is one of the page's."""
    public = server._public(root_path)
    assert (public.path, public.hostname) == (path, name)
    assert server._address("127.0.0.1", 8, public, None) == address


@pytest.mark.parametrize("wrong", ["a/b", "ftp://a/b", "/a?b", "//[", "https:///a", "/a#b"])
def test_what_is_not_an_address_of_a_proxy_is_an_error(wrong: str) -> None:
    """It would never be reached."""
    with pytest.raises(ArgumentError, match="expected a path such as /study, or an address such"):
        server._public(wrong)


def test_a_folder_with_collections_of_which_one_is_damaged(tmp_path: Path) -> None:
    """The others are shown, and a line names the one that is not; no collection is an error."""
    for name in ("first", "second"):
        with ExperimentCollection(tmp_path / name, quiet=True) as collection:
            with collection.new_experiment() as experiment:
                experiment.push(step=0)
    info = tmp_path / "first.collection" / "collection.json"
    info.write_text(info.read_text().replace('"version": 1', '"version": 99'))
    workspace = Workspace([tmp_path])
    assert [each.name for each in workspace.opened] == ["second"]
    assert [Path(each.name).name for each in workspace.failures] == ["first.collection"]
    found = TestClient(application(workspace, hosts=HOSTS)).get("/api/runs").json()
    assert [run["collection"] for run in found["runs"]] == ["second"]
    assert found["failures"][0]["reason"]
    for wrong in (tmp_path / "nowhere", tmp_path / "second.collection" / "live"):
        with pytest.raises(NotACollectionError):
            Workspace([wrong])


def test_a_series_follows_deletions_and_other_attributes(study: ExperimentCollection) -> None:
    """Lines of deleted runs go; lines by an attribute are those of its latest value."""
    client = browser(study)

    def labels(**request: Any) -> list[tuple[str, int]]:
        lines, _ = chart(client, y="score", x="epoch", **request)
        return [(line.get("label") or line["run"][:7], line["n"]) for line in lines]

    assert labels(by=["lr"]) == [("0.1", 12)]
    study.experiment(1)["lr"] = 0.5
    assert labels(by=["lr"]) == [("0.5", 6), ("0.1", 6)]
    assert labels() == [("study/1", 6), ("study/2", 6)]
    study.delete(1)
    assert labels(by=["lr"]) == [("0.1", 6)]
    assert labels() == [("study/2", 6)]


def test_losses_that_have_diverged_are_drawn(tmp_path: Path) -> None:
    """A mean beyond the range of floats is infinite; nothing is reported to the terminal."""
    collection = ExperimentCollection(tmp_path / "study", quiet=True)
    with collection.new_experiment() as experiment:
        experiment.extend({"step": [0, 0, 1], "loss": [1.7e308, 1.7e308, -1.7e308]})
        experiment.extend({"tiny": [5e-324 * at for at in range(5)], "y": [1.0] * 5})
    client = browser(collection)
    (line,), _ = chart(client, y="y", x="tiny", smooth=0.9)
    assert line["smoothed"].tolist() == [1] * 5
    wrong = client.post("/api/chart", content='{"y": "y", "x": "tiny", "smooth": NaN}')
    assert wrong.status_code == 400
    for once in (False, True):
        (line,), _ = chart(client, y="loss", x="step", levels_once=once)
        assert line["y"].tolist() == [math.inf, -1.7e308]
    request = {"kind": "bars", "y": "loss", "by": ["experiment_number"], "statistic": "mean"}
    assert client.post("/api/plot", json=request).status_code == 200


def test_two_tabs_and_a_server_that_comes_back(study: ExperimentCollection) -> None:
    """Each tab gets all new points once; cursors of the server before are answered by whole lines."""
    first, second = browser(study), browser(study)
    tabs = [first, TestClient(first.app)]
    cursors = [chart(tab, y="score", x="epoch")[1]["cursor"] for tab in tabs]
    seen: list[list[float]] = [[], []]
    for number in range(3):
        study.experiment(1).recorder.push(epoch=10 + number, score=float(number))
        for at, tab in enumerate(tabs[: 2 if number else 1]):  # one of them misses a look
            (line,), header = chart(tab, y="score", x="epoch", cursor=cursors[at])
            assert header["is_tail"]
            seen[at] += line["y"].tolist()
            cursors[at] = header["cursor"]
    assert seen == [[0, 1, 2]] * 2
    lines, header = chart(second, y="score", x="epoch", cursor=cursors[0])
    assert ([line["n"] for line in lines], header["is_tail"]) == ([9, 6], False)
    counts = [int(each) for each in first.get("/api/keys").json()["counts"]]
    after = [int(each) for each in browser(study).get("/api/keys").json()["counts"]]
    assert all(new > old for new, old in zip(after, counts, strict=True))


def test_a_collection_that_changes_under_the_page(tmp_path: Path) -> None:
    """Deleted, compacted, resumed, moved away, and another one at its place: as a new page shows it."""
    study, other = logged(tmp_path), logged(tmp_path / "other")
    path = tmp_path / "study.collection"
    client = browser(study)

    def shown(client: TestClient) -> Any:
        columns = [f":{each}:score" for each in ("last", "min", "max", "mean", "count")]
        table = client.post("/api/table", json={"count": 9, "columns": columns}).json()
        lines = client.post("/api/rows", json={"collection": "study"}).json().get("total")
        found = client.post("/api/chart", json={"y": ["score"], "x": "epoch"})
        drawn = []
        if found.status_code == 200:
            drawn = [(e["run"], e["y"].tolist()) for e in chart(client, y="score", x="epoch")[0]]
        return [each["cells"] for each in table["lines"]], table["failures"], lines, drawn

    def check(*last: float) -> None:
        found = shown(client)
        assert found == shown(TestClient(application(Workspace([path]), hosts=HOSTS)))
        assert [cells[0] for cells in found[0]] == list(last)

    check(3, 3)
    study.delete(2)
    check(3)
    study.compact()
    check(3)
    with study.resume(1) as again:
        again.push(epoch=3, score=9.0)
    check(9)
    study.close()
    path.rename(tmp_path / "away")
    gone = {
        "name": "study",
        "reason": f"there is no folder {path} any more: it was moved or deleted",
    }
    assert shown(client) == ([], [gone], None, [])
    for kind, more in (("rows", {"where": ""}), ("tree", {"node": ""})):
        found = client.post(
            f"/api/{kind}", json={"collection": "study", "first": 0, "count": 9, **more}
        )
        assert found.status_code == 400
        assert found.json()["error"] == gone["reason"]
    other.delete(1)
    other.close()
    (tmp_path / "other" / "study.collection").rename(path)
    check(3)


def test_a_chart_whose_records_lack_the_likely_x_has_another(tmp_path: Path) -> None:
    """Unless x is chosen; then the chart names what its records have. A zoom is of one x."""
    with ExperimentCollection(tmp_path / "study", quiet=True) as study:
        for seed in (1, 2):
            with study.new_experiment(seed=seed) as run:
                run.child(epoch=0).push(step=9, loss=1.0)
                for at in range(3):
                    run.push(env_step=100 * at, reward=float(seed * at))
                    run.push(epoch=at, frames=at, accuracy=float(at))
                    run.push(alone=float(seed * at))
    client = TestClient(application(Workspace([tmp_path]), hosts=HOSTS))
    request = {"y": ["loss", "reward", "accuracy", "alone"], "x": "step", "is_likely": True}
    expected = {"loss": "step", "reward": "env_step", "accuracy": "epoch", "alone": ""}
    for more in ({}, {"by": ["seed"]}, {"by": ["seed"], "from_start": True}):
        found = charts(client, **request, **more)
        assert {one["y"]: one["x"] for _, one in found} == expected
        assert [len(lines[0]["x"]) for lines, _ in found] == [1, 3, 3, 3]
    # A mean over runs by the number of the record in its run, of those that are drawn.
    seeds = {**request, "y": ["alone"], "by": ["epoch"]}
    ((line,), _), *_ = charts(client, **seeds)
    assert (line["x"].tolist(), line["y"].tolist()) == ([0, 1, 2], [0, 1.5, 3])
    zoomed = charts(client, **request, low=150, high=200, zoom_x="env_step")
    assert [len(lines[0]["x"]) for lines, _ in zoomed] == [1, 2, 3, 3]
    cursors = {one["y"]: one["cursor"] for _, one in charts(client, **request)}
    with ExperimentCollection(tmp_path / "study", quiet=True).resume(2) as run:
        run.push(env_step=300, reward=9.0)
    tails = charts(client, **request, xs=expected, cursors=cursors)
    assert [one["is_tail"] for _, one in tails] == [True] * 4
    assert [line["y"].tolist() for line in tails[1][0]] == [[9.0]]
    ((none, one),) = charts(client, y="accuracy", x="step")
    assert (none, one["others"]) == ([], ["epoch", "frames"])


def test_a_changed_chart_library_is_not_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files are compared to those of the release."""
    assert len(chart_library.library_files()) == 2
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "uplot.iife.min.js").write_text("alert(1)")

    found = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(chart_library, "find_spec", lambda _: found)
    with pytest.raises(MissingPackageError, match="not the file of uPlot's release"):
        chart_library.library_files()
