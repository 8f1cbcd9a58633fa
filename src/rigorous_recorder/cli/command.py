"""A command that refuses options that are given twice, or that exclude each other."""

from __future__ import annotations

from collections import Counter
from typing import Any

import typer
from typer.core import TyperCommand

__all__ = ["Command", "exclude"]


class Command(TyperCommand):
    """A command of which no option that takes one value is given twice: none wins in silence."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As that of any command."""
        if not ctx.resilient_parsing:
            _, _, given = self.make_parser(ctx).parse_args(args=list(args))
            for option, times in Counter(given).items():
                if times > 1 and _takes_one_value(option):
                    names = " / ".join([*option.opts, *option.secondary_opts])
                    ctx.fail(f"{names} takes one value, and was given {times} times.")
        return super().parse_args(ctx, args)


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
