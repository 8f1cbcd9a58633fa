"""The commands of `rigorous`: each of them makes one call.

Typer reads the annotations at run time, so they are not put off by a `__future__` import.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from rigorous_recorder import __version__
from rigorous_recorder._printable import lines

from .command import Command

__all__ = ["COMMANDS", "make_app"]

#: Each is a module, and the function of that name in it; help lists them in this order.
COMMANDS: Final = (
    "ls",
    "show",
    "sql",
    "tail",
    "plot",
    "export",
    "verify",
    "repair",
    "compact",
    "copy",
    "delete",
    "set",
    "tag",
    "rename",
    "archive",
    "diff",
    "demo",
)


class _Commands(TyperGroup):
    """The commands; what they refuse, as names of files, is printed with control characters visible."""

    def make_context(self, *args: Any, **named: Any) -> Any:
        """As that of any group of commands."""
        with _printable_message():
            return super().make_context(*args, **named)

    def invoke(self, ctx: Any) -> Any:
        """As that of any group of commands."""
        with _printable_message():
            return super().invoke(ctx)


@contextmanager
def _printable_message() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if isinstance(message := getattr(error, "message", None), str):
            error.message = lines(message)  # type: ignore[attr-defined]
        raise


def _print_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"rigorous-recorder {__version__}")
        raise typer.Exit


def rigorous(
    *,
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version, and exit."
        ),
    ] = False,
) -> None:
    """Log experiments into a tree, read them back as one flat table.

    Commands that read change no record and disturb nobody who logs. They make no folder but the
    one that a file they were told to write is put in.
    """


def make_app(typed: str = "") -> typer.Typer:
    """The command line: with the command that was typed alone, or with all of them.

    Loading a command takes time, and most of what is typed is the name of one.
    """
    app = typer.Typer(
        cls=_Commands,
        no_args_is_help=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
    )
    app.callback(epilog="Examples: `rigorous demo`, `rigorous ls data`, `rigorous sql --help`")(
        rigorous
    )
    for name in (typed,) if typed in COMMANDS else COMMANDS:
        module = import_module(f".{name}", __package__)
        settings = getattr(module, "SETTINGS", None)
        command = app.command(name, cls=Command, epilog=module.EXAMPLES, context_settings=settings)
        command(getattr(module, name))
    return app
