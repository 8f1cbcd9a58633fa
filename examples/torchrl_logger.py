"""A logger for TorchRL. Needs ``pip install torchrl``.

Run it as ``python examples/torchrl_logger.py [folder]``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from tensordict import TensorDict

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.integrations.torchrl import RigorousLogger

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else "data")

logger = RigorousLogger("ppo", FOLDER / "rl", {"env": "CartPole-v1"})
logger.log_hparams({"lr": 3e-4, "clip": 0.2})
for step in range(3):
    logger.log_scalar("reward", float(step), step=step)
    logger.log_metrics(TensorDict({"loss": torch.tensor(0.5)}), step=step)
with ExperimentCollection.open(FOLDER / "rl", quiet=True) as collection:
    rows = "SELECT name, lr, count(reward), count(loss) FROM records GROUP BY ALL"
    print(collection.sql(rows).fetchall())
