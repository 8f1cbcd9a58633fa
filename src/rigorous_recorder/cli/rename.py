"""`rigorous rename`: give an experiment a name."""

from typing import Annotated

import typer

from .change import ErrorNumber, Number, changed
from .output import print_message
from .target import Collection

__all__ = ["EXAMPLES", "rename"]

EXAMPLES = "Example: `rigorous rename data/my_study 3 baseline`"


def rename(
    path: Collection,
    number: Number,
    name: Annotated[str, typer.Argument(help="Its new name.", show_default=False)],
    *,
    error_number: ErrorNumber = None,
) -> None:
    """Set the name of an experiment, its attribute `name`; its number and id stay the same.

    If several runs share the number, the latest one is renamed, unless `--error-number` selects
    another.
    """
    with changed(path, number, error_number) as experiment:
        experiment.name = name
    print_message(f"experiment {number} is {name!r} now")
