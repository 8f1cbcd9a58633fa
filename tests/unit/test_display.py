"""Records, experiments and collections show in a terminal and in a notebook."""

from __future__ import annotations

import copy
import datetime as dt
import pickle
import time
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rigorous_recorder import ExperimentCollection, Recorder, Records
from rigorous_recorder._display.text import (
    bytes_text,
    cut,
    duration_text,
    instant_text,
    one_line,
    pad,
    value_text,
    width,
)
from rigorous_recorder._engines.scan import Scan
from rigorous_recorder._engines.scanned_rows import Scope
from rigorous_recorder._engines.snapshot import Snapshot
from rigorous_recorder._keys import EXPERIMENT_KEYS
from rigorous_recorder._live.column import NODE, Column
from rigorous_recorder._store.fragments import Fragment
from rigorous_recorder._store.reader import StoreSnapshot

from ..property.strategies import family, keys, simple_values


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


class _Cells(HTMLParser):
    """The cells of the tables of a page, row by row, and all tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self._is_in_cell = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, _attrs: Any) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")
            self._is_in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self._is_in_cell = self._is_in_cell and tag not in {"td", "th"}

    def handle_data(self, data: str) -> None:
        if self._is_in_cell:
            self.rows[-1][-1] += data


TAGS = {"div", "table", "thead", "tbody", "tr", "th", "td", "br"}


# --- records -----------------------------------------------------------------------------------


def test_line_of_records_has_the_count_and_the_kinds() -> None:
    """``repr`` is one line."""
    model = Recorder(model="m1").push(epoch=0, loss=0.5).push(epoch=1, loss=1)
    assert repr(model.records) == ("<Records: 2 rows, 3 columns: model str, epoch int, loss float>")
    assert repr(Recorder().records) == "<Records: 0 rows, 0 columns>"


def test_line_of_records_names_the_first_columns_only() -> None:
    """Hundreds of columns are a number."""
    line = repr(Recorder().push({f"c{n}": n for n in range(300)}).records)
    assert line.startswith("<Records: 1 row, 300 columns: c0 int, c1 int, ")
    assert line.endswith("c19 int, and 280 more>")


def test_table_has_first_and_last_rows() -> None:
    """Names over numbers at the right, over text at the left; a missing value is a dash.

    What all rows inherit is in a line above them.
    """
    model = Recorder(model="m1")
    for epoch in range(12):
        model.push(epoch=epoch, loss=1 / 2**epoch)
    model.push(epoch=12, note="日本 <over>")
    assert str(model.records).splitlines() == [
        'in all rows shown: model="m1"',
        "    epoch         loss  note",
        " 0      0            1  -",
        " 1      1          0.5  -",
        " 2      2         0.25  -",
        " 3      3        0.125  -",
        " 4      4       0.0625  -",
        "…",
        " 8      8   0.00390625  -",
        " 9      9   0.00195312  -",
        "10     10  0.000976562  -",
        "11     11  0.000488281  -",
        "12     12            -  日本 <over>",
        "13 rows, 4 columns",
    ]


def test_columns_that_differ_and_the_records_own_are_shown_first() -> None:
    """Also where only recorders between the rows shown have another value; no line is wider."""
    top = Recorder({f"setting_{n}": n for n in range(30)}, when="2026", image=np.zeros((9, 9)))
    for lr in (0.1, 0.5, 0.1):
        model = top.child(lr=lr, had_error=False, empty=None)
        for epoch in range(10):
            model.push({"epoch": epoch, **{f"loss_{n}": n / 2 for n in range(3)}})
    lines = str(top.all_records).splitlines()
    assert lines[0].startswith("in all rows shown: setting_0=0  setting_1=1  setting_2=2  ")
    assert lines[0].endswith("…")
    assert lines[1].split() == ["lr", "epoch", "loss_0", "loss_1", "loss_2"]
    assert max(map(width, lines[:-1])) <= 80
    assert lines[-1] == "not shown: had_error, empty"
    first = top.all_records.where(lr=0.1)[:1]
    assert first[0]["setting_29"] == 29


def test_one_row_has_its_own_columns_and_the_nearest_inherited_ones() -> None:
    """By turns, as far as there is room: neither takes it all."""
    above = Recorder({f"above_{n}": n for n in range(30)})
    head = str(above.push({f"own_{n}": n for n in range(30)}).records).splitlines()[0].split()
    assert head == [*(f"above_{n}" for n in range(26, 30)), *(f"own_{n}" for n in range(5))]


def test_a_wide_configuration_hides_no_column_of_the_records() -> None:
    """Of inherited columns those that differ are shown first, and nearly empty ones last."""
    top = Recorder()
    for number in range(3):
        wide = {f"setting_{n}": n + number for n in range(30)} if number < 2 else {}
        run = top.child({"experiment_number": number, "lr": number / 10, "host": "here", **wide})
        for epoch in range(10 * number + 1):
            run.push(epoch=epoch, loss=1 / (1 + epoch))
    names = str(top.all_records).splitlines()[1].split()
    assert names[:2] == ["experiment_number", "lr"]
    assert names[-2:] == ["epoch", "loss"]


def test_ten_rows_are_shown_whole() -> None:
    """There is no gap where nothing is left out."""
    model = Recorder().extend({"epoch": range(10)})
    lines = str(model.records).splitlines()
    assert [line.split()[-1] for line in lines[1:-1]] == [str(n) for n in range(10)]


def test_rows_keep_their_columns_beside_wide_and_combining_characters() -> None:
    """What takes two columns of a terminal is counted as two, an accent of its own as none."""
    top = Recorder().push(text="日本語", x=1).push(text="e\u0301", x=2).push(text="plain", x=3)
    lines = str(top.records).splitlines()[:-1]
    assert {width(line) for line in lines} == {width(lines[0])}


def test_table_fits_the_terminal_and_names_what_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What describes how an experiment went goes first, then columns far from the records."""
    top = Recorder({"error_number": 0, **{f"column_{n}": n for n in range(12)}}).push(loss=0.5)
    lines = str(top.records).splitlines()
    assert max(map(len, lines[:2])) <= 80
    names = lines[0].split()
    assert names == [*(f"column_{n}" for n in range(5, 12)), "loss"]
    assert lines[2:] == [
        "1 row, 14 columns",
        "not shown: error_number, column_0, column_1, column_2, column_3, column_4",
    ]
    monkeypatch.setenv("COLUMNS", "300")
    assert "not shown" not in str(top.records)


def test_one_column_is_shown_however_narrow_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where all columns are of those that go first."""
    monkeypatch.setenv("COLUMNS", "1")
    lines = str(Recorder(error_number=1).push().records).splitlines()
    assert lines == ["   error_number", "0             1", "1 row, 1 column"]


def test_long_text_is_cut() -> None:
    """A cell ends with an ellipsis where there is more, and a line says where all of it is.

    Columns of text share the line; a number is never cut.
    """
    records = Recorder().push(text="x" * 5_000, name="y" * 20, more="z" * 90, n=123456789).records
    head, line, *below = str(records).splitlines()
    assert head.split() == ["text", "name", "more", "n"]
    assert line == f"0  {'x' * 20}…  {'y' * 20}  {'z' * 20}…  123456789"
    assert below == ["1 row, 4 columns; … is where a value is cut, records[i][key] has all of it"]
    assert "records[i][key] has all of it" in records._repr_html_()


def test_records_without_columns_and_without_rows() -> None:
    """Both are reported."""
    assert str(Recorder().push().push().records).splitlines()[-1] == "2 rows, 0 columns"
    assert str(Recorder(a=1).records).splitlines()[-1] == "0 rows, 1 column"


def test_where_shows_what_it_finds() -> None:
    """Row numbers are those of the records that were requested."""
    top = Recorder()
    for number in range(40):
        top.child(is_odd=bool(number % 2)).push(number=number)
    lines = str(top.all_records.where(is_odd=True)).splitlines()
    assert lines[0] == "in all rows shown: is_odd=True"
    assert lines[2].split() == ["0", "1"]
    assert lines[-2].split() == ["19", "39"]
    assert lines[-1] == "20 rows, 2 columns"


def test_notebook_shows_names_kinds_and_rows() -> None:
    """What all rows inherit, the names, the kinds, the rows with their numbers."""
    top = Recorder(model="<m1>")
    for number in range(11):
        top.push(number=number)
    page = _Cells(top.records._repr_html_())
    assert page.rows[:3] == [["", "number"], ["", "int"], ["0", "0"]]
    assert page.rows[7][0] == "⋮"
    assert page.rows[-1] == ["10", "10"]
    assert "in all rows shown: model=&quot;&lt;m1&gt;&quot;" in top.records._repr_html_()
    assert "11 rows, 2 columns" in top.records._repr_html_()


def test_notebook_reports_which_columns_are_left_out() -> None:
    """Of hundreds of columns twenty are shown, and the first of the others are named."""
    html = Recorder().push({f"c{n}": n for n in range(300)}).records._repr_html_()
    names = _Cells(html).rows[0]
    assert names == ["", *(f"c{n}" for n in range(10)), *(f"c{n}" for n in range(290, 300))]
    assert "1 row, 300 columns<br>not shown: c10, c11, " in html
    assert " and 272 more" in html


def test_a_recorder_is_one_short_line() -> None:
    """The first of its attributes, cut; of the others how many there are."""
    assert repr(Recorder()) == "<Recorder>"
    recorder = Recorder(model="m1", prompt="x" * 5_000, **{f"k{n}": n for n in range(100)})
    assert len(repr(recorder)) < 150
    assert repr(recorder).startswith('<Recorder: model="m1", prompt="xxx')
    assert repr(recorder).endswith("k0=0, k1=1, k2=2, k3=3, +96 keys>")
    assert repr(Recorder(a="\x1b[31m")) == r'<Recorder: a="\x1b[31m">'


def test_a_recorder_of_an_experiment_has_its_number(tmp_path: Path) -> None:
    """Also that of a further attempt, and of a run that shares the parameters of others."""
    with ExperimentCollection(tmp_path / "c") as collection:
        with collection.new_experiment(lr=0.1) as experiment:
            model = experiment.child(model="m1")
        place = f"in {tmp_path / 'c.collection'}"
        assert repr(experiment) == f"<Recorder of experiment 1 {place}: lr=0.1>"
        assert repr(model) == f'<Recorder {place}: model="m1">'
        with collection.resume(1) as attempt:
            pass
        assert repr(attempt) == f"<Recorder of experiment 1, attempt 2 {place}: lr=0.1>"


def _text_of(key: str, value: Any) -> str:
    """A value as it is shown under a key, which can be one that experiments have."""
    if key == "experiment_duration":
        return duration_text(value)
    is_instant = key.startswith("experiment_") and key.endswith("_time")
    return instant_text(value) if is_instant else value_text(value)


@given(
    # No more than twenty columns, of which none is left out.
    rows=st.lists(st.dictionaries(keys, simple_values, max_size=4), min_size=1, max_size=4),
    above=st.dictionaries(keys, simple_values, max_size=4),
)
@example(rows=[{"experiment_duration": False, "experiment_end_time": True}], above={})
@example(rows=[{"experiment_duration": 5, "experiment_end_time": 0.5}], above={})
@example(rows=[{"A": None}], above={"A": None, "a": None})
@settings(deadline=None, max_examples=60)
def test_hostile_names_and_values_come_out_as_text(
    rows: list[dict[str, Any]], above: dict[str, Any]
) -> None:
    """Whatever was logged, the page has the same tags, and every value in its cell."""
    top = Recorder(above)
    for row in rows:
        top.push(row)
    page = _Cells(top.records._repr_html_())
    assert page.tags <= TAGS
    names, *shown = page.rows
    scan = top.records._scan()
    own = {column.key for column in scan.record_columns}
    flats = [flat for flat in scan.flats.values() if len(rows) == 1 or flat.key in own]
    flats.sort(key=lambda flat: (flat.name in EXPERIMENT_KEYS[1:], flat.key in own))
    assert names == ["", *(one_line(flat.name) for flat in flats)]
    if flats:
        assert len(shown.pop(0)) == len(names)  # the kinds
    for number, cells in enumerate(shown):
        row = top.records[number]
        texts = [
            _text_of(flat.key, row[flat.key])
            if row[flat.key] is not None and flat.family in {None, family(row[flat.key])}
            else "-"
            for flat in flats
        ]
        assert cells == [str(number), *(t if len(t) <= 200 else t[:200] + "…" for t in texts)]


@given(row=st.dictionaries(keys, simple_values, max_size=6))
@settings(deadline=None, max_examples=60)
def test_nothing_that_was_logged_breaks_the_lines_of_a_table(row: dict[str, Any]) -> None:
    """There is a line of names, one for each row, and the lines that tell."""
    top = Recorder().push(row).push(row)
    lines = str(top.records).splitlines()
    assert lines[3].startswith("2 rows, ")
    assert len(lines) <= 5
    assert all(line.isprintable() for line in lines)


def test_script_is_text() -> None:
    """A page that shows a record runs nothing that was logged."""
    html = Recorder({"<script>": "<img src=x onerror=alert(1)>"}).push().records._repr_html_()
    assert "&lt;script&gt;" in html
    assert "&lt;img src=x" in html
    assert "<script" not in html


# --- how much is read ----------------------------------------------------------------------------


class _Counting(Fragment):
    """A fragment that counts the values it hands out, ids left out."""

    def __init__(self, fragment: Fragment) -> None:
        super().__init__(fragment.segments, fragment.file_columns, fragment.group_rows)
        self._fragment = fragment
        self.values = 0

    def stored(
        self, group: int, columns: Sequence[Column], *, nodes: bool = True
    ) -> pa.Table | None:
        """The rows of a group, counted."""
        table = self._fragment.stored(group, columns, nodes=nodes)
        if table is not None:
            self.values += table.num_rows * len({*table.column_names} - {NODE})
        return table


class _Fixed:
    """A source with one snapshot."""

    def __init__(self, snapshot: Snapshot, store: Any) -> None:
        self._snapshot = snapshot
        self.store = store

    def now(self) -> Snapshot:
        """That moment."""
        return self._snapshot

    def scan(self, scope: Scope, conditions: dict[str, Any]) -> Scan:
        """A query at that time."""
        return Scan(self._snapshot, scope, conditions)


def _counted(collection: ExperimentCollection, scope: Scope) -> tuple[Records, list[_Counting]]:
    snapshot = collection.records._scan().snapshot
    stored, nodes = snapshot.fragments, snapshot.nodes
    fragments = [_Counting(each) for each in stored.records]
    source: Any = _Fixed(Snapshot(StoreSnapshot(fragments, stored.nodes), nodes), collection._store)
    return Records(source, scope, {}), fragments


@pytest.fixture
def wide(tmp_path: Path) -> ExperimentCollection:
    """Five files of 4,000 rows and 200 columns: fewer than a running writer merges."""
    collection = ExperimentCollection(tmp_path / "wide")
    model = collection.recorder.child(model="m1")
    for start in range(0, 20_000, 4_000):
        step = np.arange(start, start + 4_000)
        model.extend({"step": step, **{f"x{n}": step for n in range(199)}})
        collection.save()
    return collection


def test_page_reads_some_columns_of_the_first_and_the_last_file(
    wide: ExperimentCollection,
) -> None:
    """What is between is not read, however long and wide the table is."""
    records, fragments = _counted(wide, Scope())
    first, *between, last = fragments
    text = str(records)
    assert "19999" in text
    assert (first.values, last.values) == (40 * 4_000, 40 * 4_000)
    assert not any(each.values for each in between)
    assert len(records._repr_html_()) < 20_000
    assert not any(each.values for each in between)


def test_line_reads_nothing(wide: ExperimentCollection) -> None:
    """The number of rows and the kinds are known without."""
    records, fragments = _counted(wide, Scope())
    assert repr(records).startswith("<Records: 20,000 rows, 201 columns: model str, step int, ")
    assert not any(each.values for each in fragments)


def test_records_below_a_recorder_are_read_at_their_ends_too(wide: ExperimentCollection) -> None:
    """Beyond some millions of values, columns are those of the first rows."""
    node = wide.recorder.children[0]._node
    records, fragments = _counted(wide, Scope(node))
    text = str(records)
    assert "20,000 rows, 201 columns" in text
    assert "19999" in text
    assert not any(each.values for each in fragments[1:-1])


def test_kinds_below_a_recorder_are_its_own_where_few_values_are_stored() -> None:
    """Another recorder's columns are not among them."""
    top = Recorder()
    top.child(model="a").push(x=1)
    low = top.child(model="b").push(x="text").push(y=1)
    assert repr(low.records) == "<Records: 2 rows, 3 columns: model str, x str, y int>"


def test_last_rows_are_found_in_earlier_files(tmp_path: Path) -> None:
    """Also where the newest files have none of the records that are requested."""
    collection = ExperimentCollection(tmp_path / "study")
    early, late = collection.recorder.child(name="early"), collection.recorder.child(name="late")
    for file in range(7):
        (early if file in {0, 1, 3} else late).extend({"step": range(4 * file, 4 * file + 4)})
        collection.save()
    lines = str(early.records).splitlines()[2:-1]
    steps = [line.split()[-1] for line in lines if line != "…"]
    assert steps == ["0", "1", "2", "3", "4", "7", "12", "13", "14", "15"]


# --- experiments and collections -----------------------------------------------------------------


@pytest.fixture
def study(tmp_path: Path) -> ExperimentCollection:
    """Two experiments that ended well, one with an error, one without an end."""
    collection = ExperimentCollection(tmp_path / "study", quiet=True)
    for rate in (0.1, 0.01):
        with collection.new_experiment(learning_rate=rate, tag="<b>") as experiment:
            experiment.push(x=1)
    with pytest.raises(ZeroDivisionError):
        with collection.new_experiment():
            raise ZeroDivisionError
    collection.new_experiment({"duration": "long"}).__enter__()
    return collection


def test_experiments_are_a_list_of_rows(study: ExperimentCollection) -> None:
    """Equal to a plain list, indexed and sliced as one; pickled and copied it is one."""
    experiments = study.experiments
    plain = [dict(row) for row in experiments]
    assert experiments == plain
    assert experiments[0] == plain[0]
    assert experiments[-2:] == plain[-2:]
    for other in (pickle.loads(pickle.dumps(experiments)), copy.copy(experiments)):
        assert type(other) is list
        assert other == plain


def test_experiments_print_as_a_table(
    study: ExperimentCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status in words, the start in local time."""
    monkeypatch.setenv("COLUMNS", "120")
    head, *rows, told = str(study.experiments).splitlines()
    assert head.split("  ")[0] == ""
    assert head.split() == [
        *("experiment", "status", "start", "duration"),
        *("learning_rate", "tag", "duration"),
    ]
    assert [row[15:24].strip() for row in rows] == [
        *("finished", "finished", "failed 1", "running")
    ]
    started = instant_text(study.experiments[0]["experiment_start_time"])
    assert started in rows[0]
    assert [row.split()[-1] for row in rows] == ["-", "-", "-", "long"]
    assert told == "4 experiments"


def test_experiments_in_a_notebook(study: ExperimentCollection) -> None:
    """The same table, with what was logged as text."""
    page = _Cells(study.experiments._repr_html_())
    assert page.tags <= TAGS
    assert len(page.rows) == 5
    assert page.rows[1][6] == "<b>"
    assert page.rows[4][-1] == "long"


def test_of_many_experiments_the_first_and_last_are_shown(tmp_path: Path) -> None:
    """Ten at each end."""
    collection = ExperimentCollection(tmp_path / "study")
    for _ in range(23):
        with collection.new_experiment():
            pass
    lines = str(collection.experiments).splitlines()
    assert [line.split()[0] for line in lines[10:13]] == ["9", "…", "13"]
    assert lines[-1] == "23 experiments"


def test_experiments_as_tables(study: ExperimentCollection) -> None:
    """Arrow, Polars and pandas have a column for every key and the values of the rows."""
    table = study.experiments.to_arrow()
    assert table.column_names[:3] == ["experiment_number", "error_number", "had_error"]
    assert table["learning_rate"].to_pylist() == [0.1, 0.01, None, None]
    assert study.experiments.to_polars()["tag"].to_list() == ["<b>", "<b>", None, None]
    assert list(study.experiments.to_pandas()["experiment_number"]) == [1, 2, 3, 3]


def test_no_experiments(tmp_path: Path) -> None:
    """An empty list shows as an empty table."""
    experiments = ExperimentCollection(tmp_path / "study").experiments
    assert experiments == []
    assert str(experiments).splitlines()[-1] == "0 experiments"
    assert len(_Cells(experiments._repr_html_()).rows) == 1
    assert experiments.to_arrow().num_rows == 0


def test_collection_says_where_it_is_and_how_much_is_in_it(tmp_path: Path) -> None:
    """One line, in a notebook too; the path is text."""
    collection = ExperimentCollection(tmp_path / "<i>study")
    with collection.new_experiment() as experiment:
        experiment.push(x=1).push(x=2)
    collection.close()
    size = bytes_text(collection.size_on_disk())
    assert repr(collection) == (
        f"<ExperimentCollection {tmp_path}/<i>study.collection: 1 experiment, 2 records, {size}>"
    )
    html = collection._repr_html_()
    assert f"{tmp_path}/&lt;i&gt;study.collection" in html
    assert f"1 experiment, 2 records, {size}" in html


# --- texts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "True"),
        (2**62, "4611686018427387904"),
        (1 / 3, "0.333333"),
        (float("nan"), "nan"),
        (-0.0, "-0"),
        ("a\tb", "a\\tb"),
        (b"\0", "b'\\x00'"),
        (dt.date(2024, 1, 2), "2024-01-02"),
        (dt.datetime(2024, 1, 2, 3, 4, tzinfo=dt.UTC), "2024-01-02 03:04:00+00:00"),
        (dt.timedelta(hours=1), "1:00:00"),
        (np.zeros((2, 3), "float32"), "float32[2x3]"),
        ({"a": [1, 2]}, "{'a': [1, 2]}"),
        (list(range(9)), "[0, 1, 2, 3, ...]"),
    ],
)
def test_values_as_text(value: Any, text: str) -> None:
    """Each kind has a short text."""
    assert value_text(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "0.25 s"),
        (59, "59 s"),
        (200.4, "3 min 20 s"),
        (7_500, "2 h 5 min"),
        (4_000_000, "1,111 h 6 min"),
        (float("nan"), "nan"),
        ("long", "long"),
        (True, "True"),
    ],
)
def test_durations_as_text(seconds: Any, text: str) -> None:
    """Seconds as people say them; what is no duration stays as it is."""
    assert duration_text(seconds) == text


@pytest.fixture
def _two_hours_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "EET-2")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01 02:00:00"),
        (1.7e9, "2023-11-15 00:13:20"),
        (1e30, "1e+30"),
        (float("nan"), "nan"),
        ("soon", "soon"),
        (True, "True"),
    ],
)
@pytest.mark.usefixtures("_two_hours_east")
def test_instants_as_text(seconds: Any, text: str) -> None:
    """Seconds since the epoch as a local date and time, as `rigorous ls` has them."""
    assert instant_text(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (999_960, "1.0 MB"),
        (2_500_000, "2.5 MB"),
        (27_400_000, "27.4 MB"),
        (3 * 10**15, "3,000.0 TB"),
    ],
)
def test_sizes_as_text(size: int, text: str) -> None:
    """Thousands, not powers of two."""
    assert bytes_text(size) == text


@given(text=st.text(), most=st.integers(1, 20))
def test_cut_text_is_never_wider(text: str, most: int) -> None:
    """It is a start of the text with an ellipsis, or the text itself; padded it is as wide."""
    shown = cut(one_line(text), most)
    assert width(shown) <= most
    assert shown == one_line(text) or one_line(text).startswith(shown[:-1])
    assert width(pad(shown, 20)) == width(pad(shown, 20, is_right=True)) == 20
