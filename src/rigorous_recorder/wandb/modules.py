"""Modules of W&B that scripts and frameworks import: those whose contents are here, and advice for others."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

from .advice import advice, found_on_use

__all__ = ["PATCHED", "Here", "InPlaceOfOriginal"]

_HERE: Final = f"{__package__}."
#: What the original is imported as.
PATCHED: Final = "wandb"
_THERE: Final = f"{PATCHED}."

#: Modules that have another name here.
_ALIASES: Final = {
    "errors.errors": "errors",
    "keras": "integration.keras",
    "lightgbm": "integration.lightgbm",
    "xgboost": "integration.xgboost",
}

_DATA: Final = (
    "Audio Classes File Histogram Html Image Molecule Object3D Plotly Table Video WBValue"
)
#: What a module has that is nothing but names of this package.
_CONTENTS: Final = {
    "data_types": _DATA,
    "errors.term": "termerror termlog termwarn",
    "sdk": "AlertLevel Artifact Config Settings Summary finish init login require setup teardown",
    "sdk.artifacts": "",
    "sdk.artifacts.artifact": "Artifact",
    "sdk.data_types": "",
    "sdk.data_types.base_types": "",
    "sdk.data_types.base_types.media": "Media",
    "sdk.data_types.base_types.wb_value": "WBValue",
    **{f"sdk.data_types.{name.lower()}": name for name in _DATA.split()},
    "sdk.data_types.object_3d": "Object3D",
    "sdk.lib": "RunDisabled",
    "sdk.lib.config_util": "ConfigError",
    "sdk.lib.runid": "generate_id",
    "sdk.wandb_alerts": "AlertLevel",
    "sdk.wandb_config": "Config",
    "sdk.wandb_run": "Run",
    "sdk.wandb_settings": "Settings",
    "sdk.wandb_summary": "Summary",
    "wandb_run": "Run",
}


class Here(MetaPathFinder, Loader):
    """Finds modules below this package that have no file: of contents, of another name, or not at all.

    Args:
        package: this package, which has what the modules contain, also under names of its own.
    """

    def __init__(self, package: ModuleType, more: dict[str, Any]) -> None:
        self._package, self._more = package, more

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """That of a module of contents or of another name.

        Raises:
            ModuleNotFoundError: there is none; the message has what to use instead.
        """
        name = fullname.removeprefix(_HERE)
        if name == fullname:
            return None
        if name in _ALIASES or name in _CONTENTS:
            return ModuleSpec(fullname, self, is_package=True)
        # Without a name, with which ``from package import name`` would leave this message out.
        raise ModuleNotFoundError(advice(name))

    def exec_module(self, module: ModuleType) -> None:
        """Fill a module, or let another take its place."""
        name = module.__name__.removeprefix(_HERE)
        if name in _ALIASES:
            sys.modules[module.__name__] = import_module(_HERE + _ALIASES[name])
        vars(module)["__getattr__"] = found_on_use(module.__name__)
        for each in _CONTENTS.get(name, "").split():
            found = self._more.get(each)
            setattr(module, each, getattr(self._package, each) if found is None else found)


class InPlaceOfOriginal(MetaPathFinder, Loader):
    """Gives the modules here to imports of the original's."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """One for all names below the original's, as long as this package has its place."""
        is_ours = (
            fullname.startswith(_THERE) and sys.modules.get(PATCHED) is sys.modules[_HERE[:-1]]
        )
        return ModuleSpec(fullname, self, is_package=True) if is_ours else None

    def exec_module(self, module: ModuleType) -> None:
        """Let the module here take its place."""
        name = module.__name__
        sys.modules[name] = import_module(_HERE + name.removeprefix(_THERE))
