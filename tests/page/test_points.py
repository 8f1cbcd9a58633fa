"""The points of a line in chunks and blocks: a chart has what all points would give it."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("numpy")

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rigorous_recorder.page import points as module
from rigorous_recorder.page.points import Points
from rigorous_recorder.page.reduce import by_pixel, smoothed, window


@pytest.fixture(scope="module", autouse=True)
def _small_chunks() -> Any:
    """Chunks and blocks so small that short lines have many."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"CHUNK": 64, "_BLOCK": 4, "_DENSE": 6, "_MANY": 8}.items():
            patch.setattr(module, name, value)
        yield


def added(x: Any, y: Any, parts: int) -> Points:
    """The points, in some parts."""
    points = Points()
    for some in np.array_split(np.arange(len(x)), parts):
        points.add(x[some], y[some])
    return points


LINES = st.builds(
    lambda seed, count, is_even: _line(np.random.default_rng(seed), count, is_even),
    st.integers(0, 10_000),
    st.integers(1, 400),
    st.booleans(),
)


def _line(random: Any, count: int, is_even: bool) -> tuple[Any, Any]:
    x = np.arange(count) - 5.0 if is_even else random.exponential(1.0, count).cumsum() - 2
    y = np.round(random.normal(size=count), 1)
    y[random.random(count) < 0.1] = random.choice([np.nan, np.inf, -np.inf])
    return x, y


@settings(max_examples=40)
@given(LINES, st.integers(1, 6), st.integers(1, 30), st.booleans(), st.floats(0, 1))
def test_no_low_or_high_is_lost(
    line: tuple[Any, Any],
    parts: int,
    pixels: int,
    is_log: bool,
    left: float,
) -> None:
    """The points of all pixels, also of a zoom and of a logarithmic axis; NaN and inf are apart."""
    points, (x, y) = added(*line, parts), line
    is_finite = np.isfinite(y)
    assert points.count == len(x)
    assert points.odd[0].tolist() == x[~is_finite].tolist()
    x, y = x[is_finite], y[is_finite]
    low = float(line[0][int(left * (len(line[0]) - 1))])
    for ends in ((None, None), (low, low + 50), (low + 1e9, None)):
        shown = points.window(*ends)
        there = range(len(x))
        assert there[shown] == there[window(x, *ends)]
        found = points.drawn(shown, pixels, is_log=is_log)
        at, values = x[shown], y[shown]
        even = at
        if is_log and len(at) and at[-1] > 0:
            even = np.log10(np.maximum(at, at[at > 0][0]))
        places = by_pixel(even, values, pixels)
        assert [each.tolist() for each in found] == [at[places].tolist(), values[places].tolist()]


@settings(max_examples=40)
@given(LINES, st.integers(1, 6), st.floats(0.05, 0.99))
def test_smoothed_lines_are_those_of_the_whole(
    line: tuple[Any, Any], parts: int, weight: float
) -> None:
    """Chunk by chunk, of which some are even; the lows and highs of both lines are drawn."""
    points = added(*line, parts)
    x, y = points.arrays()
    soft = points.smoothed(weight)
    typical = points.typical()
    expected = smoothed(x, y, weight, typical=typical)
    assert np.concatenate([*soft, []]) == pytest.approx(expected, rel=1e-6, abs=1e-9)
    found = points.drawn(slice(0, points.finite), 7, is_log=False, smooth=soft)
    for drawn, whole in zip(found[1:], (y, expected), strict=True):
        if len(whole):
            ends = [whole.min(), whole.max()]
            assert [drawn.min(), drawn.max()] == pytest.approx(ends, rel=1e-6, abs=1e-9)


def test_points_in_any_order_are_sorted_and_new_ones_are_found() -> None:
    """Equal x stay as they came."""
    points = Points()
    points.add(np.array([1.0, 3.0]), np.array([10.0, np.nan]))
    before = points.finite, len(points.odd[0])
    points.add(np.array([2.0, 1.0, np.inf]), np.array([np.inf, 30.0, 0.0]))
    assert not points.is_rising
    assert [each.tolist() for each in points.arrays()] == [[1, 1], [10, 30]]
    assert [each.tolist() for each in points.since(*before) or ()] == [[1], [30], [2], [np.inf]]
    points.add(np.arange(100.0), np.arange(100.0))
    assert points.since(*before) is None
