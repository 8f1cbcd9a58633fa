"""Callbacks of W&B that scripts import from here: they log to ``wandb.run``, with the keys of W&B's."""

from rigorous_recorder.wandb.advice import found_on_use

__getattr__ = found_on_use(__name__)
