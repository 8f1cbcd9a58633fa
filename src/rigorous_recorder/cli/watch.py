"""`rigorous watch`: print an alert, and run a command, when a condition holds."""

import os
import queue
import re
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from datetime import datetime
from itertools import accumulate
from typing import Annotated, Any, Final, NamedTuple

import typer

from rigorous_recorder import Experiment, ExperimentCollection, Records, Status
from rigorous_recorder._printable import one_line
from rigorous_recorder.errors import ArgumentError, ColumnError

from .output import json_line, print_message
from .target import CollectionKey, Collections, Where, open_collections, records_of

__all__ = ["EXAMPLES", "watch"]

EXAMPLES = """\
Examples: `rigorous watch data/my_study --when "loss is nan"`,
`rigorous watch data/my_study --when "loss > 10" --when "no record for 10 min" --run ./tell-me.sh`
"""

#: ``loss is nan``, which SQL has no words for.
_NAN: Final = re.compile(r"\s*(\S+|\"[^\"]+\")\s+is\s+nan\s*", re.IGNORECASE)
_SILENCE: Final = re.compile(
    r"\s*no\s+records?\s+for\s+(\d+(?:\.\d+)?)\s*"
    r"(?:(s)(?:ecs?|econds?)?|(m)(?:ins?|inutes?)?|(h)(?:rs?|ours?)?|(d)(?:ays?)?)\s*",
    re.IGNORECASE,
)
_ABOUT_SILENCE: Final = re.compile(r"\s*no\s+records?\s", re.IGNORECASE)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}

#: Seconds to wait for a look that goes on when the command ends.
_PATIENCE: Final = 5.0

#: Children of a run that also have records while the training hangs, or that are about it.
_PARTS: Final = frozenset({"system", "console", "alerts"})
#: Bytes of a record that a command gets; a system refuses 128 KB and more in one variable.
_LONGEST: Final = 64 * 1024
#: Larger values are left out of a record that is longer.
_LARGEST_VALUE: Final = 1024

#: What identifies an experiment, and an attempt at it: several can share a number.
_Run = tuple[Any, ...]


#: Variables with what ``run.alert()`` was given.
_OF_ALERT: Final = ("RIGOROUS_ALERT", "RIGOROUS_ALERT_TEXT", "RIGOROUS_ALERT_LEVEL")


class _Alert(NamedTuple):
    rule: str
    run: Mapping[str, Any]


def watch(
    paths: Collections,
    *,
    when: Annotated[
        list[str],
        typer.Option(
            "--when",
            metavar="RULE",
            help="A SQL condition on a record, such as 'loss > 10'; 'KEY is nan'; or 'no record for 10"
            " min'. Repeat it for more.",
        ),
    ],
    command: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="COMMAND",
            help="Run this in a shell at each alert: RIGOROUS_RULE, RIGOROUS_EXPERIMENT,"
            " RIGOROUS_RECORD (JSON) and, of run.alert(), RIGOROUS_ALERT, RIGOROUS_ALERT_TEXT and"
            " RIGOROUS_ALERT_LEVEL are in its environment.",
        ),
    ] = None,
    where: Where = [],
    once: Annotated[bool, typer.Option("--once", help="End after the first alert.")] = False,
    interval: Annotated[float, typer.Option(min=0.01, help="Seconds between two looks.")] = 1.0,
    collection_key: CollectionKey = None,
) -> None:
    """Watch runs while they log, and alert once for each rule and run, until Ctrl-C.

    Alerts of a program, by `run.alert()`, count by their titles. Runs that had ended or were killed
    before are not watched, unless they are resumed. Nothing is sent anywhere: what happens at an alert is up
    to the command.
    """
    with closing(open_collections(paths, collection_key)) as collection:
        records = records_of(collection, where)
        for alert in _alerts(collection, records, when, interval):
            _tell(alert, command)
            if once:
                return


def _alerts(
    collection: ExperimentCollection, records: Records, rules: list[str], interval: float
) -> Iterator[_Alert]:
    """One for each rule and run, in the order in which they come up."""
    found: queue.SimpleQueue[_Alert | BaseException] = queue.SimpleQueue()
    ended = {_run(each) for each in collection.experiments if each.status is not Status.RUNNING}
    stop = threading.Event()
    looks = [_look(collection, records, rule, interval, stop) for rule in rules]
    threads = [threading.Thread(target=_put, args=(each, found), daemon=True) for each in looks]
    for each in threads:
        each.start()
    seen: set[tuple[str, _Run, Any]] = set()
    try:
        while True:
            alert = found.get()
            if isinstance(alert, BaseException):
                raise alert
            key = alert.rule, _run(alert.run), alert.run.get("alert")
            if key not in seen and key[1] not in ended:
                seen.add(key)
                yield alert
    finally:
        stop.set()
        for each in threads:  # none may be in native code when the interpreter ends
            each.join(_PATIENCE)


def _put(look: Callable[[], Iterator[_Alert]], found: "queue.SimpleQueue[Any]") -> None:
    try:
        for alert in look():
            found.put(alert)
    except BaseException as error:  # noqa: BLE001 - it is raised where alerts are read
        found.put(error)


def _look(
    collection: ExperimentCollection,
    records: Records,
    rule: str,
    interval: float,
    stop: threading.Event,
) -> Callable[[], Iterator[_Alert]]:
    """What yields the alerts of a rule.

    Raises:
        ArgumentError: the rule is no condition.
    """
    if (silence := _SILENCE.fullmatch(rule)) is not None:
        seconds = float(silence[1]) * _SECONDS[silence[silence.lastindex or 0].lower()]
        return lambda: _silent(collection, rule, seconds, interval, stop)
    if _ABOUT_SILENCE.match(rule) is not None:
        message = f"{rule!r} is not a valid rule: expected a time such as 'no record for 10 min', or 30 s, 2 h, 1 d"
        raise ArgumentError(message)
    nan = _NAN.fullmatch(rule)
    condition = rule
    if nan is not None:
        quoted = nan[1] if nan[1].startswith('"') else '"' + nan[1].replace('"', '""') + '"'
        condition = f"isnan({quoted})"
    chosen = records.where(condition)
    return lambda: (_Alert(rule, row) for row in chosen.follow(interval=interval, stop=stop))


def _silent(
    collection: ExperimentCollection,
    rule: str,
    seconds: float,
    interval: float,
    stop: threading.Event,
) -> Iterator[_Alert]:
    """Running experiments that have had no record for some time.

    Records of what they use and write are none: they come although a training hangs.
    """
    totals: dict[_Run, int] = {}
    changes: dict[_Run, tuple[int, float]] = {}
    while not stop.wait(min(interval, seconds)):
        now = time.monotonic()
        of_parts: Counter[_Run] | None = None
        for experiment in _running(collection):
            total, run = len(experiment.records), _run(experiment)
            before = changes.get(run)
            count = before[0] if before is not None else 0
            if total != totals.get(run):
                totals[run] = total
                of_parts = _of_parts(collection) if of_parts is None else of_parts
                count = total - of_parts[_experiment(experiment)]
            if before is None or before[0] != count:
                changes[run] = count, now
            elif now - before[1] >= seconds:
                yield _Alert(rule, experiment)


def _running(collection: ExperimentCollection) -> list[Experiment]:
    return [each for each in collection.experiments if each["experiment_end_time"] is None]


def _of_parts(collection: ExperimentCollection) -> Counter[_Run]:
    """How many records of each experiment are of what it captured."""
    found: Counter[_Run] = Counter()
    # Errors: there are none, or records have such a key themselves.
    with suppress(ColumnError, ArgumentError):
        for row in collection.level("part", attempts="all"):
            if row["part"] in _PARTS:
                found[_experiment(row)] += row["records"]
    return found


def _experiment(row: Mapping[str, Any]) -> _Run:
    keys = ("experiment_number", "experiment_start_time", "collection")
    return tuple(row.get(key) for key in keys)


def _run(row: Mapping[str, Any]) -> _Run:
    return (*_experiment(row), row.get("experiment_attempt_start_time"))


def _tell(alert: _Alert, command: str | None) -> None:
    number = alert.run.get("experiment_number")
    who = "a record without an experiment" if number is None else f"experiment {number}"
    who += f" of {alert.run['collection']}" if "collection" in alert.run else ""
    stamp = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    values = [alert.run.get(key) for key in ("alert", "alert/text", "alert/level")]
    what = ": ".join([who, alert.rule, *(str(each) for each in values[:2] if each)])
    typer.echo(one_line(f"{stamp}  {what}"))
    if command is None:
        return
    variables = {
        "RIGOROUS_RULE": alert.rule,
        "RIGOROUS_EXPERIMENT": "" if number is None else str(number),
        "RIGOROUS_RECORD": _record_text(alert.run),
        **dict(zip(_OF_ALERT, map(_variable, values), strict=True)),
    }
    done = subprocess.run(command, shell=True, env=os.environ | variables, check=False)  # noqa: S602 - it was typed
    if done.returncode:
        print_message(f"the command ended with {done.returncode}: {command}")


def _record_text(record: Mapping[str, Any]) -> str:
    """A record as JSON; of a very long one, the smaller values."""
    text = json_line(dict(record))
    if len(text.encode()) <= _LONGEST:
        return text
    sizes = {key: len(json_line({key: value}).encode()) for key, value in record.items()}
    small = [key for key, size in sizes.items() if size <= _LARGEST_VALUE]
    ends = accumulate(sizes[key] for key in small)
    return json_line(
        {key: record[key] for key, end in zip(small, ends, strict=True) if end < _LONGEST}
    )


def _variable(value: Any) -> str:
    """Text of any kind as the value of a variable, which has no zero byte and a longest size."""
    text = "" if value is None else str(value).replace("\0", "\\0")
    return text.encode()[:_LONGEST].decode(errors="ignore")
