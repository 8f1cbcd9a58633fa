"""A training loop with Accelerate. Needs ``pip install accelerate torch``.

Run it as ``python examples/accelerate_training.py [folder]``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from accelerate import Accelerator

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.integrations.accelerate import RigorousTracker

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else "data")

accelerator = Accelerator(log_with=RigorousTracker(FOLDER / "line", {"model": "line"}))
accelerator.init_trackers("line", config={"lr": 0.1})
model = torch.nn.Linear(1, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
model, optimizer = accelerator.prepare(model, optimizer)
x = torch.linspace(-1, 1, 32, device=accelerator.device)[:, None]
for step in range(20):
    loss = torch.nn.functional.mse_loss(model(x), 2 * x)
    accelerator.backward(loss)
    optimizer.step()
    optimizer.zero_grad()
    accelerator.log({"loss": loss}, step=step)
accelerator.end_training()
with ExperimentCollection.open(FOLDER / "line", quiet=True) as collection:
    rows = "SELECT model, had_error, count(loss), max(step) FROM records GROUP BY ALL"
    print(collection.sql(rows).fetchall())
