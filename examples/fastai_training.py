"""A small training with fastai. Needs ``pip install fastai``.

Run it as ``python examples/fastai_training.py [folder]``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from fastai.data.core import DataLoader, DataLoaders
from fastai.learner import Learner

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.integrations.fastai import RigorousCallback

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else "data")

data = [(x, 2 * x) for x in torch.linspace(-1, 1, 64)[:, None]]
loaders = DataLoaders(DataLoader(data, bs=8), DataLoader(data, bs=8))
learner = Learner(
    loaders,
    torch.nn.Linear(1, 1),
    loss_func=torch.nn.functional.mse_loss,
    cbs=RigorousCallback(FOLDER / "line", {"model": "line"}),
)
with learner.no_logging():
    learner.fit(3, lr=0.1)
with ExperimentCollection.open(FOLDER / "line", quiet=True) as collection:
    counts = "SELECT model, count(batch_loss), count(valid_loss) FROM records GROUP BY ALL"
    print(collection.sql(counts).fetchall())
