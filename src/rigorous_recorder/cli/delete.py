"""`rigorous delete`: experiments of a collection, with all that was logged in them, go."""

from contextlib import closing
from typing import Annotated

import typer

from rigorous_recorder import ExperimentCollection, ExperimentOverview, Row
from rigorous_recorder._display.runs import run_line
from rigorous_recorder._display.text import plural
from rigorous_recorder.errors import ArgumentError

from .command import exclude, require_one_number
from .output import print_message
from .target import Collection, complete_experiment, open_collection

__all__ = ["EXAMPLES", "delete"]

EXAMPLES = """\
Examples: `rigorous delete data/my_study 3`, `rigorous delete data/my_study 3 5 --yes`,
`rigorous delete data/my_study 4 --error-number 1`
"""


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
    error_number: Annotated[
        int | None,
        typer.Option(help="Which run to delete, where several share the number.", min=0),
    ] = None,
    all_attempts: Annotated[
        bool, typer.Option("--all-attempts", help="Delete all runs that share a number.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Delete experiments, with all their records, for good.

    Where several runs share a number, since some failed and were begun anew, they are listed, and
    nothing is deleted until one of them is named by `--error-number`, or `--all-attempts` is given.
    They are excluded from query results from now on; `rigorous compact` frees the space. Others may log and read
    meanwhile. One that still runs can't be deleted.
    """
    exclude(error_number=error_number, all_attempts=all_attempts)
    require_one_number(numbers, error_number)
    with closing(open_collection(path, read_only=False)) as collection:
        there = collection.experiment_numbers
        if unknown := [number for number in numbers if number not in there]:
            listed = ", ".join(map(str, unknown))
            message = f"there is no experiment {listed} in {path}; `rigorous ls {path}` lists all"
            raise ArgumentError(message)
        names = "experiment " + ", ".join(map(str, dict.fromkeys(numbers)))
        if error_number is not None:
            names += f" (error_number {error_number})"
        runs = _runs(collection, numbers, error_number)
        is_plain = all_attempts or len({run["experiment_number"] for run, _ in runs}) == len(runs)
        if runs and is_plain and not yes:  # else it is refused
            for run, each in runs:
                print_message(run_line(run, str(each.status), each.records))
            count = sum(each.records for _, each in runs)
            typer.confirm(
                f"Delete {names} with {plural(count, 'record')} for good?", abort=True, err=True
            )
        records = collection.delete(*numbers, error_number=error_number, all_attempts=all_attempts)
    print_message(
        f"{names} deleted, with {plural(records, 'record')}; `rigorous compact {path}` frees the space"
    )


def _runs(
    collection: ExperimentCollection, numbers: list[int], error_number: int | None
) -> list[tuple[Row, ExperimentOverview]]:
    """The runs that are meant, in order of start."""
    known = zip(collection.experiments, collection.overview(), strict=False)
    return [
        (run, each)
        for run, each in known
        if run["experiment_number"] == each.experiment_number  # others may begin or delete some
        if each.experiment_number in numbers and error_number in {None, each.error_number}
    ]
