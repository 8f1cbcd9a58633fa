"""A grid search of scikit-learn as a table of candidates. Needs ``pip install scikit-learn``.

Run it as ``python examples/sklearn_search.py [folder]``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.integrations.sklearn import log_search

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else "data")

grid = {"C": [0.01, 0.1, 1.0], "fit_intercept": [True, False]}
search = GridSearchCV(LogisticRegression(max_iter=500), grid, cv=3)
search.fit(*load_iris(return_X_y=True))
with ExperimentCollection(FOLDER / "iris", quiet=True) as collection:
    with collection.new_experiment(data="iris") as run:
        log_search(run, search)
    best = "SELECT C, fit_intercept FROM level('candidate') ORDER BY rank_test_score LIMIT 1"
    print(collection.sql(best).fetchall(), search.best_params_)
    print(len(collection.records), "splits")
