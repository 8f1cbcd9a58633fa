"""Keras 3: the callbacks of W&B, on all backends."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from rigorous_recorder import wandb
from rigorous_recorder.integrations.guest import guest
from rigorous_recorder.integrations.requirement import required

from .shared import need_run

with required("keras>=3.5"):
    import keras

__all__ = ["WandbMetricsLogger", "WandbModelCheckpoint"]


class WandbMetricsLogger(keras.callbacks.Callback):
    """Logs ``epoch/<metric>`` at the end of epochs, and ``batch/<metric>`` where that is wanted.

    Args:
        log_freq: "epoch", "batch", or a number of batches.
        initial_global_step: the number of batches before this training.

    Raises:
        Error: there is no run.
    """

    def __init__(
        self, log_freq: Any = "epoch", initial_global_step: int = 0, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        need_run("WandbMetricsLogger")
        self._every = {"batch": 1, "epoch": 0}.get(log_freq, log_freq)
        self._step, self._batch = initial_global_step, 0
        name = "batch/batch_step" if self._every else "epoch/epoch"
        wandb.define_metric(name)
        wandb.define_metric(f"{name.partition('/')[0]}/*", step_metric=name)

    @guest
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Log the metrics of an epoch."""
        fields = {f"epoch/{key}": each for key, each in (logs or {}).items()}
        wandb.log({**fields, "epoch/epoch": epoch, **self._learning_rate("epoch")})

    @guest
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Log the metrics of a batch."""
        self._step += 1
        if self._every and batch % self._every == 0:
            fields = {f"batch/{key}": each for key, each in (logs or {}).items()}
            fields["batch/batch_step"] = self._batch
            wandb.log({**fields, **self._learning_rate("batch")})
            self._batch += self._every

    def _learning_rate(self, of: str) -> dict[str, float]:
        """That of the optimizer; of a schedule, at this step."""
        rate: Any = self.model.optimizer.learning_rate
        rate = rate(self._step) if isinstance(rate, _Schedule) else rate
        return {f"{of}/learning_rate": float(keras.ops.convert_to_numpy(rate))}


_Schedule = keras.optimizers.schedules.LearningRateSchedule


class WandbModelCheckpoint(keras.callbacks.ModelCheckpoint):
    """Keras' own checkpoint, whose files are logged as an artifact with versions.

    Raises:
        Error: there is no run.
    """

    def __init__(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(str(filepath), *args, **kwargs)
        self._run = need_run("WandbModelCheckpoint")

    def _save_model(self, epoch: int, batch: int | None, logs: Any) -> None:
        super()._save_model(epoch=epoch, batch=batch, logs=logs)
        self._log_file(epoch, batch, logs)

    @guest
    def _log_file(self, epoch: int, batch: int | None, logs: Any) -> None:
        path = Path(self._get_file_path(epoch, batch, logs))
        if path.is_file():
            artifact = wandb.Artifact(f"run_{self._run.id}_model", "model")
            artifact.add_file(path)
            name = f"epoch_{epoch}" if batch is None else f"epoch_{epoch}_batch_{batch}"
            wandb.log_artifact(artifact, aliases=["latest", name])


def __getattr__(name: str) -> NoReturn:
    if name in {"WandbCallback", "WandbEvalCallback"}:
        message = (
            f"rigorous_recorder.wandb has no {name} of Keras: use WandbMetricsLogger, or"
            " RigorousCallback of rigorous_recorder.integrations.keras with wandb.run.recorder"
        )
        raise ImportError(message)
    raise AttributeError(name)
