"""What ``init`` is given, by arguments, settings and the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["Given", "Settings"]


class Settings:
    """Settings as W&B's ``init`` takes them; of these ``mode``, ``project``, ``console`` and so on count."""

    console = "wrap"
    disable_git = quiet = silent = x_disable_machine_info = x_disable_meta = x_disable_stats = False
    _offline = True

    def __init__(self, **settings: Any) -> None:
        vars(self).update(settings)


class Given(dict[str, Any]):
    """Arguments of ``init``; the settings and the environment fill in what was not given."""

    _VARIABLES: Final = {"group": "WANDB_RUN_GROUP", "id": "WANDB_RUN_ID"}
    _SETTINGS: Final = {"dir": "root_dir"}

    def __init__(self, settings: Any, **values: Any) -> None:
        super().__init__()
        is_mapping = isinstance(settings, Mapping)
        self.settings = dict(settings) if is_mapping else dict(vars(settings)) if settings else {}
        self.add(**values)

    def add(self, **values: Any) -> None:
        """Take values, each from the first place that has one."""
        for key, value in values.items():
            variable = self._VARIABLES.get(key, f"WANDB_{key.upper()}")
            names = (key, self._SETTINGS.get(key, f"run_{key}"))
            places = (value, *map(self.settings.get, names), os.environ.get(variable))
            self[key] = next((each for each in places if each), None)
        if isinstance(self.get("tags"), str):
            self["tags"] = self["tags"].split(",")

    def setting(self, name: str) -> Any:
        """A setting by its name, such as ``x_disable_stats``, also in its old form ``_disable_stats``."""
        names = (name, name.removeprefix("x")) if name.startswith("x_") else (name,)
        found = [self.settings[each] for each in names if self.settings.get(each) is not None]
        found += [os.environ.get(f"WANDB_{each.upper()}") for each in names]
        return next((each for each in found if each is not None), None)

    def is_on(self, name: str) -> bool:
        """Whether a setting is switched on; variables are so by all texts but some."""
        value = self.setting(name)
        is_off = isinstance(value, str) and value.lower() in {
            "",
            "0",
            "false",
            "f",
            "no",
            "n",
            "off",
        }
        return bool(value) and not is_off
