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
    name: Annotated[str, typer.Argument(help="Its name from now on.", show_default=False)],
    *,
    error_number: ErrorNumber = None,
) -> None:
    """Give an experiment a name, which is its attribute `name`; its number and id stay.

    Where several runs share the number it is the latest, unless `--error-number` names another.
    """
    with changed(path, number, error_number) as experiment:
        experiment.name = name
    print_message(f"experiment {number} is {name!r} now")
