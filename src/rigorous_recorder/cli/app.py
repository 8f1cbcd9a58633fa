"""The commands of `rigorous`: each of them makes one call.

Typer reads the annotations at run time, so they are not put off by a `__future__` import.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from rigorous_recorder import __version__
from rigorous_recorder._printable import lines

from . import compact, copy, delete, export, ls, plot, repair, show, sql, tail, verify
from .command import Command
from .demo import run_demo

__all__ = ["app"]


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


app = typer.Typer(
    cls=_Commands, no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False
)


def _print_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"rigorous-recorder {__version__}")
        raise typer.Exit


@app.callback(epilog="Examples: `rigorous demo`, `rigorous ls data`, `rigorous sql --help`")
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


for _command, _examples in (
    (ls.ls, ls.EXAMPLES),
    (show.show, show.EXAMPLES),
    (sql.sql, sql.EXAMPLES),
    (tail.tail, tail.EXAMPLES),
    (plot.plot, plot.EXAMPLES),
    (export.export, export.EXAMPLES),
    (verify.verify, verify.EXAMPLES),
    (repair.repair, repair.EXAMPLES),
    (compact.compact, compact.EXAMPLES),
    (copy.copy, copy.EXAMPLES),
    (delete.delete, delete.EXAMPLES),
):
    app.command(cls=Command, epilog=_examples)(_command)


@app.command(cls=Command, epilog="Examples: `rigorous demo`, `rigorous demo data/my_demo`")
def demo(
    folder: Annotated[
        Path,
        typer.Argument(help="Where to log to; '.collection' is added to its name."),
    ] = Path("data/demo"),
) -> None:
    """Log a small study for real, and show its tree, its size on disk and a query.

    An agent learns its way through a grid world by Q-learning: 3 experiments of 10 episodes, each
    timestep of them a record. Run it again, and 3 more experiments stand in the same folder.
    """
    run_demo(folder, Console())
