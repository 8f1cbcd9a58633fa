"""A script for TensorBoard whose import was changed; prints the last loss of each run.

Run it as ``python examples/tensorboard_writer.py [folder]``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.tensorboard import SummaryWriter  # was: from torch.utils.tensorboard

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else "data")


def descend(learning_rate: float) -> None:
    """Minimize x^2, and log each step."""
    writer = SummaryWriter(FOLDER / "runs" / f"lr_{learning_rate}")
    writer.add_hparams({"learning_rate": learning_rate}, {})
    x = 1.0
    for step in range(20):
        writer.add_scalar("loss", x * x, step)
        writer.add_scalar("gradient", 2 * x, step)
        x -= learning_rate * 2 * x
    writer.close()


for rate in (0.01, 0.1, 0.4):
    descend(rate)
with ExperimentCollection.open(FOLDER / "runs", quiet=True) as collection:
    best = "SELECT learning_rate, min(loss) FROM records GROUP BY ALL ORDER BY 2 LIMIT 1"
    print(collection.sql(best).fetchall())
