"""`rigorous tag`: add tags to an experiment, and remove them."""

from typing import Annotated

import typer

from .change import ErrorNumber, Number, changed
from .output import print_text
from .target import Collection

__all__ = ["EXAMPLES", "SETTINGS", "tag"]

EXAMPLES = """\
Examples: `rigorous tag data/my_study 3 +paper +best`, `rigorous tag data/my_study 3 -best`,
`rigorous tag data/my_study 3`
"""
#: A tag to remove begins like an option.
SETTINGS = {"ignore_unknown_options": True}


def tag(
    path: Collection,
    number: Number,
    tags: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="+TAG|-TAG",
            help="Tags to add (+) and to remove (-).",
            show_default=False,
        ),
    ] = None,
    *,
    error_number: ErrorNumber = None,
) -> None:
    """Add tags to an experiment, and remove them; print the resulting tags, one per line.

    They are the attribute `tags`, a list of text. If several runs share the number, the latest one
    is changed, unless `--error-number` selects another.
    """
    changes = [_change(word) for word in tags or ()]
    with changed(path, number, error_number) as experiment:
        found = dict.fromkeys(experiment.tags)
        for is_on, name in changes:
            if is_on:
                found[name] = None
            else:
                found.pop(name, None)
        if changes:
            experiment.tags = found
        print_text("".join(f"{each}\n" for each in experiment.tags))


def _change(word: str) -> tuple[bool, str]:
    if word[:1] not in {"+", "-"} or not word[1:]:
        message = f"{word!r} neither adds nor removes a tag; expected +{word} or -{word}"
        raise typer.BadParameter(message)
    return word[0] == "+", word[1:]
