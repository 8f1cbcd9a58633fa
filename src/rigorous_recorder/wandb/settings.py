"""What ``init`` is given, by arguments, settings and the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["Given", "Settings"]


class Settings:
    """Settings as W&B's ``init`` takes them; of these ``mode``, ``project`` and the like count."""

    def __init__(self, **settings: Any) -> None:
        vars(self).update(settings)


class Given(dict[str, Any]):
    """Arguments of ``init``; the settings and the environment fill in what was not given."""

    _VARIABLES: Final = {"group": "WANDB_RUN_GROUP", "id": "WANDB_RUN_ID"}

    def __init__(self, settings: Any, **values: Any) -> None:
        super().__init__()
        is_mapping = isinstance(settings, Mapping)
        self._settings = dict(settings) if is_mapping else dict(vars(settings)) if settings else {}
        self.add(**values)

    def add(self, **values: Any) -> None:
        """Take values, each from the first place that has one."""
        for key, value in values.items():
            variable = self._VARIABLES.get(key, f"WANDB_{key.upper()}")
            settings = self._settings.get(key, self._settings.get(f"run_{key}"))
            self[key] = next((v for v in (value, settings, os.environ.get(variable)) if v), None)
        if isinstance(self.get("tags"), str):
            self["tags"] = self["tags"].split(",")
