"""`rigorous export`: the flat table as a file, or runs in the formats of other tools."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rigorous_recorder import ExperimentCollection, Records
from rigorous_recorder._display.text import bytes_text, plural
from rigorous_recorder._lazy import lazy_module
from rigorous_recorder._printable import one_line
from rigorous_recorder.exporters import TARGETS, export_runs

from .chosen import Since, records_since
from .output import print_message
from .target import CollectionKey, Collections, Where, open_collections, records_of

if TYPE_CHECKING:
    from rich import console, progress
else:
    console = lazy_module("rich.console")
    progress = lazy_module("rich.progress")

__all__ = ["EXAMPLES", "export"]

EXAMPLES = """\
Examples: `rigorous export data/my_study study.parquet`,
`rigorous export data/my_study m1.csv.gz --where model=m1`,
`rigorous export data/my_study - --format jsonl | jq .loss`,
`rigorous export data/my_study runs --to tensorboard`
"""


def export(
    paths: Collections,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Its suffix is the format: .parquet, .arrow, .csv, .tsv, .jsonl or .xlsx; text also compressed, such as .csv.gz. - is standard output. With --to the folder to create.",
        ),
    ],
    *,
    where: Where = [],
    since: Since = None,
    separator: Annotated[
        str | None,
        typer.Option(
            help="The separator of a .csv file: one character, or `tab` (also `\\t`).",
            show_default="a comma",
        ),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(
            help="The encoding of a .csv file; for Excel use utf-8-sig.", show_default="utf-8"
        ),
    ] = None,
    unnest: Annotated[
        bool,
        typer.Option("--unnest", help="Add columns for values in nested dicts: config.lr."),
    ] = False,
    kind: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="The format of standard output, as a suffix.",
            show_default="csv",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="TOOL",
            help="Write a folder of another tool instead; it is one of: "
            + ", ".join(TARGETS)
            + ".",
            show_default=False,
        ),
    ] = None,
    step: Annotated[
        str, typer.Option("--step", metavar="KEY", help="With --to, the key of the steps.")
    ] = "step",
    collection_key: CollectionKey = None,
) -> None:
    """Write the flat table, each record with all that it inherits, to a file.

    It is written in bounded memory, and appears whole or not at all. With --to, the runs go to another
    tool, and what it can't hold is reported, with counts; nothing is overwritten.
    """
    if to is not None:
        if any((separator, encoding, unnest, kind, force)):
            message = "only --where, --since, --step and --collection-key go with it"
            raise typer.BadParameter(message, param_hint="--to")
        with closing(open_collections(paths, collection_key)) as collection:
            records = records_since(records_of(collection, where), since)
            _export_runs(collection, file, to, records, step)
        return
    is_output = str(file) == "-"
    if kind is not None and not is_output:
        message = "--format is only for standard output (-); the format of a file is its suffix"
        raise typer.BadParameter(message, param_hint="--format")
    if file.exists() and not force and not is_output:
        message = f"{file} already exists; --force replaces it"
        raise typer.BadParameter(message, param_hint="FILE")
    with closing(open_collections(paths, collection_key)) as collection:
        records = records_since(records_of(collection, where), since)
        records = records.unnest() if unnest else records
        between = "\t" if separator in {"tab", r"\t"} else separator
        if is_output:
            _print_file(records, kind or "csv", between, encoding)
            return
        with _progress() as counted:
            records.save_to(file, progress=counted, separator=between, encoding=encoding)
    written = plural(counted.rows, "record")
    print_message(f"{written} written to {file} ({bytes_text(file.stat().st_size)})")


def _export_runs(
    collection: ExperimentCollection, folder: Path, to: str, records: Records, step: str
) -> None:
    done = export_runs(collection, folder, to=to, records=records, step=step)
    for each in done.losses:
        print_message(one_line(each))
    written = f"{plural(done.records, 'record')} of {plural(done.runs, 'run')}"
    reading = f"; open it with `{done.reading}`" if done.reading else ""
    print_message(one_line(f"{written} written to {done.path}{reading}"))


def _print_file(records: Records, kind: str, separator: str | None, encoding: str | None) -> None:
    """Write the contents of the file to standard output."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"records.{kind.removeprefix('.')}"
        records.save_to(file, separator=separator, encoding=encoding)
        sys.stdout.flush()
        with file.open("rb") as source:
            shutil.copyfileobj(source, sys.stdout.buffer)


class _Counted:
    """Counts the written rows."""

    def __init__(self) -> None:
        self.rows = 0

    def __call__(self, done: int, total: int) -> None:  # noqa: ARG002 - a progress callback
        self.rows = done


class _Shown(_Counted):
    """Counts the written rows, and shows the progress."""

    def __init__(self, bar: progress.Progress) -> None:
        super().__init__()
        self._bar = bar
        self._task = bar.add_task("")

    def __call__(self, done: int, total: int) -> None:
        super().__call__(done, total)
        self._bar.update(self._task, completed=done, total=total)


@contextmanager
def _progress() -> Iterator[_Counted]:
    """A progress bar on a terminal, which disappears at the end."""
    if not sys.stderr.isatty():
        yield _Counted()
        return
    columns = (
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        "records",
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=console.Console(stderr=True), transient=True) as bar:
        yield _Shown(bar)
