"""Where runs go: the folder of the collections, and the collection of each experiment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlparse

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._keys import RESERVED
from rigorous_recorder.integrations.guest import guest, set_attributes
from rigorous_recorder.integrations.joining import shared_collection

from .entities import Experiment
from .exceptions import MlflowException

__all__ = [
    "CHOSEN",
    "collection_of",
    "create_experiment",
    "experiment_now",
    "get_experiment",
    "get_experiment_by_name",
    "get_tracking_uri",
    "is_tracking_uri_set",
    "place_of",
    "search_experiments",
    "set_experiment",
    "set_experiment_tag",
    "set_experiment_tags",
    "set_tracking_uri",
]

#: What was set by ``set_tracking_uri`` and ``set_experiment``.
CHOSEN: Final[dict[str, str]] = {}


def set_tracking_uri(uri: str | os.PathLike[str]) -> None:
    """Choose the folder of the collections: a path, ``file:`` or ``sqlite:///<path>.db``.

    Raises:
        MlflowException: it names a server.
    """
    _folder(os.fspath(uri))
    CHOSEN["uri"] = os.fspath(uri)


def get_tracking_uri() -> str:
    """What was set, else MLFLOW_TRACKING_URI, else the folder ``mlflow``."""
    return CHOSEN.get("uri") or os.environ.get("MLFLOW_TRACKING_URI") or "mlflow"


def _folder(uri: str) -> Path:
    parts = urlparse(uri)
    if parts.scheme in {"", "file"} or len(parts.scheme) == 1:
        return Path(unquote(parts.path) if parts.scheme == "file" else uri)
    if parts.scheme == "sqlite":
        return Path(uri.removeprefix("sqlite:///")).with_suffix("")
    message = f"{uri!r} names a server; this module logs to a folder: give its path"
    raise MlflowException(message)


def is_tracking_uri_set() -> bool:
    """Whether a folder was chosen."""
    return "uri" in CHOSEN or "MLFLOW_TRACKING_URI" in os.environ


def create_experiment(
    name: str,
    artifact_location: str | None = None,
    tags: Mapping[str, Any] | None = None,
    *_: Any,
    **__: Any,
) -> str:
    """The id of an experiment, which is its name."""
    if tags:
        _tag(name, tags)
    return get_experiment(name).experiment_id


def set_experiment(
    experiment_name: str | None = None, experiment_id: str | None = None, **_: Any
) -> Experiment:
    """Choose the experiment of the runs that follow: the collection ``<name>.collection``."""
    name = experiment_name or experiment_id or "Default"
    found = get_experiment(name)
    CHOSEN["experiment"] = name
    return found


def experiment_now() -> str:
    """The name of the experiment of the next run."""
    return CHOSEN.get("experiment") or os.environ.get("MLFLOW_EXPERIMENT_NAME") or "Default"


def get_experiment(experiment_id: str) -> Experiment:
    """An experiment by its id, which is its name."""
    place = place_of(experiment_id)
    tags = {}
    if place.exists():
        attributes = shared_collection(place).recorder.attributes
        tags = {key: each for key, each in attributes.items() if key not in RESERVED}
    return Experiment(experiment_id, str(place), tags)


def get_experiment_by_name(name: str) -> Experiment | None:
    """An experiment; None if it has no runs yet."""
    return get_experiment(name) if place_of(name).exists() else None


def search_experiments(*_: Any, **__: Any) -> list[Experiment]:
    """The experiments in the folder, by name; what filters them is left to the caller."""
    found = sorted(_folder(get_tracking_uri()).glob("*.collection"))
    return [get_experiment(each.stem) for each in found]


def set_experiment_tag(key: str, value: Any) -> None:
    """Set an attribute of the whole collection."""
    _tag(experiment_now(), {key: value})


def set_experiment_tags(tags: Mapping[str, Any]) -> None:
    """Set attributes of the whole collection."""
    _tag(experiment_now(), tags)


@guest
def _tag(name: str, tags: Mapping[str, Any]) -> None:
    set_attributes(collection_of(name).recorder, tags)


def collection_of(experiment: str) -> ExperimentCollection:
    """The collection of an experiment, which is made if it is not there."""
    return shared_collection(place_of(experiment))


def place_of(experiment: str) -> Path:
    """The path of an experiment's collection.

    Raises:
        MlflowException: the name is no name of a file.
    """
    name = experiment.strip("/").replace("/", "_")
    if not name or name.startswith("."):
        message = f"{experiment!r} is not a valid name of an experiment"
        raise MlflowException(message)
    return _folder(get_tracking_uri()) / f"{name}.collection"
