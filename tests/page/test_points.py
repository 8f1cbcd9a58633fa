"""The points of a line in chunks and blocks: a chart has what all points would give it."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("numpy")

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rigorous_recorder.page import chunks, kernels, points, pyramids
from rigorous_recorder.page.chunks import Chunk, Thin
from rigorous_recorder.page.points import Points
from rigorous_recorder.page.reduce import by_pixel, smoothed, window


@pytest.fixture(scope="module", autouse=True, params=["native", "numpy"])
def _small_chunks(request: pytest.FixtureRequest) -> Any:
    """Chunks and blocks so small that short lines have many, with each backend."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "numpy":
            patch.setattr(kernels, "native_ends", None)
            patch.setattr(kernels, "native_smooth", None)
        patch.setattr(points, "CHUNK", 64)
        for name, value in {"_BLOCK": 4, "_MANY": 8, "PART": 4}.items():
            patch.setattr(chunks, name, value)
        patch.setattr(pyramids, "PART", 4)
        yield


def added(x: Any, y: Any, parts: int) -> Points:
    """The points, in some parts."""
    found = Points()
    for some in np.array_split(np.arange(len(x)), parts):
        found.add(x[some], y[some])
    return found


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


@settings(max_examples=25)
@given(LINES, st.integers(1, 6), st.integers(1, 30), st.booleans(), st.floats(0, 1))
def test_no_low_or_high_is_lost(
    line: tuple[Any, Any],
    parts: int,
    pixels: int,
    is_log: bool,
    left: float,
) -> None:
    """The points of all pixels, also of a zoom and of a logarithmic axis; NaN and inf are apart."""
    found, (x, y) = added(*line, parts), line
    is_finite = np.isfinite(y)
    assert found.count == len(x)
    assert found.odd[0].tolist() == x[~is_finite].tolist()
    x, y = x[is_finite], y[is_finite]
    low = float(line[0][int(left * (len(line[0]) - 1))])
    for ends in ((None, None), (low, low + 50), (low + 1e9, None)):
        shown = found.window(*ends)
        there = range(len(x))
        assert there[shown] == there[window(x, *ends)]
        drawn = found.drawn(shown, pixels, is_log=is_log)
        at, values = x[shown], y[shown]
        even = at
        if is_log and len(at) and at[-1] > 0:
            even = np.log10(np.maximum(at, at[at > 0][0]))
        places = by_pixel(even, values, pixels)
        assert [each.tolist() for each in drawn] == [at[places].tolist(), values[places].tolist()]


@settings(max_examples=25)
@given(LINES, st.integers(1, 6), st.floats(0.05, 0.99))
def test_smoothed_lines_are_those_of_the_whole(
    line: tuple[Any, Any], parts: int, weight: float
) -> None:
    """Chunk by chunk, of which some are even; the lows and highs of both lines are drawn."""
    found = added(*line, parts)
    x, y = found.arrays()
    expected = smoothed(x, y, weight, typical=found.typical())
    shown = slice(0, found.finite)
    soft = [each.copy() for each in found.smoothed(weight, shown)] if found.finite else []
    assert np.concatenate([*soft, []]) == pytest.approx(expected, rel=1e-6, abs=1e-9)
    drawn = found.drawn(slice(0, found.finite), 7, is_log=False, weight=weight)
    for some, whole in zip(drawn[1:], (y, expected), strict=True):
        if len(whole):
            ends = [whole.min(), whole.max()]
            assert [some.min(), some.max()] == pytest.approx(ends, rel=1e-6, abs=1e-9)


@given(LINES, st.integers(1, 4), st.integers(1, 6), st.floats(0, 0.9))
@settings(max_examples=25)
def test_a_summary_has_each_low_and_high(
    line: tuple[Any, Any], parts: int, pixels: int, left: float
) -> None:
    """Also together with points that came later; a zoom reads all points again."""
    found, whole = Points(), added(*line, parts)
    for some in np.array_split(np.arange(len(line[0])), parts):
        x, y = line[0][some], line[1][some]
        if (summary := pyramids.summary_of(x, y)) is None:
            found.add(x, y)
            continue
        chunk = Chunk(x[np.isfinite(y)], y[np.isfinite(y)], is_full=False)
        found.add_thin(Thin(summary, lambda chunk=chunk: chunk))
    assert (found.count, found.finite) == (whole.count, whole.finite)
    for one, other in zip(found.odd, whole.odd, strict=True):
        assert np.array_equal(one, other, equal_nan=True)
    for low in (None, float(line[0][0]) + left * len(line[0])):
        shown = found.window(low, None)
        assert shown == whole.window(low, None)
        some_y, all_y = (each.drawn(shown, pixels, is_log=False)[1] for each in (found, whole))
        assert [*map(min, [some_y] if len(some_y) else [])] == [
            *map(min, [all_y] if len(all_y) else [])
        ]
        assert [*map(max, [some_y] if len(some_y) else [])] == [
            *map(max, [all_y] if len(all_y) else [])
        ]


def test_points_in_any_order_are_sorted_and_new_ones_are_found() -> None:
    """Equal x stay as they came."""
    found = Points()
    found.add(np.array([1.0, 3.0]), np.array([10.0, np.nan]))
    before = found.finite, len(found.odd[0])
    found.add(np.array([2.0, 1.0, np.inf]), np.array([np.inf, 30.0, 0.0]))
    assert not found.is_rising
    assert [each.tolist() for each in found.arrays()] == [[1, 1], [10, 30]]
    assert [each.tolist() for each in found.since(*before) or ()] == [[1], [30], [2], [np.inf]]
    found.add(np.arange(100.0), np.arange(100.0))
    assert found.since(*before) is None
