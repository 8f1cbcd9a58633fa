"""A search with Optuna: each trial is a child of the run. Needs ``pip install optuna``.

Run it as ``python examples/optuna_search.py [folder]``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import optuna

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.integrations.optuna import OptunaCallback

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else "data")


def objective(trial: optuna.Trial) -> float:
    """Minimize (x - 2)^2 by gradient descent with the trial's learning rate."""
    rate, x = trial.suggest_float("learning_rate", 1e-3, 1.0, log=True), 0.0
    for step in range(10):
        x -= rate * 2 * (x - 2)
        trial.report((x - 2) ** 2, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return (x - 2) ** 2


optuna.logging.set_verbosity(optuna.logging.WARNING)
search = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
with ExperimentCollection(FOLDER / "search", quiet=True) as collection:
    with collection.new_experiment(study="learning rate", capture=True) as run:
        callback = OptunaCallback(run)
        try:
            search.optimize(objective, n_trials=20, callbacks=[callback])
        finally:
            callback.log_study(search)  # also what Optuna calls no callback for
    counts = "SELECT state, count(*) FROM level('trial') GROUP BY ALL ORDER BY ALL"
    print(collection.sql(counts).fetchall())
