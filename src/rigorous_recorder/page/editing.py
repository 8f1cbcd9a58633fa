"""Changes of experiments from the page: names, tags, notes, archiving and deletion, on request.

Their addresses exist only where the page was started with ``--edit``.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from hmac import compare_digest
from typing import Any, Final, NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .. import Experiment, ExperimentCollection
from ..errors import ArgumentError, UnknownExperimentError
from .body import json_of
from .plain import json_bytes
from .runs import run_key
from .workspace import Workspace

__all__ = ["Changes", "Editing", "delete", "update"]

_HEADER: Final = "x-rigorous-edit"
_MOST_RUNS: Final = 10_000
#: A longer name, note or tag is a mistake.
_MOST_CHARACTERS: Final = 10_000


class Editing:
    """The addresses that change experiments of a workspace.

    Attributes:
        token: what the page sends with each change; a form or page of another site can't know it.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.token = secrets.token_urlsafe(24)

    def routes(self) -> list[Route]:
        """The addresses."""
        return [
            Route("/api/update", self._update, methods=["POST"]),
            Route("/api/delete", self._delete, methods=["POST"]),
        ]

    async def _update(self, request: Request) -> Response:
        return await self.change(request, lambda given: update(self._workspace, Changes.of(given)))

    async def _delete(self, request: Request) -> Response:
        return await self.change(
            request, lambda given: {"records": delete(self._workspace, _runs_of(given))}
        )

    async def change(self, request: Request, change: Callable[[Any], Any]) -> Response:
        """Make a change with the JSON of a request, if the page itself made the request."""
        if not self._is_of_page(request):
            return Response("Only the page itself can change experiments.", 403)
        given = await json_of(request)
        found = await run_in_threadpool(change, given)
        return Response(json_bytes(found), media_type="application/json")

    def _is_of_page(self, request: Request) -> bool:
        given = request.headers.get(_HEADER, "")
        has_origin = "origin" in request.headers  # of the page: the guard has refused any other
        return has_origin and compare_digest(given.encode(), self.token.encode())


class Changes(NamedTuple):
    """New attributes of runs.

    Attributes:
        runs: the keys of the runs.
        name, note: text; empty to remove it, None to leave it.
        add_tags, remove_tags: tags.
        archived: whether they are only listed among all; None to leave it.
    """

    runs: tuple[str, ...]
    name: str | None
    note: str | None
    add_tags: tuple[str, ...]
    remove_tags: tuple[str, ...]
    archived: bool | None

    @classmethod
    def of(cls, given: Any) -> Changes:
        """The changes in JSON of the browser.

        Raises:
            ArgumentError: they are not valid ones.
        """
        runs = _runs_of(given)
        archived = given.get("archived")
        if archived is not None and not isinstance(archived, bool):
            message = f"archived={archived!r:.60}: expected true, false or null"
            raise ArgumentError(message)
        return cls(
            runs,
            name=_text(given, "name"),
            note=_text(given, "note"),
            add_tags=_tags(given, "add_tags"),
            remove_tags=_tags(given, "remove_tags"),
            archived=archived,
        )


def _runs_of(given: Any) -> tuple[str, ...]:
    """The keys of the runs in a request.

    Raises:
        ArgumentError: there are none, or they are not text.
    """
    runs = given.get("runs") if isinstance(given, Mapping) else None
    is_list = isinstance(runs, list) and 0 < len(runs) <= _MOST_RUNS
    if runs and is_list and all(isinstance(each, str) for each in runs):
        return tuple(dict.fromkeys(runs))
    message = f"runs: expected a list of 1 to {_MOST_RUNS:,} keys of runs"
    raise ArgumentError(message)


def _text(given: Mapping[str, Any], key: str) -> str | None:
    value = given.get(key)
    if value is None or (isinstance(value, str) and len(value) <= _MOST_CHARACTERS):
        return value
    message = f"{key}: expected text of at most {_MOST_CHARACTERS:,} characters"
    raise ArgumentError(message)


def _tags(given: Mapping[str, Any], key: str) -> tuple[str, ...]:
    tags = given.get(key) or []
    if not isinstance(tags, list):
        message = f"{key}: expected a list of tags"
        raise ArgumentError(message)
    return tuple(tag for each in tags if (tag := _text({key: each}, key)))


def update(workspace: Workspace, changes: Changes) -> dict[str, int]:
    """Set attributes of runs; all their records inherit them.

    Raises:
        UnknownExperimentError: a run does not exist; nothing is set.
        SaveError: a folder can't be written.
    """
    return {"changed": sum(_on_runs(workspace, changes.runs, lambda _, run: _set(run, changes)))}


def _set(run: Experiment, changes: Changes) -> int:
    tags = dict.fromkeys([*run.tags, *changes.add_tags])
    found: dict[str, Any] = {
        key: value or None
        for key, value in (("name", changes.name), ("note", changes.note))
        if value is not None
    }
    if changes.archived is not None:
        found["archived"] = changes.archived
    if changes.add_tags or changes.remove_tags:
        found["tags"] = [tag for tag in tags if tag not in changes.remove_tags] or None
    run.update(found)
    return 1


def delete(workspace: Workspace, runs: Sequence[str]) -> int:
    """Delete runs with all their records, for good; return the number of records.

    Raises:
        UnknownExperimentError: a run does not exist; nothing is deleted.
        RunningError: a run still runs; those before it are deleted.
        SaveError: a folder can't be written.
    """

    def delete_one(collection: ExperimentCollection, run: Experiment) -> int:
        return collection.delete(run.number, error_number=run["error_number"])

    return sum(_on_runs(workspace, runs, delete_one))


def _on_runs(
    workspace: Workspace,
    keys: Sequence[str],
    change: Callable[[ExperimentCollection, Experiment], int],
) -> list[int]:
    """What a function returns for each run, in collections that are open for writing meanwhile.

    Raises:
        UnknownExperimentError: a run does not exist; the function was not called.
    """
    wanted = {*keys}
    to_do = [each for each in workspace.opened if _among(each.name, each.collection, wanted)]
    known = {_key(each.name, run) for each in to_do for run in each.collection.experiments}
    if missing := wanted - known:
        message = f"there is no run {min(missing)!r:.80}; it may have been deleted"
        raise UnknownExperimentError(message)
    found: list[int] = []
    for opened in to_do:
        with closing(ExperimentCollection.open(opened.path, quiet=True)) as collection:
            runs = _among(opened.name, collection, wanted)
            found += [change(collection, run) for run in runs]
    return found


def _among(name: str, collection: ExperimentCollection, keys: set[str]) -> list[Experiment]:
    if not any(key.startswith(f"{name}/") for key in keys):
        return []
    return [run for run in collection.experiments if _key(name, run) in keys]


def _key(name: str, run: Experiment) -> str:
    return run_key(name, run.number, run["experiment_start_time"])
