"""Rows compare as dicts do, also where there are arrays in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rigorous_recorder import Recorder

ROWS: list[dict[str, Any]] = [
    {"i": 0, "a": np.array([1.0, 2.0])},
    {"i": 0, "a": np.array([1.0, 3.0])},
    {"i": 0, "a": np.array([[1.0, 2.0]])},
    {"i": 0, "a": np.array([1.0])},
    {"i": 0, "a": np.array([[1.0]])},
    {"i": 0, "a": 1.0},
    {"i": 0, "a": [1.0, 2.0]},
    {"i": 0, "a": np.array([])},
    {"i": 0},
    {"i": 1, "a": np.array([1.0, 2.0])},
    {"a": np.array([1.0, 2.0]), "b": 1},
    {},
]


@pytest.mark.parametrize("at", range(len(ROWS)))
def test_a_row_equals_just_those_with_equal_values(at: int) -> None:
    """Rows and plain dicts, from either side; arrays by their shape and elements."""
    recorder = Recorder()
    for row in ROWS:
        recorder.push(row)
    records = recorder.records
    row, wanted = records[at], [n == at for n in range(len(ROWS))]
    assert [row == other for other in records] == wanted
    assert [row != other for other in records] == [not each for each in wanted]
    assert [other == dict(row) for other in records] == wanted
    assert [dict(row) == other for other in records] == wanted
    assert dict(row) in records
    assert records.count(row) == 1
    assert records.index(row) == at
    assert list(records).index(records[at]) == at
    assert (row == 5, row == [], row != "text") == (False, False, True)


def test_rows_have_no_hash() -> None:
    """As dicts have none."""
    with pytest.raises(TypeError):
        hash(Recorder().push(x=1).records[0])
