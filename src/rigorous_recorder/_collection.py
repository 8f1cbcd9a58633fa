"""ExperimentCollection: a folder of experiments, logged and read as one flat table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, SupportsIndex, TypeVar

from ._experiments_lock import changing_experiments, unwritable
from ._keys import require_free
from ._lazy import lazy_module
from ._lazy_imports import duckdb, html
from ._lifecycle import Run
from ._printable import one_line
from ._public import public
from ._recorder import Recorder, attributes_of, recorder_at
from ._report import report, warn
from ._runs import Past, Runs, deleted_of, is_running, nth_number, past_experiments
from ._store.find import find_collections, size_on_disk
from ._store.folder import Folder
from ._store.losses import Loss
from ._store.near import SUFFIX, require_place
from ._store.node_ids import ROOT
from ._store.recover import Recovered
from ._store.store import FolderStore
from ._store.union import UnionPlace, UnionStore, unique_names
from .errors import (
    ArgumentError,
    ArgumentTypeError,
    IncompleteCopyWarning,
    NotACollectionError,
    RunningError,
)

if TYPE_CHECKING:
    from . import _experiment as experiments
    from . import _experiments as experiment_lists
    from . import _level as levels
    from . import _overview as overviews
    from . import _records as reading
    from . import _resumption as resumption
    from . import _run_lookup as run_lookup
    from ._display import text
    from ._display import tree as trees
    from ._display.tree import Tree
    from ._engines import duckdb as sql_engine
    from ._engines import scanned_rows
    from ._engines import source as sources
    from ._engines.level_table import Attempts
    from ._experiment import Experiment
    from ._experiments import Experiments
    from ._level import Level
    from ._overview import ExperimentOverview
    from ._records import Records
    from ._store import compact as compaction
    from ._store import copying, repair, verify
    from ._store.compact import Spread
    from ._store.verify import Problem
else:  # a program that logs needs none of them
    compaction = lazy_module(f"{__package__}._store.compact")
    copying = lazy_module(f"{__package__}._store.copying")
    experiments = lazy_module(f"{__package__}._experiment")
    experiment_lists = lazy_module(f"{__package__}._experiments")
    levels = lazy_module(f"{__package__}._level")
    overviews = lazy_module(f"{__package__}._overview")
    reading = lazy_module(f"{__package__}._records")
    repair = lazy_module(f"{__package__}._store.repair")
    resumption = lazy_module(f"{__package__}._resumption")
    run_lookup = lazy_module(f"{__package__}._run_lookup")
    scanned_rows = lazy_module(f"{__package__}._engines.scanned_rows")
    sources = lazy_module(f"{__package__}._engines.source")
    sql_engine = lazy_module(f"{__package__}._engines.duckdb")
    text = lazy_module(f"{__package__}._display.text")
    trees = lazy_module(f"{__package__}._display.tree")
    verify = lazy_module(f"{__package__}._store.verify")

_Collection = TypeVar("_Collection", bound="ExperimentCollection")

__all__ = ["ExperimentCollection", "collection_path"]


@public
class ExperimentCollection:
    """A folder in which experiments are logged, by any number of processes at once.

    Args:
        folder_path: where; ``extension`` is put behind it where it does not end with it. The
            folder is made when the first experiment starts.
        extension: what the folder's name ends with.
        strict: refuse attributes of a type that can't be stored, instead of storing their repr with
            a warning.
        quiet: log what was recovered, and which experiments ended with an error, for debugging
            alone. Else these lines go to the logger ``rigorous_recorder``, and to standard error
            where no handler of ``logging`` is configured.

    Raises:
        NotACollectionError: something else is at that path.
        NewerFormatError: a newer version of this library wrote it.

    Examples:
        >>> collection = ExperimentCollection("data/my_study")  # doctest: +SKIP
        >>> with collection.new_experiment(learning_rate=0.1) as experiment:  # doctest: +SKIP
        ...     experiment.child(model="m1").push(step=0, loss=0.7)
    """

    def __init__(
        self,
        folder_path: str | PathLike[str],
        *,
        extension: str = SUFFIX,
        quiet: bool = False,
        strict: bool = False,
    ) -> None:
        path = collection_path(folder_path, extension)
        store = FolderStore(path)
        store.is_strict = strict
        self._begin(store, is_quiet=quiet)
        recovered = store.recover()
        _report_recovered(recovered, path, is_quiet=quiet)
        _warn_of_loss(store)

    def _begin(self, store: FolderStore | UnionStore, *, is_quiet: bool) -> None:
        self._store = store
        self._is_quiet = is_quiet

    def _to_write(self) -> FolderStore:
        """What is written to.

        Raises:
            ReadOnlyError: this was opened read-only, or is a union.
        """
        store = self._store
        if isinstance(store, UnionStore):
            store.require_writable()
        store.require_writable()
        return store

    @classmethod
    def open(
        cls,
        folder_path: str | PathLike[str],
        *,
        read_only: bool = False,
        quiet: bool = False,
        strict: bool = False,
    ) -> Self:
        """A collection that is there; none is ever made.

        Args:
            folder_path: its folder, as ``data/my_study``; ``.collection`` behind the name may be left
                out. Where there are folders of both names, it is the one that is named exactly.
            read_only: write nothing at all to the folder, which may be one that can't be written:
                what killed processes left is read where it is, and not recovered. All that any
                process logs is seen as always. Calls that would write raise ``ReadOnlyError``.
            quiet: as of ``ExperimentCollection(...)``.
            strict: as of ``ExperimentCollection(...)``.

        Raises:
            NotACollectionError: no collection is there; the message lists those that are near.
            NewerFormatError: a newer version of this library wrote it.

        Examples:
            >>> study = ExperimentCollection.open("data/my_study", read_only=True)  # doctest: +SKIP
        """
        collection_path(folder_path, "")  # which refuses what is no path
        place = require_place(Path(folder_path))
        if not read_only:
            return cls(place, extension="", quiet=quiet, strict=strict)
        found = cls.__new__(cls)
        store = FolderStore(place.absolute(), is_read_only=True)
        found._begin(store, is_quiet=quiet)
        _warn_of_loss(store)
        return found

    @classmethod
    def union(
        cls,
        collections: Iterable[ExperimentCollection | str | PathLike[str]]
        | Mapping[str, ExperimentCollection | str | PathLike[str]],
        *,
        key: str = "collection",
    ) -> Self:
        """Several collections as one to read, whose records have a column ``collection``.

        It is the name of the folder, with folders above it where two are equal, or the name that
        a mapping gives. All that reads one collection reads them: rows, SQL (the tables have that
        column, too), data frames, plots (``by="collection"``), ``follow``. An experiment's number
        is that of its own collection. A collection's rows stand together, in the order given.

        What the collections log is seen as always; nothing is written, and calls that would write
        raise ``ReadOnlyError``: write to one of the collections itself.

        Args:
            collections: collections, or paths of collections, which are opened read-only.
            key: the name of the column, where a collection has a key ``collection`` of its own.

        Raises:
            NotACollectionError: no collection is at a path; the message lists those that are near.
            ArgumentError: there is none; two are one collection or copies of one; or one has the
                key itself (later on, too, where it is logged then).
            ArgumentTypeError: something in it is neither a collection nor a path.

        Examples:
            >>> both = ExperimentCollection.union(["data/old", "data/new"])  # doctest: +SKIP
            >>> print(both.records.plot("epoch", "loss", by="collection"))  # doctest: +SKIP
        """
        store = UnionStore(_members(cls, collections), key)
        found = cls.__new__(cls)
        found._begin(store, is_quiet=True)
        sources.Source(store).now()  # what can't be read as one is an error now
        return found

    @staticmethod
    def find(folder: str | PathLike[str] = ".") -> list[Path]:
        """The collections at or below a folder, sorted; nothing in it is opened or changed.

        What is inside of a collection, hidden folders and links to folders are not looked into.

        Raises:
            OSError: ``folder`` is not there, is no folder, or can't be listed.
        """
        return find_collections(Path(folder))

    # --- logging -------------------------------------------------------------------------------

    def new_experiment(
        self,
        info: object | None = None,
        /,
        *,
        resume: Literal["auto"] | None = None,
        **data: Any,
    ) -> Run:
        """A run to be entered with ``with``, which gives the experiment's recorder.

        Where there is no ``with``, ``start`` begins it at once.

        The six keys ``experiment_number``, ``error_number``, ``had_error``,
        ``experiment_start_time``, ``experiment_end_time`` and ``experiment_duration`` stand above
        all of its records; times are seconds since the epoch. The number is that of the last
        experiment, plus one if that one ended without an error, still runs, or goes on by
        ``resume`` instead.

        With ``resume="auto"`` it is a new attempt (see ``resume``) at the experiment that this
        program began before: the last one that has neither ended without an error nor runs, and

        - under SLURM, that the same job began so with the same info. A job keeps its
          ``SLURM_JOB_ID`` when it is requeued, each task of an array has its own, and in a job of
          several tasks each ``SLURM_PROCID`` has its own experiments. Where all that the job had
          begun before it was requeued is one experiment, it is that one, whatever the info; what is
          new in it is set on the attempt. The experiment has ``experiment_job``, as
          ``slurm 1234``, and attempts have ``experiment_job_restarts``, how often the job had been
          requeued when they began.
        - elsewhere, that was begun with the same info (key by key, with the same kind of value), in
          whatever way, and whose number no later one has.

        Where there is none it is a new experiment, whose number no other one will have.
        Of several processes that begin at once each gets an experiment of its own.

        Args:
            info: what is known of the experiment; also as keywords, which win over ``info``.
            resume: "auto", or None for a new experiment in any case.

        Raises:
            ReservedKeyError: one of the six keys, or ``experiment_attempt``,
                ``experiment_attempt_start_time``, ``experiment_job`` or ``experiment_job_restarts``
                is among them.
            ArgumentError: ``resume`` is something else.
            ReadOnlyError: the collection was opened read-only.
            SaveError: on entering, the folder can't be written.
        """
        store = self._to_write()
        if resume is not None and resume != "auto":
            message = (
                f"resume={resume!r}: expected 'auto' or None; the experiment with a number goes on"
                " with collection.resume(number); data under the key 'resume' is given as"
                " {'resume': ...}"
            )
            raise ArgumentError(message)
        attributes = attributes_of(info, data, is_strict=self._store.is_strict)
        require_free(attributes)
        kind = resumption.AutoRun if resume else Run
        return kind(store, attributes, is_quiet=self._is_quiet)

    def start(
        self,
        info: object | None = None,
        /,
        *,
        resume: Literal["auto"] | None = None,
        **data: Any,
    ) -> Run:
        """Begin an experiment now, for notebooks and callbacks, where there is no ``with`` block.

        It is ended by ``run.finish()`` or ``run.fail(error)``; one that is not counts as crashed once
        the process is gone. Arguments and errors are those of ``new_experiment``.

        Examples:
            >>> run = collection.start(lr=0.1)  # doctest: +SKIP
            >>> run.push(step=0, loss=0.7)  # doctest: +SKIP
            >>> run.finish()  # doctest: +SKIP
        """
        return self.new_experiment(info, resume=resume, **data).start()

    def resume(
        self, experiment_number: SupportsIndex, *, error_number: SupportsIndex | None = None
    ) -> Run:
        """Go on with an experiment that crashed, failed or was finished, as a run to be entered.

        ``with`` gives the recorder of a new attempt, a child of the experiment's: its records have
        ``experiment_attempt`` 2, 3 and so on, those before it 1 (the experiment has that from the
        first resume on), so that steps that were done again can be told apart; also
        ``experiment_attempt_start_time``. What is set on it is set on this attempt; its
        ``parent`` is the experiment, for what is true of all attempts.

        From now on, as after the start, ``had_error`` is True and ``experiment_end_time`` and
        ``experiment_duration`` are None; ``error_number`` is one more than before, or 1 after an end
        without an error. At the end the duration is the time since the start of the experiment, pauses
        included. Later experiments have other numbers, however this one ends.

        Args:
            experiment_number: -1 is the last number, and so on. Where several have the number, since
                one failed and was begun anew, the last of them goes on, and a line on standard
                error says so.
            error_number: which of them goes on instead.

        Raises:
            UnknownExperimentError: on entering, there is no such experiment.
            RunningError: on entering, it runs still, in this process or another.
            ReadOnlyError: the collection was opened read-only.
            SaveError: on entering, the folder can't be written.
        """
        return resumption.ResumedRun(
            self._to_write(), experiment_number, error_number=error_number, is_quiet=self._is_quiet
        )

    @property
    def recorder(self) -> Recorder:
        """The recorder above all experiments, for what is true of the whole study."""
        return recorder_at(self._store, ROOT)

    def save(self) -> None:
        """Turn all that was logged into Parquet files now.

        A signal handler that calls for it in the middle of a push has it done right after, not at once.

        Raises:
            ReadOnlyError: the collection was opened read-only.
            SaveError: that fails now; what is in no file yet waits in memory.
        """
        self._to_write().seal()

    def close(self) -> None:
        """Save, and stop writing; reading goes on working. Done by itself when Python exits.

        Raises:
            SaveError: something can't be written; the collection stays open.
        """
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # --- reading -------------------------------------------------------------------------------

    @property
    def records(self) -> Records:
        """All records of all experiments, with the attributes that they inherit."""
        return reading.Records(sources.Source(self._store), scanned_rows.Scope())

    def level(self, key: str, *, attempts: Attempts = "last") -> Level:
        """A row for each recorder that has a key as an attribute of its own: that key's level.

        It has all that the recorder has and inherits, and ``records``, the number of its records.
        A mean over what a parent knows is a mean over its level: in ``records`` the value stands
        once for each record below it.

        Args:
            key: an attribute, such as ``episode``.
            attempts: of recorders that a resumed experiment has again, those of the ``last`` attempt
                or of ``all``.

        Raises:
            ArgumentTypeError: the key is no text.
            ArgumentError: there is no such choice of attempts.
            ColumnError: no recorder has, or had, such an attribute; the message has near ones.

        Examples:
            >>> collection.level("episode").to_polars()["total_reward"].mean()  # doctest: +SKIP
        """
        return levels.Level(self.records, key, attempts)

    def __len__(self) -> int:
        """Number of records."""
        return len(self.records)

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, experiment_number: SupportsIndex) -> Records:
        """The records under one experiment number; -1 is the last number, and so on.

        Of several runs that share the number, since some failed and were begun anew, it is those of
        all: ``collection[number].where(error_number=0)`` are those of the one that ended well.

        Raises:
            UnknownExperimentError: there is no such experiment.
        """
        number = nth_number(self.experiment_numbers, experiment_number)
        return self.records.where(experiment_number=number)

    @property
    def experiment_numbers(self) -> tuple[int, ...]:
        """The numbers of all experiments, in order."""
        nodes = sources.Source(self._store).now().nodes
        return Runs(nodes).numbers

    def experiment(
        self, experiment_number: SupportsIndex, *, error_number: SupportsIndex | None = None
    ) -> Experiment:
        """An experiment that was begun, in this process or another: its status, attributes, records.

        ``collection.experiment(3)["note"] = "best so far"`` shows on every record of it.

        Args:
            experiment_number: -1 is the last number, and so on. Where several have the number, since
                one failed and was begun anew, it is the latest of them.
            error_number: which of them it is instead.

        Raises:
            UnknownExperimentError: there is no such experiment.
        """
        return experiments.experiment_at(
            self._store,
            run_lookup.chosen_runs(self._store, experiment_number, error_number)[-1].node,
        )

    @property
    def experiments(self) -> Experiments:
        """The experiments that were begun, in order of start, with what is known of each."""
        return experiment_lists.Experiments(self._store)

    def tree(self, *, depth: int | None = None, children: int = 10) -> Tree:
        """All recorders, to be printed as a tree, with counts of records and the bytes on disk.

        Args:
            depth: how many levels are listed, 1 being the experiments; None is all of them.
            children: how many of the recorders below one are listed: the first and the last.

        Raises:
            ArgumentError: ``depth`` is below 0, or ``children`` below 1.
        """
        tree = self.recorder.tree(depth=depth, children=children)
        return trees.collection_tree(tree, self._store.name, self.size_on_disk())

    def overview(self) -> list[ExperimentOverview]:
        """What became of each experiment that was begun, and how much is in it, in order of start.

        One pass over the records tells it for all of them, however many there are.
        """
        return overviews.overview_of(self._store)

    def size_on_disk(self) -> int:
        """Bytes of all files of the collection, with the room that live files have in advance."""
        return sum(map(size_on_disk, self._store.folders))

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """The result of a DuckDB query, as a lazy relation.

        Tables: ``records`` (the flat table), ``experiments`` (a row for each that was begun), ``nodes``
        (a row for each recorder: ``_node``, ``_parent`` and all that it has or inherits), and for each
        key of recorders ``level('key')``, as of ``level``, which is what to take a mean from.

        Each query has a connection of its own: two relations can't be combined by their methods
        (join them in one query instead), and what a query creates or sets ends with it. As that of
        ``records.sql``, the relation has the rows of now, and a query can read and write any file
        that the user can.

        Raises:
            ColumnError: a name could mean several keys, which differ only in case.
            CompactedError: files were merged while a result was read part by part: ask again.
            DeletedError: records were deleted and compacted away before they were read.
        """
        scan = self.records._scan()
        return sql_engine.collection_sql(scan, query)

    def reload(self) -> None:
        """Find everything out anew. Not needed: what others log is seen by itself."""
        self._store.reader.forget()

    # --- care ----------------------------------------------------------------------------------

    def verify(self) -> list[Problem]:
        """Read every file to its end, checksums included; what is damaged is listed."""
        return [problem for folder in self._store.folders for problem in verify.verify(folder)]

    @staticmethod
    def verify_folder(
        folder_path: str | PathLike[str], *, extension: str = ".collection"
    ) -> list[Problem]:
        """As ``verify``, of a collection that is not opened, and need not be one that can be.

        Whoever opens a collection seals what dead processes left in it; here no file is changed.

        Args:
            folder_path: the collection.
            extension: what the folder's name ends with.

        Raises:
            NotACollectionError: there is nothing of a collection at ``folder_path``.
            NewerFormatError: a newer version of this library wrote it.
        """
        folder = Folder(collection_path(folder_path, extension), is_read_only=True)
        if not any(path.exists() for path in (folder.info_path, *folder.places)):
            message = f"there is nothing of a collection at {folder.path}: nothing to verify"
            raise NotACollectionError(message)
        with suppress(NotACollectionError):  # listed as a problem
            folder.exists()
        return verify.verify(folder)

    def __iter__(self) -> Iterator[int]:
        """The numbers of the experiments, each once, in order: the keys of ``collection[number]``."""
        return iter(self.experiment_numbers)

    def __reversed__(self) -> Iterator[int]:
        """The numbers of the experiments, the last first."""
        return reversed(self.experiment_numbers)

    def __contains__(self, experiment_number: object) -> bool:
        """Whether an experiment has that number."""
        is_number = isinstance(experiment_number, SupportsIndex)
        is_truth = isinstance(experiment_number, bool)
        return is_number and not is_truth and experiment_number in self.experiment_numbers

    def delete(
        self,
        *experiment_numbers: SupportsIndex,
        error_number: SupportsIndex | None = None,
        all_attempts: bool = False,
    ) -> int:
        """Take experiments out of every answer, for good.

        From now on no process sees their records, their recorders or anything that was set on
        them; not even what is still logged below them, which disturbs nobody. A recorder of theirs
        that is at hand has no records any more. Their numbers are not given again. No file changes
        until ``compact`` drops what was deleted from the files of finished writers, this process
        being one once the collection is closed.

        Args:
            experiment_numbers: as for ``collection[experiment_number]``: -1 is the last one.
            error_number: which run to delete, where several share the one number.
            all_attempts: delete all runs that share a number. (The attempts of a resumed experiment
                are one run, and always go together.)

        Returns:
            How many records are excluded from query results any more.

        Raises:
            UnknownExperimentError: there is no such experiment; nothing is deleted.
            ArgumentError: several runs share a number, and which are meant is not given; the
                message lists them, and nothing is deleted.
            RunningError: one still runs; nothing is deleted.
            ReadOnlyError: the collection was opened read-only.
            SaveError: the folder can't be written, and nothing is deleted; or it can't be any more:
                that they are deleted waits in memory, and only this process knows it.
        """
        store = self._to_write()
        if not experiment_numbers:
            return 0
        choose = partial(
            self._to_delete, experiment_numbers, error_number, all_attempts=all_attempts
        )
        choose()  # no folder is made for what is not there
        source = sources.Source(store)
        with changing_experiments(store):
            past = choose()
            for each in past:
                if is_running(store, each):
                    message = (
                        f"experiment {each.number} still runs, and can't be deleted before it has"
                        " ended: leave its 'with' block, or end its process"
                    )
                    raise RunningError(message)
            scans = [source.scan(scanned_rows.Scope(each.node)) for each in past]
            records = sum(scan.row_count() for scan in scans)
            store.delete([each.node for each in past])
        return records

    def _to_delete(
        self,
        numbers: Sequence[SupportsIndex],
        error_number: SupportsIndex | None,
        *,
        all_attempts: bool,
    ) -> list[Past]:
        if error_number is not None and (all_attempts or len(numbers) > 1):
            message = "error_number chooses one run of one number; give it alone"
            raise ArgumentError(message)
        advice = "; several are given one by one, as delete(*numbers)"
        found: dict[int, Past] = {}
        for number in numbers:
            runs = run_lookup.chosen_runs(self._to_write(), number, error_number, advice=advice)
            if len(runs) > 1 and not all_attempts:
                message = (
                    f"{len(runs)} runs are experiment {runs[0].number}; choose one of them by"
                    " error_number=... (--error-number), or delete all of them by all_attempts=True"
                    f" (--all-attempts):{run_lookup.listing(self._to_write(), runs)}"
                )
                raise ArgumentError(message)
            found |= {each.node: each for each in runs}
        return list(found.values())

    @staticmethod
    def repair(
        folder_path: str | PathLike[str],
        into: str | PathLike[str],
        *,
        extension: str = ".collection",
    ) -> list[Problem]:
        """Write a new collection with all that can be read of one that is damaged.

        The old one is only read, and need not be one that can be opened. Files that are sound are
        copied; of the others the rows and the values that can be read are kept. It can be done while
        others log; nobody should compact meanwhile.

        Args:
            folder_path: the damaged one.
            into: where the new one is made; nothing may be there.
            extension: what both folders' names end with.

        Returns:
            What was lost, for each damaged file: how many ``rows`` it had, how many of them were
            ``readable``, and of which ``columns`` values are lost in those.

        Raises:
            ArgumentError: something is at ``into``.
            NotACollectionError: there is nothing of a collection at ``folder_path``.
            NewerFormatError: a newer version of this library wrote it.
            OSError: the new one can't be written.
        """
        old, new = collection_path(folder_path, extension), collection_path(into, extension)
        return repair.repair(Folder(old, is_read_only=True), new)

    def copy_to(self, folder_path: str | PathLike[str], *, extension: str = ".collection") -> Path:
        """Write a consistent copy of the collection, while any process may log, merge and delete.

        The copy has all that any process had logged when this was called (what another process
        writes behind, as on network file systems: up to a second before), each record with all that
        it inherits. It is a closed collection of its own, with Parquet files only: experiments that
        run are unfinished there. It appears whole, or not at all.

        Args:
            folder_path: where the copy is made; nothing may be there.
            extension: what its name ends with.

        Returns:
            The folder of the copy.

        Raises:
            ArgumentError: something is at ``folder_path``.
            NotACollectionError: there is no collection yet, as before the first experiment.
            OSError: the copy can't be written.
        """
        target = collection_path(folder_path, extension)
        if isinstance(self._store, UnionStore):
            message = (
                f"a {self._store.title} has no folder to copy; copy its collections one by one"
            )
            raise ArgumentError(message)
        copying.copy_folder(self._store.reader, target)
        return target

    def compact(self) -> int:
        """Merge small files of finished writers into few; others may write and read meanwhile.

        Rows keep their order. What was deleted is dropped: of its records nothing stays in these
        files, of its recorders just that they are deleted. Other tools that read the folder see
        rows of merged files twice until this returns.

        Returns:
            How many files there are fewer.

        Raises:
            ReadOnlyError: the collection was opened read-only.
            SaveError: the folder can't be written; nothing is lost.
        """
        return self._compact(None)

    def _compact(self, spread: Spread | None) -> int:
        store = self._to_write()
        deleted = deleted_of(sources.Source(store).now().nodes)
        try:
            return compaction.compact(store.folder, deleted, spread)
        except OSError as error:
            raise unwritable(store, error) from error

    def __repr__(self) -> str:
        return f"<ExperimentCollection {self._store.title}: {self._counts()}>"

    def _repr_html_(self) -> str:
        path = html.escape(one_line(self._store.title))
        return f"<div><b>{path}</b><br>{self._counts()}</div>"

    def __reduce__(self) -> tuple[Any, ...]:
        """A collection is its path: who unpickles or copies it opens it there, also a closed one."""
        store = self._store
        if isinstance(store, UnionStore):
            return union_of, (type(self), store.place, self._is_quiet)
        options = self._is_quiet, store.is_read_only, store.is_strict
        return reopened, (type(self), str(store.folder.path), *options)

    def _counts(self) -> str:
        nodes = sources.Source(self._store).now().nodes
        is_union = isinstance(self._store, UnionStore)  # in which several have one number
        experiments = len(past_experiments(nodes)) if is_union else len(Runs(nodes).numbers)
        records = len(self.records)
        size = text.bytes_text(self.size_on_disk())
        return f"{text.plural(experiments, 'experiment')}, {text.plural(records, 'record')}, {size}"


def _report_recovered(recovered: Recovered, path: Path, *, is_quiet: bool) -> None:
    """Report in one line what was recovered, where anything was."""
    found = []
    if recovered.records:
        found.append(f"recovered {recovered.records:,} records of a killed process in {path}")
    if recovered.set_aside:
        found.append(
            "the machine went down, or this is another one: what was logged after the last sync can't"
            f" be trusted, and is kept apart in {path / 'unsynced'}"
        )
    if found:
        report("; ".join(found), is_quiet=is_quiet)


def _members(kind: type[ExperimentCollection], collections: Any) -> list[tuple[str, FolderStore]]:
    """The stores of collections, or of those at paths, with their names.

    Raises:
        ArgumentError: there is none.
        ArgumentTypeError: it is one collection or path, not several.
    """
    if isinstance(collections, (str, PathLike, ExperimentCollection)) or not isinstance(
        collections, Iterable
    ):
        message = f"a union is of several collections, such as ['data/a', 'data/b'], not {collections!r:.60}"
        raise ArgumentTypeError(message)
    given = list(collections.values() if isinstance(collections, Mapping) else collections)
    if not given:
        message = "a union is of one collection or more; none is given"
        raise ArgumentError(message)
    stores = [_readable(kind, each) for each in given]
    is_named = isinstance(collections, Mapping)
    names = list(collections) if is_named else unique_names([s.folder.path for s in stores])
    return list(zip(names, stores, strict=True))


def _readable(kind: type[ExperimentCollection], collection: Any) -> FolderStore:
    """The store of a collection, or of that at a path."""
    is_open = isinstance(collection, ExperimentCollection)
    found: ExperimentCollection = collection if is_open else kind.open(collection, read_only=True)
    store = found._store
    if isinstance(store, UnionStore):
        message = f"{collection!r} is a union already; give all collections to one"
        raise ArgumentError(message)
    return store


def union_of(kind: type[_Collection], place: UnionPlace, is_quiet: bool) -> _Collection:
    """A union that was pickled, of the same collections."""
    found = kind.__new__(kind)
    found._begin(place.store(is_any=True), is_quiet=is_quiet)
    return found


def _warn_of_loss(store: FolderStore) -> None:
    if loss := store.loss():
        _warn_of(loss, store.folder.path)


def _warn_of(loss: Loss, path: Path) -> None:
    """Warn that a collection is a copy that lacks a part of what was logged."""
    reasons = "; ".join(reason for _, reason in loss.reasons())
    message = (
        f"{one_line(str(path))} is an incomplete copy, made while it was logged to: {reasons}. All"
        " else is there. Copy the original with collection.copy_to or rigorous copy"
    )
    warn(message, IncompleteCopyWarning, stacklevel=3)


def reopened(
    kind: type[_Collection],
    path: str,
    is_quiet: bool,
    is_read_only: bool = False,
    is_strict: bool = False,
) -> _Collection:
    """A collection that was pickled, opened anew."""
    if is_read_only:
        return kind.open(path, read_only=True, quiet=is_quiet)
    return kind(path, extension="", quiet=is_quiet, strict=is_strict)


def collection_path(folder_path: str | PathLike[str], extension: str) -> Path:
    """Where the folder of a collection is.

    Raises:
        ArgumentTypeError: it is not a path.
        NotACollectionError: the path names none, or is relative to a folder that was deleted.
    """
    if not isinstance(folder_path, (str, PathLike)) or isinstance(fspath(folder_path), bytes):
        message = (
            f"{folder_path!r:.60} is not a valid path of a collection; expected text or a"
            " pathlib.Path, such as 'data/my_study'"
        )
        raise ArgumentTypeError(message)
    name = fspath(folder_path).rstrip("/")
    if not name:
        message = f"{folder_path!r} names no folder; expected a path such as 'data/my_study'"
        raise NotACollectionError(message)
    path = Path(name if name.endswith(extension) else name + extension)
    try:
        return path.absolute()
    except FileNotFoundError:
        message = (
            f"{folder_path!r} is relative to the working folder, which was deleted; expected an"
            " absolute path, or os.chdir to a folder that is there"
        )
        raise NotACollectionError(message) from None
