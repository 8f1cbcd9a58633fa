"""A grid search over nets of skorch. Needs ``pip install skorch torch``.

Run it as ``python examples/skorch_search.py [folder]``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetRegressor

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.integrations.skorch import RigorousCallback

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else "data")

x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
with ExperimentCollection(FOLDER / "nets", quiet=True) as collection:
    with collection.new_experiment(model="line") as run:
        callbacks = [RigorousCallback(run)]
        net = NeuralNetRegressor(
            torch.nn.Linear(1, 1), max_epochs=5, callbacks=callbacks, verbose=0
        )
        GridSearchCV(net, {"lr": [0.01, 0.1]}, cv=2, refit=False).fit(x, 2 * x)
    print(len(collection.level("training")), "fits,", len(collection.records), "epochs")
