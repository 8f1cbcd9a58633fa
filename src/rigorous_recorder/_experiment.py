"""Experiment: its attributes, its status and its recorder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

from ._capture.wanted import DEPENDENCIES_KEY, ENVIRONMENT_KEY
from ._engines.attempts import attempt_nodes
from ._engines.rows import Row, rows_at
from ._engines.scanned_rows import Scope
from ._engines.source import Source
from ._labels import NAME, NOTE, TAGS, name_in, tags_in
from ._lazy import lazy_module
from ._public import public
from ._recorder import Recorder, attributes_of, recorder_at
from ._runs import Runs, status_of
from ._status import Status, status_at_end
from ._store.node_ids import writer_of
from ._store.union import ReadablePlace, ReadableStore
from .errors import ArgumentTypeError, ColumnError, ReadOnlyError, UnknownExperimentError

if TYPE_CHECKING:
    from . import _comparison as comparison
    from . import _level as levels
    from . import _records as reading
    from ._display import runs
else:
    comparison = lazy_module(f"{__package__}._comparison")
    levels = lazy_module(f"{__package__}._level")
    reading = lazy_module(f"{__package__}._records")
    runs = lazy_module(f"{__package__}._display.runs")

__all__ = ["Experiment", "experiment_at", "experiment_id", "statuses_of"]

_COUNTER_BITS: Final = 32


def experiment_id(node: int) -> str:
    """The id of an experiment, by its node."""
    return f"{writer_of(node)}-{node & ((1 << _COUNTER_BITS) - 1)}"


@public
class Experiment(Row):
    """An experiment of this process or another: a mapping of its attributes.

    The attributes are those when it was read, including inherited ones and those of the last
    attempt; a missing key reads as None. Attributes can be set at any time, and all records of the
    experiment inherit them: ``experiment["note"] = "best so far"``.

    Examples:
        >>> experiment = collection.experiment(-1)  # doctest: +SKIP
        >>> experiment.status, experiment["lr"], len(experiment.records)  # doctest: +SKIP
        (<Status.FINISHED: 'finished'>, 0.1, 1000)
    """

    __slots__ = ("_last", "_node", "_place")

    def __init__(
        self,
        place: ReadableStore | ReadablePlace,
        node: int,
        last: int,
        attributes: Mapping[str, Any],
    ) -> None:
        super().__init__(attributes)
        self._place = place
        self._node = node
        self._last = last

    # --- what it is ----------------------------------------------------------------------------

    @property
    def number(self) -> int:
        """``experiment_number``; shared by several if one failed and was restarted."""
        return int(self["experiment_number"])

    @property
    def id(self) -> str:
        """A short id, unique in the collection for good."""
        return experiment_id(self._node)

    @property
    def status(self) -> Status:
        """The current status; read again until the experiment has ended.

        Raises:
            UnknownExperimentError: it had not ended, and was deleted since.
        """
        return statuses_of(self._store, [self])[0]

    @property
    def recorder(self) -> Recorder:
        """The experiment's recorder, for updates at any time and for further records."""
        return recorder_at(self._store, self._node)

    @property
    def records(self) -> reading.Records:
        """The records of the experiment, of all its attempts."""
        return reading.Records(Source(self._store), Scope(self._node))

    @property
    def environment(self) -> Mapping[str, Any]:
        """What the last attempt that was begun with ``capture`` recorded; else empty.

        It has the sections ``git``, ``command``, ``python``, ``packages``, ``machine`` and ``job``,
        and ``dependencies``: the texts of files, such as ``pip-freeze.txt`` and ``uv.lock``.
        """
        found = self._captured(ENVIRONMENT_KEY)
        files = self._captured(DEPENDENCIES_KEY) if found else None
        return {**found, "dependencies": files} if files else found

    def _captured(self, key: str) -> dict[str, Any]:
        try:
            rows = list(levels.Level(self.records, key, "all").select(key))
        except ColumnError:
            return {}
        return rows[-1][key] if rows else {}

    @property
    def name(self) -> str | None:
        """The attribute ``name``; None if not set."""
        return name_in(self)

    @name.setter
    def name(self, name: str | None) -> None:
        self[NAME] = name

    @property
    def note(self) -> str | None:
        """The attribute ``note``; None if not set."""
        return name_in(self, NOTE)

    @note.setter
    def note(self, note: str | None) -> None:
        self[NOTE] = note

    @property
    def tags(self) -> tuple[str, ...]:
        """The attribute ``tags``, in order, without duplicates; set it to any iterable of texts.

        Raises:
            ArgumentTypeError: on setting, it is a single text, or an item is not text.
        """
        return tags_in(self)

    @tags.setter
    def tags(self, tags: Iterable[str]) -> None:
        is_one = isinstance(tags, str) or not isinstance(tags, Iterable)
        found: list[Any] = [None] if is_one else list(tags)
        if not all(isinstance(each, str) for each in found):
            message = f"tags are several texts, such as ['paper', 'best'], not {tags!r:.60}"
            raise ArgumentTypeError(message)
        self[TAGS] = list(dict.fromkeys(found)) or None

    def diff(self, *others: Experiment) -> list[comparison.Difference]:
        """Compare this experiment with others.

        Returns:
            The attributes that differ, the parts of their environments that do, and the last value of each key under which any of them logged
            numbers: that of the last record, in reading order, that has one.

        Raises:
            ArgumentTypeError: one of the others is not an experiment.
        """
        for each in others:
            if not isinstance(each, Experiment):
                message = (
                    f"diff() takes experiments, such as collection.experiment(7), not {each!r:.60}"
                )
                raise ArgumentTypeError(message)
        several = (self, *others)
        scans = [Source(each._store).scan(Scope(each._node)) for each in several]
        environments = [each.environment for each in several]
        return comparison.differences(several, environments, scans)

    # --- changes -------------------------------------------------------------------------------

    def update(self, data: object | None = None, /, **attributes: Any) -> None:  # type: ignore[override]
        """Set attributes of the experiment: all of its records, of any attempt, inherit them.

        None removes one; then an inherited value counts again.

        Raises:
            TypeError, ValueError: a key is not text, or a value can't be stored; nothing is set.
            ReservedKeyError: a collection sets a key on experiments itself.
            UnknownExperimentError: it was deleted.
        """
        given = attributes_of(data, attributes, is_strict=self._store.is_strict)
        self.reload()
        self.recorder.update(given)
        self._take_back_of_attempts(given)
        self.reload()

    def _take_back_of_attempts(self, given: dict[str, Any]) -> None:
        """Remove attributes of attempts that would hide new ones of the experiment."""
        nodes = Source(self._store).now().nodes
        attempts = attempt_nodes(nodes, self._node)
        known = nodes.own_data(nodes.positions_of(attempts))
        for node, own in zip(attempts, known, strict=True):
            recorder = recorder_at(self._store, node)
            if outdated := [key for key in given if own.get(key) is not None]:
                recorder._set(dict.fromkeys(outdated))
            recorder._show(given)

    def __setitem__(self, key: str, value: Any) -> None:  # type: ignore[override]
        self.update({key: value})

    def __delitem__(self, key: str) -> NoReturn:
        message = f"an attribute is removed by setting it to None: experiment[{key!r}] = None"
        raise ReadOnlyError(message)

    def reload(self) -> Self:
        """Read the current attributes, which any process may have changed.

        Raises:
            UnknownExperimentError: it was deleted.
        """
        found = experiment_at(self._store, self._node)
        dict.clear(self)
        dict.update(self, found)
        self._last = found._last
        return self

    # -------------------------------------------------------------------------------------------

    @property
    def _store(self) -> ReadableStore:
        if isinstance(self._place, ReadablePlace):
            self._place = self._place.store()
        return self._place

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        status = status_at_end(self) or "not ended"
        return f"<Experiment {self.number} ({status}){runs.attributes_line(self)}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a reference, which another process resolves when it is used."""
        place = self._place
        place = place if isinstance(place, ReadablePlace) else place.place
        return Experiment, (place, self._node, self._last, dict(self))


def statuses_of(store: ReadableStore, experiments: Sequence[Experiment]) -> list[Status]:
    """The statuses of experiments; for those that had not ended, all are read again at once.

    Raises:
        UnknownExperimentError: one had not ended, and was deleted since.
    """
    ended = [status_at_end(each) for each in experiments]
    open_ones = [e._node for e, end in zip(experiments, ended, strict=True) if end is None]
    now = _open_statuses(store, open_ones) if open_ones else {}
    if gone := [node for node in open_ones if node not in now]:
        raise _deleted(gone[0])
    return [end or now[e._node] for e, end in zip(experiments, ended, strict=True)]


def _open_statuses(store: ReadableStore, nodes: Sequence[int]) -> dict[int, Status]:
    def look() -> dict[int, Status]:
        found = Runs(Source(store).now().nodes).of_nodes(nodes)
        return {each.node: status_of(store, each) for each in found}

    found = look()
    # It may have ended between reading and checking its lock: then its status is stored by now.
    return look() if Status.CRASHED in found.values() else found


def _deleted(node: int) -> UnknownExperimentError:
    return UnknownExperimentError(f"experiment {experiment_id(node)} was deleted")


def experiment_at(store: ReadableStore, node: int) -> Experiment:
    """The current state of the experiment of a node.

    Raises:
        UnknownExperimentError: it was deleted.
    """
    snapshot = Source(store).now()
    past = Runs(snapshot.nodes).of_nodes([node])
    if not past:
        raise _deleted(node)
    last = past[0].last
    (row,) = rows_at(snapshot, snapshot.nodes.positions_of([last]))
    return Experiment(store, node, last, row)
