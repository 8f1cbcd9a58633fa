"""A small training with Lightning. Needs ``pip install lightning``.

Run it as ``python examples/lightning_training.py [folder]``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import lightning as pl
import torch

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.integrations.lightning import RigorousLogger

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else "data")


class Line(pl.LightningModule):
    """Fits y = 2 x."""

    def __init__(self, lr: float) -> None:  # noqa: ARG002 - saved by the next call
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch: Any, _: int) -> Any:
        """One batch."""
        x, y = batch
        loss = torch.nn.functional.mse_loss(self.layer(x), y)
        self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> Any:
        """SGD with the learning rate."""
        return torch.optim.SGD(self.parameters(), lr=self.hparams["lr"])


x = torch.linspace(-1, 1, 64)[:, None]
data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, 2 * x), batch_size=8)
trainer = pl.Trainer(
    logger=RigorousLogger(FOLDER / "line"),
    max_epochs=5,
    accelerator="cpu",
    default_root_dir=FOLDER,
    log_every_n_steps=1,
    enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(Line(lr=0.1), data)
with ExperimentCollection.open(FOLDER / "line", quiet=True) as collection:
    print(collection.sql("SELECT lr, count(loss), max(step) FROM records GROUP BY ALL").fetchall())
