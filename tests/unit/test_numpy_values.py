"""Scalars and arrays of numpy read back as they were logged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rigorous_recorder import Recorder
from tests.unit.devices.pretended import column

ROOT = Path(__file__).parents[3]


NUMBERS = ["float16", "float32", "float64"] + [
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
]


@pytest.mark.parametrize("dtype", ["bool", *NUMBERS])
def test_numpy_scalars_are_plain_values(dtype: str) -> None:
    """Scalars of every dtype read back as the Python value, the first as the following ones."""
    recorder = Recorder()
    value = np.dtype(dtype).type(1)
    for _ in range(3):
        recorder.push(x=value, y=0)
    expected = value.item()
    assert [(type(v), v) for v in column(recorder.records, "x")] == [(type(expected), expected)] * 3


@pytest.mark.parametrize("dtype", NUMBERS)
def test_numpy_arrays_are_stored(dtype: str) -> None:
    """Arrays of every dtype read back equal, changed in place or not, of whatever strides."""
    recorder = Recorder()
    array = np.arange(6, dtype=dtype).reshape(2, 3)
    recorder.push(x=array).push(x=array)
    array += 1
    recorder.push(x=array).push(x=np.arange(6, dtype=dtype).reshape(3, 2).T)
    found = column(recorder.records, "x")
    assert {each.dtype for each in found} == {np.dtype(dtype)}
    assert [each.tolist() for each in found] == [
        [[0, 1, 2], [3, 4, 5]],
        [[0, 1, 2], [3, 4, 5]],
        [[1, 2, 3], [4, 5, 6]],
        [[0, 2, 4], [1, 3, 5]],
    ]
