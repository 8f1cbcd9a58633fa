"""Charts: their numbers are those computed by hand, and what they leave out or merge they tell."""

from __future__ import annotations

import datetime as dt
import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, quantiles, stdev
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rigorous_recorder import Curve, Curves, ExperimentCollection, Recorder
from rigorous_recorder.errors import ArgumentError, ColumnError, UnknownFileTypeError
from rigorous_recorder.plotting import BANDS, Band

pytest.importorskip("matplotlib")
pytest.importorskip("plotext")

#: (model, epoch, loss)
LOGGED = [
    ("m1", 0, 4.0),
    ("m1", 0, 2.0),
    ("m1", 1, 1.0),
    ("m1", 1, 3.0),
    ("m1", 1, 8.0),
    ("m2", 0, 5.0),
    ("m2", 2, 7.0),
]


def recorder_of(rows: Sequence[dict[str, Any]]) -> Recorder:
    recorder = Recorder()
    for row in rows:
        recorder.push(row)
    return recorder


@pytest.fixture
def study() -> Recorder:
    study = Recorder(study="s")
    models = {name: study.child(model=name) for name in ("m2", "m1")}
    for name, epoch, loss in LOGGED:
        models[name].push(epoch=epoch, loss=loss)
    return study


def only(curves: Curves) -> Curve:
    (curve,) = curves.curves
    return curve


# --- numbers -------------------------------------------------------------------------------------


def test_without_by_there_is_one_curve_of_means_over_all(study: Recorder) -> None:
    """All records with the same x meet in one mean, whatever they inherit."""
    curve = only(study.all_records.plot("epoch", "loss"))
    assert curve.by == {}
    assert curve.x == [0, 1, 2]
    assert curve.count == [3, 3, 1]
    assert curve.mean == [pytest.approx(11 / 3), 4.0, 7.0]


def test_by_distinguishes_curves_in_order_of_its_values(study: Recorder) -> None:
    """Each value that a parent has is a curve of its own, with only its own records."""
    first, second = study.all_records.plot("epoch", "loss", by="model").curves
    assert (first.by, first.x, first.mean) == ({"model": "m1"}, [0, 1], [3.0, 4.0])
    assert (second.by, second.x, second.mean) == ({"model": "m2"}, [0, 2], [5.0, 7.0])
    assert [first.label, second.label] == ["model=m1", "model=m2"]


def test_several_keys_distinguish_curves_and_a_missing_one_is_none(study: Recorder) -> None:
    """Curves are distinguished by the values of all keys; records without one have a curve as well."""
    study.child(model="m1", seed=1).push(epoch=0, loss=9.0)
    curves = study.all_records.plot("epoch", "loss", by=["model", "seed"]).curves
    labels = [each.label for each in curves]
    assert sorted(labels) == ["model=m1, seed=1", "model=m1, seed=none", "model=m2, seed=none"]


BY_HAND: dict[Band, tuple[float, float]] = {
    "std": (fmean([1, 3, 8]) - stdev([1, 3, 8]), fmean([1, 3, 8]) + stdev([1, 3, 8])),
    "sem": (4 - stdev([1, 3, 8]) / math.sqrt(3), 4 + stdev([1, 3, 8]) / math.sqrt(3)),
    "minmax": (1, 8),
    "quantile": (
        quantiles([1, 3, 8], n=4, method="inclusive")[0],
        quantiles([1, 3, 8], n=4, method="inclusive")[2],
    ),
    "none": (4, 4),
}


@pytest.mark.parametrize("band", BANDS)
def test_the_band_is_that_computed_by_hand(study: Recorder, band: Band) -> None:
    """Each kind of band has its ends where the formula has them."""
    curve = study.all_records.plot("epoch", "loss", by="model", band=band).curves[0]
    assert (curve.low[1], curve.high[1]) == pytest.approx(BY_HAND[band])


@pytest.mark.parametrize("band", BANDS)
def test_the_band_of_one_value_is_that_value(study: Recorder, band: Band) -> None:
    """Where no two records meet there is no spread."""
    curve = study.all_records.plot("epoch", "loss", by="model", band=band).curves[1]
    assert curve.low == curve.mean == curve.high == [5.0, 7.0]


def test_all_bands_are_tried() -> None:
    """The bands by hand are all there are."""
    assert set(BY_HAND) == set(BANDS) == set(get_args(Band))


def test_records_without_x_or_y_are_in_no_mean(study: Recorder) -> None:
    """A record that lacks one of the two has no place in the chart, and is nothing to tell of."""
    study.push(epoch=0).push(loss=100.0).push(other=1)
    curves = study.all_records.plot("epoch", "loss")
    assert only(curves).count == [3, 3, 1]
    assert curves.left_out == 0


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_nan_and_infinities_are_left_out_and_reported(odd: float) -> None:
    """They would make a mean of all others useless, on either axis; the chart shows how many."""
    rows = [{"x": 0.0, "y": 1.0}, {"x": 0.0, "y": odd}, {"x": odd, "y": 5.0}, {"x": 1.0, "y": 3.0}]
    curves = recorder_of(rows).records.plot("x", "y")
    assert (only(curves).x, only(curves).mean) == ([0.0, 1.0], [1.0, 3.0])
    assert curves.left_out == 2
    assert "left out: 2 with NaN or infinity" in curves.notes


def test_a_place_with_nan_alone_is_a_gap() -> None:
    """Where all values are NaN the curve has no mean, and its neighbours are as they are."""
    rows = [{"x": n, "y": math.nan if n == 1 else float(n)} for n in range(3)]
    curves = recorder_of(rows).records.plot("x", "y")
    assert only(curves).mean == [0.0, None, 2.0]
    assert only(curves).count == [1, 0, 1]
    assert curves.text()


def test_of_bools_the_mean_is_the_share_of_true() -> None:
    """Three of four are a mean of 0.75; bools are a y and an x."""
    rows = [{"x": True, "y": value} for value in (True, True, True, False)]
    curve = only(recorder_of(rows).records.plot("x", "y"))
    assert (curve.x, curve.mean) == ([1.0], [0.75])


def test_large_ints_keep_their_place() -> None:
    """An x of 64 bits is not rounded, so neighbours do not fall together."""
    rows = [{"x": 2**62 + n, "y": n} for n in range(3)]
    assert only(recorder_of(rows).records.plot("x", "y")).x == [2**62, 2**62 + 1, 2**62 + 2]


TIMES = [
    dt.datetime(2026, 1, 2, 3, 4, 5, 678),
    dt.datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=dt.UTC),
]


@pytest.mark.parametrize("when", TIMES, ids=["naive", "zoned"])
def test_times_are_an_x_axis(when: dt.datetime) -> None:
    """A time comes back as it was, to the microsecond; so does a date, as its midnight."""
    rows = [{"x": when + dt.timedelta(hours=n), "y": n} for n in range(3)]
    curves = recorder_of(rows).records.plot("x", "y")
    assert only(curves).x == [row["x"] for row in rows]
    assert curves.text()
    assert curves._repr_html_()
    day = recorder_of([{"x": dt.date(2026, 1, 2), "y": 1}]).records.plot("x", "y")
    assert only(day).x == [dt.datetime(2026, 1, 2)]


def test_durations_are_seconds() -> None:
    """On both axes."""
    rows = [{"x": dt.timedelta(minutes=n), "y": dt.timedelta(seconds=n / 2)} for n in range(3)]
    curve = only(recorder_of(rows).records.plot("x", "y"))
    assert (curve.x, curve.mean) == ([0.0, 60.0, 120.0], [0.0, 0.5, 1.0])


def test_keys_that_sql_takes_for_one_are_distinguished() -> None:
    """Keys that differ in case alone, or have quotes and dots in them, are the columns they name."""
    rows = [{"x": 1, "X": 2, "a.b": 3.0, "A.B": 4.0, 'say "y"': 5.0}]
    records = recorder_of(rows).records
    for x in ("x", "X"):
        for y in ("a.b", "A.B", 'say "y"'):
            curve = only(records.plot(x, y, by="x"))
            assert (curve.x, curve.mean) == ([rows[0][x]], [rows[0][y]])


def test_conditions_hold(study: Recorder) -> None:
    """Of `where` only those records are drawn that meet it."""
    assert only(study.all_records.where(model="m2").plot("epoch", "loss")).mean == [5.0, 7.0]


def test_a_collection_with_live_rows_is_drawn(tmp_path: Path) -> None:
    """Rows in Parquet and rows of a running experiment are in one mean."""
    with ExperimentCollection(tmp_path / "study") as collection:
        with collection.new_experiment() as experiment:
            experiment.push(x=0, y=1.0)
        collection.save()
        with collection.new_experiment() as experiment:
            experiment.push(x=0, y=2.0)
            assert only(collection.records.plot("x", "y")).mean == [1.5]


# --- fewer points --------------------------------------------------------------------------------


@settings(max_examples=25)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60),
    st.integers(1, 20),
    st.sampled_from(BANDS),
)
def test_merged_points_keep_lows_and_highs(values: list[float], points: int, band: Band) -> None:
    """With few points the lowest and highest of all are still in the band; all rows are counted."""
    records = recorder_of([{"x": n, "y": value} for n, value in enumerate(values)]).records
    curves = records.plot("x", "y", band=band, points=points)
    curve = only(curves)
    assert len(curve.x) == min(points, len(values))
    assert curve.x == sorted(curve.x)
    assert sum(curve.count) == len(values)
    lows = [low for low in curve.low if low is not None]
    highs = [high for high in curve.high if high is not None]
    assert (min(lows), max(highs)) == (min(values), max(values))
    assert curves.merged == (len(values) if len(values) > points else 0)
    total = sum(
        n * mean for n, mean in zip(curve.count, curve.mean, strict=True) if mean is not None
    )
    assert total == pytest.approx(sum(values), abs=1e-3)


def test_a_chart_says_that_points_were_merged() -> None:
    """How many values were brought to how many points stands in the notes, and in the drawing."""
    curves = recorder_of([{"x": n, "y": n} for n in range(100)]).records.plot("x", "y", points=10)
    assert "100 values of x in 10 points, lows and highs preserved" in curves.notes
    assert "100 values of x in 10 points" in " ".join(curves.text().split())


def test_curves_with_few_points_stay_as_they_are_beside_one_with_many() -> None:
    """Only what has more points than requested is merged."""
    rows = [{"k": "many", "x": n, "y": n} for n in range(50)]
    rows += [{"k": "few", "x": n, "y": 0.1 * n} for n in range(3)]
    few, many = recorder_of(rows).records.plot("x", "y", by="k", points=5).curves
    assert few.mean == [0.0, 0.1, 0.2]
    assert len(many.x) == 5


# --- errors --------------------------------------------------------------------------------------


def test_an_unknown_column_is_named_with_those_that_are_near(study: Recorder) -> None:
    """The message names the missing column, and similar ones."""
    with pytest.raises(ColumnError, match=r"no column 'los'; did you mean 'loss'\?"):
        study.all_records.plot("epoch", "los")
    with pytest.raises(ColumnError, match=r"no column 'quux'; there are 'study', 'model', "):
        study.all_records.plot("epoch", "loss", by="quux")


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ("n", "text", "y is 'text', whose values are str; expected numbers"),
        ("n", "when", "y is 'when', whose values are date; expected numbers"),
        ("text", "n", "x is 'text', whose values are str; expected numbers, times or dates"),
    ],
)
def test_a_column_that_is_no_number_is_named_with_its_kind(x: str, y: str, message: str) -> None:
    """What can't be drawn is refused, with the column, what its values are, and what was expected."""
    rows = [{"n": 1, "text": "a", "when": dt.date(2026, 1, 1)} for _ in range(2)]
    with pytest.raises(ColumnError, match=message):
        recorder_of(rows).records.plot(x, y)


def test_columns_that_no_record_has_both_of_are_an_error(study: Recorder) -> None:
    """An empty chart tells nothing: the two columns are named instead."""
    study.push(other=1)
    with pytest.raises(ColumnError, match="no record has a finite 'epoch' and 'other' at once"):
        study.all_records.plot("epoch", "other")


def test_wrong_bands_and_points_are_refused(study: Recorder) -> None:
    """What can be chosen is reported."""
    with pytest.raises(ArgumentError, match="no band 'wide'; expected one of std, sem"):
        study.all_records.plot("epoch", "loss", band="wide")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="0 points"):
        study.all_records.plot("epoch", "loss", points=0)


def test_values_too_large_for_a_deviation_are_reported() -> None:
    """Where the squares overflow, another band is named."""
    records = recorder_of([{"x": 0, "y": 1e300}, {"x": 0, "y": -1e300}]).records
    with pytest.raises(ColumnError, match="too large for a mean and the band 'std'; try 'minmax'"):
        records.plot("x", "y")
    assert only(records.plot("x", "y", band="minmax")).high == [1e300]


# --- drawings ------------------------------------------------------------------------------------


def test_every_point_is_a_row(study: Recorder) -> None:
    """The numbers of the chart come as plain dicts."""
    rows = list(study.all_records.plot("epoch", "loss", by="model", band="minmax").rows())
    assert rows[1] == {"by": {"model": "m1"}, "x": 1, "mean": 4.0, "low": 1, "high": 8, "count": 3}
    assert len(rows) == 4


@pytest.mark.parametrize("colors", [True, False])
@pytest.mark.parametrize("width", [30, 80])
def test_the_drawing_is_as_wide_as_requested(study: Recorder, width: int, colors: bool) -> None:
    """No line is wider, colors or not, and title, curves and notes are all told."""
    text = study.all_records.plot("epoch", "loss", by="model").text(width, 12, colors=colors)
    assert ("\x1b[" in text) == colors
    if not colors:
        assert max(map(len, text.splitlines())) == width
    assert "loss over epoch" in text
    assert "model=m1" in text
    assert "model=m2" in text


def test_a_plain_drawing_is_ascii(study: Recorder) -> None:
    """For terminals without box characters."""
    curves = study.all_records.plot("epoch", "loss", by="model", band="minmax")
    assert curves.text(plain=True).isascii()


def test_printed_it_is_drawn(study: Recorder) -> None:
    """`print` of a chart shows it."""
    curves = study.all_records.plot("epoch", "loss")
    assert str(curves) == curves.text()


def test_many_curves_are_named_up_to_twenty() -> None:
    """A legend of hundreds helps nobody; how many are not named is reported."""
    rows = [{"k": n, "x": x, "y": n} for n in range(25) for x in (0, 1)]
    curves = recorder_of(rows).records.plot("x", "y", by="k")
    assert "... and 5 more" in curves.text()
    assert "k=19" in curves.text()
    assert "k=20" not in curves.text()
    assert curves._repr_html_().startswith("<svg")


def test_pictures_are_saved_in_the_format_of_their_suffix(study: Recorder, tmp_path: Path) -> None:
    """A PNG, an SVG that is XML, and a page that needs no network, in a folder that is made."""
    records = study.all_records
    for suffix in (".png", ".svg", ".html", ".PNG"):
        records.plot("epoch", "loss", by="model", out=tmp_path / "new" / f"chart{suffix}")
    assert (tmp_path / "new" / "chart.png").read_bytes().startswith(b"\x89PNG")
    ET.parse(tmp_path / "new" / "chart.svg")
    page = (tmp_path / "new" / "chart.html").read_text()
    assert "<svg" in page
    assert "<script" not in page
    assert 'href="http' not in page.replace('xlink:href="http://www.w3.org', "")


def test_the_same_chart_is_the_same_file(study: Recorder, tmp_path: Path) -> None:
    """No date and no random name is in a picture, so it can be stored under version control."""
    curves = study.all_records.plot("epoch", "loss", by="model")
    curves.save_to(tmp_path / "a.svg")
    curves.save_to(tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_another_suffix_is_refused(study: Recorder, tmp_path: Path) -> None:
    """What can be saved is reported, and no file is left."""
    with pytest.raises(
        UnknownFileTypeError,
        match=r"'\.gif' is not a valid suffix of a picture; expected one of \.png",
    ):
        study.all_records.plot("epoch", "loss", out=tmp_path / "chart.gif")
    assert list(tmp_path.iterdir()) == []


def test_keys_with_signs_of_mathematics_are_drawn_as_they_are(tmp_path: Path) -> None:
    """`$`, underscores at the start and scripts that the font lacks are no trouble."""
    rows = [{"$x_{": n, "_y$": n, "_k": "損失 $\\frac$"} for n in range(3)]
    curves = recorder_of(rows).records.plot("$x_{", "_y$", by="_k", out=tmp_path / "a.png")
    assert curves.text()
    ET.fromstring(curves._repr_html_())


# --- numbers at the ends of what a float is --------------------------------------------------------

EXTREMES: dict[str, list[float]] = {
    "0": [0.0] * 3,
    "0.001": [1e-3] * 3,
    "1e-300": [1e-300] * 3,
    "1e+300": [1e300] * 3,
    "-1e+300": [-1e300] * 3,
    "1e+16": [1e16] * 3,
    "1.23457e+08": [123456789.125] * 3,
    "1.7e+308": [1e307 * i for i in range(18)],
    "-1.7e+308": [-1.7e308, 0.0, 1.7e308],
    "9.88131e-324": [5e-324 * i for i in range(3)],
    "1": [1 + 1e-15 * i for i in range(3)],
}


@pytest.mark.parametrize("x", ["step", "loss"])
@pytest.mark.parametrize("label", EXTREMES)
def test_numbers_of_any_size_have_a_readable_axis(
    label: str, x: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """In every format, without a word from another library; a constant is a tick."""
    values = EXTREMES[label]
    curves = recorder_of([{"step": i, "loss": v} for i, v in enumerate(values)]).records.plot(
        x, "loss", band="minmax"
    )
    for suffix in (".png", ".svg", ".html"):
        curves.save_to(tmp_path / f"x{suffix}")
    text = curves.text(80, 16, plain=True)
    assert capfd.readouterr() == ("", "")
    assert re.search(rf"(?<![\d.]){re.escape(label)}(?![\d.e])", text), text
    if len(set(values)) == 1:
        svg = (tmp_path / "x.svg").read_text(encoding="utf-8")
        assert f"<!-- {label} -->" in svg


def test_a_mean_that_is_no_float_is_reported_with_what_can_be_done() -> None:
    """The sum of two numbers of that size is infinite."""
    records = recorder_of([{"x": 0, "y": 1.7e308}] * 2).records
    for band in BANDS:
        with pytest.raises(ColumnError, match="'y' has values too large for a mean"):
            records.plot("x", "y", band=band)


def test_a_chart_is_short_where_it_is_looked_at() -> None:
    """In a prompt it is a line, not all of its points."""
    top = Recorder()
    for seed in range(3):
        top.child(model=f"m{seed}\x1b").extend({"x": list(range(500)), "y": [0.5] * 500})
    curves = top.all_records.plot("x", "y", "model")
    assert repr(curves) == "<Curves y over x: 3 curves, 1,500 points>"
    assert repr(curves.curves[0]) == "<Curve model=m0\\x1b: 500 points>"
    assert repr(top.all_records.plot("x", "y").curves[0]) == "<Curve 500 points>"
    one = Recorder().push(x=1, y=2).records.plot("x", "y")
    assert repr(one) == "<Curves y over x: 1 curve, 1 point>"
    assert repr(one.curves[0]) == "<Curve 1 point>"


def test_a_printed_chart_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a wide one it takes 80 columns."""
    curves = Recorder().push(x=1, y=2).push(x=2, y=1).records.plot("x", "y")
    for columns, wide in (("50", 50), ("200", 80)):
        monkeypatch.setenv("COLUMNS", columns)
        assert max(map(len, str(curves).splitlines())) == wide
