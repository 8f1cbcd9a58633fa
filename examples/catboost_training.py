"""Each evaluation set and iteration of CatBoost. Needs ``pip install catboost``.

Run it as ``python examples/catboost_training.py [folder]``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from catboost import CatBoostRegressor

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.integrations.catboost import CatBoostCallback

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else "data")

x = np.random.default_rng(0).normal(size=(200, 3))
y = x[:, 0] ** 2
with ExperimentCollection(FOLDER / "trees", quiet=True) as collection:
    with collection.new_experiment(model="catboost") as run:
        model = CatBoostRegressor(iterations=20, verbose=False, allow_writing_files=False)
        model.fit(x[:150], y[:150], eval_set=(x[150:], y[150:]), callbacks=[CatBoostCallback(run)])
    counts = "SELECT data, count(RMSE) FROM records GROUP BY ALL ORDER BY ALL"
    print(collection.sql(counts).fetchall())
