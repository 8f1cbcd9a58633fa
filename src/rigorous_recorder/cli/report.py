"""`rigorous report`: a view of the page as one file."""

from pathlib import Path
from typing import Annotated

import typer

from rigorous_recorder.page import save_report

from .output import print_message
from .target import complete_folder

__all__ = ["EXAMPLES", "report"]

EXAMPLES = (
    "Examples: `rigorous report 'Best runs' data/my_study`, `rigorous report '#x=step&smooth=0.9'"
    " data -o week.html --static`"
)


def report(
    view: Annotated[
        str,
        typer.Argument(
            help="Name of a saved view, or an address of the page with its '#'; '#' for all charts."
        ),
    ],
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="[PATH]...",
            help="Collections, or folders with collections.",
            autocompletion=complete_folder,
            show_default="the working folder",
        ),
    ] = [Path()],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")] = Path(
        "report.html"
    ),
    static: Annotated[
        bool, typer.Option("--static", help="Write pictures of the charts alone, without scripts.")
    ] = False,
) -> None:
    """Write a view of the page to one HTML file, which opens from disk and makes no request.

    It is the page with its data inside: the charts of the view and the first 1,000 rows of each
    collection. An existing file is replaced.
    """
    save_report(output, view, paths, static=static)
    print_message(f"wrote {output}, {output.stat().st_size / 1e6:.1f} MB")
