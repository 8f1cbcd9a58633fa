"""Compare logging with this library to what people use instead, each in its own environment.

Run it with ``python benchmarks/peers.py [--only NAMES] [--repeats N] [--quick] [--study]``. It needs
nothing but Python: it makes the environments itself, below ``benchmarks/.environments``, and finds
them again the next time. This library is installed anew each time, from the working tree.

All log records of an index and a random loss, one by one, into a new folder; where a tool takes a
step, the index is the step. Rounds go forth and back; a ratio is the median over the rounds of the
ratio to ``rows.append`` in the same round, because a shared machine is slower in one minute than in
the next, but equally so for neighbours. It prints Markdown tables, and on stderr what it is at.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from peer_catalogue import BASE, CURRENT, ENTRIES, OLD, Entry
from peer_environments import EnvironmentFailed, python_of
from peer_runs import Run, ToolFailed, check_reader, stored_after_kill, study_seconds, time_run
from tables import median_ratio, print_table

STUDY_RECORDS = 100_000
NOTES = """
Microseconds are the caller's side. Bytes are all files of a run, with those that a tool writes once
whatever is logged. A kill is a SIGKILL of the process right after the last call has returned; two
seconds later the tool's own reader counts in another process.\
"""


class Scale(NamedTuple):
    """How much is measured."""

    repeats: int
    kills: int
    share: float

    def records(self, entry: Entry) -> int:
        """Records of a run of that entry."""
        return max(100, int(entry.records * self.share))


class Lineup:
    """Those that are compared, and why others are not."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.pythons: dict[Entry, Path] = {}
        self.failures: dict[Entry, str] = {}
        for entry in entries:
            self._admit(entry)

    def _admit(self, entry: Entry) -> None:
        """Install a tool, unless a neighbour did, and see that it reads what it wrote."""
        known = {each.environment: python for each, python in self.pythons.items()}
        try:
            python = known.get(entry.environment) or python_of(
                entry.environment, entry.requirements
            )
            say(f"checking {entry.name}")
            check_reader(entry, python)
        except (EnvironmentFailed, ToolFailed) as failure:
            self.failures[entry] = str(failure)
        else:
            self.pythons[entry] = python


def say(text: str) -> None:
    """Tell what the command is at."""
    print(text, file=sys.stderr, flush=True)


# --- measuring -------------------------------------------------------------------------------


def measure_times(lineup: Lineup, scale: Scale) -> dict[Entry, list[Run]]:
    """The runs of each entry, a list of one for each round."""
    runs: dict[Entry, list[Run]] = {entry: [] for entry in lineup.pythons}
    for turn in range(scale.repeats):
        for entry in list(runs)[:: -1 if turn % 2 else 1]:
            say(f"round {turn + 1} of {scale.repeats}: {entry.name}")
            runs[entry].append(time_run(entry, lineup.pythons[entry], scale.records(entry)))
    return runs


def measure_kills(lineup: Lineup, scale: Scale) -> dict[Entry, float]:
    """The share of records that each entry keeps when it is killed."""
    stored = {}
    for entry, python in lineup.pythons.items():
        say(f"killing {entry.name}")
        stored[entry] = statistics.median(
            stored_after_kill(entry, python) for _ in range(scale.kills)
        )
    return stored


# --- tables ----------------------------------------------------------------------------------


def print_peers(lineup: Lineup, scale: Scale) -> None:
    """Print the comparison."""
    runs, stored = measure_times(lineup, scale), measure_kills(lineup, scale)
    head = (
        "way",
        "to `rows.append`, caller's side",
        "to `rows.append`, until finished",
        "us a record",
        "bytes a record",
        "stored after a kill",
        "records a run",
        "version",
    )
    rows = [peer_row(entry, runs, stored[entry], scale) for entry in runs]
    print_table("To what people use, records of two fields", head, rows)
    print(NOTES)
    print_failures(lineup)


def peer_row(
    entry: Entry, runs: dict[Entry, list[Run]], stored: float, scale: Scale
) -> tuple[str, ...]:
    """The cells of one way to log."""
    mine, base = runs[entry], runs[BASE]
    return (
        entry.label,
        f"{median_ratio([run.log for run in mine], [run.log for run in base]):,.2f}",
        f"{median_ratio([run.whole for run in mine], [run.whole for run in base]):,.2f}",
        f"{1e6 * statistics.median(run.log for run in mine):,.2f}",
        f"{statistics.median(run.bytes for run in mine):,.1f}",
        f"{share_in_words(stored)} of {entry.killed:,}",
        f"{scale.records(entry):,}",
        mine[0].version,
    )


def share_in_words(share: float) -> str:
    """``all``, ``none``, or a percentage that doesn't round to either."""
    if share in (0, 1):
        return "all" if share else "none"
    return f"{min(max(100 * share, 0.1), 99.9):.1f} %"


def print_failures(lineup: Lineup) -> None:
    """Print who is missing, and why."""
    if lineup.failures:
        print("\nNot compared here:\n")
    for entry, reason in lineup.failures.items():
        print(f"- {entry.label}: {reason}")


def print_study(scale: Scale) -> None:
    """Print how long the study of the first README takes, then and now."""
    records = int(STUDY_RECORDS * scale.share)
    seconds = {}
    for entry, turns in ((CURRENT, scale.repeats), (OLD, 1)):
        python = python_of(entry.environment, entry.requirements)
        say(f"the first README's study: {entry.environment}")
        seconds[entry] = statistics.median(study_seconds(python, records) for _ in range(turns))
    now, then = seconds[CURRENT], seconds[OLD]
    rows = [
        (f"this library, median of {scale.repeats}", f"{now:.3f}", "1"),
        ("rigorous-recorder 1.4.4, once", f"{then:,.1f}", f"{then / now:,.0f}"),
    ]
    title = f"The first README's study, {records:,} training records a model, until it is saved"
    print_table(title, ("release", "seconds", "to this library"), rows)


def print_machine() -> None:
    """Print what it was measured on."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    system = f"{platform.system()} {platform.machine()}"
    print(f"\n{os.cpu_count()} cores, {memory:.0f} GiB of memory, {system}, {python}")


# --- command ---------------------------------------------------------------------------------


def chosen_entries(names: str | None) -> list[Entry]:
    """The entries of these names, with the one that all are compared to."""
    if names is None:
        return list(ENTRIES)
    wanted = set(names.split(","))
    unknown = wanted - {entry.name for entry in ENTRIES}
    if unknown:
        known = ", ".join(entry.name for entry in ENTRIES)
        sys.exit(f"--only knows {known}; not {', '.join(sorted(unknown))}")
    return [entry for entry in ENTRIES if entry.name in wanted or entry is BASE]


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", help=f"some of {','.join(entry.name for entry in ENTRIES)}")
    parser.add_argument("--repeats", type=int, help="rounds (default 7)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the records, 3 rounds")
    parser.add_argument(
        "--study", action="store_true", help="the first README's study instead; minutes"
    )
    arguments = parser.parse_args()
    quick = arguments.quick
    repeats = arguments.repeats or (3 if quick else 7)
    scale = Scale(repeats, kills=1 if quick else 3, share=0.1 if quick else 1.0)
    if arguments.study:
        try:
            print_study(scale)
        except (EnvironmentFailed, ToolFailed) as failure:
            sys.exit(str(failure))
    else:
        print_peers(Lineup(chosen_entries(arguments.only)), scale)
    print_machine()


if __name__ == "__main__":
    main()
