"""`rigorous diff`: compare experiments."""

import difflib
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import Annotated, Any, Final

import typer

from rigorous_recorder import Difference
from rigorous_recorder.errors import ArgumentError

from .change import chosen
from .output import print_json, print_message, print_table, print_text
from .target import Collection, Json, complete_experiment, open_collection

__all__ = ["EXAMPLES", "diff"]

#: Changes of one text that are printed.
_MOST_LINES: Final = 200

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
        several = [chosen(collection, number) for number in numbers]
        found = several[0].diff(*several[1:])
        is_captured = [bool(each.environment) for each in several]
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
    names = [f"experiment {number}" for number in numbers]
    without = [name for name, has_one in zip(names, is_captured, strict=True) if not has_one]
    if 0 < len(without) < len(names):
        print_message(f"no environment was captured of {', '.join(without)}")
        found = [each for each in found if each.of != "environment"]
    rows = [[each.key, each.of, *map(_cell, each.values)] for each in found]
    print_table(["key", "of", *names], rows, empty="no difference")
    for each in found:
        if any(map(_is_text, each.values)):
            print_text("".join(_differing_lines(each, names)))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\n" in value


def _cell(value: Any) -> Any:
    if not _is_text(value):
        return value
    size = len(value.splitlines())
    return f"{size} line{'s' * (size != 1)}"


def _differing_lines(found: Difference, names: list[str]) -> Iterator[str]:
    """The lines in which each text differs from the first, as ``diff -u`` has them."""
    first, *others = (str(value or "").splitlines() for value in found.values)
    for name, lines in zip(names[1:], others, strict=True):
        if lines != first:
            yield f"\n{found.key}: {names[0]}, {name}\n"
            changes = islice(difflib.unified_diff(first, lines, lineterm="", n=1), 2, None)
            yield from (f"  {line}\n" for line in islice(changes, _MOST_LINES))
            yield from ("  ...\n" for _ in islice(changes, 1))
