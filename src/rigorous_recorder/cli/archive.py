"""`rigorous archive`: hide experiments from `ls`, unless it lists all."""

from contextlib import closing
from typing import Annotated

import typer

from .change import ErrorNumber, chosen
from .command import require_one_number
from .output import print_message
from .target import Collection, complete_experiment, open_collection

__all__ = ["EXAMPLES", "archive"]

EXAMPLES = (
    "Examples: `rigorous archive data/my_study 3 4`, `rigorous archive data/my_study 3 --undo`"
)


def archive(
    path: Collection,
    numbers: Annotated[
        list[int],
        typer.Argument(
            metavar="NUMBER",
            help="Numbers of experiments, as `rigorous ls` lists them.",
            autocompletion=complete_experiment,
            show_default=False,
        ),
    ],
    *,
    error_number: ErrorNumber = None,
    undo: Annotated[bool, typer.Option("--undo", help="List them again.")] = False,
) -> None:
    """Hide experiments from `rigorous ls`, unless it is called with `--all`.

    Nothing else changes: their records stay in all query results, with the attribute `archived`, by
    which they can be excluded. If several runs share a number, the latest one is archived, unless
    `--error-number` selects another.
    """
    require_one_number(numbers, error_number)
    with closing(open_collection(path, read_only=False)) as collection:
        found = [chosen(collection, number, error_number) for number in dict.fromkeys(numbers)]
        for experiment in found:
            experiment["archived"] = None if undo else True
    names = ", ".join(str(each.number) for each in found)
    print_message(
        f"experiment {names} {'listed again' if undo else f'archived; `rigorous ls {path} --all` lists all'}"
    )
