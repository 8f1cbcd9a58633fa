"""XGBoost and LightGBM: each training, evaluation set and round."""

from __future__ import annotations

import pickle
import shutil
import threading
from pathlib import Path
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


def test_a_model_goes_on_without_early_stopping(study: ExperimentCollection, xgb: Any) -> None:
    """The model still has the best iteration of the training before, which is not that of this one."""
    from rigorous_recorder.integrations.xgboost import XGBoostCallback

    data, rest = xgb.DMatrix(X[:40], Y[:40]), xgb.DMatrix(X[40:], Y[40:])
    params = {"objective": "binary:logistic", "nthread": 1, "eta": 1.0}
    with study.new_experiment() as run:
        options = {"callbacks": [XGBoostCallback(run)], "evals": [(rest, "a")]}
        options |= {"verbose_eval": False}
        model = xgb.train(params, data, 30, early_stopping_rounds=2, **options)
        model = xgb.train(params, data, 2, xgb_model=model, **options)
    assert model.best_iteration == 0
    assert [row["best_iteration"] for row in study.level("training")] == [0, None]


def test_a_model_with_its_callback_is_cloned_and_saved(
    study: ExperimentCollection, xgb: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Clones log to the same run; a saved model can be loaded where the collection is gone."""
    from sklearn.model_selection import GridSearchCV

    from rigorous_recorder.integrations.xgboost import XGBoostCallback

    with study.new_experiment() as run:
        model = xgb.XGBClassifier(n_estimators=2, n_jobs=1, callbacks=[XGBoostCallback(run)])
        fit = {"eval_set": [(X, Y)], "verbose": False}
        GridSearchCV(model, {"max_depth": [1, 2]}, cv=2).fit(X, Y, **fit)
        saved = pickle.dumps(model.fit(X, Y, **fit))
    rows = [(row["training"], row["iteration"]) for row in study.records]
    assert rows == [(training, iteration) for training in range(6) for iteration in range(2)]
    pickle.loads(saved).fit(X, Y, **fit)
    assert study.records[-1]["training"] == 6
    study.close()
    shutil.rmtree(tmp_path / "study.collection")
    loaded = pickle.loads(saved)
    assert (loaded.predict(X) == model.predict(X)).all()
    assert capsys.readouterr().err == ""
    loaded.fit(X, Y, **fit)
    assert "could not log: NotACollectionError" in capsys.readouterr().err


def test_lightgbm_sets_of_one_name_and_threads(study: ExperimentCollection, lgb: Any) -> None:
    """No value is taken for another's; a training in one thread is not that in another."""
    from rigorous_recorder.integrations.lightgbm import LightGBMCallback

    own: dict[str, Any] = {}
    params = {"objective": "binary", "metric": "auc", "verbose": -1, "num_threads": 1}
    both = threading.Barrier(2, timeout=60)

    def wait(env: Any) -> None:
        both.wait()

    with study.new_experiment() as run:
        mine = LightGBMCallback(run)

        def fit(rounds: int, *more: Any) -> None:
            data = lgb.Dataset(X, Y)
            sets = {"valid_sets": [data, data.create_valid(X[:40], Y[:40])]}
            sets["valid_names"] = ["a", "a"]
            lgb.train(params, data, rounds, callbacks=[mine, *more], **sets)

        fit(2, lgb.record_evaluation(own))
        threads = [threading.Thread(target=fit, args=(3, wait)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    first, second = (rounds(study, training=0, data=name) for name in ("a", "a (2)"))
    pairs = zip(first, second, strict=True)
    assert [row["auc"] for pair in pairs for row in pair] == own["a"]["auc"]
    for training in (1, 2):
        assert [row["iteration"] for row in rounds(study, training=training, data="a")] == [0, 1, 2]


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
        estimator.fit(X[:40], Y[:40], callbacks=[mine, stop], eval_set=[(X[40:], Y[40:])])
        lgb.train(params, data, 1, callbacks=[mine])
    assert [row["auc"] for row in rounds(study, training=0)] == own["a"]["auc"]
    assert [row["iteration"] for row in rounds(study, training=1)] == [3, 4]
    cv = rounds(study, training=2)
    assert [row["auc"] for row in cv] == table["valid auc-mean"]
    assert [row["auc_std"] for row in cv] == table["valid auc-stdv"]
    stopped = rounds(study, training=3)
    assert len(stopped) == estimator.best_iteration_ + 1  # the last round is not lost
    assert study.level("training").where(training=0).to_arrow()["params"][0].is_valid
