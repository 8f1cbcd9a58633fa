"""XGBoost and LightGBM: each training, evaluation set and round."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rigorous_recorder import ExperimentCollection

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
X = np.random.default_rng(0).normal(size=(80, 3))
Y = (X[:, 0] + X[:, 1] ** 2 > 0.5).astype(int)


def rounds(study: ExperimentCollection, **where: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in study.records.where(**where)]


@pytest.fixture
def xgb() -> Any:
    return pytest.importorskip("xgboost", reason="xgboost is not installed")


@pytest.fixture
def lgb() -> Any:
    return pytest.importorskip("lightgbm", reason="lightgbm is not installed")


def test_xgboost_trainings_continue_and_are_told_apart(
    study: ExperimentCollection, xgb: Any
) -> None:
    """The values are those of its own log; after xgb_model the iterations go on."""
    from rigorous_recorder.integrations.xgboost import XGBoostCallback

    data, own = xgb.DMatrix(X, Y), {}
    params = {"objective": "binary:logistic", "eval_metric": ["logloss", "auc"], "nthread": 1}
    with study.new_experiment() as run:
        options = {"callbacks": [XGBoostCallback(run)], "evals": [(data, "train"), (data, "a")]}
        model = xgb.train(params, data, 3, evals_result=own, verbose_eval=False, **options)
        xgb.train(params, data, 2, xgb_model=model, verbose_eval=False, **options)
        xgb.train(params, data, 1, callbacks=options["callbacks"])
        twice = [(data, "same"), (data, "same")]
        options |= {"evals": twice}
        xgb.train(params, data, 2, verbose_eval=False, **options)
    first = rounds(study, training=0, data="train")
    assert [row["logloss"] for row in first] == own["train"]["logloss"]
    assert [row["auc"] for row in first] == own["train"]["auc"]
    assert [row["iteration"] for row in first] == [0, 1, 2]
    assert [row["iteration"] for row in rounds(study, training=1, data="a")] == [3, 4]
    assert rounds(study, training=2) == []
    both = [rounds(study, training=3, data=name) for name in ("same", "same (2)")]
    assert [[row["iteration"] for row in each] for each in both] == [[0, 1], [0, 1]]


def test_xgboost_early_stopping_cv_and_estimators(study: ExperimentCollection, xgb: Any) -> None:
    """cv has means and deviations; an estimator is a training; a failure does not end it."""
    from rigorous_recorder.integrations.xgboost import XGBoostCallback

    data = xgb.DMatrix(X, Y)
    params = {"objective": "binary:logistic", "nthread": 1}
    with study.new_experiment() as run:
        callback = XGBoostCallback(run)
        table = xgb.cv(params, data, 2, nfold=2, callbacks=[callback], as_pandas=False)
        options = {"early_stopping_rounds": 1, "n_jobs": 1, "callbacks": [callback]}
        model = xgb.XGBClassifier(n_estimators=30, **options)
        model.fit(X[:40], Y[:40], eval_set=[(X[40:], Y[40:])], verbose=False)
        callback._trainings = None  # type: ignore[assignment]
        model.fit(X[:40], Y[:40], eval_set=[(X[40:], Y[40:])], verbose=False)
    cv = rounds(study, training=0, data="test")
    assert [row["logloss"] for row in cv] == pytest.approx(table["test-logloss-mean"])
    assert [row["logloss_std"] for row in cv] == pytest.approx(table["test-logloss-std"])
    (second,) = (row for row in study.level("training") if row["training"] == 1)
    assert (second["best_iteration"], second["best_score"]) == (
        model.best_iteration,
        model.best_score,
    )


def test_lightgbm_trainings_cv_and_estimators(study: ExperimentCollection, lgb: Any) -> None:
    """Also the round in which early stopping ends; after init_model the iterations go on."""
    from rigorous_recorder.integrations.lightgbm import LightGBMCallback

    data, own = lgb.Dataset(X, Y, free_raw_data=False), {}
    params = {
        "objective": "binary",
        "metric": ["auc", "binary_logloss"],
        "verbose": -1,
        "num_threads": 1,
    }
    with study.new_experiment() as run:
        mine = LightGBMCallback(run)
        callbacks = [mine, lgb.record_evaluation(own)]
        options = {"valid_sets": [data], "valid_names": ["a"]}
        model = lgb.train(params, data, 3, callbacks=callbacks, **options)
        lgb.train(params, data, 2, callbacks=[mine], init_model=model, **options)
        table = lgb.cv(params, data, 2, nfold=2, callbacks=[mine])
        stop = lgb.early_stopping(1, verbose=False)
        estimator = lgb.LGBMClassifier(n_estimators=50, verbose=-1, n_jobs=1)
        split = {"eval_X": (X[40:],), "eval_y": (Y[40:],)}
        estimator.fit(X[:40], Y[:40], callbacks=[mine, stop], **split)
        lgb.train(params, data, 1, callbacks=[mine])
    assert [row["auc"] for row in rounds(study, training=0)] == own["a"]["auc"]
    assert [row["iteration"] for row in rounds(study, training=1)] == [3, 4]
    cv = rounds(study, training=2)
    assert [row["auc"] for row in cv] == table["valid auc-mean"]
    assert [row["auc_std"] for row in cv] == table["valid auc-stdv"]
    stopped = rounds(study, training=3)
    assert len(stopped) == estimator.best_iteration_ + 1  # the last round is not lost
    assert study.level("training").where(training=0).to_arrow()["params"][0].is_valid
