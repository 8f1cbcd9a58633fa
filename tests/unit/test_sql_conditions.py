"""``where`` with SQL text: one expression over columns, with one meaning in every engine."""

from __future__ import annotations

import datetime as dt
import math
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection, Recorder, Row
from rigorous_recorder.errors import (
    ArgumentError,
    ArgumentTypeError,
    ColumnError,
    ColumnWarning,
    MixedKindsWarning,
    RigorousError,
)

from .test_where import ENGINES, collection

__all__ = ["collection"]

_Holds = Callable[[Row], Any]


def _is_like(row: Row, start: str) -> bool:
    return row["model"] is not None and row["model"].startswith(start)


#: Texts and keywords, and what they mean in Python; columns are own, inherited, both or neither.
CONDITIONS: list[tuple[list[str], dict[str, Any], _Holds]] = [
    (["step < 2"], {}, lambda row: row["step"] is not None and row["step"] < 2),
    (["model like 'a%'"], {}, lambda row: _is_like(row, "a")),
    (["rate > 0.15 and step >= 1"], {}, lambda row: row["rate"] > 0.15 and (row["step"] or 0) >= 1),
    (["model = 'b' or step = 0"], {}, lambda row: row["model"] == "b" or row["step"] == 0),
    (["tag = 'own'"], {}, lambda row: row["tag"] == "own"),
    (
        ["tag like 'of%' and model in ('a', 'c')"],
        {"step": [0, 2]},
        lambda row: row["tag"] != "own" and row["model"] == "a" and row["step"] in {0, 2},
    ),
    (
        ["step is null"],
        {"experiment_number": range(2, 9)},
        lambda row: row["step"] is None and row["experiment_number"] == 2,
    ),
    (["not model = 'a'", "i % 2 = 1 -- odd"], {}, lambda row: row["model"] == "b" and row["i"] % 2),
    (
        ['"STEP" BETWEEN 1 AND 1 and records.i > 100'],
        {},
        lambda row: row["step"] == 1 and row["i"] > 100,
    ),
    (["true"], {}, lambda row: row is not None),
    (["experiment_end_time is null"], {}, lambda row: row is None),
]


@pytest.mark.parametrize("number", range(len(CONDITIONS)))
def test_a_text_means_the_same_in_every_engine(
    collection: ExperimentCollection, number: int, tmp_path: Path
) -> None:
    """As in Python, row by row; and as in DuckDB's own WHERE."""
    texts, values, holds = CONDITIONS[number]
    wanted = [row["i"] for row in collection.records if holds(row)]
    records = collection.records.where(*texts, **values)
    if wanted:
        for engine, read in ENGINES.items():
            assert read(records, tmp_path) == wanted, engine
    assert len(records) == len(wanted)
    chained = collection.records.where(**values)
    for text in texts:
        chained = chained.where(text)
    assert [row["i"] for row in chained] == wanted
    where = "\n) and (".join(texts)
    found = collection.records.where(**values).sql(f"SELECT i FROM records WHERE ({where}\n)")
    assert [i for (i,) in found.fetchall()] == wanted
    assert len(pickle.loads(pickle.dumps(records))) == len(wanted)


def test_a_part_gives_a_text_the_meaning_that_the_whole_does() -> None:
    """Also where it has values of another kind alone, and in what follows it."""
    top = Recorder()
    parts = [top.child(part=n).push(i=n, x=x) for n, x in enumerate([1, 0.5, "high", math.nan])]
    with pytest.warns(MixedKindsWarning, match="several kinds were logged under 'x'"):
        assert [row["i"] for row in top.all_records.where("x < 2")] == [0, 1]
    for text, found in (
        ("x < 2", [0, 1]),
        ("x > 2", [3]),  # NaN is the greatest number, as in all of SQL
        ("\"x:str\" = 'high'", [2]),
        ("x is null", [2]),
        ("x / 2 = 0.5", [0]),
    ):
        assert [row["i"] for row in top.all_records.where(text)] == found
        assert [n for n, part in enumerate(parts) if len(part.records.where(text))] == found
        stop = Event()
        stop.set()
        assert [row["i"] for row in top.all_records.where(text).follow(stop=stop)] == found


def test_a_text_sees_values_of_every_kind_as_sql_does() -> None:
    """Times, bytes, arrays, dicts; own and inherited."""
    values = {
        "day": dt.date(2026, 1, 2),
        "naive": dt.datetime(2026, 1, 2, 3),
        "zoned": dt.datetime(2026, 1, 2, 3, tzinfo=dt.timezone(dt.timedelta(hours=2))),
        "took": dt.timedelta(days=200_000),
        "raw": b"\x00\xff",
        "flag": True,
        "scores": {"helpful": 3},
        "big": 2**70,
    }
    texts = [
        "day = '2026-01-02' and year(day) = 2026",
        "naive < TIMESTAMP '2026-01-03'",
        "zoned = '2026-01-02 01:00:00+00'",
        "took > INTERVAL 199999 DAY",
        "octet_length(raw) = 2",
        "flag",
        "scores->>'helpful' = '3'",
        f"big > {2**69}",
    ]
    top = Recorder().push(i=2).push(values, i=3)
    top.child(values).push(i=4)
    for text in texts:
        assert [row["i"] for row in top.all_records.where(text)] == [3, 4], text
        assert [row["i"] for row in top.all_records.where(text, "i > 3")] == [4], text


REFUSED = {
    "": "syntax error",
    "SELECT 1": "syntax error",
    "i = 1;": "syntax error",
    "i = 1; DROP TABLE records": "Only SELECT",
    "true; select 1": "2 statements",
    "true) OR (true": "syntax error",
    "i = 1 ORDER BY i": "more follows",
    "i = 1 UNION SELECT 1": "more follows",
    "i = 1 GROUP BY ALL": "more follows",
    "i = 1 /* open": "unterminated",
    "i IN (SELECT 1)": "a query in it",
    "EXISTS (FROM '/etc/passwd')": "a query in it",
    "(SELECT content FROM read_text('/etc/passwd')) = 'x'": "a query in it",
    "i = ?": "a parameter",
    "i = $1": "a parameter",
    "* = 1": "a star",
    "COLUMNS(*) > 1": "a star",
    "#1 = 1": "column by its number",
    "row_number() OVER () = 1": "a window function",
    "random() < 0.5": "another result each time",
    "i = 1\0": "NUL",
    "i = '\ud800'": "surrogate",
    "+".join(["i"] * 2_000) + " > 1": "depth|deeply",
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_text_that_is_not_one_condition_is_refused_at_once(text: str) -> None:
    """Before anything is read; the message has an example."""
    records = Recorder().push(i=1).records
    with pytest.raises(ArgumentError, match=f'(?s)where.*({REFUSED[text]}).*such as "loss < 0.1'):
        records.where(text)


@pytest.mark.parametrize("wrong", [3, None, b"i = 1", {"i": 1}, lambda row: row["i"] > 1])
def test_what_is_no_text_is_refused(wrong: Any) -> None:
    """Functions and mappings are no conditions."""
    with pytest.raises(
        ArgumentTypeError, match="a condition is SQL text, such as .*, or key=value"
    ):
        Recorder().push(i=1).records.where(wrong)


UNFIT = {
    "modle = 'a'": r'no column "modle"; did you mean "model"\?$',
    'model = "cnn"': "no column \"cnn\".*written in single quotes: 'cnn'",
    "train/loss > 1": r'no column "train"; did you mean "train/loss"\?',
    "model.x = 1": r'no column "model.x"',
    "config.lr > 0": 'write "config.lr", in double quotes',
    "rowid = 1": r'no column "rowid"',
    "i": "a value of type BIGINT, not a condition",
    "sum(i) > 1": "cannot contain aggregates",
    "unnest([i = 1])": "UNNEST not supported",
    "nothing(i)": "nothing does not exist",
    "read_text('/etc/passwd') = 'x'": "read_text|does not exist",
    "i like 'x' and i and model": "VARCHAR|convert|No function matches",
}


@pytest.mark.parametrize("text", UNFIT)
def test_a_text_that_does_not_fit_the_columns_is_refused_when_it_is_read(text: str) -> None:
    """By whoever reads, with near names; who follows is warned."""
    recorder = Recorder(model="a").push({"i": 1, "train/loss": 2, "config": {"lr": 1}})
    for read in (len, list, lambda records: records.to_polars(lazy=True)):
        with pytest.raises(ColumnError, match=f"where.*{UNFIT[text]}"):
            read(recorder.records.where(text))


def test_a_name_that_may_still_come_is_no_error_to_who_follows() -> None:
    """It is missing until then; and where nothing was logged no name is refused."""
    recorder, stop = Recorder(), Event()
    assert len(recorder.all_records.where("loss < 1 and model like 'a%'")) == 0
    recorder.push(i=1)
    with pytest.warns(ColumnWarning, match='no column "model".*may still be logged'):
        rows = recorder.all_records.where("model like 'a%'").follow(stop=stop)
    recorder.child(model="ab").push(i=2)
    assert next(rows)["i"] == 2
    stop.set()
    assert list(rows) == []


def test_what_fails_for_a_value_is_reported_and_can_be_left_out_before() -> None:
    """A condition is asked only of what earlier ones left, so is a part of one."""
    top = Recorder()
    top.child(kind="number").push(x="3", i=1).push(x="5", i=2)
    top.child(kind="word").push(x="three", i=3)
    cast = "CAST(x AS INTEGER) > 3"
    with pytest.raises(ArgumentError, match=r"CAST\(x AS.*Conversion Error: Could not convert"):
        list(top.all_records.where(cast))
    narrowed = [
        top.all_records.where(kind="number").where(cast),
        top.all_records.where(cast, kind="number"),
        top.all_records.where("kind = 'number'", cast),
        top.all_records.where(f"kind = 'number' and {cast}"),
    ]
    for records in narrowed:
        assert [row["i"] for row in records] == [2]


def test_names_that_differ_only_in_case_mean_the_key_that_is_spelled_so() -> None:
    """As in ``sql``; where two spellings meet it is an error."""
    records = Recorder().push(loss=0.5, i=1).push(Loss=7.0, i=2).records
    assert [row["i"] for row in records.where("loss < 1")] == [1]
    assert [row["i"] for row in records.where("Loss > 1")] == [2]
    with pytest.raises(ColumnError, match="Write \"loss\" for 'loss', \"Loss_2\" for 'Loss'"):
        len(records.where("Loss > 1 or loss > 1"))
    assert len(records.where('"Loss_2" > 1 or loss < 1')) == 2


def test_a_condition_on_what_recorders_know_reads_no_records_of_others(tmp_path: Path) -> None:
    """A part that is joined by AND decides by itself which files are read."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        for lr in (0.1, 0.2):
            with collection.new_experiment(lr=lr) as experiment:
                experiment.push(x=1)
            collection.save()
        for text in ("lr > 0.15", "lr > 0.15 and x = 1", "x = 1 and (lr > 0.15 or lr < 0)"):
            records = collection.records.where(text)
            assert len(records) == 1
            assert len(records._scan().files) == 1, text


def test_conditions_are_evaluated_in_threads_and_in_a_forked_child() -> None:
    """Neither uses a connection of another."""
    records = Recorder().push(x=1).push(x=2).records.where("x > 1")
    assert len(records) == 1
    found: list[int] = []
    threads = [Thread(target=lambda: found.append(len(list(records)))) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == [1] * 4
    child = os.fork()
    if not child:
        os._exit(0 if [row["x"] for row in records.where("x < 3")] == [2] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_large_inherited_text_is_not_copied_for_each_row() -> None:
    """What is asked of rows is asked of so many at a time as fit."""
    recorder = Recorder(prompt="x" * 1_000_000).extend({"x": list(range(2_000))})
    for text, count in (("prompt like 'x%' and x < 3", 3), ("prompt like 'y%' or x < 3", 3)):
        assert len(recorder.records.where(text)) == count


def test_a_value_is_not_a_condition_in_any_table(tmp_path: Path) -> None:
    """DuckDB would take 1 for true, and 'false' for false."""
    collection = ExperimentCollection(tmp_path / "study", quiet=True)
    with collection.new_experiment(lr=0.1, name_of="m1") as experiment:
        experiment.push(loss=1.0)
    tables = (collection.records, collection.level("lr"), collection.experiments)
    for text in ("lr", "1", "lr + 1", "name_of", "'false'", "[true]", "current_date"):
        for table in tables:
            with pytest.raises(ColumnError, match="not a condition"):
                list(table.where(text))
    for text in ("NULL", "lr > 1", "lr < 1"):
        assert {len(list(table.where(text))) for table in tables} == {int(text == "lr < 1")}


#: Conditions with a fault that has nothing to do with what rows they are about.
FAULTS: list[tuple[list[Any], dict[str, Any], type[RigorousError]]] = [
    ([], {"raet": 1}, ColumnError),
    ([], {"rate": "abc"}, ColumnError),
    (["raet = 1"], {}, ColumnError),
    (["config.lr = 1"], {}, ColumnError),
    (["rate"], {}, ColumnError),
    (["rate like 3"], {}, ColumnError),
    (["nothing(rate)"], {}, ColumnError),
    (["count(*) > 1"], {}, ColumnError),
    (["rate = 'abc'"], {}, ArgumentError),
    (["rate = = 1"], {}, ArgumentError),
    ([5], {}, ArgumentTypeError),
]


@pytest.mark.filterwarnings("ignore::rigorous_recorder.errors.MixedKindsWarning")
def test_the_same_fault_is_the_same_error_for_records_and_experiments(tmp_path: Path) -> None:
    """By type and words, except for the columns that are listed."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        with collection.new_experiment(rate=0.5, config={"lr": 1}) as run:
            run.push(step=1)
        for texts, values, kind in FAULTS:
            with pytest.raises(kind) as first:
                list(collection.records.where(*texts, **values))
            with pytest.raises(kind) as second:
                collection.experiments.where(*texts, **values)
            assert type(first.value) is type(second.value) is kind
            listed = "there are"
            assert str(first.value).partition(listed)[0] == str(second.value).partition(listed)[0]
        assert len(collection.experiments.where('experiments.rate = 0.5 and "config.lr" = 1')) == 1
