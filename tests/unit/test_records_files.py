"""`records.save_to`: any selection of records as a flat file, with word of how far it is."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._engines import scanned_rows
from rigorous_recorder.errors import UnknownFileTypeError

SUFFIXES = [".parquet", ".arrow", ".csv", ".jsonl"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_selection_of_records_is_saved(tmp_path: Path, suffix: str) -> None:
    """What `where` leaves is in the file, with the inherited attributes of it."""
    with closing(ExperimentCollection(tmp_path / "study")) as collection:
        for model in ("m1", "m2"):
            collection.recorder.child(model=model).extend({"x": [1, 2, 3], "y": [0.5, 1.5, None]})
        records = collection.records.where(model="m2")
        records.save_to(tmp_path / f"m2{suffix}")
        loaded = Recorder.load_from(tmp_path / f"m2{suffix}").records
        assert [dict(row) for row in loaded] == [dict(row) for row in records]
        assert len(loaded) == 3


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_progress_is_reported_from_nothing_to_all(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of rows that are written only grows, up to the number of all, which is reported."""
    monkeypatch.setattr(scanned_rows, "PIECE_ROWS", 20_000)
    recorder = Recorder()
    recorder.extend({"x": range(100_000), "even": [n % 2 == 0 for n in range(100_000)]})
    told: list[tuple[int, int]] = []
    records = recorder.records.where(even=True)
    records.save_to(tmp_path / f"x{suffix}", progress=lambda *said: told.append(said))
    assert told[0] == (0, 50_000)
    assert told[-1] == (50_000, 50_000)
    assert told == sorted(told)
    assert len(told) > 2


def test_nothing_to_save_is_reported_as_such(tmp_path: Path) -> None:
    """A table without rows is a file as well."""
    told: list[tuple[int, int]] = []
    Recorder(a=1).records.save_to(tmp_path / "x.csv", progress=lambda *said: told.append(said))
    assert told == [(0, 0)]
    assert (tmp_path / "x.csv").exists()


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    """The message lists the formats, and nothing is written."""
    recorder = Recorder().push(a=1)
    expected = (
        "is not a suffix of a supported format; expected .parquet, .arrow, .csv, .tsv, .jsonl,"
        " .xlsx, .csv.gz, .tsv.gz, .jsonl.gz"
    )
    for suffix in (".ods", ".pickle"):
        with pytest.raises(UnknownFileTypeError) as told:
            recorder.records.save_to(tmp_path / f"x{suffix}")
        assert str(told.value).endswith(f"'{suffix}' {expected}")
    assert list(tmp_path.iterdir()) == []


def test_a_recorder_has_one_suffix_more(tmp_path: Path) -> None:
    """Its tree can be stored as well, and the message says so."""
    path = tmp_path / "x.ods"
    path.touch()
    for call in (Recorder().push(a=1).save_to, Recorder.load_from):
        with pytest.raises(UnknownFileTypeError, match=r"expected \.pickle, \.parquet, "):
            call(path)


def test_what_stops_the_progress_leaves_the_old_file(tmp_path: Path) -> None:
    """A file appears whole or not: what was there before stays until then."""
    path = tmp_path / "x.jsonl"
    path.write_text("before")

    def stop(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Recorder().push(a=1).records.save_to(path, progress=stop)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_columns_are_those_of_the_table() -> None:
    """`records.columns` names them in the order of the table."""
    recorder = Recorder(model="m1").push(x=1).push(y="a")
    assert recorder.records.columns == ("model", "x", "y")
    assert list(recorder.records.columns) == recorder.records.to_arrow().column_names
    assert Recorder().records.columns == ()
