"""CatBoost's fit with our callback."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from rigorous_recorder import ExperimentCollection

catboost = pytest.importorskip("catboost", reason="catboost is not installed")
from rigorous_recorder.integrations.catboost import CatBoostCallback  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)


def model(**options: Any) -> Any:
    quiet = {"verbose": False, "allow_writing_files": False, "thread_count": 1}
    return catboost.CatBoostClassifier(**{"iterations": 3, **quiet, **options})


def test_each_fit_and_evaluation_set(study: ExperimentCollection) -> None:
    """The values are CatBoost's own; metrics of a period come when there are some."""
    with study.new_experiment() as run:
        callback = CatBoostCallback(run)
        sets = [(X, Y), (X[:30], Y[:30])]
        first = model(custom_metric=["AUC"]).fit(X, Y, eval_set=sets, callbacks=[callback])
        model().fit(X, Y, callbacks=[callback], init_model=first)
        model(iterations=5, metric_period=2).fit(X, Y, eval_set=sets[:1], callbacks=[callback])
    own = first.evals_result_
    for data in ("learn", "validation_0", "validation_1"):
        rows = list(study.records.where(training=0, data=data))
        assert [row["iteration"] for row in rows] == [0, 1, 2]
        assert [row["Logloss"] for row in rows] == own[data]["Logloss"]
    rows = list(study.records.where(training=0, data="validation_0"))
    assert [row["AUC"] for row in rows] == own["validation_0"]["AUC"]
    assert [row["iteration"] for row in study.records.where(training=1, data="learn")] == [0, 1, 2]
    steps = [row["iteration"] for row in study.records.where(training=2, data="validation")]
    assert steps == sorted({*steps})


class Odd:
    """A metric that is NaN."""

    def is_max_optimal(self) -> bool:
        return False

    def evaluate(self, approxes: Any, target: Any, weight: Any) -> tuple[float, float]:
        return math.nan, 1.0

    def get_final_error(self, error: float, weight: float) -> float:
        return math.nan


def test_a_metric_that_is_nan_is_logged(study: ExperimentCollection) -> None:
    """The fit itself raises, after it has called the callback."""
    with study.new_experiment() as run:
        with pytest.raises(catboost.CatBoostError):
            model(eval_metric=Odd()).fit(X, Y, callbacks=[CatBoostCallback(run)])
    rows = list(study.records)
    assert [row["iteration"] for row in rows] == [0, 1, 2]
    assert all(math.isnan(row["Odd"]) and row["Logloss"] > 0 for row in rows)


def test_a_failure_to_log_and_an_error_of_another_callback(
    study: ExperimentCollection, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first ends no training; after the second the next fit is another one."""

    class Fails:
        def after_iteration(self, info: Any) -> bool:
            if info.iteration == 2:
                raise ValueError
            return True

    with study.new_experiment() as run:
        callback = CatBoostCallback(run)
        with pytest.raises(catboost.CatBoostError):
            model().fit(X, Y, callbacks=[callback, Fails()])
        model().fit(X, Y, callbacks=[callback])
        callback._trainings = None  # type: ignore[assignment]
        assert model().fit(X, Y, callbacks=[callback]).tree_count_ == 3
    assert [row["iteration"] for row in study.records.where(training=0)] == [0, 1]
    assert [row["iteration"] for row in study.records.where(training=1)] == [0, 1, 2]
    assert capsys.readouterr().err.count("could not log") == 1
