"""`rigorous show`: the tree of a collection, with counts of records and its size."""

from contextlib import closing
from typing import Annotated, Any

import typer

from rigorous_recorder import ExperimentOverview, Tree

from .output import json_line, print_text
from .target import Collection, open_collection

__all__ = ["EXAMPLES", "show"]

EXAMPLES = "Examples: `rigorous show data/my_study`, `rigorous show data/my_study --depth 1`"


def show(
    path: Collection,
    *,
    depth: Annotated[
        int | None,
        typer.Option(min=0, help="Levels to list, 1 being the experiments.", show_default="all"),
    ] = None,
    children: Annotated[
        int, typer.Option(min=1, help="Of the recorders below one, list so many at most.")
    ] = 10,
    errors: Annotated[
        bool, typer.Option("--errors", help="Print the traceback of each experiment that failed.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the tree as one JSON object.")
    ] = False,
) -> None:
    """Show the tree of recorders, with the number of records of each, and the bytes on disk.

    With `--json` the tracebacks are among the data. Of many recorders below one the first and the last are listed, and how many there are between.
    """
    with closing(open_collection(path)) as collection:
        tree = collection.tree(depth=depth, children=children)
        print_text(f"{json_line(_as_dict(tree)) if as_json else tree}\n")
        if errors and not as_json:
            _print_errors(collection.overview())


def _print_errors(experiments: list[ExperimentOverview]) -> None:
    for each in experiments:
        if each.error_traceback:
            number = f"experiment {each.experiment_number} (error_number {each.error_number})"
            print_text(f"\n{number}:\n{each.error_traceback.rstrip()}\n")


def _as_dict(tree: Tree) -> dict[str, Any]:
    found: dict[str, Any] = {} if tree.name is None else {"name": tree.name, "size": tree.size}
    return found | {
        "data": tree.data,
        "records": tree.records,
        "all_records": tree.all_records,
        "children": [_as_dict(each) for each in tree.children],
        "hidden": tree.hidden,
    }
