"""Every command says what the library says: for people, for pipes, and as JSON."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._store import near
from rigorous_recorder.cli import tail, tail_lines
from rigorous_recorder.cli.target import complete_column, complete_folder

from .conftest import Run, make_study


@pytest.fixture
def own_study(tmp_path: Path) -> Path:
    """A study that a test may change."""
    return make_study(tmp_path / "own")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- naming a collection ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["study", "study.collection", "./study", "study.collection/"])
def test_the_ending_of_a_name_may_be_left_out(run: Run, study: Path, name: str) -> None:
    """A collection is named with or without what its folder ends with."""
    assert run("show", name, "--depth", 0).lines[0].startswith("study.collection: 12 records")


VERBS = [
    ["show"],
    ["sql", "FROM records"],
    ["tail", "--no-follow"],
    ["tail"],
    ["export", "x.csv"],
    ["plot", "-x", "epoch", "-y", "loss"],
    ["verify"],
    ["copy", "backup"],
    ["compact"],
    ["delete", "1"],
    ["ls"],
]


READING = [verb for verb in VERBS if verb[0] not in {"compact", "delete"} and verb != ["tail"]]


@pytest.mark.parametrize("verb", VERBS, ids=[" ".join(verb) for verb in VERBS])
def test_no_command_makes_a_folder_where_none_is(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: list[str]
) -> None:
    """What is not there is reported, with what was looked for; nothing is made, and the code is 2."""
    monkeypatch.chdir(tmp_path)
    command, *rest = verb
    result = run(command, "nowhere", *rest)
    assert result.code == 2
    assert result.out == ""
    assert "there is neither nowhere nor nowhere.collection" in result.err
    assert f"There are no collections in {tmp_path}" in result.err
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_collection_is_reported_with_those_that_are_near(run: Run, study: Path) -> None:
    """A misspelt name is answered with the names that are there."""
    result = run("show", study.with_name("studi"))
    assert result.code == 2
    assert f"  {study}\n" in result.err


def test_no_folder_is_searched_that_was_not_named(
    run: Run, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where not even the folder above is there, nothing else is looked at."""
    for name in ("scandir", "listdir", "walk"):
        monkeypatch.setattr(f"os.{name}", None)
    result = run("show", study.parent / "nowhere" / "study")
    assert result.code == 2
    assert f"There is no folder {study.parent / 'nowhere'} either" in result.err
    assert str(study) not in result.err


@pytest.mark.parametrize("limit", ["_LEVELS", "_FOLDERS", "_SECONDS"])
def test_the_search_for_names_that_are_near_has_an_end(
    run: Run, own_study: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    """Beyond some levels, folders or time the way to find the others is reported."""
    far = own_study.parent / "a" / "b" / "far.collection"
    shutil.copytree(own_study, far)
    missing = own_study.with_name("studi")
    result = run("show", missing)
    assert f"  {far}\n  {own_study}\n" in result.err
    assert "searches for more" not in result.err
    monkeypatch.setattr(near, limit, {"_LEVELS": 2, "_FOLDERS": 3, "_SECONDS": -1}[limit])
    result = run("show", missing)
    assert result.code == 2
    assert str(far) not in result.err
    assert f"rigorous ls {own_study.parent} searches for more" in result.err


def test_a_folder_that_cant_be_read_ends_no_search(
    run: Run, own_study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Near names are listed without control characters."""
    locked = own_study.with_name("locked")
    locked.mkdir()
    is_file = Path.is_file

    def refuse(path: Path) -> bool:
        if path.parent == locked:
            raise PermissionError(path)
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", refuse)
    result = run("show", own_study.with_name("studi"))
    assert result.code == 2
    assert result.err.endswith(f"Collections in {own_study.parent}:\n  {own_study}\n")


def test_a_folder_and_a_file_are_reported_as_what_they_are(run: Run, tmp_path: Path) -> None:
    """The message names what was found in place of a collection."""
    (tmp_path / "file.txt").write_text("x")
    assert f"{tmp_path} is a folder without a collection.json" in run("show", tmp_path).err
    assert "file.txt is a file" in run("show", tmp_path / "file.txt").err


@pytest.mark.parametrize("verb", READING)
def test_reading_changes_no_file(
    run: Run, own_study: Path, monkeypatch: pytest.MonkeyPatch, verb: list[str]
) -> None:
    """A command that reads leaves every byte as it was."""
    monkeypatch.chdir(own_study.parent)
    before = files(own_study)
    command, *rest = verb
    assert run(command, own_study, *rest).code == 0
    assert files(own_study) == before


@pytest.mark.parametrize("verb", READING)
def test_reading_leaves_a_running_experiment_alone(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: list[str]
) -> None:
    """While one logs, all can be read, live rows with it, and logging goes on."""
    monkeypatch.chdir(tmp_path)
    with closing(ExperimentCollection(tmp_path / "live")) as collection:
        with collection.new_experiment() as experiment:
            experiment.push(epoch=0, loss=1.0)
            command, *rest = verb
            assert run(command, "live", *rest).code == 0
            experiment.push(epoch=1, loss=2.0)
        assert [row["epoch"] for row in collection.records] == [0, 1]
        assert [each["had_error"] for each in collection.experiments] == [False]


# --- ls --------------------------------------------------------------------------------------------


def test_ls_of_a_folder_lists_its_collections(run: Run, study: Path) -> None:
    """Each with how many experiments, which of them went wrong, and how many records."""
    head, row = run("ls").lines
    names = ["collection", "experiments", "running", "failed", "crashed", "records"]
    assert head.split()[:6] == names
    assert row.split()[:6] == ["study.collection", "2", "0", "1", "0", "12"]
    (said,) = run("ls", study.parent, "--json").json
    with closing(ExperimentCollection(study)) as collection:
        last = collection.overview()[-1].start
        assert said == {
            "collection": "study.collection",
            "experiments": 2,
            "running": 0,
            "failed": 1,
            "crashed": 0,
            "stopped": 0,
            "pruned": 0,
            "records": 12,
            "size": collection.size_on_disk(),
            "last_start": last,
        }


def test_ls_of_a_collection_lists_its_experiments(run: Run, study: Path) -> None:
    """Each attempt with its status, start, duration, records and keys."""
    head, first, second = run("ls", "study").lines
    names = [
        *("experiment", "error_number", "attempts", "status"),
        *("start", "duration", "records", "error", "keys"),
    ]
    assert head.split() == names
    assert first.split()[:4] == ["1", "0", "1", "finished"]
    assert second.split()[:4] == ["2", "1", "1", "failed"]
    assert first.endswith("  lr, model, epoch, loss, note")
    assert first.split()[7:9] == ["s", "6"]
    assert second.split()[7:10] == ["s", "6", "ZeroDivisionError"]
    rows = run("ls", "study", "--json").json
    assert [row["status"] for row in rows] == ["finished", "failed"]
    assert rows[0]["keys"] == ["lr", "model", "epoch", "loss", "note"]
    assert {"start", "duration", "records", "experiment_number"} < rows[0].keys()


def test_ls_of_a_folder_lists_it_also_beside_a_collection_of_that_name(
    run: Run, own_study: Path
) -> None:
    """`ls own` is the folder where there is one; `ls own.collection` is the collection."""
    folder = own_study.with_name("own")
    folder.mkdir()
    message = run("ls", folder).err
    assert f"no collections in {folder}; `rigorous ls {own_study}` lists the experiments" in message
    assert len(run("ls", own_study).lines) == 3


def test_ls_names_runs_by_what_imported_ones_have(run: Run, tmp_path: Path) -> None:
    """An attribute `name` is used first; a `run` that is not text is no name."""
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        for attributes in ({"run": "baseline"}, {"run": "a", "name": "b"}, {"run": 3}):
            with collection.new_experiment(attributes) as experiment:
                experiment.push(x=1)
        assert [each.name for each in collection.overview()] == ["baseline", "b", None]
    assert [each["name"] for each in run("ls", tmp_path / "study", "--json").json] == [
        "baseline",
        "b",
        None,
    ]


def test_ls_of_a_folder_without_collections_reports_it(run: Run, tmp_path: Path) -> None:
    """The table is empty, and a message names the folder."""
    result = run("ls", tmp_path)
    assert (result.code, result.out) == (0, "")
    assert f"no collections in {tmp_path}" in result.err
    assert run("ls", tmp_path, "--json").json == []


def test_ls_passes_over_a_collection_that_cant_be_read(run: Run, own_study: Path) -> None:
    """One of a newer format is reported, and those beside it are listed."""
    newer = own_study.with_name("newer.collection")
    shutil.copytree(own_study, newer)
    info = newer / "collection.json"
    info.write_text(info.read_text().replace('"version": 1', '"version": 99'))
    result = run("ls", own_study.parent, "--json")
    assert [row["collection"] for row in result.json] == ["own.collection"]
    assert "format 99" in result.err


@pytest.mark.parametrize(
    ("newer", "reason"),
    [('"version": 99', "format 99"), ('"version": 1, "features": ["new"]', "uses 'new'")],
)
def test_a_collection_of_a_newer_format_is_refused(
    run: Run, own_study: Path, newer: str, reason: str
) -> None:
    """Exit code 2, an error that names the version or feature, and no traceback."""
    info = own_study / "collection.json"
    info.write_text(info.read_text().replace('"version": 1', newer))
    for command in (["ls"], ["show"], ["verify"], ["sql", "--json"], ["compact"]):
        result = run(command[0], own_study, *command[1:], *["from records"] * (command[0] == "sql"))
        assert (result.code, result.out) == (2, "")
        assert reason in result.err


@pytest.mark.parametrize("said", [1e300, -1e18, float("nan"), float("inf"), "text", True, {"a": 1}])
def test_ls_takes_whatever_was_set_on_an_experiment(run: Run, own_study: Path, said: Any) -> None:
    """Times that are none, as a damaged file can have them, keep nobody from the others."""
    with closing(ExperimentCollection(own_study, extension="")) as collection:
        with collection.new_experiment() as experiment:
            experiment.push(i=1)
        keys = ("experiment_start_time", "experiment_duration", "error_number")
        experiment._set(dict.fromkeys(keys, said) | {"experiment_end_time": None})  # as no user can
        assert len(collection.overview()) == 3
    for command in ("ls", "show"):
        assert run(command, own_study).code == 0
        assert run(command, own_study.parent / own_study.name, "--json").code == 0


def test_dicts_and_lists_are_the_same_json_in_sql_tail_and_export(run: Run, tmp_path: Path) -> None:
    """Objects and arrays, not text in text; a text that looks like one stays text."""
    scores = {"helpful": 4, "why": ["clear", float("nan")]}
    with closing(ExperimentCollection(tmp_path / "c")) as collection:
        with collection.new_experiment(tags=["good"]) as experiment:
            experiment.push(i=1, scores=scores, text='{"a": 1}')
            experiment.push(i=2, scores=[])
    query = "SELECT i, tags, scores, text, scores->'helpful' AS part FROM records ORDER BY i"
    first, second = run("sql", tmp_path / "c", query, "--json").json
    assert (first["tags"], first["text"], first["part"]) == (["good"], '{"a": 1}', "4")
    assert (second["scores"], second["text"]) == ([], None)
    tailed = run("tail", tmp_path / "c", "--no-follow", "--json").json
    assert run("export", tmp_path / "c", tmp_path / "c.jsonl").code == 0
    exported = json.loads((tmp_path / "c.jsonl").read_text().splitlines()[0])
    for row in (tailed[0], exported):
        assert (row["tags"], row["scores"]) == (first["tags"], first["scores"])
    assert first["scores"] == {"helpful": 4, "why": ["clear", None]}


# --- show ------------------------------------------------------------------------------------------


def test_show_prints_the_tree(run: Run, study: Path) -> None:
    """The tree that the library draws, as deep and as broad as asked for."""
    with closing(ExperimentCollection(study)) as collection:
        assert run("show", "study").out == f"{collection.tree()}\n"
        expected = f"{collection.tree(depth=1, children=1)}\n"
        assert run("show", "study", "--depth", 1, "--children", 1).out == expected


def test_show_as_json_is_one_object(run: Run, study: Path) -> None:
    """Counts, data, children, and the size of the whole."""
    (tree,) = run("show", "study", "--json").json
    assert (tree["name"], tree["all_records"], tree["hidden"]) == ("study.collection", 12, 0)
    assert tree["size"] > 0
    (first, second) = tree["children"]
    assert (first["data"]["lr"], second["data"]["lr"]) == (0.1, 0.2)
    assert [model["records"] for model in first["children"]] == [3, 3]
    chosen = run("show", "study", "1-2", "--json").json
    assert [each["data"]["lr"] for each in chosen] == [0.1, 0.2]


# --- sql -------------------------------------------------------------------------------------------

QUERY = "SELECT model, count(*) AS n, min(loss) AS best FROM records GROUP BY model ORDER BY model"


def test_sql_prints_a_plain_table_to_a_pipe(run: Run, study: Path) -> None:
    """Columns are aligned, numbers at the right, and nothing else is printed."""
    result = run("sql", "study", QUERY)
    assert result.lines == [
        "model  n                best",
        "m1     6  0.3333333333333333",
        "m2     6  0.3333333333333333",
    ]
    assert result.err == ""


def test_sql_prints_json_and_csv(run: Run, study: Path) -> None:
    """The same answer in both."""
    assert run("sql", "study", QUERY, "--json").json == [
        {"model": "m1", "n": 6, "best": 1 / 3},
        {"model": "m2", "n": 6, "best": 1 / 3},
    ]
    rows = list(csv.DictReader(io.StringIO(run("sql", "study", QUERY, "--csv").out)))
    assert rows[0] == {"model": "m1", "n": "6", "best": "0.3333333333333333"}


def test_sql_as_csv_has_the_values_of_json(run: Run, study: Path) -> None:
    """Text without quotes of JSON, lists and structs as JSON, bytes hexadecimal, null as nothing."""
    query = """
        SELECT [1, NULL] AS list, {'a': 'é', 'b': '-inf'::DOUBLE} AS struct, MAP {'k': 1} AS map,
               '\\xAB'::BLOB AS bytes, ['\\xAB'::BLOB] AS list_of_bytes, NULL AS nothing,
               'nan'::DOUBLE AS nan, TIMESTAMP '2026-01-02 03:04:05' AS time, TRUE AS yes,
               INTERVAL 90 SECOND AS duration, [INTERVAL 90 SECOND] AS durations, 1.5 AS decimal,
               'a,"b"\n' AS text, 9223372036854775807 AS large, 1 AS twice, 2 AS twice
    """
    head, row = csv.reader(io.StringIO(run("sql", "study", query, "--csv").out))
    assert head[-2:] == ["twice", "twice"]
    assert dict(zip(head, row, strict=True)) == {
        "list": "[1, null]",
        "struct": '{"a": "é", "b": null, "$nonfinite": ["-Infinity /b"]}',
        "map": '[["k", 1]]',
        "bytes": "ab",
        "list_of_bytes": '["ab"]',
        "nothing": "",
        "nan": "NaN",
        "time": "2026-01-02T03:04:05",
        "yes": "true",
        "duration": "90.0",
        "durations": "[90.0]",
        "decimal": "1.5",
        "text": 'a,"b"\n',
        "large": str(2**63 - 1),
        "twice": "2",
    }


FAR = """
    SELECT unnest([DATE '2026-01-02', DATE '10000-01-01', 'infinity', NULL]) AS date,
           unnest([TIMESTAMP '2026-01-02 03:04:05', '-infinity']) AS time,
           TIMESTAMPTZ '12000-01-01 00:00:00+00' AS zoned, 'infinity'::TIMESTAMP_S AS seconds,
           INTERVAL 9999999 YEAR AS duration, {'a': [DATE 'infinity'], 'b': 1} AS nested
"""


def test_values_that_python_has_no_room_for_are_text(run: Run, study: Path) -> None:
    """Those alone: the others of a column, and of a nested value, are as ever."""
    rows = run("sql", "study", FAR, "--json").json
    assert [row["date"] for row in rows] == ["2026-01-02", "10000-01-01", "infinity", None]
    assert [row["time"] for row in rows] == ["2026-01-02T03:04:05", "-infinity", None, None]
    assert {row["zoned"] for row in rows} == {"12000-01-01 00:00:00+00"}
    assert {row["seconds"] for row in rows} == {"infinity"}
    assert {row["duration"] for row in rows} == {"9999999 years"}
    assert rows[0]["nested"] == {"a": ["infinity"], "b": 1}
    table = run("sql", "study", FAR)
    assert (table.code, table.err) == (0, "")
    assert [line.split()[0] for line in table.lines[1:]] == [
        *("2026-01-02", "10000-01-01", "infinity", "null")
    ]
    assert "infinity" in run("sql", "study", FAR, "--csv").out


WHOLE = """
    SELECT TIMESTAMP_NS '2026-01-02 03:04:05.123456789' AS time, TIME_NS '03:04:05.123456789' AS ns,
           TIMETZ '03:04:05+02' AS zoned, TIME '24:00:00' AS late, '0101'::BIT AS bits,
           [TIMESTAMP_NS '2026-01-02 03:04:05.123456789'] AS list, MAP {TIME '24:00:00': 1} AS map,
           {'a "b"': TIMETZ '03:04:05+02', 'c': NULL} AS struct, 1 AS twice, 2 AS twice
"""


def test_values_that_python_would_cut_are_whole(run: Run, study: Path) -> None:
    """Nanoseconds, offsets, the end of a day and bits, also inside of other values."""
    (row,) = run("sql", "study", WHOLE, "--json").json
    assert row == {
        "time": "2026-01-02 03:04:05.123456789",
        "ns": "03:04:05.123456789",
        "zoned": "03:04:05+02",
        "late": "24:00:00",
        "bits": "0101",
        "list": ["2026-01-02 03:04:05.123456789"],
        "map": [["24:00:00", 1]],
        "struct": {'a "b"': "03:04:05+02", "c": None},
        "twice": 1,
        "twice_2": 2,
    }


def test_sql_as_json_has_every_kind_of_value(run: Run, study: Path) -> None:
    """JSON that every reader takes: NaN and infinities null and listed, large ints exact."""
    query = """
        SELECT 'nan'::DOUBLE AS nan, ['-inf'::DOUBLE] AS inf, 9223372036854775807 AS large,
               sum(epoch) AS total, 1.5 AS decimal, TIMESTAMP '2026-01-02 03:04:05' AS time,
               TIMESTAMPTZ '2026-01-02 03:04:05+00' AS zoned, DATE '2026-01-02' AS date,
               INTERVAL 90 SECOND AS duration, '\\xAB'::BLOB AS bytes, NULL AS nothing,
               {'a': [1, NULL]} AS nested, TRUE AS yes, 'é\n"' AS text, 1 AS twice, 2 AS twice
        FROM records
    """
    (row,) = run("sql", "study", query, "--json").json
    assert row == {
        "nan": None,
        "inf": [None],
        "$nonfinite": ["NaN /nan", "-Infinity /inf/0"],
        "large": 2**63 - 1,
        "total": 12,
        "decimal": 1.5,
        "time": "2026-01-02T03:04:05",
        "zoned": "2026-01-02T03:04:05+00:00",
        "date": "2026-01-02",
        "duration": 90.0,
        "bytes": "ab",
        "nothing": None,
        "nested": {"a": [1, None]},
        "yes": True,
        "text": 'é\n"',
        "twice": 1,
        "twice_2": 2,
    }


def test_a_cell_can_not_move_the_cursor(run: Run, study: Path) -> None:
    """Line breaks and escape codes in what was logged are shown, not obeyed."""
    assert run("sql", "study", "SELECT 'a\n\x1b[31mb' AS text").lines[1] == r"a\n\x1b[31mb"


def test_sql_reads_a_query_from_standard_input(
    run: Run, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With - in place of the query."""
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT 1 AS one"))
    assert run("sql", "study", "-", "--json").json == [{"one": 1}]


def test_what_the_limit_cuts_is_reported(run: Run, study: Path) -> None:
    """Not among the rows, and only where there is more."""
    result = run("sql", "study", "FROM range(5)", "--limit", 2, "--json")
    assert result.json == [{"range": 0}, {"range": 1}]
    assert "only the first 2 rows are shown; --limit shows more" in result.err
    assert run("sql", "study", "FROM range(2)", "--limit", 2).err == ""


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]])
def test_a_limit_of_no_rows_is_stated_once(run: Run, study: Path, form: list[str]) -> None:
    """An answer that has rows is not called empty, and one that has none is not called cut."""
    result = run("sql", "study", "FROM range(5)", "--limit", 0, *form)
    assert result.out == ("range\n" if form == ["--csv"] else "")
    assert result.err == "no row is shown; --limit shows more\n"
    result = run("sql", "study", "FROM range(0)", "--limit", 0, *form)
    assert result.err == ("" if form else "no rows\n")


def test_a_pipe_gets_all_rows(run: Run, study: Path) -> None:
    """What goes to a program is cut by nothing."""
    result = run("sql", "study", "FROM range(5000)")
    assert len(result.lines) == 5001
    assert result.err == ""


@pytest.mark.parametrize(
    "query", ["SELEC 1", "SELECT nothing FROM records", "SELECT 'x'::INT", "FROM nowhere", ""]
)
def test_a_query_that_fails_is_reported_in_duckdbs_text(run: Run, study: Path, query: str) -> None:
    """Without a traceback; the code is 1."""
    result = run("sql", "study", query)
    if query:
        assert result.code == 1
        assert result.err.startswith("rigorous: ")
    assert "Traceback" not in result.err


def test_an_answer_without_rows_is_reported(run: Run, study: Path) -> None:
    """An empty table prints nothing where rows would stand; CSV has its head."""
    result = run("sql", "study", "SELECT 1 AS one WHERE false")
    assert (result.out, result.err) == ("", "no rows\n")
    assert run("sql", "study", "SELECT 1 AS one WHERE false", "--csv").out == "one\n"


# --- tail ------------------------------------------------------------------------------------------


def test_tail_prints_the_last_records(run: Run, study: Path) -> None:
    """A line each, with all keys but those that every experiment has; a number counts the rest."""
    result = run("tail", "study", "-n", 2, "--no-follow")
    assert result.lines == [
        "experiment_number=2 lr=0.2 model=m2 epoch=1 loss=0.5",
        "experiment_number=2 lr=0.2 model=m2 epoch=2 loss=0.3333333333333333",
    ]
    assert len(run("tail", "study", "--no-follow").lines) == 10
    assert run("tail", "study", "-n", 0, "--no-follow").out == ""


def test_tail_on_a_terminal_prints_inherited_values_where_they_change(
    run: Run, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once for all records that share them; lines fit, and that they are cut is reported once."""
    monkeypatch.setattr(tail, "is_terminal", lambda: True)
    result = run("tail", "study", "-n", 7, "--no-follow")
    assert result.lines == [
        '── experiment_number=1  lr=0.1  model="m2"',
        "epoch=2  loss=0.333333",
        '── experiment_number=2  lr=0.2  model="m1"',
        'epoch=0  loss=1  note="first"',
        "epoch=1  loss=0.5",
        "epoch=2  loss=0.333333",
        '── model="m2"',
        'epoch=0  loss=1  note="first"',
        "epoch=1  loss=0.5",
        "epoch=2  loss=0.333333",
    ]
    assert result.err == ""
    keys = ["-k", "model", "-k", "loss", "-k", "note"]
    assert run("tail", "study", "-n", 3, "--no-follow", *keys).lines == [
        "model             loss  note",
        "m2                   1  first",
        "m2                 0.5  -",
        "m2            0.333333  -",
    ]
    monkeypatch.setenv("COLUMNS", "20")
    result_ = run("tail", "study", "-n", 3, "--no-follow")
    assert max(map(len, result_.lines)) == 20
    assert result_.err.count("is where a line is cut") == 1


def test_tail_on_a_terminal_knows_the_keys_of_records_to_come(tmp_path: Path) -> None:
    """A key that no record had when it began is not taken for an inherited one."""
    own: set[str] = set()
    lines = tail_lines.Changes(lambda: own)
    own.add("loss")
    assert [*lines.of({"model": "m1", "loss": 1.0})] == ['── model="m1"', "loss=1"]
    own.add("late")
    assert [*lines.of({"model": "m1", "late": 2})] == ["late=2"]


def test_tail_on_a_terminal_reports_that_a_value_is_no_longer_inherited() -> None:
    """Else it would be read as one of the records below."""
    lines = tail_lines.Changes(lambda: {"loss"})
    assert [*lines.of({"model": "m1", "lr": 0.1, "loss": 1})] == ['── model="m1"  lr=0.1', "loss=1"]
    assert [*lines.of({"model": "m2", "loss": 2})] == ['── model="m2"  lr=-', "loss=2"]
    assert [*lines.of({"loss": 3})] == ["── model=-", "loss=3"]
    assert [*lines.of({"loss": 4})] == ["loss=4"]


def test_tail_prints_only_what_is_requested(run: Run, study: Path) -> None:
    """Keys in the order asked for, missing ones as null; only records that meet the conditions."""
    options = ["--no-follow", "-k", "note", "-k", "had_error", "--where", "model=m1", "--json"]
    result = run("tail", "study", *options)
    assert len(result.json) == 6
    assert result.json[0] == {"note": "first", "had_error": False}
    assert result.json[5] == {"note": None, "had_error": True}


def test_conditions_are_read_by_the_kinds_of_their_key(run: Run, tmp_path: Path) -> None:
    """A number is a number, and text where there is text; quotes make it text; null is missing."""
    with closing(ExperimentCollection(tmp_path / "c")) as collection:
        for value in (1, "1", True, None, "a=b", "a and b", "this or that = it"):
            collection.recorder.push(x=value, is_one=value == "1")

    def found(condition: str) -> int:
        return len(run("tail", tmp_path / "c", "--no-follow", "--where", condition).lines)

    for condition, count in {
        "x=1": 2,
        'x="1"': 1,
        "x=true": 1,
        "x=null": 1,
        "x=a=b": 1,
        "x=a and b": 1,
        "\"x:str\" = 'this or that = it'": 1,
        "x=2": 0,
    }.items():
        assert found(condition) == count, condition


def test_every_command_reads_values_as_json_prints_them(run: Run, tmp_path: Path) -> None:
    """Lists, dicts, times, durations, bytes and arrays; several conditions all hold."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        for i in range(3):
            with collection.new_experiment(
                tags=["a", i],
                config={"lr": i},
                day=dt.date(2026, 1, 1 + i),
                took=dt.timedelta(seconds=1.5 + i),
            ) as experiment:
                when = dt.datetime(2026, 1, 1 + i)
                zoned = when.replace(tzinfo=dt.UTC)
                experiment.push(i=i, when=when, zoned=zoned, raw=bytes([i]), pair=np.arange(2) + i)
    rows = run("tail", tmp_path / "c", "--no-follow", "--json").json
    row = rows[1]
    for key in ("tags", "config", "day", "took", "when", "zoned", "raw", "pair"):
        value = row[key] if isinstance(row[key], str) else json.dumps(row[key])
        where = ["--where", f"{key}={value}"]
        assert run("tail", tmp_path / "c", "--no-follow", "--json", *where).json == [row]
        plotted = run("plot", tmp_path / "c", "-x", "i", "-y", "i", "--json", *where)
        assert [point["x"] for point in plotted.json] == [1]
        file = tmp_path / f"{key}.jsonl"
        assert "1 record " in run("export", tmp_path / "c", file, *where).err
        both = [*where, "--where", "i=2"]
        assert run("tail", tmp_path / "c", "--no-follow", *both).lines == []
        # and in quotes, as they stand in JSON
        where = ["--where", f"{key}={json.dumps(row[key])}"]
        assert run("tail", tmp_path / "c", "--no-follow", "--json", *where).json == [row]


@pytest.mark.parametrize("command", [("tail", "--no-follow"), ("export", "x.csv")])
@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("epoch=first", "its values are int; expected a number"),
        ("modle=m1", "there is no column 'modle'; did you mean 'model'?"),
        ("modle=null", "there is no column 'modle'; did you mean 'model'?"),
        ("model", "where('model'): it is a value of type VARCHAR, not a condition"),
        ("modle = 'm1'", 'there is no column "modle"; did you mean "model"?'),
        ("model=m1 and epoch < 3", "Text is written in single quotes: 'm1'"),
        ("epoch <", "Expected one SQL condition"),
        ("epoch IN (FROM 'x.csv')", "or key=value, such as model=m1"),
    ],
)
def test_a_condition_that_nothing_can_meet_is_reported(
    run: Run, study: Path, command: tuple[str, str], condition: str, message: str
) -> None:
    """With code 2, and what was expected; no file is written."""
    result = run(command[0], "study", *command[1:], "--where", condition)
    words = " ".join(result.err.replace("│", "").split())
    assert (result.code, result.out) == (2, "")
    assert message in words
    assert not Path("x.csv").exists()


def test_every_command_takes_sql_conditions(run: Run, study: Path) -> None:
    """Beside ``key=value``, which has no space before its ``=``, and no quote behind it."""
    with closing(ExperimentCollection(study)) as collection:
        wanted = [
            dict(row) for row in collection.records if row["model"] == "m1" and row["epoch"] > 0
        ]
    assert len(wanted) > 1
    for conditions in (
        ["model = 'm1' and epoch > 0"],
        ["model='m1' AND epoch>0"],
        ["model like '%1'", "epoch>=1"],
        ["model=m1", "epoch!=0"],
        ["model in ('m1')", "not epoch<=0"],
    ):
        where = [part for each in conditions for part in ("--where", each)]
        assert len(run("tail", study, "--no-follow", "-n", 99, *where).lines) == len(wanted)
        plotted = run("plot", study, "-x", "epoch", "-y", "epoch", "--json", *where)
        assert {point["x"] for point in plotted.json} == {row["epoch"] for row in wanted}
        exported = run("export", study, "x.jsonl", "--force", *where)
        assert f"{len(wanted)} records" in exported.err


def test_conditions_on_the_same_key_all_hold(run: Run, study: Path) -> None:
    """A second value for a key narrows, and does not replace."""
    for second, count in (("m1", 6), ("m2", 0)):
        where = ["--where", "model=m1", "--where", f"model={second}"]
        assert len(run("tail", "study", "--no-follow", *where).lines) == count


@pytest.mark.parametrize(
    "number", [2**63, -(2**63) - 1, 10**23, 10**400], ids=lambda number: str(number)[:9]
)
def test_ints_of_any_size_are_found(run: Run, tmp_path: Path, number: int) -> None:
    """Just the record that has it, and none where none has."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        with collection.new_experiment() as experiment:
            for each in (number, number + 1, 1):
                experiment.push(seed=each)

    def found(text: object) -> int:
        return len(run("tail", tmp_path / "c", "--no-follow", "--where", f"seed={text}").lines)

    assert [found(each) for each in (number, number + 1, 1, number + 2)] == [1, 1, 1, 0]


# --- export ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv", "jsonl"])
def test_export_writes_what_save_to_writes(
    run: Run, study: Path, tmp_path: Path, suffix: str
) -> None:
    """The flat table of the records that meet the conditions, in the format of the suffix."""
    path = tmp_path / f"flat.{suffix}"
    result = run("export", "study", path, "--where", "model=m2")
    assert (result.code, result.out) == (0, "")
    assert result.err.startswith(f"6 records written to {path} (")
    with closing(ExperimentCollection(study)) as collection:
        expected = [dict(row) for row in collection.records.where(model="m2")]
    assert [dict(row) for row in Recorder.load_from(path).records] == expected


def test_export_replaces_a_file_only_with_force(run: Run, study: Path, tmp_path: Path) -> None:
    """A file that is there stays, and the way to replace it is reported."""
    path = tmp_path / "flat.csv"
    path.write_text("mine")
    result = run("export", "study", path)
    assert result.code == 2
    assert "--force replaces it" in " ".join(result.err.split())
    assert path.read_text() == "mine"
    assert run("export", "study", path, "--force").code == 0
    assert path.read_text() != "mine"


def test_export_to_an_unknown_format_is_refused(run: Run, study: Path, tmp_path: Path) -> None:
    """The formats are named, and nothing is written."""
    result = run("export", "study", tmp_path / "flat.ods")
    assert result.code == 2
    assert "expected .parquet, .arrow, .csv, .tsv, .jsonl" in result.err
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_of_a_file_is_made(run: Run, study: Path, tmp_path: Path) -> None:
    """For what is exported, and for a picture: the only folders that are made."""
    assert run("export", "study", tmp_path / "a" / "b" / "x.csv").code == 0
    picture = tmp_path / "c" / "loss.svg"
    assert run("plot", "study", "-x", "epoch", "-y", "loss", "--out", picture).code == 0
    assert (tmp_path / "a" / "b" / "x.csv").exists()
    assert picture.exists()


# --- plot ------------------------------------------------------------------------------------------


def test_plot_draws_what_the_library_draws(run: Run, study: Path) -> None:
    """As wide and high as asked for; without colors where no terminal is."""
    result = run("plot", "study", "-x", "epoch", "-y", "loss", "--by", "model", "--width", 60)
    with closing(ExperimentCollection(study)) as collection:
        curves = collection.records.plot("epoch", "loss", by="model")
    assert result.out == curves.text(60, 22) + "\n"
    assert "\x1b" not in result.out


def test_plot_as_json_is_every_point(run: Run, study: Path) -> None:
    """One object a point, none of them merged."""
    options = ["-x", "epoch", "-y", "loss", "--by", "lr", "--band", "minmax", "--json"]
    rows = run("plot", "study", *options).json
    assert len(rows) == 6
    assert rows[0] == {"by": {"lr": 0.1}, "x": 0, "mean": 1, "low": 1, "high": 1, "count": 2}


@pytest.mark.parametrize("suffix", ["png", "svg", "html"])
def test_plot_saves_a_picture(run: Run, study: Path, tmp_path: Path, suffix: str) -> None:
    """In the format of the suffix; the message names the file."""
    pytest.importorskip("matplotlib")
    path = tmp_path / f"loss.{suffix}"
    result = run("plot", "study", "-x", "epoch", "-y", "loss", "--out", path)
    assert (result.code, result.out) == (0, "")
    assert f"saved in {path}" in result.err
    assert path.stat().st_size > 1000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-x", "epoch", "-y", "los"], "there is no column 'los'; did you mean 'loss'?"),
        (["-x", "epoch", "-y", "model"], "y is 'model', whose values are str"),
        (["-x", "epoch", "-y", "loss", "--out", "a.gif"], "is not a valid suffix of a picture"),
        (["-x", "epoch"], "Missing option"),
        (["-x", "epoch", "-y", "loss", "--band", "wide"], "is not one of"),
        (["-x", "epoch", "-y", "loss", "--where", "model"], "not a condition"),
    ],
)
def test_a_chart_that_cant_be_drawn_is_reported(
    run: Run, study: Path, options: list[str], message: str
) -> None:
    """What is wrong and what would be right, in words, with code 2."""
    result = run("plot", "study", *options)
    assert (result.code, result.out) == (2, "")
    assert message in " ".join(result.err.replace("│", "").split())


# --- verify and compact ----------------------------------------------------------------------------


def test_verify_of_a_sound_collection_reports_it(run: Run, study: Path) -> None:
    """With code 0, and no line of JSON."""
    result = run("verify", "study")
    assert (result.code, result.out) == (0, "")
    assert "every file of study is as it was written" in result.err
    assert run("verify", "study", "--json").json == []


def test_verify_of_a_damaged_collection_lists_what_is_damaged(run: Run, own_study: Path) -> None:
    """With code 1, and the file and the reason, once."""
    damaged = next((own_study / "records").glob("*.parquet"))
    data = bytearray(damaged.read_bytes())
    data[100] ^= 0xFF
    damaged.write_bytes(data)
    result = run("verify", own_study)
    assert result.code == 1
    assert str(damaged) in result.out
    as_json = run("verify", own_study, "--json")
    assert as_json.code == 1
    (row,) = as_json.json
    assert row["path"] == str(damaged)
    assert row["reason"]
    assert set(row) == {"path", "reason", "rows", "readable", "columns"}
    assert row["rows"] == 12


LOG_AND_DIE = """
import os, signal, sys
from rigorous_recorder import ExperimentCollection

with ExperimentCollection(sys.argv[1]).new_experiment() as experiment:
    experiment.child(a=1).push(b=2)
    experiment.sync()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("is_damaged", [False, True])
def test_verify_changes_nothing(run: Run, own_study: Path, is_damaged: bool) -> None:
    """What a killed process left is read where it is, and recovered by the next who opens it."""
    process = subprocess.run([sys.executable, "-c", LOG_AND_DIE, own_study], check=False)
    assert process.returncode == -signal.SIGKILL
    live = sorted((own_study / "live").glob("*.records.arrow"))
    assert len(live) == 1
    if is_damaged:
        live[0].write_bytes(b"nothing")
    before = files(own_study)
    result = run("verify", own_study)
    assert files(own_study) == before
    assert result.code == int(is_damaged)
    assert (str(live[0]) in result.out) is is_damaged
    if not is_damaged:
        assert ExperimentCollection.verify_folder(own_study) == []
        assert "13 records" in run("show", own_study).out
        assert files(own_study) == before
        assert "recovered 1 records" in run("compact", own_study).err
        assert files(own_study) != before


def test_verify_of_what_lost_its_description_lists_that(run: Run, own_study: Path) -> None:
    """With code 1, as of any damaged file, and beside what else is damaged."""
    (own_study / "collection.json").unlink()
    damaged = next((own_study / "records").glob("*.parquet"))
    damaged.write_bytes(b"")
    result = run("verify", own_study, "--json")
    assert result.code == 1
    assert [row["path"] for row in result.json] == [
        str(own_study / "collection.json"),
        str(damaged),
    ]
    assert "repair" in result.json[0]["reason"]


def test_repair_writes_what_can_be_read(run: Run, own_study: Path) -> None:
    """The damage is listed, the new collection is sound, the old one as it was."""
    damaged = next((own_study / "records").glob("*.parquet"))
    data = bytearray(damaged.read_bytes())
    data[len(data) // 4] ^= 0xFF
    damaged.write_bytes(data)
    (own_study / "collection.json").unlink()
    into = own_study.with_name("repaired.collection")
    result = run("repair", own_study, own_study.with_name("repaired"))
    assert result.code == 0
    assert str(damaged) in result.out
    assert "2 damaged" in result.err
    assert run("verify", into).code == 0
    assert damaged.read_bytes() == data
    again = run("repair", own_study, into)
    assert again.code == 2
    assert "already exists" in again.err
    nothing = run("repair", own_study.with_name("nothing"), into)
    assert nothing.code == 2


@pytest.mark.parametrize("ending", ["", ".collection"])
@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != ["ls"]], ids=" ".join)
def test_a_lost_description_is_reported_with_the_way_to_repair(
    run: Run, own_study: Path, verb: list[str], ending: str
) -> None:
    """The collection is there: the message names the lost file, and the command that helps."""
    (own_study / "collection.json").unlink()
    command, *rest = verb
    result = run(command, own_study.with_name(f"own{ending}"), *rest)
    said = result.out + result.err
    assert result.code in {1, 2}
    assert "rigorous repair" in said
    assert "collection.json" in said
    assert "there is neither" not in said
    assert run("repair", own_study, own_study.with_name("new")).code == 0
    assert len(run("ls", own_study.with_name("new")).lines) == 3


def test_compact_says_what_became_less(run: Run, own_study: Path) -> None:
    """Small files become one, and every record is still there."""
    with closing(ExperimentCollection(own_study, extension="")) as collection:
        for number in range(3):
            collection.recorder.push(number=number)
            collection.save()
    result = run("compact", own_study)
    assert (result.code, result.out) == (0, "")
    assert "3 files fewer" in result.err  # two of this writer's, and that of the one before
    assert run("compact", own_study).err.startswith("0 files fewer")
    assert len(run("tail", own_study, "-n", 99, "--no-follow").lines) == 15


def test_a_copy_is_a_collection_of_its_own(run: Run, own_study: Path) -> None:
    """What is said is what is there; nothing is copied over another."""
    with closing(ExperimentCollection(own_study, extension="")) as collection:
        count = len(collection)
        collection.recorder.push(number=1)  # in a live file while it is copied
        target = own_study.with_name("backup")
        result = run("copy", own_study, target)
    assert (result.code, result.out) == (0, "")
    assert result.err.startswith(f"{count + 1} records copied to {target}.collection (")
    with closing(ExperimentCollection(target)) as copy:
        assert len(copy) == count + 1
        assert copy.verify() == []
    again = run("copy", own_study, target)
    assert again.code == 2
    assert "already exists" in again.err
    assert run("copy", own_study.with_name("nowhere"), target).code == 2


# --- completion ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("stu", ["study.collection", "stuff/"]),
        ("./stu", ["./study.collection", "./stuff/"]),
        ("", ["study.collection", "stuff/"]),
        (".h", [".hidden/"]),
        ("stuff/", []),
        ("nowhere/", []),
    ],
)
def test_folders_are_completed(
    own_study: Path, monkeypatch: pytest.MonkeyPatch, typed: str, offered: list[str]
) -> None:
    """Collections as they are, other folders to go on from; hidden ones when a dot was typed."""
    own_study.rename(own_study.with_name("study.collection"))
    for name in ("stuff", ".hidden"):
        own_study.with_name(name).mkdir()
    monkeypatch.chdir(own_study.parent)
    assert list(complete_folder(typed)) == offered


def test_the_home_folder_is_completed_as_typed(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is offered goes on from ``~/``; columns of a collection named so are found."""
    monkeypatch.setenv("HOME", str(study.parent))
    assert list(complete_folder("~/stu")) == ["~/study.collection"]
    assert list(complete_folder("~nobody-of-that-name/stu")) == []
    context = SimpleNamespace(params={"path": "~/study"}, args=[])
    assert complete_column(context, "lo") == ["loss"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "typed", "offered"),
    [("study", "lo", ["loss"]), ("study", "x", []), ("nowhere", "lo", []), (None, "lo", [])],
)
def test_columns_are_completed(
    study: Path, path: str | None, typed: str, offered: list[str]
) -> None:
    """Those of the collection that was typed before; none where there is none."""
    context = SimpleNamespace(params={"path": path}, args=[])
    assert complete_column(context, typed) == offered  # type: ignore[arg-type]
    context = SimpleNamespace(params={"path": None}, args=[path] if path else [])
    assert complete_column(context, typed) == offered  # type: ignore[arg-type]


# --- views ---------------------------------------------------------------------------------------


def test_views_are_saved_listed_renamed_and_deleted(run: Run, study: Path) -> None:
    """Each by one command; what can't be is reported."""
    assert "no views yet" in run("views", "study").err
    assert run("views", "study", "Losses", "--save", "#x=step&search=loss").code == 0
    assert run("views", "study", "Losses").out == "#x=step&search=loss\n"
    assert run("views", "study", "Losses", "--rename", "All").code == 0
    (study / "views" / "broken.json").write_text("{")
    listed = run("views", "study", "--json")
    assert json.loads(listed.out) == {"view": "All", "address": "x=step&search=loss"}
    assert "broken.json" in listed.err
    assert "not a valid view: it is not JSON" in listed.err
    wrong = run("views", "study", "Losses", "--delete")
    assert (wrong.code, "no view 'Losses'; there are: 'All'" in wrong.err) == (1, True)
    assert run("views", "study", "--delete").code == 2
    assert run("views", "study", "All", "--delete", "--rename", "x").code == 2
    assert run("views", "study", "All", "--delete").code == 0
    assert run("views", "study", "--json").out == ""


# --- wrong use -------------------------------------------------------------------------------------


def test_a_command_that_is_none_is_reported(run: Run) -> None:
    """With code 2."""
    result = run("lss")
    assert result.code == 2
    assert "No such command 'lss'" in result.err


COMMANDS = [
    "ls", "show", "sql", "tail", "plot", "views", "export", "import", "verify", "repair", "copy", "compact", "delete",
    "demo",
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(run: Run, command: str) -> None:
    """`--help` says what it does, and shows a line to try."""
    result = run(command, "--help")
    assert result.code == 0
    assert f"rigorous {command}" in result.out
    assert "Example" in result.out


@pytest.mark.skipif(os.geteuid() == 0, reason="to root every file can be written")
def test_a_file_that_cant_be_written_is_reported(run: Run, study: Path, tmp_path: Path) -> None:
    """A failure of the system is reported in one line, with code 1."""
    tmp_path.chmod(0o555)
    result = run("export", "study", tmp_path / "x.csv")
    assert result.code == 1
    assert "Permission denied" in result.err


def test_a_file_in_place_of_a_folder_is_reported(run: Run, study: Path, tmp_path: Path) -> None:
    """A failure of the system is reported in one line, with the path, and code 1."""
    (tmp_path / "file").write_text("x")
    result = run("export", "study", tmp_path / "file" / "x.csv")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("rigorous: ")
    assert str(tmp_path / "file") in result.err


def test_a_failed_experiment_has_an_error(run: Run, study: Path) -> None:
    """In a column of `ls`, in JSON with its traceback, and by `show --errors`."""
    head, good, failed = run("ls", study).lines
    assert head.split()[-2:] == ["error", "keys"]
    assert "ZeroDivisionError" in failed
    assert "ZeroDivisionError" not in good
    first, second = run("ls", study, "--json").json
    assert (first["error_type"], second["error_type"]) == (None, "ZeroDivisionError")
    assert second["error_traceback"].startswith("Traceback (most recent call last):\n")
    shown = run("show", study, "--errors").out
    assert "experiment 2 (failed: ZeroDivisionError)" in shown
    assert f"\nexperiment 2 (error_number 1):\n{second['error_traceback']}" in shown
    assert "Traceback" not in run("show", study).out
    assert "Traceback" not in run("tail", study, "--no-follow").out


def test_plot_draws_the_last_attempt_or_all(run: Run, tmp_path: Path) -> None:
    """It lists them, and how many records were left out."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        with collection.new_experiment() as experiment:
            experiment.extend({"step": range(6), "loss": [10.0] * 6})
        with collection.resume(-1) as experiment:
            experiment.extend({"step": range(3, 8), "loss": [0.0] * 5})
    axes = ["-x", "step", "-y", "loss"]
    last = run("plot", tmp_path / "c", *axes, "--json")
    assert [point["mean"] for point in last.json] == [10, 10, 10, 0, 0, 0, 0, 0]
    everything = run("plot", tmp_path / "c", *axes, "--json", "--all-attempts")
    assert [point["count"] for point in everything.json] == [1, 1, 1, 2, 2, 2, 1, 1]
    text = run("plot", tmp_path / "c", *axes).out
    assert "(one record for each step; left out: 3 of earlier attempts)" in text


def test_tail_warns_of_keys_that_are_nowhere(run: Run, study: Path) -> None:
    """They are printed as missing, and may still come; with those that are spelled alike."""
    result = run("tail", "study", "--no-follow", "-n", "1", "-k", "los", "-k", "loss")
    assert result.out.startswith("los=null loss=0.3")
    assert "there is no column 'los'; did you mean 'loss'? It may still be logged" in result.err
    assert run("tail", "study", "--no-follow", "-k", "loss").err == ""


# --- options that can't both be meant --------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("plot study -x epoch -y loss --xlim 3", "expected LOW:HIGH"),
        ("plot study -x epoch -y loss --size big", "expected inches"),
        ("plot study -x epoch --x lr -y loss", "-x / --x takes one value, and was given 2 times"),
        ("plot study -x epoch -y loss --band std --band sem", "--band takes one value"),
        ("plot study -x epoch -y loss -o a.png -o b.svg", "--out / -o takes one value"),
        ("plot study -x epoch -y loss --out a.png --width 80", "--out and --width exclude each"),
        ("plot study -x epoch -y loss --json --height 20", "--json and --height exclude each"),
        ("sql study 'FROM records' --json --csv", "--json and --csv exclude each other"),
        ("sql study 'FROM records' --limit 1 --limit 2", "--limit takes one value"),
        ("tail study --follow --no-follow", "--follow / --no-follow takes one value"),
        ("tail study -n 1 --count 2 --no-follow", "--count / -n takes one value"),
        ("tail study --no-follow --interval 1", "--no-follow and --interval exclude each other"),
        ("show study --depth 1 --depth 2", "--depth takes one value"),
        ("delete study 2 --error-number 1 --all-runs", "--error-number and --all-runs"),
    ],
)
def test_of_options_that_contradict_none_wins_in_silence(
    run: Run, study: Path, typed: str, message: str
) -> None:
    """With code 2; nothing is printed, written or deleted."""
    result = run(*shlex.split(typed))
    words = " ".join(result.err.replace("│", "").split())
    assert (result.code, result.out) == (2, "")
    assert message in words
    assert not [*Path().glob("*.png"), *Path().glob("*.svg")]


def test_what_may_be_repeated_may_be(run: Run, study: Path) -> None:
    """Keys, conditions, what distinguishes curves; the same option twice is accepted."""
    tail = "tail study --no-follow -k epoch -k loss --where model=m1 --where lr=0.1 --json --json"
    assert [*run(*shlex.split(tail)).json[0]] == ["epoch", "loss"]
    plot = "plot study -x epoch -y loss -y lr --by model --by lr --json"
    assert {*run(*shlex.split(plot)).json[0]["by"]} == {"model", "lr"}
