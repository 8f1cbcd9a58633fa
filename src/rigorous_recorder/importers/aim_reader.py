"""Writes the runs of a repository of Aim to standard output, as lines of JSON.

It runs in a process of its own, on a copy that it may change: runs that were never indexed can't be
read, and an index is written beside them.
"""

from __future__ import annotations

import base64
import io
import json
import math
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, TextIO

__all__: list[str] = []

_AT_ONCE: Final = 10_000
#: The kinds of series.
_KINDS: Final = ("metric", "texts", "distributions", "images", "figures", "audios")


def _main(path: str) -> None:
    from aim.sdk.repo import Repo  # type: ignore[import-not-found]  # noqa: PLC0415

    repo = Repo.from_path(path)
    repo._recreate_index()
    for run in sorted(repo.iter_runs(), key=lambda each: (each.creation_time, each.hash)):
        _write("run", run.hash, _about(run))
        for kind, series in run.collect_sequence_info(_KINDS).items():
            for each in series:
                _write_series(run, kind, each["name"], each["context"])


def _about(run: Any) -> dict[str, Any]:
    try:
        config = run[...]
    except KeyError:
        config = {}
    return {
        "name": None if run.name == f"Run: {run.hash}" else run.name,
        "experiment": run.experiment,
        "notes": run.description,
        "tags": list(run.tags) or None,
        "archived": run.archived or None,
        "start_time": run.creation_time,
        "end_time": run.end_time,
        "config": config,
    }


def _write_series(run: Any, kind: str, name: str, context: dict[str, Any]) -> None:
    from aim.storage.context import Context  # type: ignore[import-not-found]  # noqa: PLC0415

    found = run._get_sequence(kind, name, Context(context))
    points = enumerate(_points(found))
    while some := list(islice(points, _AT_ONCE)):
        columns = [(at, step) for at, (step, *_) in some], *_shown(kind, some)
        _write("series", run.hash, kind, name, context, *columns)


def _points(found: Any) -> Iterator[tuple[Any, Any, Any, Any]]:
    for step, (value, epoch, time) in found.data.items():
        yield step, value, _epoch(epoch), time


def _epoch(epoch: Any) -> Any:
    if epoch is None or math.isnan(epoch):
        return None
    return int(epoch) if float(epoch).is_integer() else epoch


def _shown(kind: str, some: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """Values, times and epochs; what is not a number can also be a list of several."""
    show = {
        "texts": _text,
        "distributions": _distribution,
        "images": _image,
        "figures": _figure,
        "audios": _audio,
    }.get(kind)
    values = [value for _, (_, value, _, _) in some]
    if show is not None:
        values = [
            [show(each) for each in value] if isinstance(value, list) else show(value)
            for value in values
        ]
    return values, [time for _, (_, _, _, time) in some], [epoch for _, (_, _, epoch, _) in some]


def _text(value: Any) -> Any:
    return value.data


def _distribution(value: Any) -> Any:
    counts, edges = value.to_np_histogram()
    return {"counts": counts.tolist(), "edges": edges.tolist()}


def _image(value: Any) -> Any:
    file = io.BytesIO()
    value.to_pil_image().save(file, "png")
    return _file(file.getvalue(), "png", value.caption)


def _audio(value: Any) -> Any:
    about = value.json()
    return _file(value.get().read(), about["format"], about["caption"])


def _file(data: bytes, suffix: str, caption: str) -> dict[str, Any]:
    return {"data": base64.b64encode(data).decode(), "suffix": suffix, "caption": caption or None}


def _figure(value: Any) -> Any:
    return json.loads(value.data)


def _write(*line: Any) -> None:
    _LINES.write(json.dumps(line, default=str) + "\n")


if __name__ == "__main__":
    _LINES: TextIO = sys.stdout
    sys.stdout = sys.stderr  # for all that Aim prints
    _main(sys.argv[1])
    _LINES.flush()
