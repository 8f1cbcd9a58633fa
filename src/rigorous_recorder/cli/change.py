"""Shared by commands that change one experiment: selecting it, and parsing typed values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from rigorous_recorder import Experiment, ExperimentCollection
from rigorous_recorder._display.runs import run_name

from .output import print_message
from .target import complete_experiment, open_collection

__all__ = ["ErrorNumber", "Number", "changed", "chosen", "typed_attributes"]

Number = Annotated[
    int,
    typer.Argument(
        metavar="NUMBER",
        help="The number of the experiment, as `rigorous ls` lists it.",
        autocompletion=complete_experiment,
        show_default=False,
    ),
]
ErrorNumber = Annotated[
    int | None,
    typer.Option(help="Which run, if several share the number.", min=0),
]


@contextmanager
def changed(path: Path, number: int, error_number: int | None) -> Iterator[Experiment]:
    """The selected experiment, in a collection that is closed at the end."""
    with closing(open_collection(path, read_only=False)) as collection:
        yield chosen(collection, number, error_number)


def chosen(
    collection: ExperimentCollection, number: int, error_number: int | None = None
) -> Experiment:
    """The selected experiment; the latest if several share the number, which is reported.

    Raises:
        UnknownExperimentError: there is no such experiment.
    """
    found = collection.experiment(number, error_number=error_number)
    runs = [each for each in collection.experiments if each.number == found.number]
    if error_number is None and len(runs) > 1:
        name = run_name(found.number, found["error_number"])
        print_message(
            f"{len(runs)} runs share the number {found.number}; this is the latest, {name}"
        )
    return found


def typed_attributes(words: list[str]) -> dict[str, Any]:
    """Parse attributes typed as ``key=value``; a value is JSON, or else text.

    Raises:
        typer.BadParameter: a word has no ``=``, or no key before it, or is ``key+=value``.
    """
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not (key and equals):
            message = f"{word!r} sets nothing; expected key=value, such as note='best so far'"
            raise typer.BadParameter(message)
        if key.endswith(("+", "-")):
            message = (
                f"{word!r}: an attribute is set as a whole, by key=value; a single tag is added by"
                f" `rigorous tag COLLECTION NUMBER +{value}`, and removed by -{value}"
            )
            raise typer.BadParameter(message)
        found[key] = _typed(value)
    return found


def _typed(value: str) -> Any:
    try:
        return json.loads(value, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
