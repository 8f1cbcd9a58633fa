"""Levels: what a recorder knows counts once, however many records are below the recorder."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigorous_recorder import Curve, Curves, ExperimentCollection, Recorder, Records
from rigorous_recorder.errors import ArgumentError, ColumnError, MixedKindsWarning


def only(curves: Curves) -> Curve:
    (curve,) = curves.curves
    return curve


def points(curve: Curve) -> list[tuple[Any, float | None, int]]:
    return list(zip(curve.x, curve.mean, curve.count, strict=True))


@pytest.fixture
def episodes() -> Recorder:
    """Two seeds whose first episodes have 500 and 40 steps, and as much reward."""
    top = Recorder()
    for seed, steps in enumerate((500, 40)):
        episode = top.child(seed=seed).child(episode=0, total_reward=float(steps))
        episode.extend({"step": range(steps)})
    return top


# --- attributes ----------------------------------------------------------------------------------


def test_an_attribute_counts_once_for_each_recorder(episodes: Recorder) -> None:
    """The return over episodes has the mean and the band of the seeds, not of their steps."""
    curves = episodes.all_records.plot("episode", "total_reward", band="sem")
    curve = only(curves)
    assert points(curve) == [(0, 270.0, 2)]
    assert curve.high[0] == 270 + stdev([500, 40]) / math.sqrt(2) == 500
    assert curves.notes == (
        "mean ± standard error of 2 recorders with total_reward for each episode"
    )


def test_the_band_of_attributes_is_that_of_the_recorders(episodes: Recorder) -> None:
    """Standard deviation, quantiles and extremes are of two values."""
    records = episodes.all_records
    assert only(records.plot("episode", "total_reward")).low == [270 - stdev([500, 40])]
    assert only(records.plot("episode", "total_reward", band="minmax")).low == [40]
    assert only(records.plot("episode", "total_reward", band="quantile")).low == [155]


def test_where_each_point_is_one_recorder_no_band_is_reported(episodes: Recorder) -> None:
    """By seed there is one episode at each point."""
    curves = episodes.all_records.plot("episode", "total_reward", by="seed")
    assert [points(each) for each in curves.curves] == [[(0, 500.0, 1)], [(0, 40.0, 1)]]
    assert curves.notes == "one recorder with total_reward for each episode"


def test_an_attribute_over_a_records_key_counts_once_at_each_x(episodes: Recorder) -> None:
    """At a step that both episodes have there are two values, however often they have it."""
    episodes.children[0].children[0].push(step=3).push(step=3)
    curves = episodes.all_records.plot("step", "total_reward", points=None)
    curve = only(curves)
    assert curve.count == [2] * 40 + [1] * 460
    assert curve.mean == [270.0] * 40 + [500.0] * 460
    assert "of 1 to 2 recorders with total_reward for each step" in curves.notes


def test_the_best_value_of_a_model_over_its_epochs() -> None:
    """Six models that log three records an epoch are six values at each epoch."""
    top = Recorder()
    for number in range(6):
        model = top.child(model=number, best_accuracy=float(number))
        model.extend({"epoch": [0, 0, 0, 1, 1, 1], "batch": [0, 1, 2] * 2})
    assert points(only(top.all_records.plot("epoch", "best_accuracy"))) == [
        (0, 2.5, 6),
        (1, 2.5, 6),
    ]


def test_recorders_without_records_count() -> None:
    """An episode of no step has its reward all the same."""
    top = Recorder()
    top.child(episode=0, total_reward=1.0).push(step=0)
    top.child(episode=0, total_reward=3.0)
    assert points(only(top.all_records.plot("episode", "total_reward"))) == [(0, 2.0, 2)]
    silent = Recorder()
    silent.child(episode=0, total_reward=3.0)
    assert points(only(silent.all_records.plot("episode", "total_reward"))) == [(0, 3.0, 1)]


def test_the_level_is_the_lowest_that_has_one_of_the_keys() -> None:
    """A key that is above the others is inherited by their recorders."""
    top = Recorder()
    for lr in (0.1, 0.2):
        experiment = top.child(lr=lr)
        for number in range(3):
            experiment.child(score=lr + number).extend({"step": range(4 + number)})
    curve = only(top.all_records.plot("lr", "score"))
    assert points(curve) == [(0.1, pytest.approx(1.1), 3), (0.2, pytest.approx(1.2), 3)]
    # and the other way round, what is above counts once for each x that is below
    assert only(top.all_records.plot("score", "lr")).count == [1] * 6


def test_a_by_that_is_lower_groups_but_does_not_weigh() -> None:
    """The reward of an episode counts once in each of its phases."""
    top = Recorder()
    for reward, phases in ((500.0, ["warm", "warm", "hot"]), (40.0, ["warm"])):
        episode = top.child(episode=0, reward=reward)
        for phase in phases:
            episode.child(phase=phase).push(step=0).push(step=1)
    top.child(episode=0, reward=6.0)
    curves = top.all_records.plot("episode", "reward", by="phase").curves
    assert {each.by["phase"]: points(each) for each in curves} == {
        "warm": [(0, 270.0, 2)],
        "hot": [(0, 500.0, 1)],
        None: [(0, 6.0, 1)],
    }
    by_step = top.all_records.plot("episode", "reward", by="step").curves
    assert [points(each) for each in by_step] == [[(0, 270.0, 2)]] * 2


def test_a_key_that_records_have_too_counts_once_for_each_that_has_it() -> None:
    """Records with a value of their own, and recorders for those without."""
    top = Recorder()
    for value in (1.0, 3.0):
        top.child(loss=value).extend({"step": [0] * 5})
    top.push(step=0, loss=5.0).push(step=0, loss=7.0)
    assert points(only(top.all_records.plot("step", "loss"))) == [(0, 4.0, 4)]


def test_a_change_of_an_attribute_is_one_value(episodes: Recorder) -> None:
    """The latest value counts; one that was taken back does not."""
    first, second = (each.children[0] for each in episodes.children)
    first["total_reward"] = 60.0
    assert points(only(episodes.all_records.plot("episode", "total_reward"))) == [(0, 50.0, 2)]
    second["total_reward"] = None
    assert points(only(episodes.all_records.plot("episode", "total_reward"))) == [(0, 60.0, 1)]


@pytest.mark.parametrize("odd", ["n/a", True, [1.0]])
def test_an_attribute_of_another_kind_is_left_out_and_reported(
    episodes: Recorder, odd: Any
) -> None:
    """The others count once each."""
    episodes.child(seed=2).child(episode=0, total_reward=odd).push(step=0)
    with pytest.warns(MixedKindsWarning, match="total_reward"):
        curves = episodes.all_records.plot("episode", "total_reward")
    assert points(only(curves)) == [(0, 270.0, 2)]


# --- parts of the tree ---------------------------------------------------------------------------


def test_conditions_leave_recorders_out(episodes: Recorder) -> None:
    """Of parents, of the recorders themselves, and of their records."""
    records = episodes.all_records
    for conditions, rows in (
        ({"seed": 1}, [(0, 40.0, 1)]),
        ({"total_reward": 500.0}, [(0, 500.0, 1)]),
        ({"step": 3}, [(0, 270.0, 2)]),
        ({"step": 300}, [(0, 500.0, 1)]),
        ({"episode": 0, "step": 39}, [(0, 270.0, 2)]),
    ):
        found = records.where(**conditions).plot("episode", "total_reward")
        assert points(only(found)) == rows
    with pytest.raises(
        ColumnError, match="no record meets all conditions, which are on seed, step"
    ):
        records.where(seed=1).where(step=300).plot("episode", "total_reward")


def test_a_condition_on_a_lower_recorder_finds_those_above() -> None:
    """And asks each of them once; None asks for those without the key."""
    top = Recorder()
    for seed, models in enumerate((["a", "a", "b"], ["a"], [])):
        experiment = top.child(seed=seed, score=10.0**seed)
        for model in models:
            experiment.child(model=model).push(step=0)
    records = top.all_records
    assert points(only(records.where(model="a").plot("seed", "score"))) == [(0, 1, 1), (1, 10, 1)]
    assert points(only(records.where(model="b").plot("seed", "score"))) == [(0, 1, 1)]
    assert points(only(records.where(model=None).plot("seed", "score"))) == [(2, 100, 1)]


def test_a_part_of_the_tree_has_what_it_inherits(episodes: Recorder) -> None:
    """Also where all keys are above it: then it counts once."""
    episode = episodes.children[0].children[0]
    for records in (episode.all_records, episode.records, episodes.children[0].all_records):
        assert points(only(records.plot("episode", "total_reward"))) == [(0, 500.0, 1)]
    assert points(only(episode.all_records.plot("seed", "episode"))) == [(0, 0.0, 1)]


def test_what_was_deleted_is_in_no_mean(tmp_path: Path) -> None:
    """Nor what is below it, before and after the files forget it; sealed or not."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        for seed in range(3):
            with collection.new_experiment(seed=seed) as experiment:
                experiment.child(episode=0, reward=10.0**seed).extend({"step": range(1 + seed)})
            collection.save()
        assert points(only(collection.records.plot("episode", "reward"))) == [(0, 37.0, 3)]
        collection.delete(2)
        assert points(only(collection.records.plot("episode", "reward"))) == [(0, 50.5, 2)]
        collection.compact()
        assert points(only(collection.records.plot("episode", "reward"))) == [(0, 50.5, 2)]


# --- against a plain computation -----------------------------------------------------------------

KEYS = ("a", "b", "c")
small = st.integers(0, 2)
data = st.dictionaries(st.sampled_from(KEYS), small, max_size=2)
trees = st.lists(st.tuples(st.integers(0, 7), data, st.lists(data, max_size=3)), max_size=8)


class Node:
    """A recorder as plain Python."""

    def __init__(self, parent: Node | None, own: dict[str, int]) -> None:
        self.parent = parent
        self.own = own
        self.rows: list[dict[str, int]] = []

    def owner(self, key: str) -> Node | None:
        above: Node | None = self
        while above is not None and key not in above.own:
            above = above.parent
        return above

    def is_below(self, other: Node) -> bool:
        return self.parent is not None and (self.parent is other or self.parent.is_below(other))


Groups = dict[tuple[int | None, int], dict[int, int]]


def _grouped(nodes: Sequence[Node], x: str, y: str, by: str) -> Groups:
    """For each value of by and x the value of each owner of y."""
    keys = {x, y, by}
    found: Groups = {}
    if keys & {key for node in nodes for row in node.rows for key in row}:
        rows = [(node, row) for node in nodes for row in node.rows]
    else:
        level = [node for node in nodes if keys & node.own.keys()]
        rows = [(n, {}) for n in level if not any(other.is_below(n) for other in level)]
    for node, row in rows:
        owners = {key: row if key in row else node.owner(key) for key in keys}
        values = {
            key: row[key] if key in row else owner.own[key]
            for key, owner in owners.items()
            if isinstance(owner, Node) or key in row
        }
        if x in values and y in values:
            found.setdefault((values.get(by), values[x]), {})[id(owners[y])] = values[y]
    return found


@given(tree=trees, by=st.sampled_from([*KEYS, "d"]))
def test_curves_are_those_of_a_plain_computation(tree: Any, by: str) -> None:
    """Whatever of the keys are attributes of whom, or in records, or both."""
    root, plain = Recorder(d=1), Node(None, {"d": 1})
    recorders, nodes = [root], [plain]
    for above, own, rows in tree:
        at = above % len(nodes)
        recorders.append(recorders[at].child(own))
        nodes.append(Node(nodes[at], own))
        for row in rows:
            recorders[-1].push(row)
            nodes[-1].rows.append(row)
    wanted = _grouped(nodes, "a", "b", by)
    if not wanted or by not in root.all_records.columns:
        with pytest.raises(ColumnError):
            root.all_records.plot("a", "b", by=by)
        return
    curves = root.all_records.plot("a", "b", by=by).curves
    found = {(each.by[by], x): (m, n) for each in curves for x, m, n in points(each)}
    assert found == {
        at: (pytest.approx(fmean(values.values())), len(values)) for at, values in wanted.items()
    }


# --- attempts ------------------------------------------------------------------------------------


@contextmanager
def resumed(folder: Path) -> Iterator[ExperimentCollection]:
    """An experiment of six steps, that went on at the third of them; and another one."""
    with ExperimentCollection(folder / "c", quiet=True) as collection:
        with collection.new_experiment(seed=1) as experiment:
            experiment.extend({"step": range(6), "loss": [10.0] * 6})
        with collection.resume(-1) as experiment:
            experiment.extend({"step": range(3, 8), "loss": [0.0] * 5})
        yield collection


@pytest.mark.parametrize("is_sealed", [False, True])
def test_of_each_step_the_latest_attempt_counts(tmp_path: Path, *, is_sealed: bool) -> None:
    """What a resume made anew is not averaged with what was lost; it is reported."""
    with resumed(tmp_path) as collection:
        if is_sealed:
            collection.save()
        for records in (collection.records, collection[1], collection.records.where(seed=1)):
            curves = records.plot("step", "loss")
            assert only(curves).mean == [10, 10, 10, 0, 0, 0, 0, 0]
            assert only(curves).count == [1] * 8
            assert curves.notes == "one record for each step; left out: 3 of earlier attempts"
        everything = collection.records.plot("step", "loss", attempts="all")
        assert only(everything).mean == [10, 10, 10, 5, 5, 5, 0, 0]
        assert only(everything).count == [1, 1, 1, 2, 2, 2, 1, 1]
        assert "left out" not in everything.notes
        by_attempt = collection.records.plot("step", "loss", by="experiment_attempt")
        assert [each.count for each in by_attempt.curves] == [[1] * 6, [1] * 5]


def test_experiments_that_were_not_resumed_count_beside_one_that_was(tmp_path: Path) -> None:
    """A step that no later attempt has stays, and other experiments replace nothing."""
    with resumed(tmp_path) as collection:
        with collection.new_experiment(seed=2) as experiment:
            experiment.extend({"step": range(8), "loss": [4.0] * 8})
        collection.recorder.push(step=0, loss=1.0)
        curves = collection.records.plot("step", "loss")
        assert only(curves).mean == [5, 7, 7, 2, 2, 2, 2, 2]
        assert only(curves).count == [3, 2, 2, 2, 2, 2, 2, 2]
        assert curves.replaced == 3


def test_a_later_attempt_replaces_only_its_own_place_in_the_tree(tmp_path: Path) -> None:
    """The second model was not begun again: its steps of the first attempt stay."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        with collection.new_experiment() as experiment:
            for model in ("a", "b"):
                recorder = experiment.child(model=model, speed=0.5)
                recorder.extend({"step": range(4), "loss": [1.0] * 4})
                recorder["accuracy"] = 0.1
        with collection.resume(-1) as experiment:
            recorder = experiment.child(model="a", speed=0.5)
            recorder.extend({"step": range(2, 6), "loss": [3.0] * 4})
        curves = collection.records.plot("step", "loss")
        assert points(only(curves)) == [
            (0, 1, 2),
            (1, 1, 2),
            (2, 2, 2),
            (3, 2, 2),
            (4, 3, 1),
            (5, 3, 1),
        ]
        assert curves.replaced == 2
        first, second = collection.records.plot("step", "loss", by="model").curves
        assert first.mean == [1, 1, 3, 3, 3, 3]
        assert second.mean == [1, 1, 1, 1]


def test_a_later_attempt_replaces_what_recorders_know(tmp_path: Path) -> None:
    """An episode that was run again counts once, whatever came out of it, and how long it was."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        with collection.new_experiment() as experiment:
            for episode in range(3):
                experiment.child(episode=episode, reward=1.0, length=5).extend({"step": range(5)})
            experiment["accuracy"] = 0.5
        for attempt in range(2):
            with collection.resume(-1) as experiment:
                for episode in range(2, 4):
                    child = experiment.child(episode=episode, reward=7.0 + attempt, length=episode)
                    child.push(step=0)
                experiment["accuracy"] = 0.7 + attempt
        curves = collection.records.plot("episode", "reward")
        assert points(only(curves)) == [(0, 1.0, 1), (1, 1.0, 1), (2, 8.0, 1), (3, 8.0, 1)]
        assert curves.replaced == 3
        everything = collection.records.plot("episode", "reward", attempts="all")
        assert only(everything).count == [1, 1, 3, 2]
        final = collection.records.plot("experiment_number", "accuracy")
        assert points(only(final)) == [(1, 1.7, 1)]


_Plan = list[dict[str, Any]]


@pytest.mark.parametrize(
    ("first", "second", "replaced"),
    [
        ([{"model": "a"}], [{"model": "a"}], 1),
        ([{"model": "a"}], [{"model": "b"}], 0),
        ([{"episode": 0}], [{"episode": 1}], 0),
        ([{"lr": 0.1}, {"lr": 0.01}], [{"lr": 0.1}], 1),
        ([{"model": "a", "lr": 0.1}, {"model": "a", "lr": 0.2}], [{"model": "a", "lr": 0.2}], 1),
        # what came out of an episode is not what it was begun with
        ([{"episode": 0, "reward": 1.5}], [{"episode": 0, "reward": 2.5}], 1),
        (
            [{"episode": 0, "length": 5}, {"episode": 1, "length": 7}],
            [{"episode": 1, "length": 9}, {"episode": 2, "length": 5}],
            1,
        ),
        ([{}, {}], [{}], 2),
        ([{"begun": dt.datetime(2026, 1, 1)}], [{"begun": dt.datetime(2026, 1, 2)}], 1),
    ],
)
def test_which_recorders_take_each_others_place(
    tmp_path: Path, first: _Plan, second: _Plan, replaced: int
) -> None:
    """Those that were begun alike, by as many attributes as tell those of one attempt apart."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        with collection.new_experiment(seed=1) as experiment:
            for data in first:
                experiment.child(data).push(step=0, loss=1.0)
        with collection.resume(-1) as experiment:
            for data in second:
                experiment.child(data).push(step=0, loss=3.0)
        curves = collection.records.plot("step", "loss")
        assert curves.replaced == replaced
        assert only(curves).count == [len(first) + len(second) - replaced]


def test_a_record_without_y_replaces_nothing(tmp_path: Path) -> None:
    """Only what is drawn takes the place of what was drawn."""
    with resumed(tmp_path) as collection:
        with collection.resume(-1) as experiment:
            experiment.push(step=0, note="no loss here")
        assert only(collection.records.plot("step", "loss")).mean[0] == 10


def test_another_choice_of_attempts_is_refused(episodes: Recorder) -> None:
    """With those that there are."""
    wrong: Any = "first"
    records: Records = episodes.all_records
    with pytest.raises(ArgumentError, match="no attempts 'first'; expected one of last, all"):
        records.plot("episode", "total_reward", attempts=wrong)


def test_the_latest_attempt_counts_whatever_kind_it_logged(tmp_path: Path) -> None:
    """Where it has no number at a step, none of an earlier attempt stands in for it."""
    collection = ExperimentCollection(tmp_path / "c", quiet=True)
    with collection.new_experiment(seed=1) as experiment:
        experiment.extend({"step": range(4), "loss": [0.5, 1.5, 2.5, 3.5]})
    with collection.resume(1) as attempt:
        attempt.push(step=2, loss="diverged").push(step=3, loss=9.0)
    with pytest.warns(MixedKindsWarning):
        curves = collection.records.plot("step", "loss")
    assert points(only(curves)) == [(0, 0.5, 1), (1, 1.5, 1), (2, None, 0), (3, 9.0, 1)]
    assert (curves.left_out, curves.replaced) == (1, 2)
