"""CSV and JSON lines: what readers make of them, and that everything comes back."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.json
import pytest
from pyarrow import csv

from rigorous_recorder import ExperimentCollection, Recorder, _flat_files
from rigorous_recorder.errors import (
    ArgumentError,
    DamagedFileError,
    NotEnoughMemoryError,
    UnsupportedValueError,
)

NAN, INF = float("nan"), float("inf")
#: Under each key values of one kind; some texts look like numbers that are not finite.
ROWS: list[dict[str, Any]] = [
    {"loss": 0.5, "text": "a", "config": {"lr": 0.5, "beta": [0.5, 0.25]}, "list": [0.5, 1.5]},
    {"loss": NAN, "text": "NaN", "config": {"lr": NAN, "beta": [INF, 0.5]}, "list": [NAN, -INF]},
    {"loss": INF, "text": "Infinity", "config": {"lr": -INF, "beta": []}, "list": [0.5, 2.5]},
    {"loss": -INF, "text": "", "config": {"lr": 1.5, "beta": [NAN]}, "list": []},
    {"loss": None, "text": None, "config": None, "list": None},
]


def logged(rows: list[dict[str, Any]] = ROWS) -> Recorder:
    recorder = Recorder()
    for row in rows:
        recorder.push(row)
    return recorder


def rows_of(recorder: Recorder) -> list[dict[str, Any]]:
    return [dict(row) for row in recorder.all_records]


def present(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if value is not None} for row in rows]


# --- JSON lines ----------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [ROWS, ROWS[::-1], ROWS[1:2]], ids=["late", "first", "alone"])
def test_every_reader_takes_json_lines_with_nan(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    """And a column of numbers is one to each of them."""
    path = tmp_path / "x.jsonl"
    logged(rows).save_to(path)
    has_number = any(row["loss"] == 0.5 for row in rows)
    loss = [0.5 if row["loss"] == 0.5 else None for row in rows]
    by_polars, by_pandas = pl.read_ndjson(path), pd.read_json(path, lines=True)
    by_arrow = pyarrow.json.read_json(path).column("loss")
    by_duckdb = duckdb.sql(f"SELECT loss FROM '{path}'")
    assert by_polars["loss"].to_list() == loss
    assert by_pandas["loss"].astype(object).where(by_pandas["loss"].notna(), None).tolist() == loss
    assert by_arrow.to_pylist() == loss
    found = [None if each in (None, "null") else float(each) for (each,) in by_duckdb.fetchall()]
    assert found == loss
    if has_number:
        assert (by_polars["loss"].dtype, str(by_arrow.type)) == (pl.Float64, "double")
        assert str(by_duckdb.types[0]) == "DOUBLE"


@pytest.mark.parametrize("program", ["node", "jq"])
def test_strict_programs_take_json_lines_with_nan(tmp_path: Path, program: str) -> None:
    """Those that refuse a bare NaN, or change it without a message."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    logged().save_to(tmp_path / "x.jsonl")
    lines = (tmp_path / "x.jsonl").read_text(encoding="utf-8").splitlines()
    code = "require('fs').readFileSync(0, 'utf8').trim().split('\\n').map(x => JSON.parse(x).loss)"
    command = (
        ["jq", "-c", ".loss"] if program == "jq" else ["node", "-p", f"JSON.stringify({code})"]
    )
    found = subprocess.run(
        command, input="\n".join(lines), capture_output=True, text=True, check=True
    ).stdout
    values = [json.loads(v) for v in found.split()] if program == "jq" else json.loads(found)
    assert [value for value in values if value is not None] == [0.5]


def test_json_lines_come_back(tmp_path: Path) -> None:
    """Also what looks like the spelling of NaN."""
    rows = [*ROWS, {"$nonfinite": ["NaN /a"], "$value": 1, "$$value": "x", "a": "NaN"}]
    logged(rows).save_to(tmp_path / "x.jsonl")
    assert repr(rows_of(Recorder.load_from(tmp_path / "x.jsonl"))) == repr(present(rows))


def test_json_lines_of_an_older_version_come_back(tmp_path: Path) -> None:
    """In which NaN stands bare."""
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    assert "NaN" in path.read_text(encoding="utf-8")
    assert repr(rows_of(Recorder.load_from(path))) == repr(present(ROWS))


def test_json_lines_with_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    """As some editors write them."""
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n', encoding="utf-8-sig")
    assert rows_of(Recorder.load_from(tmp_path / "x.jsonl")) == [{"a": 1}]


# --- JSON text in columns ------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["in memory", "live", "sealed"])
def test_json_text_of_every_engine_is_valid(tmp_path: Path, place: str) -> None:
    """Arrow, Polars, pandas and SQL; what is no number is null to them, and rows have it."""
    collection = ExperimentCollection(tmp_path / "c", quiet=True)
    with collection.new_experiment() as experiment:
        recorder = Recorder() if place == "in memory" else experiment
        for row in ROWS:
            recorder.push({"config": row["config"]})
        if place == "sealed":
            collection.save()
        records = recorder.records
        texts = [
            records.to_arrow()["config"].to_pylist(),
            records.to_polars()["config"].to_list(),
            records.to_polars(lazy=True).collect()["config"].to_list(),
            records.to_pandas()["config"].tolist(),
            [row[0] for row in records.sql("SELECT config FROM records").fetchall()],
        ]
        frame = records.to_polars()
        assert [row["config"] for row in records if "config" in row][1]["beta"] == [INF, 0.5]
        lr = records.sql("SELECT CAST(config->'lr' AS DOUBLE) FROM records").fetchall()
    collection.close()
    for found in texts:
        assert found == texts[0]
        for text in filter(None, found):
            json.loads(text, parse_constant=_refuse)
    assert lr == [(0.5,), (None,), (None,), (1.5,), (None,)]
    decoded = frame["config"].str.json_decode(pl.Struct({"lr": pl.Float64}))
    assert decoded.struct.field("lr").to_list() == [0.5, None, None, 1.5, None]


def _refuse(constant: str) -> None:
    raise ValueError(constant)


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".pickle"])
def test_json_columns_of_tables_come_back(tmp_path: Path, suffix: str) -> None:
    """Dicts and lists with NaN in them."""
    logged().save_to(tmp_path / f"x{suffix}")
    assert repr(rows_of(Recorder.load_from(tmp_path / f"x{suffix}"))) == repr(present(ROWS))


# --- CSV -----------------------------------------------------------------------------------------


def test_readers_infer_numbers_where_nan_stands(tmp_path: Path) -> None:
    """Whole numbers of a column of floats included; DuckDB takes no inf in the first row."""
    rows = [{"x": 1.0, "y": NAN, "z": -0.0}, {"x": NAN, "y": 2.0, "z": INF}, {"y": -INF}]
    logged(rows).save_to(tmp_path / "x.csv")
    text = (tmp_path / "x.csv").read_text(encoding="utf-8")
    assert text == '"x","y","z"\n1.0,NaN,-0.0\nNaN,2.0,inf\n,-inf,\n'
    path = str(tmp_path / "x.csv")
    assert pl.read_csv(path).dtypes == [pl.Float64] * 3
    assert [str(each) for each in duckdb.sql(f"FROM '{path}'").types] == ["DOUBLE"] * 3
    assert [str(each) for each in pd.read_csv(path).dtypes] == ["float64"] * 3
    assert [str(each) for each in csv.read_csv(path).schema.types] == ["double"] * 3
    assert repr(rows_of(Recorder.load_from(path))) == repr(rows)


def test_text_and_json_that_look_like_nan_are_no_missing_values(tmp_path: Path) -> None:
    """Text is in quotes, and JSON of a number that is not finite is an object."""
    logged(ROWS).save_to(tmp_path / "x.csv")
    found = pd.read_csv(tmp_path / "x.csv", keep_default_na=False)["text"].tolist()
    assert found == ["a", "NaN", "Infinity", "", ""]
    config = pl.read_csv(tmp_path / "x.csv")["list"].to_list()
    assert config[1] == '{"$value":[null,null],"$nonfinite":["NaN /0","-Infinity /1"]}'


TEXTS = [
    {"t": "ä,ö", "n": 1, "x": 0.5},
    {"t": 'a;"b"\t', "n": None, "x": 1e300},
    {"t": "l1\nl2\r\n", "n": 3, "x": NAN},
]


@pytest.mark.parametrize("separator", [None, ",", ";", "\t", "|", " "])
@pytest.mark.parametrize("encoding", [None, "utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_csv_comes_back_as_it_was_requested(
    tmp_path: Path, separator: str | None, encoding: str | None
) -> None:
    """With any separator and encoding; the encodings with a mark are found by it."""
    path = tmp_path / "x.csv"
    logged(TEXTS).save_to(path, separator=separator, encoding=encoding)
    assert path.read_bytes().decode(encoding or "utf-8").count(separator or ",") >= 8
    told = encoding if encoding == "latin-1" else None
    for each in {encoding, told}:
        found = Recorder.load_from(path, separator=separator, encoding=each)
        assert repr(rows_of(found)) == repr(present(TEXTS))


def test_records_write_csv_as_it_was_requested(tmp_path: Path) -> None:
    """In bytes that Excel of a country with decimal commas opens as columns."""
    logged([{"ü": 1, "x": 0.5}]).records.save_to(
        tmp_path / "x.csv", separator=";", encoding="utf-8-sig"
    )
    text = '\ufeff"ü";"x"\n1;0.5\n'
    assert (tmp_path / "x.csv").read_bytes() == text.encode()


@pytest.mark.parametrize("separator", ["", ";;", "a", "1", '"', "\n", ".", "-", "\0", "ü", 5])
def test_separators_that_would_not_come_back_are_refused(tmp_path: Path, separator: Any) -> None:
    """Before anything is written."""
    for call in (logged().save_to, Recorder.load_from):
        with pytest.raises(ArgumentError, match="separator"):
            call(tmp_path / "x.csv", separator=separator)  # type: ignore[operator]
    assert not list(tmp_path.iterdir())


def test_encodings_are_checked(tmp_path: Path) -> None:
    """Unknown ones, those that lack a character, and options of a file that is not CSV."""
    (tmp_path / "x.csv").write_text("before", encoding="utf-8")
    with pytest.raises(ArgumentError, match="nowhere"):
        logged().save_to(tmp_path / "x.csv", encoding="nowhere")
    with pytest.raises(UnsupportedValueError, match="can't be written as latin-1"):
        logged([{"t": "\u20ac"}]).save_to(tmp_path / "x.csv", encoding="latin-1")
    assert (tmp_path / "x.csv").read_text(encoding="utf-8") == "before"
    for suffix in (".jsonl", ".parquet", ".arrow", ".pickle"):
        with pytest.raises(ArgumentError, match="only a .csv file"):
            logged().save_to(tmp_path / f"x{suffix}", separator=";")
        with pytest.raises(ArgumentError, match="only a .csv file"):
            Recorder.load_from(tmp_path / f"x{suffix}", encoding="utf-8")


def test_csv_of_another_encoding_is_reported(tmp_path: Path) -> None:
    """Its text is not taken for bytes."""
    (tmp_path / "x.csv").write_bytes("a,b\nü,1\n".encode("latin-1"))
    with pytest.raises(DamagedFileError, match="'a' has text that is not utf-8.*encoding="):
        Recorder.load_from(tmp_path / "x.csv")
    assert rows_of(Recorder.load_from(tmp_path / "x.csv", encoding="latin-1")) == [
        {"a": "ü", "b": 1}
    ]


def test_text_of_many_lines_comes_back_from_a_large_csv_file(tmp_path: Path) -> None:
    """Also where a block of pyarrow's ends in the middle of it."""
    rows = [{"t": "line\n" * 300, "n": number} for number in range(2000)]
    logged(rows).save_to(tmp_path / "x.csv")
    assert rows_of(Recorder.load_from(tmp_path / "x.csv")) == rows


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_records_without_keys_come_back_from_csv(tmp_path: Path, count: int) -> None:
    """A line for each."""
    logged([{}] * count).save_to(tmp_path / "x.csv")
    assert rows_of(Recorder.load_from(tmp_path / "x.csv")) == [{}] * count


def test_an_empty_csv_file_has_no_records(tmp_path: Path) -> None:
    """Not even a line."""
    (tmp_path / "x.csv").touch()
    assert rows_of(Recorder.load_from(tmp_path / "x.csv")) == []


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet", ".arrow"])
def test_a_file_that_needs_more_memory_than_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """Is not reported as damaged."""
    logged().save_to(tmp_path / f"x{suffix}")

    def fail(*_: Any) -> Any:
        raise MemoryError

    save, _ = _flat_files.SUFFIXES[suffix]
    monkeypatch.setitem(_flat_files.SUFFIXES, suffix, (save, fail))
    with pytest.raises(NotEnoughMemoryError, match="more memory than there is") as raised:
        Recorder.load_from(tmp_path / f"x{suffix}")
    assert not isinstance(raised.value, DamagedFileError)


def test_no_memory_for_a_column_is_no_fault_of_its_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """``extend`` hands the MemoryError on."""
    from rigorous_recorder import _columns

    def fail(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(_columns, "classify_unread", fail)
    with pytest.raises(MemoryError):
        Recorder().extend({"x": [[1], [2]]})


@pytest.mark.parametrize("odd", ["a:int", "a:str", "a:float_"])
def test_keys_that_csv_could_not_distinguish_are_refused(tmp_path: Path, odd: str) -> None:
    """Before anything is written; other formats, and the key by itself, come back."""
    recorder = Recorder().push({"a": 1.5}).push({odd: 7})
    with pytest.raises(UnsupportedValueError, match=f"'{odd}' beside 'a'"):
        recorder.save_to(tmp_path / "x.csv")
    assert not list(tmp_path.iterdir())
    for suffix in ("parquet", "arrow", "jsonl"):
        recorder.save_to(tmp_path / f"x.{suffix}")
        found = Recorder.load_from(tmp_path / f"x.{suffix}").records
        assert [dict(row) for row in found] == [{"a": 1.5}, {odd: 7}]
    Recorder().push({odd: 7}).save_to(tmp_path / "alone.csv")
    assert dict(Recorder.load_from(tmp_path / "alone.csv").records[0]) == {odd: 7}
