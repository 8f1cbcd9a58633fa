"""`rigorous view`: charts and tables in the browser."""

from pathlib import Path
from typing import Annotated

import typer

from rigorous_recorder.page import view as view_page

from .target import complete_folder

__all__ = ["EXAMPLES", "view"]

EXAMPLES = "Examples: `rigorous view`, `rigorous view data/my_study data/other --no-browser`"


def view(
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
    host: Annotated[
        str,
        typer.Option(help="Address to listen at; beyond this machine a token is needed."),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port to listen at.", show_default="a free one")
    ] = 0,
    root_path: Annotated[
        str, typer.Option(metavar="PATH", help="Path or address at which a proxy serves the page.")
    ] = "",
    edit: Annotated[
        bool, typer.Option("--edit", help="Let the page name, tag, archive and delete experiments.")
    ] = False,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
) -> None:
    """Open charts and tables of collections in the browser, live while they are logged to.

    It prints its address, and ends with Ctrl-C. It writes nothing to the collections, unless --edit
    is given.
    """
    view_page(paths, host=host, port=port, root_path=root_path, opens_browser=browser, edit=edit)
