"""`rigorous set`: set attributes of an experiment at any time, also after it ended."""

from typing import Annotated

import typer

from rigorous_recorder._display.runs import attributes_line

from .change import ErrorNumber, Number, changed, typed_attributes
from .output import print_message
from .target import Collection

__all__ = ["EXAMPLES", "set"]

EXAMPLES = """\
Examples: `rigorous set data/my_study 3 note='best so far'`,
`rigorous set data/my_study 3 accuracy=0.93 checked=true`, `rigorous set data/my_study 3 note=null`
"""


def set_attributes(
    path: Collection,
    number: Number,
    attributes: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=VALUE",
            help="The attributes, a value as JSON or as plain text; null removes one.",
            show_default=False,
        ),
    ],
    *,
    error_number: ErrorNumber = None,
) -> None:
    """Set attributes of an experiment; all of its records inherit them from now on.

    The experiment may have ended long ago, or still run in any process. Numbers, true, false, null,
    lists and dicts are typed as JSON; anything else is text, and so is anything in double quotes.
    If several runs share the number, the latest one is changed, unless `--error-number` selects
    another.
    """
    given = typed_attributes(attributes)
    with changed(path, number, error_number) as experiment:
        experiment.update(given)
    words = attributes_line(given)
    if removed := [key for key, value in given.items() if value is None]:
        words += f"; removed: {', '.join(removed)}"
    print_message(f"experiment {number}{words}")


set = set_attributes  # noqa: A001 - as the command is called
