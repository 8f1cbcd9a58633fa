"""Where runs go: the folder of the collections, and the collection of each experiment."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlparse

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._keys import RESERVED
from rigorous_recorder.integrations.guest import guest, set_attributes
from rigorous_recorder.integrations.joining import shared_collection

from .entities import Experiment, PagedList
from .exceptions import MlflowException
from .filters import is_chosen, ordered

__all__ = [
    "CHOSEN",
    "collection_of",
    "create_experiment",
    "delete_experiment_tag",
    "experiment_now",
    "get_experiment",
    "get_experiment_by_name",
    "get_registry_uri",
    "get_tracking_uri",
    "is_tracking_uri_set",
    "name_of",
    "page",
    "place_of",
    "search_experiments",
    "set_experiment",
    "set_experiment_tag",
    "set_experiment_tags",
    "set_registry_uri",
    "set_tracking_uri",
]

#: What was set by ``set_tracking_uri`` and ``set_experiment``.
CHOSEN: Final[dict[str, str]] = {}
#: The attribute of runs, and of collections that were made for an experiment, with its name.
_NAME: Final = "experiment"


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
    if uri == "databricks":
        parts = urlparse("databricks:")
    if parts.scheme in {"", "file"} or len(parts.scheme) == 1:
        return Path(unquote(parts.path) if parts.scheme == "file" else uri)
    if parts.scheme == "sqlite":
        return Path(uri.removeprefix("sqlite:///")).with_suffix("")
    message = f"{uri!r} names a server; this module logs to a folder: give its path"
    raise MlflowException(message)


def get_registry_uri() -> str:
    """That of the runs: there is no registry of models."""
    return get_tracking_uri()


def set_registry_uri(uri: str) -> None:
    """Nothing: there is no registry of models."""


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
    """Make an experiment; its id, which is its name.

    Raises:
        MlflowException: it exists.
    """
    if place_of(name).exists():
        message = f"experiment {name!r} exists: get_experiment_by_name() finds it"
        raise MlflowException(message, "RESOURCE_ALREADY_EXISTS")
    _tag(name, {**(tags or {}), _NAME: name})
    return get_experiment(name).experiment_id


def set_experiment(
    experiment_name: str | None = None, experiment_id: str | int | None = None, *_: Any, **__: Any
) -> Experiment:
    """Choose the experiment of the runs that follow: the collection ``<name>.collection``."""
    name = experiment_name or name_of(experiment_id)
    if not place_of(name).exists():
        _tag(name, {_NAME: name})
    CHOSEN["experiment"] = name
    return get_experiment(name)


def name_of(experiment_id: str | int | None) -> str:
    """The name of an experiment by its id, which is the same, but for the original's 0."""
    id_ = "0" if experiment_id in {None, ""} else str(experiment_id)
    return "Default" if id_ == "0" and not place_of(id_).exists() else id_


def experiment_now() -> str:
    """The name of the experiment of the next run."""
    return CHOSEN.get("experiment") or os.environ.get("MLFLOW_EXPERIMENT_NAME") or "Default"


def get_experiment(experiment_id: str | int) -> Experiment:
    """An experiment by its id, which is its name."""
    name = name_of(experiment_id)
    place = place_of(name)
    tags, made, changed = {}, None, None
    if place.exists():
        attributes = shared_collection(place).recorder.attributes
        tags = {key: each for key, each in attributes.items() if key not in {*RESERVED, _NAME}}
        made, changed = (
            int(path.stat().st_mtime * 1000) for path in (place / "collection.json", place)
        )
    return Experiment(name, str(place), tags, creation_time=made, last_update_time=changed)


def get_experiment_by_name(name: str) -> Experiment | None:
    """An experiment; None if there is none with the name."""
    return get_experiment(name) if place_of(name).exists() else None


def search_experiments(
    view_type: int | None = None,
    max_results: int | None = None,
    filter_string: str | None = None,
    order_by: Sequence[str] | None = None,
    page_token: str | None = None,
) -> PagedList:
    """The experiments in the folder that meet a filter, by name; see ``search_runs``."""
    names = [each.stem for each in sorted(_folder(get_tracking_uri()).glob("*.collection"))]
    found = [get_experiment(name) for name in names]
    chosen = [each for each in found if is_chosen(each, filter_string or "")]
    return page(ordered(chosen, order_by or ()), max_results, page_token)


def page(found: Sequence[Any], most: int | None, token: str | None) -> PagedList:
    """A page of what was found: that of a token, else the first."""
    start = int(token or 0)
    end = len(found) if most is None else start + most
    return PagedList(found[start:end], str(end) if end < len(found) else None)


def set_experiment_tag(key: str, value: Any, experiment_id: str | None = None) -> None:
    """Set an attribute of the whole collection."""
    _tag(experiment_id or experiment_now(), {key: value})


def delete_experiment_tag(key: str, experiment_id: str | None = None) -> None:
    """Remove an attribute of the whole collection."""
    set_experiment_tag(key, None, experiment_id)


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
    name = str(experiment).strip("/").replace("/", "_")
    if not name or name.startswith("."):
        message = f"{experiment!r} is not a valid name of an experiment"
        raise MlflowException(message)
    return _folder(get_tracking_uri()) / f"{name}.collection"
