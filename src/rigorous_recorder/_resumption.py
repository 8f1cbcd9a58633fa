"""Resuming experiments: a new attempt by number, or at what this job did not finish."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Self, SupportsIndex

from ._display.runs import run_name
from ._engines.source import Source
from ._job import current_job
from ._keys import FIRST_KEYS
from ._lifecycle import Run
from ._live.column import Column
from ._live.fields import describe
from ._recorder import Recorder
from ._report import report
from ._run_lookup import chosen_runs
from ._runs import Past, is_running, last_deleted
from ._store.store import FolderStore
from ._values.kinds import NULL
from .errors import RunningError

__all__ = ["AutoRun", "ResumedRun"]


class ResumedRun(Run):
    """A run that resumes an experiment by number: it gives a recorder for a new attempt.

    Raises:
        UnknownExperimentError: on starting, there is no such experiment.
        RunningError: on starting, it is still running.
        SaveError: on starting, the folder can't be written; on leaving, records wait in memory and
            can't be written to disk.
    """

    def __init__(
        self,
        store: FolderStore,
        number: SupportsIndex,
        *,
        error_number: SupportsIndex | None,
        is_quiet: bool,
        capture: Collection[str] = (),
    ) -> None:
        super().__init__(store, {}, is_quiet=is_quiet, capture=capture)
        self._number = number
        self._error_number = error_number

    def start(self) -> Self:
        """Begin a new attempt now; see ``Run.start``."""
        *others, last = self._chosen()  # before the folder is created: raises if there is none
        if others:
            name = run_name(last.number, last.error_number)
            report(
                f"{len(others) + 1} runs share the number {last.number}: the last, {name}, is resumed;"
                " resume(number, error_number=...) chooses another",
                is_quiet=self._is_quiet,
            )
        return super().start()

    def _begin(self) -> Recorder:
        last = self._last()
        if is_running(self._store, last):
            message = (
                f"experiment {last.number} is still running in {self._store.folder.path}; resume"
                " it when it has ended, or its process is dead"
            )
            raise RunningError(message)
        # Read again: if it ended meanwhile, its status is stored by now.
        return self._go_on(self._last(), {})

    def _last(self) -> Past:
        return self._chosen()[-1]

    def _chosen(self) -> list[Past]:
        return chosen_runs(self._store, self._number, self._error_number)


class AutoRun(Run):
    """A new attempt at the experiment that this job began and did not finish, else a new one."""

    def _begin(self) -> Recorder:
        job, past = current_job(), self._runs().all()
        # Of several with the same number, failed ones were given up for the last.
        newest = {each.number: each for each in past}.values()
        name = job.name if job else None
        of_job = [each for each in newest if each.job == name]
        unfinished = [each for each in of_job if each.had_error]
        same = self._with_same_info(unfinished)
        # Info can differ in a requeued job: the name of its node, for example.
        if not same and job and len(of_job) == 1:
            same = [each for each in unfinished if self._restarts(each) < job.restarts]
        restarts = {"experiment_job_restarts": job.restarts} if job else {}
        for each in reversed(same):
            if not is_running(self._store, each) and self._is_unfinished(each):
                return self._go_on(each, restarts | self._new_info(each))
        deleted = last_deleted(Source(self._store).now().nodes)
        number = max([deleted, *(each.number for each in past)]) + 1
        of_this = {"experiment_job": name} if name else {}
        return self._begin_new(number, 1, experiment_attempt=1, **of_this, **restarts)

    def _restarts(self, past: Past) -> int:
        """How often the job had been requeued when it began the last attempt."""
        nodes = Source(self._store).now().nodes
        (attributes,) = nodes.own_data(nodes.positions_of([past.last]))
        restarts = attributes.get("experiment_job_restarts")
        return restarts if isinstance(restarts, int) else 0

    def _with_same_info(self, past: Sequence[Past]) -> list[Past]:
        """The runs that were begun with the same keys and values."""
        given = _texts(self._info)
        return [
            each
            for each, attributes in zip(past, self._infos(past), strict=True)
            if attributes == given
        ]

    def _new_info(self, past: Past) -> dict[str, Any]:
        """The info that the experiment was not begun with."""
        given, (attributes,) = _texts(self._info), self._infos([past])
        new = {str(column.key) for column in given if attributes.get(column) != given[column]}
        return {key: self._info[key] for key in new}

    def _infos(self, past: Sequence[Past]) -> list[_Texts]:
        """The info that experiments were begun with, without the built-in attributes."""
        nodes = Source(self._store).now().nodes
        found: list[_Texts] = [{} for _ in past]
        attributes = nodes.first_updates(nodes.positions_of([each.node for each in past]))
        for column, values in attributes.items():
            if column.key not in FIRST_KEYS:
                for texts, text in zip(found, column.kind.json(values), strict=True):
                    if text is not None:
                        texts[column] = text
        return found

    def _is_unfinished(self, past: Past) -> bool:
        """Whether it still is; one that ended before its lock was checked has a status by now."""
        (now,) = (each for each in self._runs().all() if each.node == past.node)
        return now.had_error


_Texts = dict[Column, str]
"""Values by key and kind, as JSON text, in which NaN equals NaN."""


def _texts(info: Mapping[str, Any]) -> _Texts:
    """Info as it would be read back."""
    found: _Texts = {}
    for column, plain in describe(info):
        is_null = column.kind == NULL
        values = column.kind.column([True if is_null else plain])
        found[column] = str(*column.kind.json(values))
    return found
