"""Boosted trees of two libraries. Needs ``pip install xgboost lightgbm scikit-learn``.

Run it as ``python examples/boosted_trees.py [folder]``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from lightgbm import LGBMClassifier
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from xgboost import XGBClassifier

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.integrations.lightgbm import LightGBMCallback
from rigorous_recorder.integrations.xgboost import XGBoostCallback

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else "data")
data = load_breast_cancer(return_X_y=True)
train, test, train_labels, test_labels = train_test_split(*data, random_state=0)

with ExperimentCollection(FOLDER / "trees", quiet=True) as collection:
    with collection.new_experiment(library="xgboost", capture=True) as run:
        model = XGBClassifier(n_estimators=20, n_jobs=1, callbacks=[XGBoostCallback(run)])
        model.fit(train, train_labels, eval_set=[(test, test_labels)], verbose=False)
    with collection.new_experiment(library="lightgbm", capture=True) as run:
        model = LGBMClassifier(n_estimators=20, n_jobs=1, verbose=-1)
        callbacks = [LightGBMCallback(run)]
        model.fit(train, train_labels, eval_set=[(test, test_labels)], callbacks=callbacks)
    best = "SELECT library, min(coalesce(logloss, binary_logloss)) < 0.2 FROM records GROUP BY ALL"
    print(sorted(collection.sql(best).fetchall()))
