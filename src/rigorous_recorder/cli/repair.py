"""`rigorous repair`: a new collection with everything that is readable in a damaged one."""

from pathlib import Path
from typing import Annotated

import typer

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._store.near import folder_of

from .damage import print_damage
from .output import print_message
from .target import Collection, Json

__all__ = ["EXAMPLES", "repair"]

EXAMPLES = "Example: `rigorous repair data/my_study data/my_study_repaired`"


def repair(
    path: Collection,
    into: Annotated[
        Path,
        typer.Argument(
            metavar="NEW",
            help="Where to create the new collection; nothing may exist there. '.collection' is added.",
            show_default=False,
        ),
    ],
    *,
    as_json: Json = False,
) -> None:
    """Write a new collection with everything that is readable in a damaged one.

    The damaged collection is only read, and may lack its collection.json. What could not be
    recovered is listed.
    """
    problems = ExperimentCollection.repair(folder_of(path), into)
    print_damage(problems, as_json=as_json)
    lost = "nothing was damaged" if not problems else f"{len(problems)} damaged: see above"
    print_message(f"{into} has all that can be read of {path}; {lost}")
