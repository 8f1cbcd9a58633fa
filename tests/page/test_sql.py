"""Queries of the page: their answers, files, and that they can read nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numpy")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("youplot")
pytest.importorskip("httpx2")

import numpy as np
import pyarrow.parquet as pq
from starlette.testclient import TestClient

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._engines.read_only import read_only
from rigorous_recorder.errors import ArgumentError
from rigorous_recorder.page.app import application
from rigorous_recorder.page.sql_process import Query, Workers
from rigorous_recorder.page.workspace import Workspace

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
WAV = b"RIFF\x24\0\0\0WAVEfmt "
SVG = b"<svg onload='alert(1)'/>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with records of many kinds."""
    path = tmp_path_factory.mktemp("sql")
    with ExperimentCollection(path / "study", quiet=True) as collection:
        with collection.new_experiment(lr=0.1, config={"layers": [1, 2]}) as run:
            run.extend({"step": list(range(500)), "loss": [1 / (1 + i) for i in range(500)]})
            run.push(step=500, image=PNG, sound=WAV, drawing=SVG, loss=float("nan"))
            run.push(step=501, text='<b>,"\n', matrix=np.arange(6.0).reshape(2, 3))
    return path


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    """A browser of it, as far as requests go."""
    workspace = Workspace([folder / "study"])  # without the suffix, as in Python
    with TestClient(application(workspace, hosts=frozenset({"testserver"}))) as found:
        yield found


def test_answers_are_scrolled_read_and_exported(client: TestClient, folder: Path) -> None:
    """One process runs all of them; what it can't run is an error that says why."""

    def ask(query: str) -> Any:
        return client.post("/api/sql", json={"collection": "study", "query": query}).json()

    found = ask("SELECT r.step, lr FROM records r, range(300) ORDER BY r.step")
    assert (found["total"], found["is_cut"], len(found["rows"])) == (100_000, True, 200)
    assert [each["name"] for each in found["columns"]] == ["step", "lr"]
    page = {"id": found["id"], "first": 99_998, "count": 9}
    assert client.post("/api/sql/rows", json=page).json()["rows"] == [[333, 0.1]] * 2
    assert ask("SELECT DISTINCT lr FROM experiments")["rows"] == [[0.1]]
    assert ask("SELECT config FROM experiments")["rows"] == [['{"layers":[1,2]}']]
    odd = ask("SELECT 'infinity'::DATE, 10::HUGEINT ** 30, NULL, 'nan'::DOUBLE, TIME '10:00'")
    assert odd["rows"][0][0] == "infinity"
    assert odd["rows"][0][2:] == [None, "nan", "10:00:00"]
    wrong = {
        "FROM read_text('/etc/passwd')": "no function 'read_text'",
        f"FROM '{folder}/study.collection/collection.json'": "no table",
        "SELECT nowhere FROM records": "nowhere",
        "SELECT repeat('x', 3000000000)": "",
    }
    for query, reason in wrong.items():
        assert reason in ask(query)["error"]
    (sealed,) = (folder / "study.collection" / "records").glob("*.parquet")
    other = f'WITH a AS (FROM "{sealed}"), b AS (WITH "{sealed}" AS (SELECT 1) SELECT 1) FROM a'
    assert "no table" in ask(other)["error"]  # it has rows of deleted runs, too
    query = {
        "collection": "study",
        "query": "SELECT step, text, loss FROM records WHERE step > 499",
    }
    files = {
        form: client.get("/api/sql/export", params=query | {"format": form})
        for form in ("csv", "jsonl", "parquet")
    }
    assert files["csv"].text == 'step,text,loss\n500,,NaN\n501,"<b>,""\n",\n'
    assert [json.loads(line)["text"] for line in files["jsonl"].iter_lines()] == [None, '<b>,"\n']
    assert pq.read_table(BytesIO(files["parquet"].content))["step"].to_pylist() == [500, 501]
    assert "attachment" in files["csv"].headers["content-disposition"]
    for parameters in (query | {"format": "exe"}, query | {"collection": "x", "format": "csv"}):
        assert client.get("/api/sql/export", params=parameters).status_code == 400


def test_media_are_known_by_their_first_bytes(client: TestClient) -> None:
    """Images and sound are served as such, everything else is text or bytes, in cells and whole."""
    request = {"collection": "study", "where": "step >= 500", "first": 0, "count": 5}
    found = client.post("/api/rows", json=request).json()
    first, second = (dict(zip(found["columns"], row, strict=True)) for row in found["rows"])
    for key, kind in (("image", "image/png"), ("sound", "audio/wav")):
        assert first[key]["media"] == kind
        served = client.get(f"/api/media/{first[key]['id']}")
        assert served.headers["content-type"] == kind
        assert served.headers["x-content-type-options"] == "nosniff"
        assert served.content == {"image": PNG, "sound": WAV}[key]
    assert first["drawing"] == {"bytes": len(SVG), "head": SVG[:16].hex(" ")}
    assert second["matrix"].startswith("float64[2x3] [[0. 1. 2.]")
    assert client.get("/api/media/..%2f..").status_code == 404
    assert client.get("/api/media/0123").status_code == 404

    def whole(key: str, row: int) -> Any:
        return client.post("/api/cell", json=request | {"first": row, "key": key}).json()

    assert whole("matrix", 1)["kind"] == "float64 array of 2x3"
    assert whole("text", 1) == {"kind": "text", "text": '<b>,"\n', "is_cut": False}
    assert whole("config", 0)["text"].splitlines()[1] == '  "layers": ['
    assert whole("image", 0)["media"] == "image/png"
    assert "no record" in whole("text", 7)["error"]


def test_only_one_select_over_the_tables_is_a_query() -> None:
    """Whatever opens files, changes settings, or shows what is not of the collection is refused."""
    for query in (
        "SELECT * FROM records JOIN experiments USING (experiment_number)",
        "WITH a AS (SELECT 1 AS x), b AS (FROM a) FROM b",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) FROM t",
        "SELECT unnest([1, 2]); ",
        "FROM level('episode')",
        "DESCRIBE records",
        "SHOW experiments",
        "SUMMARIZE SELECT loss FROM records",
        "PIVOT records ON model IN ('a', 'b') USING avg(loss)",
        "EXPLAIN ANALYZE FROM records",
    ):
        read_only(query)
    for query in (
        "",
        "SELECT 1; SELECT 2",
        "SET threads = 1",
        "COPY records TO '/tmp/x.csv'",
        "ATTACH '/tmp/x.db'",
        "INSTALL httpfs",
        "PRAGMA database_list",
        "SHOW DATABASES",
        "DESCRIBE 'x.csv'",
        "SUMMARIZE FROM read_csv('x.csv')",
        "EXPLAIN FROM 'x.csv'",
        "EXPLAIN ANALYZE DELETE FROM records",
        "SELECT * FROM (SHOW TABLES)",
        "FROM 'x.parquet'",
        "FROM read_csv('x.csv')",
        "FROM glob('/*')",
        "FROM parquet_metadata('x.parquet')",
        "FROM query('SELECT 1')",
        "FROM duckdb_settings()",
        "FROM information_schema.tables",
        "SELECT (SELECT count(*) FROM read_text('/etc/passwd'))",
        "SELECT 1 WHERE EXISTS (FROM read_blob('/etc/passwd'))",
        "WITH a AS (FROM read_text('x')) FROM a",
        "CREATE TABLE x AS SELECT 1",
        "DELETE FROM records",
    ):
        with pytest.raises(ArgumentError):
            read_only(query)


def test_several_collections_are_one_query(tmp_path: Path) -> None:
    """All as one table with their names, and each as a table of its name."""
    for name, loss in (("old study", 1.0), ("new", 2.0), ("records", 3.0)):
        with ExperimentCollection(tmp_path / name, quiet=True) as collection:
            with collection.new_experiment(collection="mine", lr=loss / 10) as run:
                run.extend({"step": [0, 1], "loss": [loss, loss + 1]})
    with TestClient(application(Workspace([tmp_path]), hosts=frozenset({"testserver"}))) as client:

        def rows(query: str, collection: str = "") -> Any:
            given = {"collection": collection, "query": query}
            found = client.post("/api/sql", json=given).json()
            return found.get("rows", found)

        names = ["records", "experiments", "recorders", "new", "old study"]
        assert rows("SHOW TABLES") == [[each] for each in names]
        sums = "SELECT collection_name, sum(loss) FROM records GROUP BY ALL ORDER BY ALL"
        assert rows(sums) == [["new", 5.0], ["old study", 3.0], ["records", 7.0]]
        both = 'SELECT n.loss - o.loss, n.collection FROM new n JOIN "old study" o USING (step)'
        assert rows(both) == [[1.0, "mine"]] * 2
        assert rows("SELECT count(*) FROM NEW") == [[2]]
        assert rows("SELECT count(*) FROM new", "new") == [[2]]
        columns = [each[0] for each in rows("DESCRIBE new")]
        assert ("loss" in columns, "collection_name" in columns) == (True, False)
        assert "no table 'old study'" in rows('FROM "old study"', "new")["error"]
        assert rows("PIVOT records ON step IN (0, 1) USING sum(loss) GROUP BY collection") == [
            ["mine", 6.0, 9.0]
        ]
        assert "Total Time" in rows("EXPLAIN ANALYZE SELECT sum(loss) FROM new")[0][1]
        where = rows("SELECT loss,\n FROM WHERE new")["error"]
        assert where.endswith("line 2:  FROM WHERE new\n              ^")
        where = rows("SELECT los FROM new")["error"]
        assert 'Candidate bindings: "loss"' in where
        assert where.endswith("line 1: SELECT los FROM new\n               ^")
        assert "PIVOT needs its values" in rows("PIVOT new ON step USING sum(loss)")["error"]
        parameters = {"collection": "", "query": "SELECT loss FROM new", "format": "csv"}
        assert client.get("/api/sql/export", params=parameters).text == "loss\n2.0\n3.0\n"


@pytest.mark.slow
def test_a_query_that_takes_too_long_is_ended(folder: Path) -> None:
    """As is one whose browser has left; the next one runs in another process."""
    workers = Workers()
    path = str(folder / "study.collection")
    endless = (
        "SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE a.range = -b.range"
    )
    query = Query({"study": path}, endless, "arrow", 0, 0, 1.0)
    with pytest.raises(ArgumentError, match="more than 1 seconds"):
        list(workers.run(query).data())
    running = workers.run(query._replace(seconds=600))
    running.stop()
    with pytest.raises(ArgumentError, match="was ended"):
        list(running.data())
    answered = None
    for _ in range(2):  # by one process, which those that were answered can't end
        running = workers.run(query._replace(query="SELECT 1", seconds=60))
        if answered is not None:
            answered.stop()
        assert b"".join(running.data())
        assert running.summary == {"rows": 1, "is_cut": False}
        answered = running
    workers.close()
