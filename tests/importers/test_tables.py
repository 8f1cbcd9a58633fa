"""Tables of any tool: the cells of CSV files, the types of Parquet files, and the levels of both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.importers import import_runs
from rigorous_recorder.importers.lines import distinct

ORIGIN = {"run", "run_id", "source", "source_format", "status"}


def imported(file: Path, **options: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """The records of an import without the attributes of their run, and the lines of its report."""
    with ExperimentCollection(file.with_suffix(".study"), quiet=True) as collection:
        done = import_runs(file, collection, **options)
        experiment = {*collection.experiments[0].recorder.local_data} - {*options.get("parent", ())}
        rows = [
            {k: v for k, v in dict(row).items() if v is not None and k not in experiment}
            for row in collection.records
        ]
        return rows, [each.text for each in done.report.losses]


def of_csv(folder: Path, text: str | bytes, name: str = "t.csv", **options: Any) -> Any:
    file = folder / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return imported(file, **options)


def test_quotes_inside_of_a_cell_are_characters(tmp_path: Path) -> None:
    """Only a cell that begins with one is in quotes, and can have line breaks, which stay as they are."""
    text = 'a,b\r\n1,5" disk\r\n2,"x\r\ny ""q"""\r\n3,"p\nq"\r\n4,7" disk\r\n'
    rows, report = of_csv(tmp_path, text)
    assert rows == [
        {"a": 1, "b": '5" disk'},
        {"a": 2, "b": 'x\r\ny "q"'},
        {"a": 3, "b": "p\nq"},
        {"a": 4, "b": '7" disk'},
    ]
    assert report == []


def test_a_row_that_ends_within_quotes_is_reported_and_taken_once_it_is_whole(
    tmp_path: Path,
) -> None:
    """Also without ``--follow``: a next import reads it again."""
    file = tmp_path / "t.csv"
    file.write_text('a,b\n1,x\n2,"to be', "utf-8")
    assert imported(file) == ([{"a": 1, "b": "x"}], ["ends within quotes"])
    with file.open("a") as opened:
        opened.write('\ncontinued"\n3,y\n')
    rows = [{"a": 1, "b": "x"}, {"a": 2, "b": "to be\ncontinued"}, {"a": 3, "b": "y"}]
    assert imported(file) == (rows, [])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("007", "007"),
        ("-01", "-01"),
        ("-0", -0.0),
        ("0", 0),
        ("-12", -12),
        ("00.5", 0.5),
        ("1e3", 1000.0),
        ("1_000", "1_000"),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("true", True),
        ("FALSE", False),
        ("False", False),
        ("None", "None"),
        ("١٢", "١٢"),
        ("x" * 200_000, "x" * 200_000),
    ],
)
def test_cells_have_their_values(text: str, value: Any, tmp_path: Path) -> None:
    """Digits behind a zero are a name; the words for bools of databases and other languages are bools."""
    rows, report = of_csv(tmp_path, f"a,b\n1,{text}\n")
    assert repr(rows) == repr([{"a": 1, "b": value}])
    assert report == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("x;y\n1;2,5\n", {"x": 1, "y": "2,5"}),
        ("x\ty\n1\t2\n", {"x": 1, "y": 2}),
        ("x,y;z\n1,2\n", {"x": 1, "y;z": 2}),
        ("\ufeffx,x,,\n1,2,3,4\n", {"x": 1, "x (2)": 2, "": 3, " (2)": 4}),
    ],
)
def test_columns_have_a_separator_and_names_of_their_own(
    text: str, names: dict[str, Any], tmp_path: Path
) -> None:
    """The first of comma, semicolon and tab that separates any; no column replaces another."""
    assert of_csv(tmp_path, text) == ([names], [])


def test_text_that_is_no_utf_8_is_reported(tmp_path: Path) -> None:
    """No character is replaced in silence."""
    rows, report = of_csv(tmp_path, "a\né\n".encode("latin-1"))
    assert rows == [{"a": "\ufffd"}]
    assert report == ["rows that are not valid UTF-8: with U+FFFD instead of such bytes"]
    rows, report = of_csv(tmp_path, "a\né\n".encode("utf-16"), "u.csv")
    assert (rows, report) == ([], ["is UTF-16, not UTF-8: not taken"])


def test_a_row_without_one_level_has_those_below_it(tmp_path: Path) -> None:
    """It is not a row of another level's recorder; a level that no row has is reported."""
    text = "run,episode,x\n1,1,10\n,1,20\n2,,30\n1,1,40\n"
    rows, report = of_csv(tmp_path, text, parent=["run", "episode", "seed"])
    assert report == ["no row has a value of --parent seed"]
    assert rows == [
        {"run": 1, "episode": 1, "x": 10},
        {"run": "t.csv", "episode": 1, "x": 20},
        {"run": 2, "x": 30},
        {"run": 1, "episode": 1, "x": 40},
    ]


TIME = 1_600_000_000_123_456
COLUMNS = {
    "whole": pa.array([TIME * 1000, None, 0], pa.timestamp("ns", "UTC")),
    "exact": pa.array([TIME * 1000 + 789, None, 2000], pa.timestamp("ns")),
    "span": pa.array([1, None, 3000], pa.duration("ns")),
    "list": pa.array([[1, 2], None, [3]]),
    "box": pa.array([[0.5, 1.0], [0.0, 1.0], [2.0, 3.0]], pa.list_(pa.float32(), 2)),
    "names": pa.array([["a", None], None, []]),
    "map": pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64())),
    "blob": pa.array([{"in": b"x"}, None, None]),
    "file": pa.array([{"bytes": b"x", "path": "x.png"}, None, {"bytes": b"y", "path": None}]),
    "big": pa.array([2**64 - 1, None, 0], pa.uint64()),
}
WANTED: dict[str, list[Any]] = {
    "whole": [datetime.fromtimestamp(TIME / 1e6, UTC), None, datetime.fromtimestamp(0, UTC)],
    "exact": ["2020-09-13 12:26:40.123456789", None, datetime(1970, 1, 1, 0, 0, 0, 2)],
    "span": ["1 ns", None, timedelta(microseconds=3)],
    "list": [[1, 2], None, [3]],
    "box": [[0.5, 1.0], [0.0, 1.0], [2.0, 3.0]],
    "names": [["a", None], None, []],
    "map": [[["k", 1]], None, []],
    "blob": ["{'in': b'x'}", None, None],
    "file": [b"x", None, b"y"],
    "file/name": ["x.png", None, None],
    "big": [2**64 - 1, None, 0],
}


@pytest.mark.parametrize("parent", [[], ["group"]])
def test_a_column_that_cannot_be_stored_changes_no_other(parent: list[str], tmp_path: Path) -> None:
    """Its values are text, which is reported; arrays stay arrays, also below levels."""
    file = tmp_path / "t.parquet"
    pq.write_table(pa.table({"group": [1, 1, 2], **COLUMNS}), file)
    rows, report = imported(file, parent=parent)
    found = {key: [row.get(key) for row in rows] for key in WANTED}
    assert {key: list(map(shown, each)) for key, each in found.items()} == {
        key: list(map(shown, each)) for key, each in WANTED.items()
    }
    assert {type(each).__name__ for each in (rows[0]["list"], rows[0]["box"])} == {"ndarray"}
    assert report == [
        "times and durations with nanoseconds: as text",
        "values that can't be stored: as text",
    ]


def test_times_that_are_whole_microseconds_are_none_of_those_as_text(tmp_path: Path) -> None:
    """Tables of pandas have nanoseconds as their unit, and seldom in their values."""
    times = pa.array([TIME * 1000, None], pa.timestamp("ns", "UTC"))
    pq.write_table(pa.table({"seen": times}), tmp_path / "t.parquet")
    rows, report = imported(tmp_path / "t.parquet")
    assert [row.get("seen") for row in rows] == [datetime.fromtimestamp(TIME / 1e6, UTC), None]
    assert report == []


class Name(str):
    """A text that counts how often any is compared."""

    __slots__ = ()
    compared: ClassVar[int] = 0

    def __eq__(self, other: object) -> bool:
        Name.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_names_of_columns_cost_the_same_however_many_there_are() -> None:
    """Those that are there again get the lowest number that is free."""
    assert distinct(["a", "a (2)", "a", "a", "b"]) == ["a", "a (2)", "a (3)", "a (4)", "b"]
    names: list[str] = [Name(number) for number in range(2000)]
    Name.compared = 0
    assert distinct(names) == [str(number) for number in range(2000)]
    assert Name.compared < 10 * len(names)


def shown(value: Any) -> str:
    return repr(value.tolist() if hasattr(value, "tolist") else value)


def test_columns_of_one_name_are_apart_in_parquet(tmp_path: Path) -> None:
    """As in CSV files."""
    file = tmp_path / "t.parquet"
    pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=["x", "x"]), file)
    assert imported(file) == ([{"x": 1, "x (2)": 2}], [])


def test_rows_of_levels_that_alternate_stay_in_order(tmp_path: Path) -> None:
    """Few rows or many of a level, one after the other."""
    levels = [*[0] * 20, *[1, 0] * 5, *[1] * 20]
    file = tmp_path / "t.parquet"
    pq.write_table(pa.table({"level": levels, "x": list(range(50))}), file)
    rows, _ = imported(file, parent=["level"])
    assert [row["x"] for row in rows] == list(range(50))
    assert [row["level"] for row in rows] == levels
