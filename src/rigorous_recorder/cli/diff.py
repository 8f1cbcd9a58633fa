"""`rigorous diff`: compare experiments."""

from contextlib import closing
from typing import Annotated, Any

import typer

from rigorous_recorder.errors import ArgumentError

from .change import chosen
from .output import print_json, print_table
from .target import Collection, Json, complete_experiment, open_collection

__all__ = ["EXAMPLES", "diff"]

EXAMPLES = "Examples: `rigorous diff data/my_study 3 7`, `rigorous diff data/my_study 1 2 3 --json`"


def diff(
    path: Collection,
    numbers: Annotated[
        list[int],
        typer.Argument(
            metavar="NUMBER NUMBER",
            help="Numbers of two or more experiments, as `rigorous ls` lists them.",
            autocompletion=complete_experiment,
            show_default=False,
        ),
    ],
    *,
    as_json: Json = False,
) -> None:
    """Show in which attributes experiments differ, and the last value of each number they logged.

    If they were begun with `capture`, their environments are compared, too, such as commit and packages.

    Equal attributes are left out; of nested ones only the parts that differ are shown. The last value
    is that of the last record, in reading order, that has one. If several runs share a number, the
    latest one is compared.
    """
    if len(set(numbers)) < len(numbers) or len(numbers) < 2:
        typed = ", ".join(map(str, numbers))
        message = f"expected two or more experiments, each once, such as 3 7; not {typed}"
        raise ArgumentError(message)
    with closing(open_collection(path)) as collection:
        first, *others = [chosen(collection, number) for number in numbers]
        found = first.diff(*others)
    if as_json:
        print_json(
            {
                "key": each.key,
                "of": each.of,
                "values": dict(zip(map(str, numbers), each.values, strict=True)),
            }
            for each in found
        )
        return
    rows: list[list[Any]] = [[each.key, each.of, *each.values] for each in found]
    names = [f"experiment {number}" for number in numbers]
    print_table(["key", "of", *names], rows, empty="no difference")
