"""The commands of `rigorous`, each of which makes one call of the library.

Typer reads the annotations at run time, so no `__future__` import postpones them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from keyword import iskeyword
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from rigorous_recorder import __version__
from rigorous_recorder._printable import lines

from .command import Command

__all__ = ["COMMANDS", "make_app"]

#: Each is a module with a function of the same name (``import_`` for ``import``); the help lists them in this order.
COMMANDS: Final = (
    "ls",
    "show",
    "sql",
    "tail",
    "watch",
    "plot",
    "view",
    "report",
    "views",
    "export",
    "import",
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
    """The commands; error messages show control characters, as in file names, as text."""

    def make_context(self, *args: Any, **named: Any) -> Any:
        """See the base class."""
        with _printable_message():
            return super().make_context(*args, **named)

    def invoke(self, ctx: Any) -> Any:
        """See the base class."""
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
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Log experiments as a tree, read them back as one flat table.

    Commands that read do not change records or disturb running experiments. They only create the
    folder of a file that they write.
    """


def make_app(typed: str = "") -> typer.Typer:
    """The command line with all commands, or only with the one that was typed.

    Loading a command takes time, and most invocations name one.
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
        function = f"{name}_" if iskeyword(name) else name
        module = import_module(f".{function}", __package__)
        settings = getattr(module, "SETTINGS", None)
        command = app.command(name, cls=Command, epilog=module.EXAMPLES, context_settings=settings)
        command(getattr(module, function))
    return app
