"""The formats by name, and which of them a path has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from rigorous_recorder.errors import ArgumentError

from .contract import Format, Source
from .files import listed_once

__all__ = ["FORMATS", "Found", "find", "format_named"]

#: Each is a module with a ``FORMAT``; a path is looked at by them in this order.
FORMATS: Final[tuple[str, ...]] = (
    "tensorboard",
    "mlflow",
    "optuna",
    "lightning",
    "ray",
    "sb3",
    "huggingface",
    "wandb",
    "trackio",
    "swanlab",
    "dvclive",
    "sacred",
    "aim",
    "goodseed",
    "comet",
    "clearml",
    "neptune",
    "minari",
    "pickle",
    "csv",
    "jsonl",
    "parquet",
)

Found = list[tuple[Format, Source]]


def format_named(name: str) -> Format:
    """The format of a name.

    Raises:
        ArgumentError: there is none.
    """
    if name not in FORMATS:
        message = f"format={name!r}: expected one of {', '.join(FORMATS)}"
        raise ArgumentError(message)
    found: Format = import_module(f".{name}", __package__).FORMAT
    return found


def find(path: Path, names: tuple[str, ...], options: Mapping[str, Any]) -> Found:
    """The formats that have sources at or below a path, with their sources.

    Args:
        names: the formats to look for; empty for all.
    """
    found: Found = []
    with listed_once():
        for each in map(format_named, names or FORMATS):
            if each.is_general and not names and not path.is_file():
                continue
            found += [(each, source) for source in _sources(each, path, options)]
            if found and path.is_file():
                break
    return found


def _sources(format_: Format, path: Path, options: Mapping[str, Any]) -> Iterator[Source]:
    wanted = {key: options[key] for key in format_.options if options.get(key) is not None}
    yield from format_.find(path, wanted)
