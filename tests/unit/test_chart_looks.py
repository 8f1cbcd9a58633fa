"""How charts look: several y, smoothing, logarithmic axes, limits, dots, words and kinds of files."""

from __future__ import annotations

import datetime as dt
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigorous_recorder import Recorder, Records
from rigorous_recorder.errors import ArgumentError, ColumnError, MissingPackageError
from rigorous_recorder.plotting.smoothing import ema, window_mean

pytest.importorskip("matplotlib")
pytest.importorskip("plotext")


@pytest.fixture
def records() -> Records:
    """Two models of which each step has a loss, from -1 up, and an accuracy."""
    top = Recorder()
    for model in ("m1", "m2"):
        child = top.child(model=model)
        for step in range(8):
            child.push(step=step, loss=step - 1.0, accuracy=step / 8)
    return top.all_records


def test_several_y_are_curves_with_their_names(records: Records, tmp_path: Path) -> None:
    """In the order in which they are named, each with its own numbers, also in rows and pictures."""
    curves = records.plot("step", ["accuracy", "loss"], by="model", band="none")
    labels = ["accuracy, model=m1", "accuracy, model=m2", "loss, model=m1", "loss, model=m2"]
    assert [each.label for each in curves.curves] == labels
    assert curves.title == "accuracy, loss over step"
    assert curves.curves[2].mean == [step - 1.0 for step in range(8)]
    assert [row["y"] for row in curves.rows()] == ["accuracy"] * 16 + ["loss"] * 16
    assert curves.notes == "one record for each step"
    assert "  o accuracy, model=m2" in curves.text().splitlines()
    curves.save_to(tmp_path / "several.svg")
    ET.parse(tmp_path / "several.svg")
    one = records.plot("step", ["loss"], by="model")
    assert [*one.rows()] == [*records.plot("step", "loss", by="model").rows()]
    assert "y" not in next(one.rows())
    with pytest.raises(ArgumentError, match="needs a key of the y axis"):
        records.plot("step", [])


def test_notes_that_differ_are_those_of_each_y() -> None:
    """What a recorder knows counts once, what records have as often as they have it."""
    top = Recorder()
    for seed in (1, 2):
        top.child(seed=seed, score=seed / 2, epoch=0).push(loss=1.0).push(loss=2.0)
    notes = top.all_records.plot("epoch", ["loss", "score"]).notes
    assert notes == (
        "loss: mean ± standard deviation of 4 records for each epoch;"
        " score: mean ± standard deviation of 2 recorders with score for each epoch"
    )


@given(st.lists(st.none() | st.floats(-1e6, 1e6), max_size=20), st.floats(0, 0.99))
def test_the_moving_average_is_the_mean_with_decaying_weights(
    values: list[float | None], weight: float
) -> None:
    """Without the bias towards 0: a constant stays what it is; a missing value counts for nothing."""
    for at, smoothed in enumerate(ema(values, weight=weight)):
        past = [value for value in values[: at + 1] if value is not None]
        weights = [weight**age for age in range(len(past))][::-1]
        if values[at] is None:
            assert smoothed is None
        else:
            mean = sum(w * v for w, v in zip(weights, past, strict=True)) / sum(weights)
            assert smoothed == pytest.approx(mean, rel=1e-6, abs=1e-6)


@given(st.lists(st.none() | st.floats(-1e6, 1e6), max_size=20), st.integers(1, 25))
def test_the_mean_of_a_window_is_that_of_the_values_around(
    values: list[float | None], width: int
) -> None:
    """At the ends of those that are there."""
    for at, smoothed in enumerate(window_mean(values, width=width)):
        around = values[max(0, at - width // 2) : at + (width + 1) // 2]
        found = [value for value in around if value is not None]
        if values[at] is None:
            assert smoothed is None
        else:
            assert smoothed == pytest.approx(sum(found) / len(found), rel=1e-6, abs=1e-5)


def test_a_smoothed_curve_has_the_raw_one_behind_it(records: Records, tmp_path: Path) -> None:
    """And shows how it was smoothed."""
    curves = records.plot("step", "loss", smooth=0.5)
    (curve,) = curves.curves
    assert curve.raw == [step - 1.0 for step in range(8)]
    assert curve.mean == pytest.approx(ema(curve.raw, weight=0.5))
    assert curves.notes.endswith("; smoothed by a moving average of weight 0.5")
    assert records.plot("step", "loss", window=3).notes.endswith("by the mean of 3 points")
    lines = curves.text().count("*")
    assert lines
    curves.save_to(tmp_path / "smooth.svg")
    assert (tmp_path / "smooth.svg").read_text().count("opacity: 0.3") == 1


def test_logarithmic_axes_leave_out_and_count_what_is_not_above_0(records: Records) -> None:
    """On both axes; ticks are powers of ten in a terminal, too."""
    curves = records.plot("step", "loss", log="x,y")
    assert curves.notes.endswith("left out: 2 that are not above 0, on a logarithmic axis")
    assert curves.drawn().curves[0].x == list(range(1, 8))
    assert curves.drawn().curves[0].mean == [None, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert curves.curves[0].x == list(range(8))
    wide = Recorder().extend({"step": range(1, 6), "loss": [1e-3, 1e-2, 0.1, 1.0, 10.0]}).records
    drawing = wide.plot("step", "loss", log="y").text()
    ticks = [line.split("┤")[0].strip() for line in drawing.splitlines() if "┤" in line]
    assert ticks == ["10", "1", "0.1", "0.01", "0.001"]
    with pytest.raises(ColumnError, match="no value of 'loss over step' is above 0"):
        str(Recorder().push(step=1, loss=-1).records.plot("step", "loss", log="y"))


def test_limits_labels_and_size_are_those_requested(records: Records, tmp_path: Path) -> None:
    """In a picture; limits in a terminal as well."""
    words = {"title": "T$1", "xlabel": "X_1", "ylabel": "Y^1"}
    curves = records.plot(
        "step", "loss", xlim=(2, 4), ylim=(None, 100), size=(4, 2), **words, out=tmp_path / "a.svg"
    )
    text = (tmp_path / "a.svg").read_text()
    assert 'width="288pt" height="144pt"' in text
    for word in words.values():
        assert f"<!-- {word} -->" in text
    lines = curves.text(60, 15).splitlines()
    assert lines[0].strip() == "T$1"
    assert any(line.lstrip().startswith("100") for line in lines)


def test_limits_of_times_are_times(tmp_path: Path) -> None:
    """With the zone that they have, or none."""
    top = Recorder()
    for hour in range(5):
        top.push(when=dt.datetime(2026, 1, 1, hour), loss=float(hour))
    limits = dt.datetime(2026, 1, 1, 1), dt.datetime(2026, 1, 1, 3)
    curves = top.records.plot("when", "loss", xlim=limits, out=tmp_path / "a.png")
    assert "loss over when" in curves.text()


def test_a_scatter_has_a_dot_for_each_record(records: Records, tmp_path: Path) -> None:
    """Also where several have the same x; too many are refused."""
    (curve,) = records.plot("step", "accuracy", scatter=True).curves
    assert (len(curve.x), sum(curve.count)) == (8, 16)  # two models have the same dots
    top = Recorder().extend({"x": [1, 1, 2], "y": [5.0, 7.0, 6.0]})
    curves = top.records.plot("x", "y", scatter=True, points=1, out=tmp_path / "dots.png")
    assert [(row["x"], row["mean"]) for row in curves.rows()] == [(1, 5.0), (1, 7.0), (2, 6.0)]
    assert curves.notes == "a dot for each record"
    assert curves.text()
    many = Recorder().extend({"x": range(50_001), "y": range(50_001)}).records
    with pytest.raises(ColumnError, match="50,001 dots"):
        many.plot("x", "y", scatter=True)


def test_a_pdf_is_the_same_at_any_time(records: Records, tmp_path: Path) -> None:
    """It has no date."""
    for name in ("a.pdf", "b.pdf"):
        records.plot("step", "loss", out=tmp_path / name)
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


def test_a_pgf_without_latex_names_what_is_missing(
    records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is measured by LaTeX; no file is made."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingPackageError, match="measured by LaTeX"):
        records.plot("step", "loss", out=tmp_path / "a.pgf")
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"log": "z"}, "expected 'x', 'y' or 'x,y'"),
        ({"smooth": 1.0}, "expected a weight"),
        ({"smooth": True}, "expected a weight"),
        ({"window": 0}, "expected a number of points"),
        ({"smooth": 0.5, "window": 3}, "exclude each other"),
        ({"xlim": (3, 2)}, "expected \\(low, high\\)"),
        ({"ylim": 3}, "expected \\(low, high\\)"),
        ({"ylim": (0, 1), "log": "y"}, "begins above 0"),
        ({"size": (0, 3)}, "in inches"),
        ({"size": "big"}, "in inches"),
    ],
)
def test_looks_that_are_not_valid_are_refused(
    records: Records, options: dict[str, Any], message: str
) -> None:
    """With what was expected."""
    with pytest.raises(ArgumentError, match=message):
        records.plot("step", "loss", **options)
