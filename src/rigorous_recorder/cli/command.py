"""A command that refuses repeated and conflicting options."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from rigorous_recorder._store.near import place_of
from rigorous_recorder.errors import ArgumentError

__all__ = ["Command", "exclude", "require_one_number"]


class Command(TyperCommand):
    """A command that refuses a repeated option with one value, instead of using the last."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See the base class."""
        if not ctx.resilient_parsing:
            values, _, given = self.make_parser(ctx).parse_args(args=list(args))
            self._require_last(ctx, values)
            for option, times in Counter(given).items():
                if times > 1 and _takes_one_value(option):
                    names = " / ".join([*option.opts, *option.secondary_opts])
                    ctx.fail(f"{names} takes one value, and was given {times} times.")
        return super().parse_args(ctx, args)

    def _require_last(self, ctx: Any, values: dict[str, Any]) -> None:
        """Fail if the last argument is missing because collections took its place.

        With several collections, a path is not taken for a query or file.
        """
        arguments = [each for each in self.params if each.param_type_name == "argument"]
        if len(arguments) < 2 or arguments[0].nargs != -1 or not arguments[1].required:
            return
        if values.get(str(arguments[0].name)):
            return
        name = str(arguments[1].name)
        if (given := values.get(name)) and place_of(Path(given)) is not None:
            ctx.fail(f"Missing argument '{name.upper()}'.")


def _takes_one_value(option: Any) -> bool:
    is_plain_flag = getattr(option, "is_flag", False) and not option.secondary_opts
    return option.param_type_name == "option" and not option.multiple and not is_plain_flag


def exclude(**given: object) -> None:
    """Raise if more than one of some options is given.

    Args:
        given: the value of each option by its Python name; None or False if it was not given.

    Raises:
        typer.BadParameter: more than one is given.
    """
    names = [
        f"--{name.replace('_', '-')}"
        for name, value in given.items()
        if value is not None and value is not False
    ]
    if len(names) > 1:
        message = f"{' and '.join(names)} exclude each other; use only one of them"
        raise typer.BadParameter(message)


def require_one_number(numbers: Sequence[int], error_number: int | None) -> None:
    """Raise if ``--error-number`` is given with several experiments.

    Raises:
        ArgumentError: there are several.
    """
    if error_number is not None and len(set(numbers)) > 1:
        message = "--error-number chooses one run of one experiment; name one alone with it"
        raise ArgumentError(message)
