"""scikit-learn's searches and callbacks."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rigorous_recorder import ExperimentCollection

sklearn = pytest.importorskip("sklearn", reason="scikit-learn is not installed")
from sklearn.experimental import enable_halving_search_cv  # noqa: E402, F401
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

from rigorous_recorder.integrations.sklearn import RigorousCallback, log_search  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)
GRID = {"C": [0.1, 1.0], "fit_intercept": [True, False]}


def test_the_results_of_searches(study: ExperimentCollection) -> None:
    """A candidate is a child with its parameters as they are, a split a record."""
    search = GridSearchCV(LogisticRegression(), GRID, cv=3, return_train_score=True).fit(X, Y)
    halving = HalvingGridSearchCV(LogisticRegression(), GRID, cv=2, min_resources=20).fit(X, Y)
    with study.new_experiment() as run:
        log_search(run.child(search="grid"), search)
        log_search(run.child(search="halving"), halving)
    rows = list(study.level("candidate").where(search="grid"))
    results = search.cv_results_
    assert [{"C": row["C"], "fit_intercept": row["fit_intercept"]} for row in rows] == results[
        "params"
    ]
    for key in ("mean_test_score", "std_train_score", "rank_test_score", "mean_fit_time"):
        assert [row[key] for row in rows] == results[key].tolist()
    splits = list(study.records.where(search="grid", candidate=1))
    assert [row["split"] for row in splits] == [0, 1, 2]
    for key in ("test_score", "train_score"):
        assert [row[key] for row in splits] == [results[f"split{n}_{key}"][1] for n in range(3)]
    assert {row["iter"] for row in study.level("candidate").where(search="halving")} == {0, 1}


@pytest.mark.parametrize("jobs", [None, 2])
def test_tasks_are_a_tree(study: ExperimentCollection, jobs: int | None) -> None:
    """Also of estimators inside of others, and of several fits and processes."""
    if not hasattr(LogisticRegression, "set_callbacks"):
        pytest.skip("this scikit-learn has no callbacks")
    with study.new_experiment() as run:
        callback = RigorousCallback(run)
        for _ in range(2):
            pipe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5))
            grid = {"logisticregression__C": [0.1, 1.0]}
            search = GridSearchCV(pipe, grid, cv=2, n_jobs=jobs)
            search.set_callbacks(callback).fit(X, Y)
    tops = [row for row in study.level("task") if row["estimator"] == "GridSearchCV"]
    assert {row["fit"] for row in tops} == {0, 1}
    assert all(row["task_duration"] >= 0 for row in study.level("task"))
    for number in (0, 1):
        models = list(study.level("task").where(fit=number, estimator="LogisticRegression"))
        assert len(models) == 2 * 2 + 1
        assert {row["params"]["C"] for row in models} == {0.1, 1.0}
        iterations = study.records.where(fit=number, estimator="LogisticRegression")
        assert len(iterations) >= 5 * 5


class Odd(LogisticRegression):  # type: ignore[misc]
    """An estimator with a parameter that has the name of an attribute."""

    def __init__(self, candidate: str = "a", C: float = 1.0) -> None:  # noqa: N803
        super().__init__(C=C)
        self.candidate = candidate


def test_candidates_that_fail_and_parameters_of_known_names(study: ExperimentCollection) -> None:
    """A score that is missing is NaN; a parameter takes no attribute's name."""
    grid = {"candidate": ["a", "b"], "C": [1.0, -1.0]}
    scores = ["accuracy", "neg_log_loss"]
    search = GridSearchCV(Odd(), grid, cv=2, scoring=scores, refit="accuracy").fit(X, Y)
    with study.new_experiment() as run:
        log_search(run, search)
    rows = list(study.level("candidate"))
    assert [(row["candidate"], row["param_candidate"], row["C"]) for row in rows] == [
        (0, "a", 1.0),
        (1, "b", 1.0),
        (2, "a", -1.0),
        (3, "b", -1.0),
    ]
    means = [row["mean_test_accuracy"] for row in rows]
    assert np.isnan(means).tolist() == [False, False, True, True]
    second = study.records.where(candidate=0)[1]
    assert second["test_neg_log_loss"] == search.cv_results_["split1_test_neg_log_loss"][0]


def test_a_saved_estimator_is_loaded_where_the_collection_is_gone(
    study: ExperimentCollection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only its callback can't log there, and says so."""
    if not hasattr(LogisticRegression, "set_callbacks"):
        pytest.skip("this scikit-learn has no callbacks")
    with study.new_experiment() as run:
        model = LogisticRegression().set_callbacks(RigorousCallback(run)).fit(X, Y)
    saved = pickle.dumps(model)
    study.close()
    shutil.rmtree(tmp_path / "study.collection")
    loaded = pickle.loads(saved)
    assert (loaded.predict(X) == model.predict(X)).all()
    assert capsys.readouterr().err == ""
    assert loaded.fit(X, Y).n_iter_ > 0
    assert "could not log: NotACollectionError" in capsys.readouterr().err


def test_a_failure_to_log_ends_no_fit(
    study: ExperimentCollection, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither in a search nor in a callback."""
    with study.new_experiment() as run:
        log_search(run, LogisticRegression())
        if hasattr(LogisticRegression, "set_callbacks"):
            callback: Any = RigorousCallback(run)
            callback._target = None
            assert LogisticRegression().set_callbacks(callback).fit(X, Y).n_iter_ > 0
    assert "could not log" in capsys.readouterr().err
