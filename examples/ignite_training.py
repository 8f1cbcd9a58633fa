"""A small training with PyTorch-Ignite. Needs ``pip install pytorch-ignite torch``.

Run it as ``python examples/ignite_training.py [folder]``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from ignite.engine import Events, create_supervised_evaluator, create_supervised_trainer
from ignite.handlers import global_step_from_engine
from ignite.metrics import Loss

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.integrations.ignite import RigorousLogger

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else "data")

x = torch.linspace(-1, 1, 64)[:, None]
data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, 2 * x), batch_size=8)
model, loss = torch.nn.Linear(1, 1), torch.nn.functional.mse_loss
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
trainer = create_supervised_trainer(model, optimizer, loss)
evaluator = create_supervised_evaluator(model, {"loss": Loss(loss)})
trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run(data))
with RigorousLogger(FOLDER / "line", {"model": "line"}) as logger:
    transform = {"output_transform": lambda value: {"loss": value}}
    logger.attach_output_handler(trainer, Events.ITERATION_COMPLETED, "train", **transform)
    options = {"metric_names": "all", "global_step_transform": global_step_from_engine(trainer)}
    logger.attach_output_handler(evaluator, Events.EPOCH_COMPLETED, "test", **options)
    trainer.run(data, max_epochs=3)
with ExperimentCollection.open(FOLDER / "line", quiet=True) as collection:
    counts = 'SELECT model, count("train/loss"), count("test/loss") FROM records GROUP BY ALL'
    print(collection.sql(counts).fetchall())
