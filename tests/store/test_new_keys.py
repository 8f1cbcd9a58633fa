"""Keys that come to a live table that is large already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._live.segments import Segments

MANY, KEYS, ROUNDS = 20_000, 10, 20


def test_records_of_many_keys_after_many_of_one_share_a_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer of TensorBoard's: losses, then a record for each of ten metrics, again and again."""
    made: list[Any] = []
    make = Segments.make

    def counted(segments: Segments, *values: Any) -> Any:
        made.append(values)
        return make(segments, *values)

    monkeypatch.setattr(Segments, "make", counted)
    with (
        ExperimentCollection(tmp_path / "study", quiet=True) as study,
        study.new_experiment() as run,
    ):
        for step in range(MANY):
            run.push(loss=0.5, step=step, wall_time=1.0)
        made.clear()
        for step in range(ROUNDS):
            for key in range(KEYS):
                run.push({f"metric/{key}": float(key), "step": step, "wall_time": 2.0})
        assert len(made) < 3 * KEYS
        rows = study.records.where("wall_time = 2.0")
        found = [(row["step"], {k: row[k] for k in row if k.startswith("metric/")}) for row in rows]
        assert [(step, [v for v in each.values() if v is not None]) for step, each in found] == [
            (step, [float(key)]) for step in range(ROUNDS) for key in range(KEYS)
        ]
        assert len(study.records) == MANY + ROUNDS * KEYS
