"""`rigorous delete`: experiments of a collection, with all that was logged in them, go."""

from contextlib import closing
from typing import Annotated

import typer

from rigorous_recorder.errors import ArgumentError

from .output import say
from .target import Collection, complete_experiment, open_collection

__all__ = ["EXAMPLES", "delete"]

EXAMPLES = "Examples: `rigorous delete data/my_study 3`, `rigorous delete data/my_study 3 5 --yes`"


def delete(
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
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Delete experiments, all attempts at each, with all their records, for good.

    They are in no answer from now on; `rigorous compact` frees the space. Others may log and read
    meanwhile. One that still runs can't be deleted.
    """
    with closing(open_collection(path)) as collection:
        there = collection.experiment_numbers
        if unknown := [number for number in numbers if number not in there]:
            listed = ", ".join(map(str, unknown))
            message = f"there is no experiment {listed} in {path}; `rigorous ls {path}` lists all"
            raise ArgumentError(message)
        names = "experiment " + ", ".join(map(str, dict.fromkeys(numbers)))
        if not yes:
            count = sum(e.records for e in collection.overview() if e.experiment_number in numbers)
            typer.confirm(f"Delete {names} with {count:,} records for good?", abort=True, err=True)
        records = collection.delete(*numbers)
    say(f"{names} deleted, with {records:,} records; `rigorous compact {path}` frees the space")
