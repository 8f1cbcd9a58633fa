"""`rigorous repair`: a new collection with all that can be read of a damaged one."""

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
            help="Where the new collection is made; nothing may be there. '.collection' is added.",
            show_default=False,
        ),
    ],
    *,
    as_json: Json = False,
) -> None:
    """Write a new collection with all that can be read of a damaged one.

    The damaged one is only read, also where it lost its collection.json. What could not be saved
    is listed.
    """
    problems = ExperimentCollection.repair(folder_of(path), into)
    print_damage(problems, as_json=as_json)
    lost = "nothing was damaged" if not problems else f"{len(problems)} damaged: see above"
    print_message(f"{into} has all that can be read of {path}; {lost}")
