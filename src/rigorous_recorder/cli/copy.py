"""`rigorous copy`: a consistent copy of a collection, even while experiments run."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._display.text import bytes_text, plural

from .output import print_message
from .target import Collection, open_collection

__all__ = ["EXAMPLES", "copy"]

EXAMPLES = "Example: `rigorous copy data/my_study backup/my_study`"


def copy(
    path: Collection,
    target: Annotated[
        Path,
        typer.Argument(
            metavar="TARGET",
            help="Where to create the copy; nothing may exist there. '.collection' is added.",
            show_default=False,
        ),
    ],
) -> None:
    """Make a consistent copy of a collection, even while any process logs to it.

    The copy contains everything that was logged before it began, with all inherited attributes. It
    appears whole or not at all. The exit code is 2 if TARGET exists.
    """
    with closing(open_collection(path)) as collection:
        copied = collection.copy_to(target)
    with closing(ExperimentCollection(copied, extension="", quiet=True)) as collection:
        print_message(
            f"{plural(len(collection), 'record')} copied to {copied}"
            f" ({bytes_text(collection.size_on_disk())})"
        )
