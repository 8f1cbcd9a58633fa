"""What to use instead of what W&B has and this package has not."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

__all__ = ["INSTEAD", "advice", "found_on_use"]

_SEARCH: Final = (
    "Optuna or Ray Tune with their callback in rigorous_recorder.integrations, or Hydra's multirun"
)

#: What to use instead of a function or an option of ``init``.
INSTEAD: Final = {
    "Api": "ExperimentCollection.open('<project>.collection'): its experiments, records and sql()",
    "agent": _SEARCH,
    "attach": "init(id=..., resume='must')",
    "controller": _SEARCH,
    "fork_from": "a run of its own, with the values that it needs",
    "monitor_gym": "RecordEpisodes of rigorous_recorder.integrations.gymnasium",
    "resume_from": "init(id=..., resume='must'), which keeps all records",
    "sweep": _SEARCH,
    "sync_tensorboard": "rigorous_recorder.tensorboard.patch(), with which SummaryWriter logs itself",
}

_TABLES: Final = "wandb.log() with wandb.Table, wandb.plot.roc_curve() and the like"
_OWN: Final = "wandb.log() in code of your own"
#: Modules, and what to use instead: a name of rigorous_recorder.integrations, or a sentence.
_MODULES: Final = {
    "agents": _SEARCH,
    "api": INSTEAD["Api"],
    "apis": INSTEAD["Api"],
    "catboost": ("catboost", "CatBoostCallback"),
    "fastai": ("fastai", "RigorousCallback"),
    "gym": ("gymnasium", "RecordEpisodes"),
    "huggingface": ("transformers", "RigorousCallback"),
    "launch": _SEARCH,
    "lightning": ("lightning", "RigorousLogger"),
    "sb3": ("stable_baselines3", "RigorousCallback"),
    "sklearn": _TABLES,
    "sweeps": _SEARCH,
    "tensorboard": "SummaryWriter of rigorous_recorder.tensorboard",
    "tensorflow": "SummaryWriter of rigorous_recorder.tensorboard",
    "torch": "wandb.watch()",
    "wandb_agent": _SEARCH,
    "wandb_controller": _SEARCH,
}


def advice(name: str) -> str:
    """What to use instead of a module or another name of W&B's, as an error's message."""
    parts = name.removeprefix("integration.").removeprefix("sdk.").split(".")
    found = _MODULES.get(parts[0])
    if isinstance(found, tuple):
        module, class_ = found
        found = f"{class_} of rigorous_recorder.integrations.{module} with wandb.run.recorder"
    if found is None and name.startswith("integration."):
        found = _OWN
    end = f"use {found}" if found else "docs/integrations.md lists what it has"
    return f"rigorous_recorder.wandb has no {name!r}: {end}"


def found_on_use(package: str) -> Callable[[str], Any]:
    """A module's ``__getattr__``: gives modules below it, and else raises an error with advice."""

    def find(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return import_module(f"{package}.{name}")
        except ModuleNotFoundError as error:
            raise AttributeError(str(error)) from error

    return find
