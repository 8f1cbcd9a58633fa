"""Names and values never become SQL, and a folder's name never a pattern."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._engines.sql import identifier, sql_names

from .strategies import scratch_folder

#: Pieces of what breaks out of a quoted name or text, where quoting is not right.
PIECES = [
    '"', "'", ";", "--", "/*", "*/", "\\", "\0", "\n", "`", "$", "$$", "{", "}", "%s", "?", "$1", ":x",
    " OR 1=1", "DROP TABLE records", "FROM read_csv('/etc/passwd')", "COPY records TO '/tmp/x'",
    ") UNION ALL SELECT 1", "INSTALL httpfs", "ATTACH '/tmp/x.db'", "PRAGMA version", "é", "🦆", "\u202e",
    "\ufeff", "a", "A", " ", "",
]  # fmt: skip
hostile = st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join)
pairs = st.dictionaries(hostile, hostile, min_size=1, max_size=4)


@settings(max_examples=25)
@given(pairs)
@example({'"; DROP TABLE records; --': "'; DROP TABLE records; --"})
@example({"a\0b": "\0", "a␀b": "x"})
def test_names_and_values_stay_what_they_are(fields: dict[str, str]) -> None:
    """Through sql, where, and by name in a query: each value is under its key, and is just text."""
    recorder = Recorder(above=1)
    recorder.child(fields).push(number=1)
    recorder.child().push({**fields, "number": 2})
    records = recorder.all_records
    names = sql_names(records.columns)
    relation = records.sql("SELECT * FROM records ORDER BY ALL")
    assert relation.columns == list(names.values())
    expected = {names[key]: value for key, value in fields.items()}
    for row in relation.fetchall():
        found = dict(zip(relation.columns, row, strict=True))
        assert {name: found[name] for name in expected} == expected
    for key, value in fields.items():
        quoted = identifier(names[key])
        query = f"SELECT {quoted} FROM records WHERE {quoted} IS NOT NULL"
        assert records.sql(query).fetchall() == [(value,)] * 2
        assert len(records.where(**{key: value})) == 2
        assert len(records.where(**{key: value + "'"})) == 0
        assert len(records.where(**fields)) == 2


@settings(max_examples=8)
@given(pairs)
def test_exports_and_charts_take_any_name(fields: dict[str, str]) -> None:
    """A file has the names and texts as they are; a chart by hostile columns is a chart."""
    fields = {key: value for key, value in fields.items() if key not in {"x", "y"}}
    recorder = Recorder(fields)
    for i in range(3):
        recorder.push(x=i, y=i / 2)
    with scratch_folder() as folder:
        recorder.records.save_to(folder / "a.jsonl")
        for line in (folder / "a.jsonl").read_text(encoding="utf-8").split("\n")[:-1]:
            assert fields.items() <= json.loads(line).items()
        recorder.records.save_to(folder / "a.parquet")
        assert fields.items() <= pl.read_parquet(folder / "a.parquet").row(0, named=True).items()
    key = next(iter(fields), "x")
    assert str(recorder.records.plot("x", "y", key))
    other = Recorder()
    other.push({key: 1, f"{key}2": 2.0})
    assert str(other.records.plot(key, f"{key}2"))


FOLDERS = ["it's", 'say "hi"', "100%", "a*b", "what?", "[abc]", "{a,b}", "a;b", "-- x", "$HOME", "%20",
           "back\\slash", "new\nline", "$1", "é 🦆", "~", "#frag?query=1", "s3:", "a=1"]  # fmt: skip


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_of_any_name_is_read_by_every_engine(tmp_path: Path, name: str) -> None:
    """Quotes, patterns and the like in the path of a collection are a part of its name."""
    for decoy in ("ab", "axb", "a", "b", "whatx"):  # what a pattern would find as well
        _log(tmp_path / decoy / "study", -1)
    place = tmp_path / name / "study"
    _log(place, 0)
    with ExperimentCollection(place) as collection:
        assert [row["i"] for row in collection.records] == [0, 1, 2]
        assert collection.sql("SELECT i FROM records ORDER BY i").fetchall() == [(0,), (1,), (2,)]
        assert collection.records.sql("SELECT sum(i) FROM records").fetchall() == [(3,)]
        assert collection.records.to_arrow()["i"].to_pylist() == [0, 1, 2]
        assert collection.records.to_pandas()["i"].tolist() == [0, 1, 2]
        lazy = collection.records.to_polars(lazy=True)
        assert lazy.filter(pl.col("i") > 0).collect()["i"].to_list() == [1, 2]
        assert [each.records for each in collection.overview()] == [3]
        assert collection.verify() == []
        collection.records.save_to(tmp_path / name / "flat.csv")
        assert (tmp_path / name / "flat.csv").is_file()
        repaired = tmp_path / name / "repaired"
        assert ExperimentCollection.repair(place, repaired) == []


def _log(place: Path, start: int) -> None:
    with ExperimentCollection(place, quiet=True) as collection:
        with collection.new_experiment() as experiment:
            for i in range(3):
                experiment.push(i=start + i if start >= 0 else -100)


FORMULAS = ["=1+1", "+1", "-1+2", "@SUM(A1)", "=cmd|' /C calc'!A0", "\t=1", "\r=1", "'=1", '="a"']


def test_csv_has_formulas_as_they_were_logged(tmp_path: Path) -> None:
    """Text that a spreadsheet takes for a formula is written as it is: docs/cli.md explains what to do."""
    recorder = Recorder()
    for text in FORMULAS:
        recorder.push({"text": text, "=name": 1})
    path = tmp_path / "a.csv"
    recorder.records.save_to(path)
    with path.open(newline="", encoding="utf-8") as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file))
    assert [row["text"] for row in rows] == FORMULAS
    assert list(rows[0]) == ["text", "=name"]
    assert [row["text"] for row in Recorder.load_from(path).records] == FORMULAS
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    assert "reads text that begins with `=`, `+`, `-` or `@` as a formula" in page
