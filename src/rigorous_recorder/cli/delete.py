"""`rigorous delete`: delete experiments of a collection, with all their records."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Annotated, Any

import typer

from rigorous_recorder import ExperimentCollection, ExperimentOverview, Row
from rigorous_recorder._display.runs import run_line
from rigorous_recorder._display.text import plural
from rigorous_recorder.errors import ArgumentError

from .chosen import known_keys, meets, numbers_of
from .command import exclude, require_one_number
from .output import print_message
from .target import Collection, complete_experiment, open_collection

__all__ = ["EXAMPLES", "delete"]

EXAMPLES = """\
Examples: `rigorous delete data/my_study 3`, `rigorous delete data/my_study 3 5-7 --yes`,
`rigorous delete data/my_study 4 --error-number 1`,
`rigorous delete data/my_study --where status=failed --where lr=0.1`
"""


def delete(
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
    error_number: Annotated[
        int | None,
        typer.Option(help="Which run to delete, if several share the number.", min=0),
    ] = None,
    all_runs: Annotated[
        bool, typer.Option("--all-runs", help="Delete all runs that share a number.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Delete experiments, with all their records, for good.

    If several runs share a number, because some failed and were restarted, they are listed, and
    nothing is deleted until one of them is selected by `--error-number`, or `--all-runs` is
    given. Deleted records are excluded from query results at once; `rigorous compact` frees the
    space. Other processes may log and read meanwhile. A running experiment can't be deleted.
    """
    exclude(error_number=error_number, all_runs=all_runs)
    exclude(where=where or None, error_number=error_number)
    with closing(open_collection(path, read_only=False)) as collection:
        there = collection.experiment_numbers
        wanted = numbers_of(numbers, there) if numbers or not where else list(there)
        require_one_number(wanted, error_number)
        if not numbers and not where:
            message = "nothing to delete: name experiments by their numbers, or by --where"
            raise ArgumentError(message)
        if unknown := [number for number in wanted if number not in there]:
            listed = ", ".join(map(str, unknown))
            message = f"there is no experiment {listed} in {path}; `rigorous ls {path}` lists all"
            raise ArgumentError(message)
        if where:
            names, records = _delete_where(collection, wanted, where, yes=yes)
        else:
            noun = "experiment" if len(wanted) == 1 else "experiments"
            names = f"{noun} {', '.join(map(str, wanted))}"
            if error_number is not None:
                names += f" (error_number {error_number})"
            runs = _runs(collection, wanted, error_number)
            one_each = len({run["experiment_number"] for run, _ in runs}) == len(runs)
            if runs and (all_runs or one_each) and not yes:  # else it is refused
                _confirm(names, runs)
            records = collection.delete(*wanted, error_number=error_number, all_runs=all_runs)
    print_message(
        f"{names} deleted, with {plural(records, 'record')}; `rigorous compact {path}` frees the space"
    )


def _delete_where(
    collection: ExperimentCollection, numbers: list[int], where: list[str], *, yes: bool
) -> tuple[str, int]:
    """Delete the runs that meet all conditions; return their description and number of records.

    Raises:
        ArgumentError: no run does.
    """
    known = known_keys(collection)
    runs = [
        (run, each)
        for run, each in _runs(collection, numbers, None)
        if meets(run, str(each.status), where, known)
    ]
    if not runs:
        message = f"no run has {' and '.join(where)}; nothing is deleted"
        raise ArgumentError(message)
    names = plural(len(runs), "run")
    if not yes:
        _confirm(names, runs)
    counts = [
        collection.delete(each.experiment_number, error_number=each.error_number)
        for _, each in runs
    ]
    return names, sum(counts)


def _confirm(names: str, runs: Sequence[tuple[Mapping[str, Any], ExperimentOverview]]) -> None:
    """List the runs with their parameters, and ask for confirmation.

    Raises:
        typer.Abort: the answer is no.
    """
    for run, each in runs:
        print_message(run_line(run, str(each.status), each.records))
    count = plural(sum(each.records for _, each in runs), "record")
    typer.confirm(f"Delete {names} with {count} for good?", abort=True, err=True)


def _runs(
    collection: ExperimentCollection, numbers: list[int], error_number: int | None
) -> list[tuple[Row, ExperimentOverview]]:
    """The selected runs, in order of start; others may start, end or delete runs meanwhile."""
    known = {(each.experiment_number, each.error_number): each for each in collection.overview()}
    pairs = (
        (run, known.get((run["experiment_number"], run["error_number"])))
        for run in collection.experiments
    )
    return [
        (run, each)
        for run, each in pairs
        if each is not None
        if each.experiment_number in numbers and error_number in {None, each.error_number}
    ]
