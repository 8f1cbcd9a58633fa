"""What a logger adds to a step of a training, in the frameworks that call it.

    python benchmarks/integration_costs.py [--rounds 3] [--steps 400] [framework ...]

Needs the frameworks and loggers that it compares (lightning, transformers, keras, stable-baselines3;
tensorboard with torch, mlflow, wandb, trackio); what is missing is left out. A cost is the median CPU time of the
training's thread in one call of the logger, after the first 50: what a step waits for. What loggers
do in threads and processes of their own, and at the start and end of a run, is not in it. Loggers take
turns; the least median of the rounds counts.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

FIRST = 50
Training = Callable[[str, Path, "Clock"], None]


class Clock:
    """Times the calls of one method."""

    def __init__(self, steps: int) -> None:
        self.steps, self.times = steps, list[float]()

    def watch(self, logger: Any, method: str) -> None:
        """Time each call of a method of an object."""
        call = getattr(logger, method)

        def timed(*values: Any, **named: Any) -> Any:
            begin = time.thread_time()
            try:
                return call(*values, **named)
            finally:
                self.times.append(time.thread_time() - begin)

        setattr(logger, method, timed)

    @property
    def microseconds(self) -> float:
        """Of one call."""
        return statistics.median(self.times[FIRST:]) * 1e6


def lightning(logger: str, folder: Path, clock: Clock) -> None:
    """Five values a step."""
    import lightning as pl
    import torch

    class Model(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 1)

        def training_step(self, batch: Any, _: int) -> Any:
            loss = self.layer(batch).sum()
            self.log_dict({f"value_{n}": loss.detach() for n in range(4)} | {"loss": loss.detach()})
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=1e-3)

    made: Any
    if logger == "ours":
        from rigorous_recorder.integrations.lightning import RigorousLogger

        made = RigorousLogger(folder / "study", capture=False)
    elif logger == "tensorboard":
        made = pl.pytorch.loggers.TensorBoardLogger(folder)
    elif logger == "wandb":
        made = pl.pytorch.loggers.WandbLogger(save_dir=folder, offline=True)
        _ = made.experiment  # it starts with the first use
    clock.watch(made, "log_metrics")
    data = torch.utils.data.DataLoader(torch.ones(clock.steps, 4))
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "log_every_n_steps": 1}
    trainer = pl.Trainer(
        logger=made, max_epochs=1, accelerator="cpu", enable_checkpointing=False, **quiet
    )
    trainer.fit(Model(), data)
    if logger == "wandb":
        made.experiment.finish()


def transformers(logger: str, folder: Path, clock: Clock) -> None:
    """What the trainer logs itself: loss, gradient norm, learning rate, epoch."""
    import torch
    from transformers import PretrainedConfig, PreTrainedModel, Trainer, TrainingArguments

    class Line(PreTrainedModel):
        config_class = PretrainedConfig

        def __init__(self) -> None:
            super().__init__(PretrainedConfig())
            self.layer = torch.nn.Linear(4, 1)
            self.post_init()

        def forward(self, x: Any, labels: Any = None) -> Any:  # noqa: ARG002
            return {"loss": self.layer(x).mean() ** 2}

    callbacks = []
    if logger == "ours":
        from rigorous_recorder.integrations.transformers import RigorousCallback

        callbacks = [RigorousCallback(folder / "study", capture=False)]
    os.environ |= {"TENSORBOARD_LOGGING_DIR": str(folder), "TRACKIO_DIR": str(folder)}
    args = TrainingArguments(
        output_dir=str(folder / "out"),
        max_steps=clock.steps,
        per_device_train_batch_size=1,
        logging_steps=1,
        save_strategy="no",
        report_to=[logger] if logger in {"tensorboard", "wandb", "trackio"} else [],
        use_cpu=True,
        disable_tqdm=True,
    )
    data = [{"x": torch.ones(4), "labels": torch.ones(1)}] * clock.steps
    trainer = Trainer(model=Line(), args=args, train_dataset=data, callbacks=callbacks)
    known = trainer.callback_handler.callbacks
    (own,) = (each for each in known if NAMES.get(type(each).__name__) == logger)
    clock.watch(own, "on_log")
    trainer.train()
    if logger == "wandb":
        import wandb

        wandb.finish()


def keras(logger: str, folder: Path, clock: Clock) -> None:
    """Loss and one metric a batch."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras as k
    import numpy as np

    if logger == "ours":
        from rigorous_recorder.integrations.keras import RigorousCallback

        callback: Any = RigorousCallback(folder / "study", capture=False)
    else:  # its own callback needs TensorFlow
        import wandb

        class Logs(k.callbacks.Callback):
            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
                wandb.log(logs)

        wandb.init(dir=folder, mode="offline")
        callback = Logs()
    clock.watch(callback, "on_train_batch_end")
    model = k.Sequential([k.Input((4,)), k.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    x = np.ones((clock.steps, 4), np.float32)
    model.fit(x, x[:, :1], batch_size=1, verbose=0, callbacks=[callback])
    if logger == "wandb":
        wandb.finish()


def stable_baselines3(logger: str, folder: Path, clock: Clock) -> None:
    """A row of ten values of its logger."""
    from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat

    if logger == "ours":
        from rigorous_recorder import ExperimentCollection
        from rigorous_recorder.integrations.stable_baselines3 import RigorousWriter

        made: Any = RigorousWriter(ExperimentCollection(folder / "study", quiet=True).start())
    else:
        made = TensorBoardOutputFormat(str(folder))
    clock.watch(made, "write")
    rows = Logger(None, [made])
    for step in range(clock.steps):
        for number in range(10):
            rows.record(f"train/value_{number}", step + 0.5)
        rows.dump(step)
    rows.close()


def wandb(logger: str, folder: Path, clock: Clock) -> None:
    """``run.log`` of five values; both record the console and the machine, as they do by default."""
    if logger == "ours":
        import rigorous_recorder.wandb as module
    else:
        import wandb as module
    run = module.init(project="study", dir=folder)
    clock.watch(run, "log")
    for step in range(clock.steps):
        run.log({f"value_{n}": step + 0.5 for n in range(5)})
    run.finish()


def tensorboard(logger: str, folder: Path, clock: Clock) -> None:
    """``add_scalar`` of one of five tags."""
    if logger == "ours":
        from rigorous_recorder.tensorboard import SummaryWriter

        writer: Any = SummaryWriter(folder / "run", capture=False)
    else:
        from torch.utils.tensorboard import SummaryWriter as Original

        writer = Original(folder / "run")  # type: ignore[no-untyped-call]
    clock.watch(writer, "add_scalar")
    for step in range(clock.steps):
        writer.add_scalar(f"value_{step % 5}", step + 0.5, step)
    writer.close()


def mlflow(logger: str, folder: Path, clock: Clock) -> None:
    """``log_metrics`` of five values; the original has a database of SQLite."""
    if logger == "ours":
        import rigorous_recorder.mlflow as module
    else:
        import mlflow as module
    module.set_tracking_uri(f"sqlite:///{folder}/study.db")
    module.set_experiment("study")
    clock.watch(module, "log_metrics")
    with module.start_run():
        for step in range(clock.steps):
            module.log_metrics({f"value_{n}": step + 0.5 for n in range(5)}, step=step)


#: The callbacks of Transformers, and their loggers.
NAMES = {
    "RigorousCallback": "ours",
    "TensorBoardCallback": "tensorboard",
    "TrackioCallback": "trackio",
    "WandbCallback": "wandb",
}
CASES: dict[str, tuple[Training, list[str]]] = {
    "lightning": (lightning, ["tensorboard", "wandb"]),
    "transformers": (transformers, ["tensorboard", "wandb", "trackio"]),
    "keras": (keras, ["wandb"]),
    "stable_baselines3": (stable_baselines3, ["tensorboard"]),
    "tensorboard": (tensorboard, ["tensorboard"]),
    "mlflow": (mlflow, ["mlflow"]),
    "wandb": (wandb, ["wandb"]),
}


def costs(name: str, rounds: int, steps: int) -> Iterator[tuple[str, float]]:
    """The cost of each logger in microseconds a step."""
    train, peers = CASES[name]
    loggers = ["ours", *(each for each in peers if importlib.util.find_spec(each))]
    found: dict[str, list[float]] = {each: [] for each in loggers}
    for _ in range(rounds):
        for logger in loggers:
            clock = Clock(steps)
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                train(logger, Path(folder), clock)
            found[logger].append(clock.microseconds)
    yield from ((logger, min(times)) for logger, times in found.items())


def main() -> None:
    """Each framework in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frameworks", nargs="*", default=list(CASES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    options = ["--rounds", str(given.rounds), "--steps", str(given.steps)]
    for name in given.frameworks:
        if not importlib.util.find_spec(name):
            print(f"{name}: not installed")
        elif given.alone:
            known = dict(costs(name, given.rounds, given.steps))
            print(f"{name}, us a step")
            for logger, cost in known.items():
                ratio = "" if logger == "ours" else f"; ours is {known['ours'] / cost:.2f} of it"
                print(f"  {logger:12} {cost:7.1f} us{ratio}", flush=True)
        else:
            quiet = {
                **os.environ,
                "PYTHONWARNINGS": "ignore",
                "WANDB_SILENT": "true",
                "WANDB_MODE": "offline",
            }
            command = [sys.executable, str(Path(__file__).resolve()), name, "--alone", *options]
            with tempfile.TemporaryDirectory(
                ignore_cleanup_errors=True
            ) as folder:  # for W&B's files
                done = subprocess.run(
                    command, env=quiet, cwd=folder, capture_output=True, text=True, check=False
                )
            lines = done.stdout.splitlines()
            print(
                "\n".join(each for each in lines if " us" in each) or done.stderr[-2000:],
                flush=True,
            )


if __name__ == "__main__":
    main()
