"""A search with Ray Tune: each trial is a child of the run. Needs ``pip install 'ray[tune]'``.

Run it as ``python examples/ray_tuning.py [folder]``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import ray
from ray import tune

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.integrations.ray import RayTuneCallback

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else "data").absolute()


def objective(config: dict[str, Any]) -> None:
    """Minimize (x - 2)^2 by gradient descent with the trial's learning rate."""
    x = 0.0
    for _ in range(5):
        x -= config["lr"] * 2 * (x - 2)
        tune.report({"loss": (x - 2) ** 2})


ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
tune.Tuner(
    objective,
    param_space={"lr": tune.grid_search([0.1, 0.3, 0.5])},
    run_config=tune.RunConfig(
        storage_path=str(FOLDER / "ray"),
        callbacks=[RayTuneCallback(FOLDER / "search", {"study": "lr"})],
        verbose=0,
    ),
).fit()
with ExperimentCollection.open(FOLDER / "search", quiet=True) as collection:
    trials = "SELECT state, count(*) FROM level('trial') GROUP BY ALL"
    print(collection.sql(trials).fetchall(), len(collection.records), "results")
