"""What an attribute costs depends on it alone, not on how many others there are."""

from __future__ import annotations

import gc
import random
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._tree import few, nodes

from ..at_call import at_call
from ..sparse import make_sparse

MANY = 2_000
NAMES = [f"norm_{number}" for number in range(7)]
#: Bytes: a dict of so many attributes takes 70,000.
LITTLE = 8_000


def alone() -> Iterator[Recorder]:
    """A recorder that is in no store yet."""
    yield Recorder()


def in_memory() -> Iterator[Recorder]:
    yield Recorder().push(step=0)


def in_a_collection(folder: Path) -> Iterator[Recorder]:
    with ExperimentCollection(folder / "study", quiet=True) as c, c.new_experiment() as experiment:
        yield experiment


@pytest.fixture(params=[alone, in_memory, in_a_collection])
def recorder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Recorder]:
    yield from request.param(tmp_path) if request.param is in_a_collection else request.param()


def most_memory(action: Callable[[], object]) -> int:
    """The bytes that an action has at once."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_setting_one_of_many_attributes_copies_no_others(recorder: Recorder) -> None:
    """Whether the recorder is in a store or not; what was read before does not change."""
    names = [f"norm_{layer}" for layer in range(MANY)]
    recorder.update(dict.fromkeys(names, 0.0))
    before, attributes = recorder.local_data, recorder.attributes
    recorder["norm_1"] = 0.5  # the first time all that is needed is imported
    assert most_memory(lambda: recorder.__setitem__("norm_7", 1.5)) < LITTLE
    assert recorder["norm_7"] == recorder.attributes["norm_7"] == 1.5
    assert before["norm_7"] == attributes["norm_7"] == 0.0
    assert len(recorder.local_data) >= MANY


def test_reading_attributes_converts_those_that_were_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a value of each key for each update: that many set one by one would be squared."""
    converted: list[int] = []
    values_of = nodes.values_of

    def counting(by_kind: Any, rows: int) -> list[Any]:
        converted.append(rows)
        return values_of(by_kind, rows)

    folder, names = tmp_path / "study", [f"norm_{layer}" for layer in range(50)]
    with ExperimentCollection(folder, quiet=True) as c:
        with c.new_experiment() as experiment:
            experiment.update(dict.fromkeys(names, "none yet"))
            for number, name in enumerate(names):
                experiment[name] = number
            experiment["norm_3"] = None
        expected = dict(experiment.local_data)
    monkeypatch.setattr(nodes, "values_of", counting)
    with ExperimentCollection(folder, quiet=True) as c:
        (again,) = c.recorder.children
        assert dict(again.items()) == expected
        assert len(names) < sum(converted) < 2 * len(names)


def test_a_deep_tree_is_resolved_in_few_steps_for_each_key() -> None:
    """Not in one for each level and key: the nearest of hundreds of ancestors is found by jumps."""
    draw, names = random.Random(7), [f"norm_{layer}" for layer in range(20)]
    chain = [Recorder(depth=0)]
    expected = [{"depth": 0}]
    for depth in range(1, 300):
        above = max(0, depth - draw.randint(1, 2))
        own = {name: draw.choice([depth, None]) for name in draw.sample(names, draw.randint(0, 2))}
        chain.append(chain[above].child(depth=depth, **own))
        values = {key: value for key, value in own.items() if value is not None}
        expected.append({**expected[above], "depth": depth, **values})
    for recorder in chain:
        recorder.push(step=1)
    with at_call(1_000_000, chain[0].sync) as calls:
        rows = [dict(row) for row in chain[0].all_records]
    assert rows == [{**each, "step": 1} for each in expected]
    assert calls[0] < 200 * len(chain)


def everything(folder: Path) -> list[Any]:
    """What is read of a collection in each of the ways that attributes are read."""
    with ExperimentCollection(folder, quiet=True) as c:
        table = c.experiments.to_arrow()
        (run,) = c.experiments
        return [
            list(run.items()),
            list(run.recorder.items()),
            [list(child.attributes.items()) for child in run.recorder.children],
            [list(row.items()) for row in c.records],
            [list(row.items()) for row in table.to_pylist()],
            [c.level("step_size").to_arrow().to_pylist(), str(c.recorder.tree())],
            c.sql("SELECT norm_1, norm_2, lr FROM nodes ORDER BY ALL").fetchall(),
            [len(c.records.where(norm_1=1)), len(c.records.where(lr=[None, 3]))],
            c.records.to_arrow().to_pylist(),
        ]


def study_of_two_processes(folder: Path) -> None:
    """Attributes that are set in turn by two processes, removed, of several kinds, and deleted."""
    with ExperimentCollection(folder, quiet=True) as c:
        other = ExperimentCollection(folder, quiet=True)
        with other, c.new_experiment(lr=3) as experiment, other.new_experiment(lr=2) as deleted:
            for name in NAMES[1:]:
                experiment[name] = "none yet"
            same = other.recorder.children[0]
            for number, name in enumerate(NAMES):
                (experiment, same)[number % 2][name] = number
                deleted[name] = 2.5 * number
            same["norm_2"] = None
            experiment["norm_3"] = "text"
            experiment["config"] = {"layers": [1, 2]}
            child = experiment.child(step_size=1)
            child.push(step=0)
            child["norm_1"] = 1.5
            child["lr"] = None
            child.push(step=1, norm_1=1)
            deleted.push(step=2)
        c.delete(deleted.local_data["experiment_number"])


def test_attributes_in_sparse_columns_are_read_like_those_in_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all keys or some, in all files or some."""
    study_of_two_processes(tmp_path / "study")
    whole = tmp_path / "study.collection"
    expected = everything(whole)
    files = [each.name for each in sorted((whole / "nodes").glob("*.parquet"))]
    assert len(files) > 1
    for some, names in ((files, NAMES), (files[:1], NAMES[::2])):
        copy = tmp_path / f"{len(some)} {files.index(some[0])} {len(names)}.collection"
        shutil.copytree(whole, copy)
        for file in some:
            make_sparse(copy / "nodes" / file, lambda column, names=names: column.key in names)
        assert everything(copy) == expected, (some, names)
    monkeypatch.setattr(few, "_FEW", -1)  # each key is resolved for all recorders at once
    assert everything(copy) == expected


def test_reading_sparse_attributes_takes_memory_for_those_that_were_set(tmp_path: Path) -> None:
    """Not for each key in each update, which would be a hundred times as much here."""
    with ExperimentCollection(tmp_path / "study", quiet=True) as c:
        experiment = c.start()
        experiment.update({f"norm_{number}": 0 for number in range(300)})
        for number in range(300):
            experiment[f"norm_{number}"] = number
        experiment.finish()
    (file,) = (tmp_path / "study.collection" / "nodes").glob("*.parquet")
    make_sparse(file)
    gc.collect()
    before = pa.total_allocated_bytes()
    with ExperimentCollection(tmp_path / "study", quiet=True) as c:
        (run,) = c.experiments
        assert run["norm_299"] == 299
        held = pa.total_allocated_bytes() - before
    assert held < 300 * 300 * 8 // 2
