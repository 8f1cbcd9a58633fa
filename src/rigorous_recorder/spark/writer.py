"""Writing: the rows of a DataFrame as records of an experiment, all of them seen at once, or none."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote

from pyspark.sql.datasource import DataSourceArrowWriter, WriterCommitMessage
from pyspark.sql.types import StructField, StructType

from .._engines.scan import Source
from .._lazy import lazy_module
from .._live.fields import describe
from .._store.store import DELETED, ROOT, FolderStore
from .._tree import ATTEMPT_KEYS, EXPERIMENT_KEYS, Nodes
from ..collection import collection_path
from ..errors import ArgumentError, DeletedError, ReservedKeyError, SaveError
from ..experiment import changing_experiments, check_info, nth_number, past_experiments, say_whole
from .grouped import Grouped
from .kept import check_keepable, check_simple, kept_columns
from .tasks import Place

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    pa = lazy_module("pyarrow")
    pc = lazy_module("pyarrow.compute")

__all__ = ["writer_of"]

_KNOWN: Final = ("parents", "experiment", "info")
_RESERVED: Final = (*EXPERIMENT_KEYS, *ATTEMPT_KEYS)
#: A file server can show to one machine what another one wrote only after so long.
_PATIENCE_SECONDS: Final = 90.0
_LOOK_SECONDS: Final = 1.0


def writer_of(options: Mapping[str, str], schema: StructType, *, overwrite: bool) -> Writer:
    """What writes rows of a schema; all that can be refused is refused here, on the driver.

    Raises:
        ArgumentError: an option is not known, or has a value that can't be used.
        ReservedKeyError: a collection says itself what a column is named for.
        UnkeepableTypeError, UnkeepableValueError: a column can't be kept as it is.
        NotACollectionError: something else is at the path.
        SaveError: the folder can't be written.
    """
    if overwrite:
        message = (
            "mode('overwrite') would delete what others logged: use mode('append'), and delete"
            " experiments with ExperimentCollection(path).delete(number)"
        )
        raise ArgumentError(message)
    said = {name.lower(): value for name, value in options.items()}
    path = _path(said.pop("path", ""))
    given = {name: said.pop(name, None) for name in _KNOWN}
    if unknown := [name for name in said if not name.startswith("__")]:
        message = f"option {unknown[0]!r} is not known; there are: {', '.join(_KNOWN)}"
        raise ArgumentError(message)
    check_keepable(schema)
    parents = _parents(given["parents"], schema)
    info = _info(given["info"])
    _check_names(schema, info)
    number = _number(given["experiment"])
    if number is not None and info:
        message = "option 'info' is for a new experiment: it is not with option 'experiment'"
        raise ArgumentError(message)
    store = FolderStore(path)
    with contextlib.closing(store):
        nodes = Source(store).now().nodes
        above = None if number is None else _experiment(nodes, number)
        _check_inherited(nodes, above, schema)
        bin_ = store.new_node()
        store.hold(bin_)
        store.require_saved()
        place = Place(str(path), store.identity, bin_)
    return Writer(place, tuple(schema.fields), parents, above, info, time.time())


@dataclass(frozen=True)
class Written(WriterCommitMessage):
    """What a task wrote.

    Attributes:
        node: the node above its rows; None where it had none.
        time: when it said anything last, in microseconds since the epoch, by its own clock.
    """

    node: int | None = None
    time: int = 0


class _Batch(NamedTuple):
    rows: int
    levels: list[tuple[Any, Any]]
    columns: dict[Any, Any]


@dataclass(frozen=True)
class Writer(DataSourceArrowWriter):
    """Writes rows below a node that is in no answer; in the end those that count move, in one step.

    Attributes:
        place: where the rows hang until then; what is not committed stays there and is deleted.
        fields: the columns.
        parents: names of those that are parents, from the top down.
        above: the node of the experiment that they are added to; None for a new one.
        info: what is known of the new one.
        start: when it began, in seconds since the epoch.
    """

    place: Place
    fields: Sequence[StructField]
    parents: Sequence[str]
    above: int | None
    info: Mapping[str, Any]
    start: float

    # --- in a task -----------------------------------------------------------------------------

    def write(self, iterator: Iterator[pa.RecordBatch]) -> Written:
        """Log the rows of a partition; when it returns they are in sealed files.

        Raises:
            NotACollectionError: this machine does not see the collection.
            SaveError: the folder can't be written.
            UnkeepableValueError: a value can't be kept.
        """
        filled = (batch for batch in iterator if batch.num_rows)
        first = next(filled, None)
        if first is None:
            return Written()
        store = self._store()
        with contextlib.closing(store):
            top = store.new_node()
            store.say(top, {}, self.place.node)
            grouped = Grouped(store, top)
            self._log(store, grouped, first)
            for batch in filled:
                self._log(store, grouped, batch)
            store.seal()
            return Written(top, store.last_time)

    def _log(self, store: FolderStore, grouped: Grouped, batch: pa.RecordBatch) -> None:
        by_name = {field.name: field for field in self.fields}
        levels = [
            level
            for name in self.parents
            for level in kept_columns(batch, [by_name.pop(name)]).items()
        ]
        columns = kept_columns(batch, by_name.values())
        store.records.append_columns(grouped.nodes_of(levels, batch.num_rows), columns)

    def _store(self) -> FolderStore:
        return FolderStore.there(Path(self.place.path), self.place.identity)

    # --- on the driver -------------------------------------------------------------------------

    def commit(self, messages: list[WriterCommitMessage | None]) -> None:
        """Let all that was written be seen, in one step.

        Raises:
            DeletedError: it was discarded meanwhile.
            SaveError: the folder can't be written, or what a task wrote is not seen here.
        """
        written = [each for each in messages if isinstance(each, Written)]
        store = self._store()
        with contextlib.closing(store), changing_experiments(store):
            self._require_there(store, written)
            top = self._gather(store, written)
            try:
                if self.above is None:
                    say_whole(store, top, self.info, self.start)
                else:
                    store.say(top, {}, self.above)
                store.require_saved()
            except BaseException:
                store.delete([top])
                raise
            # Seen by all from now on: what can't be tidied waits, and is in no answer.
            with contextlib.suppress(SaveError):
                store.delete([self.place.node])

    def abort(self, messages: list[WriterCommitMessage | None]) -> None:
        """Let nothing of it ever be seen; also where a commit failed at its end."""
        written = [each.node for each in messages if isinstance(each, Written) and each.node]
        store = self._store()
        with contextlib.closing(store), changing_experiments(store):
            nodes = Source(store).now().nodes.with_deleted
            above = {nodes.parent(node) for node in written} - {None, DELETED, self.place.node}
            store.delete([self.place.node, *(node for node in above if node is not None)])

    def _gather(self, store: FolderStore, written: Sequence[Written]) -> int:
        """A node that is in no answer yet, with all that counts below it."""
        top = store.new_node()
        store.hold(top)
        nodes = [each.node for each in written if each.node is not None]
        if nodes:
            for each in written:
                store.see_time(each.time)
            parents = pa.repeat(pa.scalar(top, pa.int64()), len(nodes))
            store.say_many(pa.array(nodes, pa.int64()), parents, {})
        store.require_saved()
        return top

    def _require_there(self, store: FolderStore, written: Sequence[Written]) -> None:
        wanted = pa.array([each.node for each in written if each.node is not None], pa.int64())
        end = time.monotonic() + _PATIENCE_SECONDS
        while True:
            nodes = Source(store).now().nodes
            if self.place.node not in nodes.waiting_tops:
                message = (
                    "what was written has been discarded before it was committed; write it anew"
                )
                raise DeletedError(message)
            missing = nodes.with_deleted.positions(wanted).null_count
            if not missing:
                return
            if time.monotonic() > end:
                message = (
                    f"the driver does not see what {missing} of {len(wanted)} tasks wrote to"
                    f" {self.place.path}: is it one folder, shared by all machines?"
                )
                raise SaveError(message)
            time.sleep(_LOOK_SECONDS)
            store.forget()


# --- what was said --------------------------------------------------------------------------------


def _path(said: str) -> Path:
    if not said:
        message = "expected the folder of a collection: save('data/my_study')"
        raise ArgumentError(message)
    scheme, colon, rest = said.partition(":/")
    if colon and scheme == "file":
        said = unquote("/" + rest.lstrip("/"))
    elif colon and scheme.isalnum():
        message = (
            f"{said}: expected a folder that every worker sees as a path of its file system (a mount"
            " such as /dbfs, /Volumes or NFS)"
        )
        raise ArgumentError(message)
    path = Path(said).absolute()
    return path if path.exists() else collection_path(said, ".collection")


def _names(name: str, said: str) -> list[str]:
    """Names with commas between, or a JSON list of them."""
    if not said.lstrip().startswith("["):
        return [each.strip() for each in said.split(",") if each.strip()]
    found = _json(name, said)
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        message = f"{name}={said!r}: expected names with commas between, or a JSON list of them"
        raise ArgumentError(message)
    return found


def _parents(said: str | None, schema: StructType) -> tuple[str, ...]:
    names = [] if said is None else _names("parents", said)
    for name in names:
        if name not in schema.names:
            message = f"parents: there is no column {name!r}; there are: {', '.join(schema.names)}"
            raise ArgumentError(message)
        check_simple(schema[name])
    if len(set(names)) < len(names):
        message = f"parents={said!r}: expected each column once"
        raise ArgumentError(message)
    return tuple(names)


def _info(said: str | None) -> dict[str, Any]:
    if said is None:
        return {}
    found = _json("info", said)
    if not isinstance(found, dict):
        message = f"info={said!r}: expected a JSON object, as '{{\"learning_rate\": 0.1}}'"
        raise ArgumentError(message)
    check_info(found)
    describe(found)
    return found


def _json(name: str, said: str) -> Any:
    try:
        return json.loads(said)
    except ValueError as error:
        message = f"{name}={said!r} is no JSON: {error}"
        raise ArgumentError(message) from error


def _number(said: str | None) -> int | None:
    try:
        return None if said is None else int(said)
    except ValueError:
        message = f"experiment={said!r}: expected the number of an experiment, -1 for the last one"
        raise ArgumentError(message) from None


def _experiment(nodes: Nodes, number: int) -> int:
    """The node of the experiment with a number, or of the last attempt at it."""
    past = past_experiments(nodes)
    try:
        wanted = nth_number({each.number for each in past}, number)
    except KeyError as error:
        raise ArgumentError(error.args[0]) from error
    return [each for each in past if each.number == wanted][-1].last


def _check_names(schema: StructType, info: Mapping[str, Any]) -> None:
    for name in schema.names:
        if name in _RESERVED:
            message = (
                f"column {name!r}: a collection says this of experiments itself; drop the column, or"
                " rename it"
            )
            raise ReservedKeyError(message)
        if name in info:
            raise _twice(name, "info")


def _check_inherited(nodes: Nodes, above: int | None, schema: StructType) -> None:
    """Refuse columns that records would inherit a value of where they have none."""
    position = nodes.position(ROOT if above is None else above)
    keys = [] if position is None else nodes.keys_above(pa.array([position], pa.int64()))
    for name in schema.names:
        if name in keys:
            raise _twice(name, "the study" if above is None else "the experiment")


def _twice(name: str, where: str) -> ArgumentError:
    message = (
        f"column {name!r} is known of {where}, too, and rows without a value would get that one:"
        " rename one of them, or leave it out"
    )
    return ArgumentError(message)
