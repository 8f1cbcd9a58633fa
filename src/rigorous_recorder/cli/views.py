"""`rigorous views`: the named views of the page: list, print, save, rename and delete them."""

from contextlib import closing
from typing import Annotated

import typer

from rigorous_recorder import SavedViews

from .command import exclude
from .output import print_json, print_message, print_table, print_text
from .target import Collection, Json, open_collection

__all__ = ["EXAMPLES", "views"]

EXAMPLES = (
    "Examples: `rigorous views data/my_study`, `rigorous views data/my_study Losses --save"
    " '#x=step&search=loss'`, `rigorous views data/my_study Losses --rename \"All losses\"`"
)


def views(
    path: Collection,
    name: Annotated[
        str | None, typer.Argument(help="The name of a view.", show_default="all")
    ] = None,
    *,
    save: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Save an address of the page, with its '#', under this name.",
            show_default=False,
        ),
    ] = None,
    rename: Annotated[
        str | None, typer.Option(metavar="NEW", help="Give it another name.", show_default=False)
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete it.")] = False,
    as_json: Json = False,
) -> None:
    """List the named views of the page; with a name, print its address, or save, rename or delete it.

    `rigorous view` lists them on the page, and `rigorous report` writes one to a file. Files that are not
    valid views are reported on standard error.
    """
    exclude(save=save is not None, rename=rename is not None, delete=delete)
    changes = save is not None or rename is not None or delete
    if changes and name is None:
        message = "name the view that is saved, renamed or deleted"
        raise typer.BadParameter(message, param_hint="NAME")
    with closing(open_collection(path, read_only=not changes)) as collection:
        found = collection.views
        if name is None:
            _list(found, as_json=as_json)
        elif changes:
            _change(found, name, save, rename)
        elif as_json:
            print_json([{"view": name, "address": found[name]}])
        else:
            print_text(f"#{found[name]}\n")


def _list(found: SavedViews, *, as_json: bool) -> None:
    for reason in found.invalid.values():
        print_message(f"rigorous: {reason}")
    if as_json:
        print_json({"view": name, "address": address} for name, address in found.items())
    else:
        rows = ((name, f"#{address}") for name, address in found.items())
        print_table(["view", "address"], rows, empty="no views yet: save one with --save")


def _change(found: SavedViews, name: str, save: str | None, rename: str | None) -> None:
    if save is not None:
        found[name] = save
        print_message(f"view {name!r} saved")
    elif rename is not None:
        found.rename(name, rename)
        print_message(f"view {name!r} is {rename!r} now")
    else:
        del found[name]
        print_message(f"view {name!r} deleted")
