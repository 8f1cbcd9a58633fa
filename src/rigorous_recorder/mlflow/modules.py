"""The modules of MLflow that scripts import from, such as ``mlflow.sklearn`` and ``mlflow.utils``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any, Final

from . import client, entities, runs, stored
from .absent import LIBRARIES, Library

__all__ = ["patch", "register", "resolve_tags"]

#: This package, below which the modules are.
_HERE: Final = __name__.rpartition(".")[0]
#: Modules of which the contents do nothing here.
_NOTHING: Final = (
    *LIBRARIES,
    *("genai.scorers", "models.model", "models.signature", "models.utils", "pyfunc.model"),
    *("pyfunc.utils", "types.llm", "types.responses", "types.schema"),
)
_TAGS: Final = {
    "MLFLOW_DATASET_CONTEXT": "mlflow.data.context",
    "MLFLOW_GIT_BRANCH": "mlflow.source.git.branch",
    "MLFLOW_GIT_COMMIT": "mlflow.source.git.commit",
    "MLFLOW_PARENT_RUN_ID": "mlflow.parentRunId",
    "MLFLOW_RUN_NAME": "mlflow.runName",
    "MLFLOW_RUN_NOTE": "mlflow.note.content",
    "MLFLOW_SOURCE_NAME": "mlflow.source.name",
    "MLFLOW_SOURCE_TYPE": "mlflow.source.type",
    "MLFLOW_USER": "mlflow.user",
}
#: What integrations cut parameters by; here they have any length.
_LIMITS: Final = {
    "MAX_ENTITY_KEY_LENGTH": 250,
    "MAX_METRICS_PER_BATCH": 1000,
    "MAX_PARAM_VAL_LENGTH": 6000,
    "MAX_PARAMS_TAGS_PER_BATCH": 100,
    "MAX_TAG_VAL_LENGTH": 8000,
}


def resolve_tags(tags: Mapping[str, Any] | None = None, *_: Any) -> dict[str, Any]:
    """The tags: what a run knows of itself is in its environment."""
    return {key: each for key, each in (tags or {}).items() if each is not None}


def _is_valid(*_: Any, **__: Any) -> None:
    """Nothing: every text is a valid name."""


def register(package: ModuleType) -> None:
    """Make the modules importable below this package."""
    for name in _NOTHING:
        _place(Library(f"{_HERE}.{name}"))
    context = {"resolve_tags": resolve_tags}
    _module("tracking.client", vars(client), client.__all__)
    _module("tracking.fluent", vars(runs) | vars(stored) | vars(package), package.__all__)
    _place(
        _module(
            "tracking.context",
            {**context, "registry": _module("tracking.context.registry", context)},
        )
    )
    package.version = _module("version", {"VERSION": package.__version__})  # type: ignore[attr-defined]
    _module("store.entities", {"PagedList": entities.PagedList})
    _module("store.entities.paged_list", {"PagedList": entities.PagedList})
    checks = dict.fromkeys(
        ("_validate_metric_name", "_validate_param_name", "validate_param_and_metric_name"),
        _is_valid,
    )
    tags, limits = (
        _module("utils.mlflow_tags", _TAGS),
        _module("utils.validation", {**_LIMITS, **checks}),
    )
    package.utils = _module("utils", {"mlflow_tags": tags, "validation": limits})  # type: ignore[attr-defined]


def _module(
    name: str, contents: Mapping[str, Any], names: Iterable[str] | None = None
) -> ModuleType:
    found = ModuleType(f"{_HERE}.{name}")
    vars(found).update({key: contents[key] for key in (names or contents) if key in contents})
    return _place(found)


def _place(module: ModuleType) -> ModuleType:
    module.__path__ = []
    sys.modules[module.__name__] = module
    return module


def patch() -> None:
    """Make ``import mlflow`` give this package, for code that can't be changed; call it before that code.

    So the loggers that frameworks have for MLflow log here, such as those of Transformers, Accelerate and
    Ignite, and that of Lightning where MLflow is installed.
    """
    mine = {name: each for name, each in sys.modules.items() if f"{name}.".startswith(f"{_HERE}.")}
    sys.modules |= {f"mlflow{name.removeprefix(_HERE)}": each for name, each in mine.items()}
