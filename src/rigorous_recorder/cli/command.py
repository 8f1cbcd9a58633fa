"""A command that refuses options that are given twice, or that exclude each other."""

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
    """A command of which no option that takes one value is given twice: none wins in silence."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As that of any command."""
        if not ctx.resilient_parsing:
            values, _, given = self.make_parser(ctx).parse_args(args=list(args))
            self._require_last(ctx, values)
            for option, times in Counter(given).items():
                if times > 1 and _takes_one_value(option):
                    names = " / ".join([*option.opts, *option.secondary_opts])
                    ctx.fail(f"{names} takes one value, and was given {times} times.")
        return super().parse_args(ctx, args)

    def _require_last(self, ctx: Any, values: dict[str, Any]) -> None:
        """Fail where only one of several collections and what comes behind them is given.

        A path is then no query or file: that one is missing.
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
    """Check that of some options at most one is given.

    Args:
        given: by the option's name in Python, its value; None or False where it was not given.

    Raises:
        typer.BadParameter: more than one is.
    """
    names = [
        f"--{name.replace('_', '-')}"
        for name, value in given.items()
        if value is not None and value is not False
    ]
    if len(names) > 1:
        message = f"{' and '.join(names)} exclude each other; give one of them"
        raise typer.BadParameter(message)


def require_one_number(numbers: Sequence[int], error_number: int | None) -> None:
    """Check that ``--error-number`` is given with one experiment alone.

    Raises:
        ArgumentError: there are several.
    """
    if error_number is not None and len(set(numbers)) > 1:
        message = "--error-number chooses one run of one experiment; name one alone with it"
        raise ArgumentError(message)
