"""Smoothing, and lows and highs of parts: native and by numpy, against plain loops."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("numpy")

import numpy as np

from rigorous_recorder.page import kernels
from rigorous_recorder.page.kernels import Smoother, ends
from rigorous_recorder.page.reduce import block_ends


@pytest.fixture(params=["native", "numpy"])
def _backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each backend in turn."""
    if request.param == "numpy":
        monkeypatch.setattr(kernels, "native_ends", None)
        monkeypatch.setattr(kernels, "native_smooth", None)
    elif kernels.native_ends is None:
        pytest.skip("the native backend is not in use")


def averages(x: Any, y: Any, weight: float, typical: float) -> list[float]:
    """The averages in long doubles, point by point."""
    found, norm, average = [], np.longdouble(0), np.longdouble(0)
    fades = np.longdouble(weight) ** (np.diff(x, prepend=x[0]).astype("g") / typical)
    for fade, value in zip(fades, y.astype("g"), strict=True):
        norm = fade * norm + 1
        average += (value - average) / norm
        found.append(float(average))
    return found


@pytest.mark.usefixtures("_backend")
@pytest.mark.parametrize("weight", [0.3, 0.99, 0.9999])
def test_averages_are_those_of_their_definition(weight: float) -> None:
    """In parts, even and not, with gaps, spikes and values near the ends of floats."""
    random = np.random.default_rng(3)
    for distances, largest, spike in (
        (np.ones(40_000), 1.0, 1e40),
        (random.exponential(1.0, 3_000), 1.0, 1e25),
        (np.where(random.random(3_000) < 0.01, 5_000.0, 1.0), 1e-3, 1e9),
        (np.ones(3_000), 1.5e308, -1.7e308),
    ):
        x, y = distances.cumsum(), random.normal(size=len(distances)).clip(-1, 1) * largest
        y[len(y) // 5] = spike
        smoother, found = Smoother(weight, 1.0), []
        for part in np.array_split(np.arange(len(x)), 3):
            is_even = (np.diff(x[max(0, part[0] - 1) : part[-1] + 1]) == 1).all()
            at, of = x[part], y[part]
            found.append((smoother.even(of, at[-1]) if is_even else smoother.uneven(at, of)).copy())
        expected = averages(x, y, weight, 1.0)
        scale = np.maximum.accumulate(np.abs(y)) if largest > 1 else np.abs(expected)
        assert (np.abs(np.concatenate(found) - expected) <= 1e-6 * np.maximum(scale, 1e-9)).all()


@pytest.mark.usefixtures("_backend")
def test_an_average_is_between_the_values() -> None:
    """Of equal values it is the same one, whatever is rounded."""
    for value in (0.1, 1e300, -5e-324, 1 / 3):
        y, x = np.full(5_000, value), np.arange(5_000.0)
        for weight in (0.5, 0.97):
            smoother = Smoother(weight, 1.0)
            assert (smoother.even(y, x[-1]) == value).all()
            assert (smoother.uneven(x + 5_003, y) == value).all()


@pytest.mark.usefixtures("_backend")
def test_ends_are_the_first_of_equal_ones() -> None:
    """Of parts of any lengths, which begin and end inside blocks."""
    random = np.random.default_rng(4)
    for count in (1, 5, 64, 333):
        y = random.integers(0, 9, count).astype("f8")
        for blocks in (None, block_ends(y, 8)):
            for parts in (1, min(3, count), count):
                starts = np.sort(random.choice(count, parts, replace=False))
                low, high = ends(y, starts, count, blocks, 8)
                stops = [*starts[1:].tolist(), count]
                for at, (start, stop) in enumerate(zip(starts.tolist(), stops, strict=True)):
                    some = range(start, stop)
                    assert low[at] == min(some, key=y.__getitem__)
                    assert high[at] == max(some, key=y.__getitem__)


def test_nothing_outside_of_an_array_is_touched() -> None:
    """The native backend refuses parts and arrays that don't fit."""
    if kernels.native_ends is None:
        pytest.skip("the native backend is not in use")
    y, found = np.zeros(8), [np.zeros(2, np.int64) for _ in range(2)]
    blocks = block_ends(y, 2)
    for starts, stop, some, size in (
        ([0, 8], 9, None, 1),
        ([-1, 3], 8, None, 1),
        ([3, 3], 8, None, 1),
        ([0, 4, 5], 8, None, 1),
        ([0, 4], 8, (blocks[0][:3], blocks[1]), 2),
        ([0, 4], 8, (blocks[0], blocks[1][:3]), 2),
        ([0, 4], 8, blocks, 0),
    ):
        with pytest.raises(ValueError, match=r"parts|blocks"):
            kernels.native_ends(y, np.array(starts), stop, *(some or (None, None)), size, *found)
    with pytest.raises(TypeError):
        kernels.native_ends(y, np.array([0]), 8, 3, 3, 1, *found)
    for x, out, state in (
        (None, np.zeros(7), np.zeros(5)),
        (np.zeros(7), np.zeros(8), np.zeros(5)),
        (None, np.zeros(8), np.zeros(4)),
    ):
        with pytest.raises(ValueError, match="lengths"):
            kernels.native_smooth(y, x, out, state, 0.5, 1.0)
