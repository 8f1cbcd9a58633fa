"""Norms of weights and gradients of a plain PyTorch loop. Needs ``pip install torch``.

Each process of a distributed training logs to a child of one run:

- alone: ``python examples/pytorch_watch.py [folder]``
- two processes: ``torchrun --nproc_per_node=2 examples/pytorch_watch.py [folder]``
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.integrations.ranks import rank_and_size, run_of_ranks
from rigorous_recorder.integrations.torch import watch

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else "data")

rank, size = rank_and_size()
torch.manual_seed(rank)
model = torch.nn.Sequential(torch.nn.Linear(1, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x = torch.linspace(-1, 1, 32)[:, None]
run = run_of_ranks(FOLDER / "watched", {"model": "mlp"})
with run as recorder, watch(model, optimizer, recorder, every=10):
    for step in range(50):
        loss = torch.nn.functional.mse_loss(model(x), x**2)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        recorder.push(step=step, loss=loss)
if rank == 0 and size == 1:
    with ExperimentCollection.open(FOLDER / "watched", quiet=True) as collection:
        norms = "SELECT count(DISTINCT parameter), count(gradient_norm), count(loss) FROM records"
        print(collection.sql(norms).fetchall())
