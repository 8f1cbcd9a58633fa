"""Messages for the usual slips say what to write instead."""

from __future__ import annotations

import datetime as dt
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder.errors import ColumnWarning, RigorousError

NANOSECOND = pl.Series([1]).cast(pl.Datetime("ns"))
SLIPS: dict[str, tuple[Callable[[Recorder], Any], str]] = {
    "a column for a key": (
        lambda r: len(r.records.where(**{"loss:str": "n/a"})),
        "that is a column; conditions take keys, such as 'loss'",
    ),
    "a dict of conditions": (lambda r: r.records.where({"loss": 1}), r"where\(\*\*conditions\)"),
    "nanoseconds of Polars": (lambda r: r.extend({"t": NANOSECOND}), r"\.cast\('int64'\)"),
    "nanoseconds of pandas": (
        lambda r: r.extend(pd.DataFrame({"t": pd.to_datetime([1])})),
        r"Round it to microseconds, .*\.astype\('int64'\)",
    ),
    "a lazy frame": (lambda r: r.extend(pl.LazyFrame({"a": [1]})), r"extend\(frame\.collect\(\)\)"),
    "a list of dicts": (lambda r: r.extend([{"a": 1}]), r"Table\.from_pylist\(rows\)"),
    "a series as a record": (lambda r: r.push(pl.Series("a", [1])), r"extend\(\{'loss': values\}"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_answered_with_the_way_out(slip: str) -> None:
    """In the message of the error."""
    act, way_out = SLIPS[slip]
    recorder = Recorder().push(loss=0.5).push(loss="n/a")
    with pytest.raises(RigorousError, match=way_out):
        act(recorder)


@pytest.mark.parametrize(
    ("text", "encoding", "way_out", "options"),
    [
        ("a;b\n1,5;2\n", "utf-8", "separator=';'", {"separator": ";"}),
        ("a;b\n1;2\n", "utf-8", "separator=';'", {"separator": ";"}),
        ("a\tb\n1\t2\n", "utf-8", r"separator='\t'", {"separator": "\t"}),
        ("a,ü\n1,ü\n", "latin-1", "encoding='latin-1'", {"encoding": "latin-1"}),
    ],
)
def test_a_csv_file_of_another_kind_is_refused_with_its_option(
    tmp_path: Path, text: str, encoding: str, way_out: str, options: dict[str, str]
) -> None:
    """And loaded with it."""
    path = tmp_path / "x.csv"
    path.write_text(text, encoding)
    with pytest.raises(RigorousError, match=re.escape(way_out)):
        Recorder.load_from(path)
    assert len(list(Recorder.load_from(path, **options).records[0])) == 2


def test_a_csv_file_of_one_column_is_loaded(tmp_path: Path) -> None:
    """A key may have any character; of another tool's file the comma tells it."""
    recorder = Recorder().push({"a;b": 1})
    recorder.save_to(tmp_path / "x.csv")
    assert [dict(row) for row in Recorder.load_from(tmp_path / "x.csv").records] == [{"a;b": 1}]
    (tmp_path / "x.csv").write_text("a;b\n1\n")
    loaded = Recorder.load_from(tmp_path / "x.csv", separator=",")
    assert [dict(row) for row in loaded.records] == [{"a;b": 1}]


def test_sentences_end_once(tmp_path: Path) -> None:
    """A question mark is the end of a sentence, and what is not there is not listed."""
    recorder = Recorder().push(model="a", at=dt.date(2026, 1, 1))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ColumnWarning)
        recorder.records.where(modle="a").follow()
    assert "did you mean 'model'? It may still be logged" in str(told[0].message)
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        for wanted in (3, "3"):
            with pytest.raises(RigorousError, match="there are no experiments"):
                collection[wanted]  # type: ignore[index]
