"""Hyperparameters in TensorBoard's summaries: those of a session, and which there can be."""

from __future__ import annotations

from typing import Any, Final

from .contract import utc_time
from .protobuf import BadMessageError, bytes_of, fields, first, float_of, signed, text_of

__all__ = ["hparams_of"]

_STATUS: Final = {1: "finished", 2: "failed", 3: "running"}


def hparams_of(content: bytes) -> dict[str, dict[str, Any]]:
    """``config``, the hyperparameters, and ``about``: how the session began and ended, or the domains.

    Raises:
        BadMessageError: it is not such a message.
    """
    about: dict[str, Any] = {}
    config: dict[str, Any] = {}
    for number, part in fields(content):
        if number == 2:
            about |= _experiment(bytes_of(part))
        elif number == 3:
            config = _session_start(bytes_of(part), about)
        elif number == 4:
            end = first(bytes_of(part))
            about["status"] = _STATUS.get(signed(end.get(1, 0)))
            about["end_time"] = utc_time(float_of(end[2])) if 2 in end else None
    return {
        "config": config,
        "about": {key: each for key, each in about.items() if each is not None},
    }


def _experiment(data: bytes) -> dict[str, Any]:
    """The domains of hyperparameters that have one, and what metrics there are."""
    domains: dict[str, Any] = {}
    metrics: list[dict[str, str]] = []
    for number, part in fields(data):
        if number == 4:
            domains |= _domain(bytes_of(part))
        elif number == 5:
            metrics.append(_metric(bytes_of(part)))
    return {"hparam_domains": domains or None, "hparam_metrics": metrics or None}


def _domain(data: bytes) -> dict[str, Any]:
    """A list of values, or the least and the greatest one."""
    found = first(data)
    name = text_of(found.get(1, b""))
    if 5 in found:
        return {name: [_plain(bytes_of(each)) for _, each in fields(bytes_of(found[5]))]}
    if 6 in found:
        ends = first(bytes_of(found[6]))
        least, greatest = (float_of(ends.get(number, bytes(8))) for number in (1, 2))
        return {name: {"min": least, "max": greatest}}
    return {}


def _metric(data: bytes) -> dict[str, str]:
    found = first(data)
    name = first(bytes_of(found.get(1, b"")))
    texts = {"tag": name.get(2), "group": name.get(1), "display_name": found.get(3)}
    return {key: text_of(each) for key, each in texts.items() if each}


def _session_start(data: bytes, about: dict[str, Any]) -> dict[str, Any]:
    config = {}
    for number, part in fields(data):
        if number == 1:
            entry = dict(fields(bytes_of(part)))
            config[text_of(entry.get(1, b""))] = _plain(bytes_of(entry.get(2, b"")))
        elif number == 4:
            about["group"] = text_of(part) or None
        elif number == 5:
            about["start_time"] = utc_time(float_of(part))
    return config


def _plain(data: bytes, depth: int = 0) -> Any:
    """The value of a ``google.protobuf.Value``."""
    if depth > 50:
        message = "a value is nested too deeply"
        raise BadMessageError(message)
    for number, part in fields(data):
        if number == 2:
            return float_of(part)
        if number == 3:
            return text_of(part)
        if number == 4:
            return bool(part)
        if number == 5:
            entries = [dict(fields(bytes_of(entry))) for _, entry in fields(bytes_of(part))]
            return {
                text_of(each.get(1, b"")): _plain(bytes_of(each.get(2, b"")), depth + 1)
                for each in entries
            }
        if number == 6:
            return [_plain(bytes_of(each), depth + 1) for _, each in fields(bytes_of(part))]
    return None
