"""`rigorous import`: runs of other tools into a collection."""

import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rigorous_recorder._display.text import plural
from rigorous_recorder._lazy import lazy_module
from rigorous_recorder._printable import one_line
from rigorous_recorder.importers import (
    FORMATS,
    Found,
    Imported,
    Report,
    find_runs,
    import_runs,
    list_runs,
)

from .output import print_message

if TYPE_CHECKING:
    from rich import console, progress
else:
    console = lazy_module("rich.console")
    progress = lazy_module("rich.progress")

__all__ = ["EXAMPLES", "import_"]

EXAMPLES = """\
Examples: `rigorous import runs/ data/my_study`,
`rigorous import tensorboard runs/ data/my_study --follow`,
`rigorous import csv results.csv data/my_study --parent seed --parent model`
"""
#: More lines of the report are counted.
_MOST_LINES = 50

Progress = Callable[[int, int, int], None]


def import_(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[FORMAT] SOURCE... COLLECTION",
            help="Files, runs' folders or folders of many, and the collection, which is created if there is none. Without FORMAT it is found by looking; it is one of: "
            + ", ".join(FORMATS)
            + ".",
            show_default=False,
        ),
    ],
    *,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="List runs, keys and numbers of records; write nothing."),
    ] = False,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Keep up with sources that are being written, until Ctrl-C."),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            metavar="N",
            min=1,
            help="So many processes read sources at once; by default as many as there are cores, if there is enough to read.",
            show_default=False,
        ),
    ] = None,
    parent: Annotated[
        list[str],
        typer.Option(
            "--parent",
            metavar="KEY",
            help="For csv, jsonl and parquet: a column that is an attribute of a recorder above the records; repeat it for further levels, from the top.",
            show_default=False,
        ),
    ] = [],
) -> None:
    """Import runs of other tools, whole: the tree, configurations, and all values.

    Importing again adds only what is new.
    """
    name = words[0] if len(words) > 2 and words[0] in FORMATS else None
    paths = words[1 if name else 0 :]
    if not dry_run and len(paths) < 2:
        message = "expected the sources and, last of all, the collection"
        raise typer.BadParameter(message, param_hint="COLLECTION")
    options = {"parent": parent} if parent else {}
    sources = paths if dry_run and len(paths) == 1 else paths[:-1]
    if dry_run:
        found = find_runs(sources, format=name, **options)
        _print_found(found)
        _print_runs(found)
        return
    with _progress() as shown, _until_interrupted() as goes_on:
        done = import_runs(
            sources,
            paths[-1],
            format=name,
            follow=goes_on if follow else False,
            jobs=jobs,
            progress=shown,
            found=_print_found,
            **options,
        )
    _print_report(done.report)
    print_message(_summary(done))
    if follow:
        raise KeyboardInterrupt


@contextmanager
def _until_interrupted() -> Iterator[Callable[[], bool]]:
    """Whether there was no Ctrl-C since the first call, before which it raises: that ends what is read."""
    state = {"follows": False, "goes_on": True}

    def end(_signal: int, _frame: object) -> None:
        if not state["follows"] or not state["goes_on"]:
            raise KeyboardInterrupt
        state["goes_on"] = False

    def goes_on() -> bool:
        state["follows"] = True
        return state["goes_on"]

    before = signal.signal(signal.SIGINT, end)
    try:
        yield goes_on
    finally:
        signal.signal(signal.SIGINT, before)


def _print_found(found: Found) -> None:
    for title, number in Counter(format_.title for format_, _ in found).items():
        print_message(f"{title}: {plural(number, 'source')} found")
    formats: dict[Path, dict[str, str]] = {}
    for format_, source in found:
        folder = source.path if source.path.is_dir() else source.path.parent
        formats.setdefault(folder, {})[format_.title] = format_.name
    for several in dict.fromkeys(tuple(each.items()) for each in formats.values() if len(each) > 1):
        titles, names = (" and ".join(each) for each in zip(*several, strict=True))
        text = (
            f"{titles} wrote to the same folders: if they have the same values, import one of them"
        )
        print_message(f"{text} ({names.replace(' and ', ' or ')})")


def _summary(done: Imported) -> str:
    unchanged = f"; {plural(done.unchanged, 'source')} unchanged" if done.unchanged else ""
    return f"{plural(done.records, 'record')} imported{unchanged}"


def _print_runs(found: Found) -> None:
    report = Report()
    for each in list_runs(found, report):
        name = each.run.name or f"part {each.run.part}"
        keys = ", ".join(f"{key} ({count:,})" for key, count in sorted(each.keys.items())[:30])
        more = f" and {len(each.keys) - 30:,} more keys" if len(each.keys) > 30 else ""
        typer.echo(one_line(f"{each.format} {name}: {plural(each.records, 'record')}"))
        if keys:
            typer.echo(f"  {one_line(keys)}{more}")
    _print_report(report)


def _print_report(report: Report) -> None:
    for loss in report.losses[:_MOST_LINES]:
        print_message(one_line(str(loss)))
    left = len(report.losses[_MOST_LINES:]) + report.left_out
    if left:
        print_message(f"and {plural(left, 'line')} more")


@contextmanager
def _progress() -> Iterator[Progress | None]:
    """A progress bar on a terminal, which disappears at the end."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (progress.BarColumn(), progress.MofNCompleteColumn(), "sources", "{task.description}")
    with progress.Progress(*columns, console=console.Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")

        def show(done: int, total: int, records: int) -> None:
            bar.update(task, completed=done, total=total, description=plural(records, "record"))

        yield show
