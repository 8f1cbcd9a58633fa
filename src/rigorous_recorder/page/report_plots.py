"""Charts of several keys in a report: what the page requests for each, and the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from ..errors import RigorousError
from .kinds import PlotRequest, plot
from .packing import header_of
from .workspace import Workspace

__all__ = ["PlotInside", "plots", "wanted"]

_WIDTH, _HEIGHT = 600, 300
#: Matrices of a run that are there to be stepped through, and runs whose last one is there.
_MOST_STEPS: Final = 60
_MOST_RUNS: Final = 20

_Spec = Mapping[str, Any]


class PlotInside(NamedTuple):
    """A request of the page and its answer; without one, the reason."""

    body: dict[str, Any]
    message: bytes
    error: str


def _scatter(spec: _Spec) -> dict[str, Any]:
    return {"x": spec.get("x"), "y": spec.get("y"), "by": _by(spec)}


def _histogram(spec: _Spec) -> dict[str, Any]:
    bins, is_log = spec.get("bins") or 40, bool(spec.get("logx"))
    return {"y": spec.get("y"), "by": _by(spec), "is_log": is_log, "bins": _whole(bins)}


def _bars(spec: _Spec) -> dict[str, Any]:
    statistic, band = spec.get("statistic", "last"), spec.get("band", "std")
    return {"y": spec.get("y"), "by": [spec.get("by")], "statistic": statistic, "band": band}


def _parallel(spec: _Spec) -> dict[str, Any]:
    return {"keys": spec.get("keys") or []}


def _heatmap(spec: _Spec) -> dict[str, Any]:
    return {each: spec.get(each) for each in ("y", "x", "run", "at")}


def _by(spec: _Spec) -> list[Any]:
    return [spec["by"]] if spec.get("by") else []


def _whole(value: Any) -> Any:
    try:
        return int(value)
    except (TypeError, ValueError):
        return value


#: As in the page's scripts, by the names of kinds.
_BODIES: Final[Mapping[str, Callable[[_Spec], dict[str, Any]]]] = {
    "scatter": _scatter,
    "histogram": _histogram,
    "bars": _bars,
    "parallel": _parallel,
    "heatmap": _heatmap,
}


def wanted(spec: _Spec, drawn: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What the page requests of a chart, the most important first.

    Args:
        drawn: the runs that are drawn, the newest last.
    """
    body = {"kind": spec["kind"], **_BODIES[spec["kind"]](spec)}
    if spec["kind"] == "heatmap":
        yield from _of_runs(body, drawn)
        return
    zoom = spec.get("zoom")
    if isinstance(zoom, dict) and spec["kind"] in {"scatter", "histogram"}:
        yield body | {key: zoom.get(key) for key in ("low", "high", "bottom", "top")}
    yield body


def _of_runs(body: dict[str, Any], drawn: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The arrays of the run that is shown, then those of others."""
    runs = list(drawn)[::-1]
    shown = body["run"] or (runs[0] if runs else "")
    yield body | {"run": shown}
    if body["at"] is not None:
        yield body | {"run": shown, "at": None}
    yield from ({**body, "run": each, "at": None} for each in runs[:_MOST_RUNS] if each != shown)
    yield from ({**body, "run": shown, "at": at} for at in range(_MOST_STEPS))


def plots(  # noqa: PLR0913 - what is drawn, and how much of it
    workspace: Workspace,
    specs: Sequence[_Spec],
    drawn: Sequence[str],
    *,
    is_all: bool,
    room: int,
    more: bool = True,
) -> tuple[list[tuple[_Spec, PlotInside]], int]:
    """The answers of charts, and how many charts are left out, since they are beyond ``room`` bytes.

    Args:
        drawn: the runs that are drawn, the newest last; ``is_all``, whether these are all.
        more: whether there are also answers for what a reader may choose, such as other steps.
    """
    bodies = [[(spec, body) for body in wanted(spec, drawn)] for spec in specs]
    others = chain.from_iterable(each[1:] for each in bodies if more)
    runs = None if is_all else list(drawn)
    found: list[tuple[_Spec, PlotInside]] = []
    left_out = 0
    for at, (spec, body) in enumerate([*(each[0] for each in bodies), *others]):
        is_first = at < len(bodies)
        known = [each for _, each in found]
        if not is_first and any(each.body == body or _is_beyond(body, each) for each in known):
            continue
        answer = _read(workspace, body, runs)
        if len(answer.message) <= room:
            room -= len(answer.message)
            found.append((spec, answer))
        elif is_first:
            left_out += 1
    return found, left_out


def _is_beyond(body: Mapping[str, Any], known: PlotInside) -> bool:
    """Whether a run has no matrix of this number, as an answer for another one of it tells."""
    if not known.message or any(
        body.get(key) != known.body.get(key) for key in ("kind", "y", "x", "run")
    ):
        return False
    header, at = header_of(known.message), body.get("at")
    is_last = isinstance(at, int) and at >= header.get("total", 0) - 1  # which is at None
    return isinstance(at, int) and (is_last or not header.get("is_matrix"))


def _read(workspace: Workspace, body: dict[str, Any], runs: list[str] | None) -> PlotInside:
    some = None if body["kind"] in {"parallel", "heatmap"} else runs  # of all, and of one
    try:
        size = {"width": _WIDTH, "height": _HEIGHT, "runs": some}
        return PlotInside(body, plot(workspace, PlotRequest.of({**body, **size})), "")
    except RigorousError as error:
        return PlotInside(body, b"", str(error))
