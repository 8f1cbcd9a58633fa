"""`rigorous archive`: hide experiments from `ls`, unless it lists all."""

from contextlib import closing
from typing import Annotated

import typer

from rigorous_recorder import Experiment, ExperimentCollection
from rigorous_recorder.errors import ArgumentError

from .change import ErrorNumber, chosen
from .chosen import known_keys, meets, numbers_of
from .command import exclude, require_one_number
from .output import print_message
from .target import Collection, complete_experiment, open_collection

__all__ = ["EXAMPLES", "archive"]

EXAMPLES = """\
Examples: `rigorous archive data/my_study 3 5-7`, `rigorous archive data/my_study 3 --undo`,
`rigorous archive data/my_study --where status=failed`
"""


def archive(
    path: Collection,
    numbers: Annotated[
        list[str],
        typer.Argument(
            metavar="NUMBER",
            help="Numbers of experiments, as `rigorous ls` lists them, and ranges, such as 2-5.",
            autocompletion=complete_experiment,
            show_default=False,
        ),
    ] = [],
    *,
    where: Annotated[
        list[str],
        typer.Option(
            "--where",
            metavar="KEY=VALUE",
            help="The runs that have this value, such as lr=0.1 or status=failed; repeat it for more.",
            show_default=False,
        ),
    ] = [],
    error_number: ErrorNumber = None,
    undo: Annotated[bool, typer.Option("--undo", help="List them again.")] = False,
) -> None:
    """Hide experiments from `rigorous ls`, unless it is called with `--all`.

    Nothing else changes: their records stay in all query results, with the attribute `archived`, by
    which they can be excluded; `--undo` sets it to false. If several runs share a number, the latest
    one is archived, unless `--error-number` selects another; `--where` selects each run by itself.
    """
    exclude(where=where or None, error_number=error_number)
    if not numbers and not where:
        message = "nothing to archive: name experiments by their numbers, or by --where"
        raise ArgumentError(message)
    with closing(open_collection(path, read_only=False)) as collection:
        wanted = numbers_of(numbers, collection.experiment_numbers)
        require_one_number(wanted, error_number)
        if where:
            found = _runs_with(collection, wanted, where)
        else:
            found = [chosen(collection, number, error_number) for number in wanted]
        for experiment in found:
            if not undo or experiment["archived"] is not None:
                experiment["archived"] = not undo
    names = ", ".join(dict.fromkeys(str(each.number) for each in found))
    print_message(
        f"experiment {names} {'listed again' if undo else f'archived; `rigorous ls {path} --all` lists all'}"
    )


def _runs_with(
    collection: ExperimentCollection, numbers: list[int], where: list[str]
) -> list[Experiment]:
    """The runs that meet all conditions, of all numbers or some.

    Raises:
        ArgumentError: no run does.
    """
    known, runs = known_keys(collection), collection.experiments
    found = [
        run
        for run, status in zip(runs, runs.statuses(), strict=True)
        if (not numbers or run.number in numbers) and meets(run, status, where, known)
    ]
    if not found:
        message = f"no run has {' and '.join(where)}; nothing is archived"
        raise ArgumentError(message)
    return found
