"""`rigorous plot`: the mean of one column over another, in the terminal or as a picture."""

import datetime as dt
import shutil
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from rigorous_recorder._display.text import bytes_text
from rigorous_recorder.plotting import MOST_CHARACTERS, Attempts, Band, Curves

from .chosen import Since, records_since
from .command import exclude
from .output import has_colors, print_json, print_message
from .target import COLUMNS, CollectionKey, Collections, Where, open_collections, records_of

__all__ = ["EXAMPLES", "plot", "print_curves"]

EXAMPLES = """\
Examples: `rigorous plot data/my_study -x epoch -y loss --by model`,
`rigorous plot data/my_study -x epoch -y loss --by model --band sem --out loss.png`,
`rigorous plot data/old data/new -x epoch -y loss --by collection`
"""

_NARROWEST = 20
_HEIGHT = 22
#: Points of a curve in a picture; in a terminal there are two per character.
_POINTS = 2_000


def plot(
    paths: Collections,
    *,
    x: Annotated[str, typer.Option("-x", "--x", help="Key of the x axis.", **COLUMNS)],
    y: Annotated[
        list[str],
        typer.Option("-y", "--y", help="Key of the y axis; repeat it for more.", **COLUMNS),
    ],
    by: Annotated[
        list[str],
        typer.Option("--by", help="Key that separates curves; repeat it for more.", **COLUMNS),
    ] = [],
    band: Annotated[
        Band,
        typer.Option(help="The band around the mean; sem is its standard error."),
    ] = "std",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Save it as a picture instead: .png, .svg, .pdf, .pgf (needs LaTeX) or .html.",
        ),
    ] = None,
    where: Where = [],
    since: Since = None,
    all_attempts: Annotated[
        bool,
        typer.Option(
            "--all-attempts",
            help="Of resumed experiments, draw all attempts, not only the last one at each x.",
        ),
    ] = False,
    smooth: Annotated[
        float | None,
        typer.Option(
            metavar="WEIGHT",
            help="Smooth by a moving average with this weight, from 0 to below 1, as TensorBoard does.",
        ),
    ] = None,
    window: Annotated[
        int | None, typer.Option(min=1, help="Smooth by the mean of this many points instead.")
    ] = None,
    scatter: Annotated[
        bool,
        typer.Option("--scatter", help="Draw a dot for each record instead of lines of means."),
    ] = False,
    log: Annotated[str, typer.Option(help="Logarithmic axes: x, y or x,y.", metavar="AXES")] = "",
    xlim: Annotated[
        str | None,
        typer.Option(help="Limits of the x axis, such as 0:10 or 5:.", metavar="LOW:HIGH"),
    ] = None,
    ylim: Annotated[
        str | None, typer.Option(help="Limits of the y axis.", metavar="LOW:HIGH")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Replaces 'y over x'.")] = None,
    xlabel: Annotated[str | None, typer.Option(help="Replaces the key of x in a picture.")] = None,
    ylabel: Annotated[str | None, typer.Option(help="Replaces the key of y.")] = None,
    size: Annotated[
        str | None,
        typer.Option(
            help="Size of a picture, in inches.", metavar="WIDTHxHEIGHT", show_default="8x5"
        ),
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(
            min=_NARROWEST,
            max=MOST_CHARACTERS,
            help="In characters.",
            show_default="the terminal's",
        ),
    ] = None,
    height: Annotated[
        int | None,
        typer.Option(min=8, max=MOST_CHARACTERS, help="In characters.", show_default=str(_HEIGHT)),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the points of the curves as JSON, one per line.")
    ] = False,
    collection_key: CollectionKey = None,
) -> None:
    """Chart the mean of y over x, with a band, for all records that have both.

    Several `-y` become curves of one chart, each with its name.

    Records with the same x and the same values of `--by` are averaged. An attribute of a recorder
    counts once at each x, however many records are below it. If there are more points than fit,
    neighbours are merged, preserving their lows and highs, and the chart reports it. NaN and
    infinities are left out and counted.
    """
    for side in ({"width": width}, {"height": height}):  # only for charts of characters
        exclude(out=out, **side)
        exclude(json=as_json, **side)
    width = width or _terminal_width()
    points = None if as_json else _POINTS if out else 2 * width
    with closing(open_collections(paths, collection_key)) as collection:
        records = records_since(records_of(collection, where), since)
        attempts: Attempts = "all" if all_attempts else "last"
        curves = records.plot(
            x,
            y,
            by,
            band=band,
            points=points,
            attempts=attempts,
            smooth=smooth,
            window=window,
            scatter=scatter,
            log=log,
            xlim=_ends("--xlim", xlim),
            ylim=_ends("--ylim", ylim),
            title=title,
            xlabel=xlabel,
            ylabel=ylabel,
            size=_size(size),
            out=out,
        )
    if as_json:
        print_json(curves.rows())
    elif out is None:
        print_curves(curves, width, height or _HEIGHT)
    if out is not None:
        print_message(
            f"{curves.title}: {curves.notes}; saved in {out} ({bytes_text(out.stat().st_size)})"
        )


def print_curves(curves: Curves, width: int | None = None, height: int = _HEIGHT) -> None:
    """Print a chart, as wide as the terminal where no width is given."""
    plain = not (sys.stdout.encoding or "").lower().startswith("utf")
    width = width or _terminal_width()
    sys.stdout.write(f"{curves.text(width, height, colors=has_colors(), plain=plain)}\n")


def _terminal_width() -> int:
    return max(_NARROWEST, min(shutil.get_terminal_size().columns, MOST_CHARACTERS))


def _ends(option: str, typed: str | None) -> tuple[Any, Any] | None:
    """Parse the limits of an axis: numbers, or times in ISO 8601; an empty one is None.

    Raises:
        typer.BadParameter: they are not valid.
    """
    if typed is None:
        return None
    for separator in (":", ".."):
        low, between, high = typed.partition(separator)
        with suppress(ValueError):
            if between:
                return _end(low), _end(high)
    message = f"{typed!r}: expected LOW:HIGH, such as 0:10, or 2026-01-31..2026-02-01 for times"
    raise typer.BadParameter(message, param_hint=option)


def _end(typed: str) -> float | dt.datetime | None:
    try:
        return float(typed) if typed else None
    except ValueError:
        return dt.datetime.fromisoformat(typed)


def _size(typed: str | None) -> tuple[float, float] | None:
    if typed is None:
        return None
    try:
        width, height = map(float, typed.split("x"))
    except ValueError:
        message = f"{typed!r}: expected inches, such as 8x5"
        raise typer.BadParameter(message, param_hint="--size") from None
    return width, height
