"""Lines for a screen: what a pixel keeps, means over equal x, and smoothing."""

from __future__ import annotations

import pytest

pytest.importorskip("numpy")

import numpy as np

from rigorous_recorder.page.reduce import by_pixel, mean_by_x, smoothed, window
from rigorous_recorder.plotting.smoothing import ema


def test_a_pixel_has_its_first_last_lowest_and_highest() -> None:
    """As a plain loop finds them, for uneven x, equal values and steps in x."""
    random = np.random.default_rng(3)
    for scale in (0.0, 1.0, 5.0):
        x = np.sort(np.round(random.exponential(1.0, 5_000).cumsum() * scale, 1))
        y = np.round(random.normal(size=5_000), 2)
        found = set(by_pixel(x, y, 37).tolist())
        width = (x[-1] - x[0]) / 37
        columns: dict[int, list[int]] = {}
        for at in range(5_000):
            column = min(int((x[at] - x[0]) / width), 36) if width else 0
            columns.setdefault(column, []).append(at)
        expected = set()
        for places in columns.values():
            expected |= {places[0], places[-1]}
            expected |= {min(places, key=lambda at: y[at]), max(places, key=lambda at: y[at])}
        assert found == expected


def test_short_lines_are_whole() -> None:
    """Also empty ones and single points."""
    for count in (0, 1, 40):
        x = np.arange(float(count))
        assert by_pixel(x, x, 10).tolist() == list(range(count))
    assert window(np.arange(10.0), 3, 5) == slice(2, 7)
    assert window(np.arange(10.0), None, None) == slice(0, 10)


def test_means_over_equal_x() -> None:
    """With the standard error, and one value alone without a band of its own."""
    x, y = np.array([1.0, 1.0, 1.0, 2.0]), np.array([1.0, 2.0, 6.0, 5.0])
    band = mean_by_x(x, y, "sem")
    assert band.x.tolist() == [1, 2]
    assert band.mean.tolist() == [3, 5]
    error = np.std([1, 2, 6], ddof=1) / np.sqrt(3)
    assert band.high == pytest.approx([3 + error, 5])
    assert mean_by_x(x[:0], y[:0], "std").x.tolist() == []


@pytest.mark.parametrize("weight", [0.001, 0.5, 0.99])
def test_smoothing_at_even_steps_is_the_moving_average(weight: float) -> None:
    """Whatever the distance of the steps, over many parts."""
    y = np.random.default_rng(4).normal(size=3_000)
    expected = ema(y.tolist(), weight=weight)
    assert smoothed(np.arange(3_000) * 7.0 + 5, y, weight) == pytest.approx(expected)


def test_smoothing_at_uneven_steps_weighs_by_distance() -> None:
    """As the sum over all points before says; a point far away forgets them."""
    random = np.random.default_rng(5)
    x, y = random.exponential(1.0, 200).cumsum(), random.normal(size=200)
    x[150:] += 1e6
    typical = np.median(np.diff(x))
    for at in (0, 1, 100, 149, 150, 199):
        weights = 0.9 ** ((x[at] - x[: at + 1]) / typical)
        expected = (weights * y[: at + 1]).sum() / weights.sum()
        assert smoothed(x, y, 0.9)[at] == pytest.approx(expected)
    assert smoothed(np.zeros(3), np.array([1.0, 2.0, 3.0]), 0.5).tolist() == [1, 1.5, 2]
