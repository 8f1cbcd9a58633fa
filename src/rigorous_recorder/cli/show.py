"""`rigorous show`: the tree of a collection, with counts of records and its size."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from textwrap import indent
from typing import Annotated, Any

import typer

from rigorous_recorder import Experiment, ExperimentCollection, ExperimentOverview, Tree

from .chosen import numbers_of
from .command import exclude
from .output import json_line, print_text
from .target import Collection, complete_experiment, open_collection

__all__ = ["EXAMPLES", "show"]

#: They have hundreds of lines.
_LONG_SECTIONS = frozenset({"packages", "dependencies"})

EXAMPLES = "Examples: `rigorous show data/my_study`, `rigorous show data/my_study 2-5 --depth 1`"


def show(
    path: Collection,
    numbers: Annotated[
        list[str],
        typer.Argument(
            metavar="[NUMBER]...",
            help="Experiments to show, such as 3 or 2-5, instead of all.",
            autocompletion=complete_experiment,
            show_default=False,
        ),
    ] = [],
    *,
    depth: Annotated[
        int | None,
        typer.Option(min=0, help="Levels to list; 1 lists the experiments.", show_default="all"),
    ] = None,
    children: Annotated[
        int, typer.Option(min=1, help="Maximum number of recorders listed below one.")
    ] = 10,
    errors: Annotated[
        bool, typer.Option("--errors", help="Print the traceback of each experiment that failed.")
    ] = False,
    environment: Annotated[
        bool,
        typer.Option(
            "--environment",
            help="Print what `capture` recorded of each run: code, command, packages, machine.",
        ),
    ] = False,
    console: Annotated[
        bool,
        typer.Option(
            "--console", help='Print the lines that each run wrote, with `capture="console"`.'
        ),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print the tree, or that of each experiment, as a JSON object."
        ),
    ] = False,
) -> None:
    """Show the tree of recorders with their numbers of records, and the size on disk.

    Below a recorder with many children, the first and last are listed, with the number of those
    between. `--json` includes tracebacks.
    """
    exclude(errors=errors, environment=environment, console=console)
    with closing(open_collection(path)) as collection:
        wanted = numbers_of(numbers, collection.experiment_numbers)
        if environment:
            _print_environments(_chosen(collection, wanted), as_json=as_json)
            return
        if console:
            _print_consoles(_chosen(collection, wanted), as_json=as_json)
            return
        for tree in _trees(collection, wanted, depth, children):
            print_text(f"{json_line(_as_dict(tree)) if as_json else tree}\n")
        if errors and not as_json:
            _print_errors(
                each
                for each in collection.overview()
                if not wanted or each.experiment_number in wanted
            )


def _trees(
    collection: ExperimentCollection, numbers: list[int], depth: int | None, children: int
) -> Iterator[Tree]:
    """The tree of the collection, or of some experiments; the depth counts from the root."""
    if not numbers:
        yield collection.tree(depth=depth, children=children)
        return
    below = None if depth is None else max(0, depth - 1)
    for each in _chosen(collection, numbers):
        yield each.recorder.tree(depth=below, children=children)


def _chosen(collection: ExperimentCollection, numbers: list[int]) -> list[Experiment]:
    """The experiments with these numbers; all without numbers."""
    for number in numbers:
        collection.experiment(number)  # raises if there is none
    return [each for each in collection.experiments if not numbers or each.number in numbers]


def _print_environments(experiments: list[Experiment], *, as_json: bool) -> None:
    for each in experiments:
        found = each.environment
        if as_json:
            number = {"experiment_number": each.number, "error_number": each["error_number"]}
            print_text(f"{json_line({**number, 'environment': dict(found)})}\n")
            continue
        shown = {**found, **_sizes(found.get("dependencies"))}
        ordered = sorted(shown, key=_LONG_SECTIONS.__contains__)  # the short ones first
        parts = [f"  {section}\n{_lines(shown[section])}" for section in ordered]
        text = "".join(parts) or "  nothing was captured: start the run with capture=True\n"
        print_text(f"experiment {each.number} (error_number {each['error_number']})\n{text}")


def _sizes(files: dict[str, str] | None) -> dict[str, dict[str, str]]:
    """Of files, which can have many thousand lines, the number of lines."""
    if not files:
        return {}
    sizes = {name: len(text.splitlines()) for name, text in files.items()}
    return {
        "dependencies": {name: f"{size} line{'s' * (size != 1)}" for name, size in sizes.items()}
    }


def _print_consoles(experiments: list[Experiment], *, as_json: bool) -> None:
    for each in experiments:
        number = {"experiment_number": each.number, "error_number": each["error_number"]}
        if len(experiments) > 1 and not as_json:
            print_text(f"experiment {each.number} (error_number {each['error_number']})\n")
        for time, stream, line in _lines_of_console(each):
            found = {**number, "time": time, "stream": stream, "line": line}
            print_text(f"{json_line(found) if as_json else line}\n")


def _lines_of_console(experiment: Experiment) -> Iterator[tuple[Any, Any, Any]]:
    keys = [key for key in ("time", "stream", "line") if key in experiment.records.columns]
    if "line" in keys:
        for row in experiment.records.where(part="console").select(*keys):
            if row["line"] is not None:
                yield row.get("time"), row.get("stream"), row["line"]


def _lines(facts: dict[str, Any]) -> str:
    """A line for each fact; texts of several lines, such as a diff, are indented below it."""
    return "".join(f"    {name}: {_indented(value)}\n" for name, value in facts.items())


def _indented(value: Any) -> str:
    text = value if isinstance(value, str) else json_line(value)
    return f"\n{indent(text.rstrip(), ' ' * 6)}" if "\n" in text else text


def _print_errors(experiments: Iterable[ExperimentOverview]) -> None:
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
