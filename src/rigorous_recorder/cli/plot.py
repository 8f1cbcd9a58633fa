"""`rigorous plot`: the mean of one column over another, in the terminal or as a picture."""

import shutil
import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from rigorous_recorder.plotting import Attempts, Band

from .command import exclude
from .output import has_colors, print_json, say, size_text
from .target import COLUMNS, Collection, Where, open_collection, records_of

__all__ = ["EXAMPLES", "plot"]

EXAMPLES = """\
Examples: `rigorous plot data/my_study -x epoch -y loss --by model`,
`rigorous plot data/my_study -x epoch -y loss --by model --band sem --out loss.png`
"""

_HEIGHT = 22
#: Points of a curve in a picture; in a terminal there are two to a character.
_POINTS = 2_000


def plot(
    path: Collection,
    *,
    x: Annotated[str, typer.Option("-x", "--x", help="Key of the x axis.", **COLUMNS)],
    y: Annotated[str, typer.Option("-y", "--y", help="Key of the y axis.", **COLUMNS)],
    by: Annotated[
        list[str],
        typer.Option("--by", help="Key that tells curves apart; repeat it for more.", **COLUMNS),
    ] = [],
    band: Annotated[
        Band,
        typer.Option(help="What is drawn around the mean; sem is its standard error."),
    ] = "std",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Save it as a picture instead: .png, .svg or .html."),
    ] = None,
    where: Where = [],
    all_attempts: Annotated[
        bool,
        typer.Option(
            "--all-attempts",
            help="Of experiments that were resumed, draw all attempts, not the last at each x.",
        ),
    ] = False,
    width: Annotated[
        int | None, typer.Option(min=20, help="In characters.", show_default="the terminal's")
    ] = None,
    height: Annotated[
        int | None, typer.Option(min=8, help="In characters.", show_default=str(_HEIGHT))
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print every point of the curves as JSON, one a line.")
    ] = False,
) -> None:
    """Chart the mean of y over x, with a band, of all records that have both.

    Records with the same x, and the same values of `--by`, meet in one mean. What a recorder knows
    counts once at each x, however many records are below it. Where there are more points than room, neighbours are brought together, their lows and highs kept, and the chart
    says so. NaN and infinities are left out, and counted.
    """
    for size in ({"width": width}, {"height": height}):  # of what is drawn with characters
        exclude(out=out, **size)
        exclude(json=as_json, **size)
    width = width or shutil.get_terminal_size().columns
    points = None if as_json else _POINTS if out else 2 * width
    with closing(open_collection(path)) as collection:
        records = records_of(collection, where)
        attempts: Attempts = "all" if all_attempts else "last"
        curves = records.plot(x, y, by, band=band, points=points, attempts=attempts, out=out)
    if as_json:
        print_json(curves.rows())
    elif out is None:
        plain = not (sys.stdout.encoding or "").lower().startswith("utf")
        text = curves.text(width, height or _HEIGHT, colors=has_colors(), plain=plain)
        sys.stdout.write(f"{text}\n")
    if out is not None:
        say(f"{curves.title}: {curves.notes}; saved in {out} ({size_text(out.stat().st_size)})")
