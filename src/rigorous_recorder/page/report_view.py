"""A view by its address: what the page would request for it, and which runs it draws."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from .kinds.request import KINDS

__all__ = ["View"]


class View(NamedTuple):
    """The state of the page, as in ``state.js``."""

    given: Mapping[str, list[str]]

    @classmethod
    def of(cls, address: str) -> View:
        """The state in the part of an address behind ``#``."""
        return cls(parse_qs(address))

    def text(self, name: str, default: str = "") -> str:
        """A value; if it is missing a default."""
        return self.given.get(name, [default])[-1]

    def texts(self, name: str) -> list[str]:
        """All values of a name."""
        return list(self.given.get(name, ()))

    def number(self, name: str) -> float | int | None:
        """A finite number; None if it is missing or something else."""
        try:
            value = float(self.text(name))
        except ValueError:
            return None
        if not math.isfinite(value):
            return None
        return int(value) if value == int(value) else value

    def charts(self, likely_x: str) -> dict[str, Any]:
        """What is requested of charts, besides their keys; see ``charts.js``."""
        x = self.text("x") or likely_x
        return {
            "x": "" if x == "#" else x,
            "is_likely": not self.text("x"),
            "by": self.texts("by"),
            "band": self.text("band", "std"),
            "smooth": self.number("smooth") or 0,
            "from_start": bool(self.text("relative")),
            "levels_once": bool(self.text("once")),
        }

    def zoom(self, likely_x: str) -> dict[str, Any] | None:
        """The ends of x that are shown, if these are not all."""
        found = {"low": self.number("low"), "high": self.number("high")}
        if found["low"] is None:
            return None
        x = self.text("zoomed") or self.charts(likely_x)["x"]
        return found | {"log_x": bool(self.text("logx")), "zoom_x": x}

    def table(self) -> dict[str, Any]:
        """What is requested of the table of runs; see ``runs.js``."""
        words = {"level": "level", "where": "rwhere", "words": "runs", "sort": "sort"}
        return {
            **{name: self.text(of) for name, of in words.items()},
            "filters": dict(each.partition("\t")[::2] for each in self.texts("filter")),
            "group": self.text("group"),
            "closed": self.texts("closed"),
            "columns": self.texts("cols"),
            **{name: bool(self.text(name)) for name in ("down", "differs", "archived")},
        }

    def panels(self) -> list[dict[str, Any]]:
        """The charts of several keys; what is not valid is left out, as by ``panels.js``."""
        found = []
        for text in self.texts("panels"):
            try:
                spec = json.loads(text)
            except (ValueError, RecursionError):
                continue
            if isinstance(spec, dict) and spec.get("kind") in KINDS:
                found.append(spec)
        return found

    def drawn(self, runs: Sequence[str], passing: Sequence[str] | None) -> list[str]:
        """Those of some runs that are ticked and pass the filters."""
        if self.text("only"):
            picked = {*self.texts("picked")}
            return [each for each in runs if each in picked]
        hidden, listed = {*self.texts("hidden")}, {*(runs if passing is None else passing)}
        return [each for each in runs if each in listed and each not in hidden]
