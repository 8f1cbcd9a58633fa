"""The runs of a collection as other tools know them: a name, a configuration, and records in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import isnan
from typing import Any, Final, NamedTuple

from rigorous_recorder import ExperimentCollection, Records
from rigorous_recorder._arrow import pa
from rigorous_recorder._engines.rows import own_rows
from rigorous_recorder._experiment import statuses_of
from rigorous_recorder._keys import RESERVED
from rigorous_recorder._store.node_ids import ROOT
from rigorous_recorder._tree.nodes import Nodes

from .contract import Losses

__all__ = ["Logged", "Place", "Run", "Study"]

#: Attributes that importers set, which have a place of their own in other tools.
_ABOUT: Final = (
    "status", "start_time", "end_time", "tags", "notes", "host", "user", "group", "job_type",
    "project", "experiment", "exit_code", "command", "git_commit", "git_branch", "git_remote",
    "summary", "runtime", "deleted", "source_tags",
)  # fmt: skip
#: Attributes of imported runs that tell where they are from.
_ORIGIN: Final = frozenset({"run", "run_id", "source", "source_format"})


@dataclass(frozen=True, slots=True)
class Run:
    """A run: an experiment, or a recorder with an attribute ``run`` below one.

    Attributes:
        name: its name, and ``id``: its id in the source, or in the collection.
        parent: the run that it is below.
        status: one of ``Status``; of a run below another that of its own, or of that.
        start, end: seconds since 1970; None if not known.
        about: attributes that importers set, and ``tags`` and ``notes``: those that tools have places
            for.
        config: all other attributes of its own.
    """

    node: int
    name: str
    id: str
    parent: Run | None
    status: str
    start: float | None
    end: float | None
    about: Mapping[str, Any]
    config: Mapping[str, Any]
    is_imported: bool = False

    def config_with(self, *known: str) -> dict[str, Any]:
        """The configuration, with all of ``about`` that a tool does not know."""
        more = {key: value for key, value in self.about.items() if key not in known}
        return {**more, **self.config}

    def whole_config(self, *known: str) -> dict[str, Any]:
        """The same, with the configurations of the runs above it."""
        above = self.parent.whole_config(*self.parent.about) if self.parent else {}
        return {**above, **self.config_with(*known)}


@dataclass(slots=True)
class Place:
    """A recorder with records: its run, and what is known of it below the run.

    Attributes:
        names: for each recorder below the run, down to this one, what it is: ``episode=3``.
        attributes: the attributes of all of them, the nearest one's last.
        records: how many records were read so far.
    """

    run: Run
    names: tuple[str, ...]
    attributes: Mapping[str, Any]
    records: int = 0


class Logged(NamedTuple):
    """A record.

    Attributes:
        fields: what was logged, without step and time.
        step: an int or a float; the number of the record at its recorder if it has none.
        time: seconds since 1970; None if it has none.
    """

    place: Place
    fields: dict[str, Any]
    step: int | float
    time: float | None


class _Default(NamedTuple):
    """What a run has if it does not have it itself."""

    name: str
    id: str
    status: str


@dataclass(slots=True)
class Study:
    """A snapshot of a collection.

    Args:
        collection: whose runs are exported.
        records: those of its records that are.
        losses: what the target can't hold.
        step: the key of steps.
    """

    collection: ExperimentCollection
    records: Records
    losses: Losses
    step: str = "step"
    #: The runs, those above others first.
    runs: list[Run] = field(default_factory=list)
    _by_node: dict[int, Run] = field(default_factory=dict)
    _places: dict[int, Place] = field(default_factory=dict)
    _scan: Any = None

    def __post_init__(self) -> None:
        self._scan = self.records._scan()
        self._add_experiments()
        self._add_runs_below()

    @property
    def _nodes(self) -> Nodes:
        nodes: Nodes = self._scan.snapshot.nodes
        return nodes

    @property
    def name(self) -> str:
        """The collection's name."""
        return str(self.collection._store.name).removesuffix(".collection")

    def logged(self) -> Iterator[Logged]:
        """All records, in order, in bounded memory."""
        for nodes, runs in own_rows(self._scan):
            self._look_up(nodes)
            for node, rows in zip(nodes, runs, strict=True):
                place = self._places[node]
                for row in rows:
                    fields = dict(row)
                    step, time = self._step_of(fields, place), _time_of(fields)
                    if place.run.is_imported:
                        fields = _renamed(fields, "metric.")
                    place.records += 1
                    yield Logged(place, fields, step, time)

    def records_of(self, run: Run) -> Records:
        """The records of an experiment, and of all recorders below it."""
        source, scope = self.records._place
        return Records(source, scope._replace(node=run.node), self.records._conditions)

    def _step_of(self, fields: dict[str, Any], place: Place) -> int | float:
        step = fields.get(self.step)
        if isinstance(step, (int, float)) and not isinstance(step, bool) and not isnan(step):
            del fields[self.step]
            return step
        self.losses.add(f"records without {self.step}: their number is their step")
        return place.records

    # --- runs ------------------------------------------------------------------------------------

    def _add_experiments(self) -> None:
        experiments = self.collection.experiments
        statuses = statuses_of(self.collection._store, experiments)
        for each, status in zip(experiments, statuses, strict=True):
            number, error = each["experiment_number"], each["error_number"]
            title = f"{number}-{error}" if error and "source_format" not in each else f"{number}"
            self._add(each._node, each, None, _Default(title, each.id, str(status)))

    def _add_runs_below(self) -> None:
        """Runs that are below others."""
        nodes = self._nodes
        has_name = nodes.value_ids("run").is_valid() if nodes.has_key("run") else None
        if has_name is None:
            return
        positions = pa.array(range(nodes.count), pa.int64()).filter(has_name)
        ids = nodes.ids.take(positions).to_pylist()
        for node, data in zip(ids, nodes.own_data(positions, ("run",)), strict=True):
            if data.get("run") is not None and node not in self._by_node and node != ROOT:
                self._run_of(node)

    def _run_of(self, node: int) -> Run:
        """The run of a node that is one, added after those above it."""
        if node in self._by_node:
            return self._by_node[node]
        (data,) = self._nodes.own_data(self._nodes.positions_of([node]))
        above = self._nodes.parent(node)
        parent = None
        while above is not None and above not in self._by_node and above != ROOT:
            above = self._nodes.parent(above)
        if above is not None and above != ROOT:
            parent = self._by_node[above]
        status = parent.status if parent else "finished"
        return self._add(node, data, parent, _Default(self.name, f"{node:x}", status))

    def _add(
        self, node: int, data: Mapping[str, Any], parent: Run | None, default: _Default
    ) -> Run:
        own = {key: value for key, value in data.items() if value is not None}
        is_dropped_in = {"run", "run_id"} <= own.keys()  # the drop-ins have the importers' names
        is_imported = "source_format" in data or is_dropped_in or parent is not None
        names = (own.get(key, "") for key in ("run", "name"))
        name = next((str(each) for each in names if each != ""), default.name)
        about, config = _parted(own, is_imported=is_imported)
        id_ = str(own.get("run_id") or default.id) if is_imported else default.id
        start = _seconds(own.get("experiment_start_time", about.get("start_time")))
        end = _seconds(own.get("experiment_end_time", about.get("end_time")))
        status = default.status if parent is None else str(about.get("status", default.status))
        found = Run(
            node, name, id_, parent, status, start, end, about, config, is_imported
        )  # fmt: skip
        self.runs.append(found)
        self._by_node[node] = found
        return found

    # --- recorders -------------------------------------------------------------------------------

    def _look_up(self, ids: list[int]) -> None:
        """Know the places of some nodes."""
        new = [node for node in dict.fromkeys(ids) if node not in self._places]
        if not new:
            return
        nodes = self._nodes
        positions = nodes.with_ancestors(nodes.positions_of(new))
        above = nodes.ids.take(positions).to_pylist()
        data = dict(zip(above, nodes.own_data(positions), strict=True))
        parents = nodes.parents.take(positions)
        of = dict(zip(above, nodes.ids.take(parents).to_pylist(), strict=True))
        for node in new:
            self._places[node] = self._place_of(node, data, of)

    def _place_of(
        self, node: int, data: Mapping[int, dict[str, Any]], parents: Mapping[int, int | None]
    ) -> Place:
        path: list[int] = []
        now: int | None = node
        while now is not None and now not in self._by_node and parents.get(now) is not None:
            path.insert(0, now)
            now = parents[now]
        if now is None or now not in self._by_node:
            run = self._of_collection(node if now is None else now)
        else:
            run = self._by_node[now]
        attributes: dict[str, Any] = {}
        names = []
        for each in path:
            own = _shown(data[each], self.losses)
            attributes |= own
            names.append(_name_of(own))
        return Place(run, tuple(filter(None, names)), attributes)

    def _of_collection(self, top: int) -> Run:
        """The run of records that are in no experiment: the collection itself."""
        if top not in self._by_node:
            self._add(top, {}, None, _Default(self.name, self.name, "finished"))
        return self._by_node[top]


def _parted(own: Mapping[str, Any], *, is_imported: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """What other tools have a place for, and the configuration."""
    lifted = _ABOUT if is_imported else ("tags",)
    about = {key: own[key] for key in lifted if key in own}
    out = RESERVED | about.keys() | (_ORIGIN if is_imported else {"name", "note"})
    config = {key: value for key, value in own.items() if key not in out}
    config = _renamed(config, "config.") if is_imported else config
    if not is_imported and own.get("note") is not None:
        about["notes"] = own["note"]
    return about, config


def _renamed(values: dict[str, Any], before: str) -> dict[str, Any]:
    """Values under the names that they had before they were imported."""
    if not any(key.startswith(before) for key in values):
        return values
    found = {}
    for key, value in values.items():
        name = key.removeprefix(before)
        found[key if name in values or not name else name] = value
    return found


def _shown(own: Mapping[str, Any], losses: Losses) -> dict[str, Any]:
    """The attributes of a recorder below a run; those of an event file of TensorBoard are its own."""
    found = {key: v for key, v in own.items() if v is not None and key not in RESERVED}
    if "tfevents" in str(found.get("part")):
        losses.add("attributes of TensorBoard's files (host, process, purged_from): not taken")
        return {}
    return found


def _name_of(attributes: Mapping[str, Any]) -> str:
    if "part" in attributes:
        return str(attributes["part"])
    plain = (str, int, float, bool)
    return ",".join(f"{key}={v}" for key, v in attributes.items() if isinstance(v, plain))


def _time_of(fields: dict[str, Any]) -> float | None:
    """The time of a record, which is taken out of it: a timestamp ``time``, or ``wall_time``."""
    for key, kinds in (("time", datetime), ("wall_time", (float, int))):
        if isinstance(fields.get(key), kinds) and (time := _seconds(fields[key])) is not None:
            del fields[key]
            return time
    return None


def _seconds(time: object) -> float | None:
    if isinstance(time, datetime) and time.tzinfo is not None:
        return time.timestamp()
    is_number = isinstance(time, (int, float)) and not isinstance(time, bool)
    return float(time) if is_number else None  # type: ignore[arg-type]
