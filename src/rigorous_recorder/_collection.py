"""ExperimentCollection: a folder of experiments, logged to and read as one flat table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, SupportsIndex, TypeVar

from ._capture.wanted import Capture, wanted_of
from ._experiments_lock import changing_experiments, unwritable
from ._keys import require_free
from ._lazy import lazy_module
from ._lazy_imports import duckdb, html
from ._lifecycle import Run
from ._paths import path_of
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
    from . import _page_process as page_process
    from . import _records as reading
    from . import _resumption as resumption
    from . import _run_lookup as run_lookup
    from . import _saved_views as saved_views
    from ._display import text
    from ._display import tree as trees
    from ._engines import duckdb as sql_engine
    from ._engines import level_table, scanned_rows
    from ._engines import source as sources
    from ._store import compact as compaction
    from ._store import copying, repair
    from ._store import verify as verification
else:  # a program that logs needs none of them
    compaction = lazy_module(f"{__package__}._store.compact")
    copying = lazy_module(f"{__package__}._store.copying")
    experiments = lazy_module(f"{__package__}._experiment")
    experiment_lists = lazy_module(f"{__package__}._experiments")
    level_table = lazy_module(f"{__package__}._engines.level_table")
    levels = lazy_module(f"{__package__}._level")
    overviews = lazy_module(f"{__package__}._overview")
    page_process = lazy_module(f"{__package__}._page_process")
    saved_views = lazy_module(f"{__package__}._saved_views")
    reading = lazy_module(f"{__package__}._records")
    repair = lazy_module(f"{__package__}._store.repair")
    resumption = lazy_module(f"{__package__}._resumption")
    run_lookup = lazy_module(f"{__package__}._run_lookup")
    scanned_rows = lazy_module(f"{__package__}._engines.scanned_rows")
    sources = lazy_module(f"{__package__}._engines.source")
    sql_engine = lazy_module(f"{__package__}._engines.duckdb")
    text = lazy_module(f"{__package__}._display.text")
    trees = lazy_module(f"{__package__}._display.tree")
    verification = lazy_module(f"{__package__}._store.verify")

_Collection = TypeVar("_Collection", bound="ExperimentCollection")

__all__ = ["ExperimentCollection", "collection_path"]


@public
class ExperimentCollection:
    """A folder in which experiments are logged, by any number of processes at once.

    Args:
        folder_path: the folder; ``extension`` is appended unless it ends with it. The folder is
            created when the first experiment starts.
        extension: the suffix of the folder's name.
        strict: raise for attributes of types that can't be stored, instead of storing their repr
            with a warning.
        quiet: log recoveries, and experiments that ended with an error, at debug level only.
            Otherwise these lines go to the logger ``rigorous_recorder``, and to standard error if no
            handler of ``logging`` is configured.

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
        """The store to write to.

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
        """Open an existing collection; it is never created.

        Args:
            folder_path: the folder, such as ``data/my_study``; its suffix ``.collection`` can be
                omitted. If folders with both names exist, the exact name is opened.
            read_only: write nothing at all to the folder, which may be read-only storage: what
                killed processes left is read in place instead of being recovered. New records of
                any process are visible as usual. Calls that would write raise ``ReadOnlyError``.
            quiet: see ``ExperimentCollection(...)``.
            strict: see ``ExperimentCollection(...)``.

        Raises:
            NotACollectionError: there is no collection; the message lists similar paths.
            NewerFormatError: a newer version of this library wrote it.

        Examples:
            >>> study = ExperimentCollection.open("data/my_study", read_only=True)  # doctest: +SKIP
        """
        collection_path(folder_path, "")  # raises for an invalid path
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
        """Several collections as one for reading, whose records have a column ``collection``.

        Its values are the folders' names, with parent folders if names are equal, or the names that
        a mapping gives. Everything that reads a collection works: rows, SQL (all tables have the
        column), data frames, plots (``by="collection"``), ``follow``. Experiment numbers are those
        of each collection. The rows of a collection are contiguous, in the given order.

        New records of the collections are visible as usual; calls that would write raise
        ``ReadOnlyError``: write to one of the collections instead.

        Args:
            collections: collections, or paths of collections, which are opened read-only.
            key: the name of the column, if a collection has its own key ``collection``.

        Raises:
            NotACollectionError: there is no collection at a path; the message lists similar ones.
            ArgumentError: ``collections`` is empty, has one collection or copies of it twice, or has
                one with the key itself (also later, once it is logged).
            ArgumentTypeError: an item is neither a collection nor a path, or a name is not text.

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
        """The collections at or below a folder, sorted; none is opened or changed.

        It does not descend into collections, hidden folders and links to folders.

        Raises:
            ArgumentTypeError: ``folder`` is not a path.
            OSError: ``folder`` does not exist, is not a folder, or can't be listed.
        """
        return find_collections(path_of(folder, "a folder", "data"))

    # --- logging -------------------------------------------------------------------------------

    def new_experiment(
        self,
        info: object | None = None,
        /,
        *,
        resume: Literal["auto"] | None = None,
        capture: Capture = False,
        **data: Any,
    ) -> Run:
        """A run, which ``with`` starts; it returns the experiment's recorder.

        Use ``start`` to begin a run without ``with``.

        All records of the experiment inherit six keys: ``experiment_number``, ``error_number``,
        ``had_error``, ``experiment_start_time``, ``experiment_end_time`` and
        ``experiment_duration``; times are seconds since the epoch. The number is that of the last
        experiment, plus one if that one ended without an error, is still running, or is to be
        continued by ``resume``.

        With ``resume="auto"`` the run is a new attempt (see ``resume``) at an experiment that this
        program began before: the last one that is not running, did not end without an error, and

        - under SLURM, was begun by the same job in this way with the same info. A job keeps its
          ``SLURM_JOB_ID`` when it is requeued, each task of an array has its own, and in a job of
          several tasks each ``SLURM_PROCID`` has its own experiments. If the job began a single
          experiment before it was requeued, it is that one, whatever the info; new info is set on
          the attempt. The experiment has ``experiment_job``, such as ``slurm 1234``, and attempts
          have ``experiment_job_restarts``, how often the job was requeued before they began.
        - otherwise, was begun in any way with the same info (equal keys, kinds and values), and has a
          number that no later one has.

        If there is none, it is a new experiment with a number of its own. Of several processes that
        begin at once, each gets its own experiment.

        Args:
            info: attributes of the experiment; also as keywords, which win over ``info``.
            resume: "auto", or None for a new experiment in any case.
            capture: True to record the environment of the run when it starts, as a child of its
                recorder: git commit, branch, remote and uncommitted changes; command, Python,
                packages, machine and job. Values that look like secrets are masked. It can be read
                as ``experiment.environment``, and in SQL at the level ``experiment_environment``.
                "system" to log what the run uses of processors, memory, disk, network and GPUs, every
                ten seconds, as records of a child with ``part="system"``. "console" to log each line
                of standard output and standard error, also of C libraries and child processes, as
                records of a child with ``part="console"``. A list for several.

        Raises:
            ReservedKeyError: ``info`` has one of the six keys, or ``experiment_attempt``,
                ``experiment_attempt_start_time``, ``experiment_job`` or ``experiment_job_restarts``.
            ArgumentError: ``resume`` or ``capture`` has another value.
            MissingPackageError: ``capture`` has "system", and psutil is not installed.
            ReadOnlyError: the collection was opened read-only.
            SaveError: on entering, the folder can't be written.
        """
        store = self._to_write()
        if resume is not None and resume != "auto":
            message = (
                f"resume={resume!r}: expected 'auto' or None; collection.resume(number) continues the"
                " experiment with that number; data under the key 'resume' is given as"
                " {'resume': ...}"
            )
            raise ArgumentError(message)
        attributes = attributes_of(info, data, is_strict=self._store.is_strict)
        require_free(attributes)
        kind = resumption.AutoRun if resume else Run
        return kind(store, attributes, is_quiet=self._is_quiet, capture=wanted_of(capture))

    def start(
        self,
        info: object | None = None,
        /,
        *,
        resume: Literal["auto"] | None = None,
        capture: Capture = False,
        **data: Any,
    ) -> Run:
        """Begin an experiment now, without a ``with`` block, as in notebooks and callbacks.

        End it by ``run.finish()`` or ``run.fail(error)``; otherwise it counts as crashed once the
        process is gone. Arguments and errors are those of ``new_experiment``.

        Examples:
            >>> run = collection.start(lr=0.1)  # doctest: +SKIP
            >>> run.push(step=0, loss=0.7)  # doctest: +SKIP
            >>> run.finish()  # doctest: +SKIP
        """
        return self.new_experiment(info, resume=resume, capture=capture, **data).start()

    def resume(
        self,
        experiment_number: SupportsIndex,
        *,
        error_number: SupportsIndex | None = None,
        capture: Capture = False,
    ) -> Run:
        """Continue an experiment that crashed, failed or finished, as a run to enter by ``with``.

        ``with`` returns the recorder of a new attempt, a child of the experiment's recorder. Its
        records have ``experiment_attempt`` 2, 3 and so on, and ``experiment_attempt_start_time``;
        earlier records have ``experiment_attempt`` 1 once the experiment is resumed. So repeated
        steps can be distinguished. Its attributes belong to this attempt; set attributes of all
        attempts on its ``parent``, the experiment's recorder.

        As after the start, ``had_error`` is True now, and ``experiment_end_time`` and
        ``experiment_duration`` are None; ``error_number`` is one more than before, or 1 after an end
        without an error. At the end the duration is the time since the start of the experiment,
        including pauses. Later experiments have other numbers, however this one ends.

        Args:
            experiment_number: -1 is the last number, and so on. If several have the number, because
                one failed and was restarted, the last of them continues, which is reported.
            error_number: selects another one of them.
            capture: what the new attempt records of itself; see ``new_experiment``.

        Raises:
            UnknownExperimentError: there is no such experiment, now or on entering.
            ArgumentError: ``capture`` has another value.
            MissingPackageError: ``capture`` has "system", and psutil is not installed.
            RunningError: on entering, it is still running, in this process or another.
            ReadOnlyError: the collection was opened read-only.
            SaveError: on entering, the folder can't be written.
        """
        store = self._to_write()
        run_lookup.chosen_runs(store, experiment_number, error_number)  # raises if there is none
        return resumption.ResumedRun(
            store,
            experiment_number,
            error_number=error_number,
            is_quiet=self._is_quiet,
            capture=wanted_of(capture),
        )

    @property
    def recorder(self) -> Recorder:
        """The recorder above all experiments, for attributes of the whole study."""
        return recorder_at(self._store, ROOT)

    def save(self) -> None:
        """Write everything logged so far to Parquet files now.

        It can be called after each epoch: small files are merged in the background. While that
        happens, other tools that read the folder can see their rows twice, or miss a file that they
        have listed.

        Called from a signal handler in the middle of a push, it runs right after the push.

        Raises:
            ReadOnlyError: the collection was opened read-only.
            SaveError: it fails; unwritten data waits in memory.
        """
        self._to_write().seal()

    def close(self) -> None:
        """Save, and stop writing; reading still works. Runs automatically when Python exits.

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
    def records(self) -> reading.Records:
        """All records of all experiments, with inherited attributes."""
        return reading.Records(sources.Source(self._store), scanned_rows.Scope())

    def level(self, key: str, *, attempts: level_table.Attempts = "last") -> levels.Level:
        """The level of a key: a row for each recorder that has the key as its own attribute.

        A row has all own and inherited attributes, and ``records``, the number of records below. Use
        it for means over attributes: in ``records`` the value of a recorder is repeated in each
        record below it.

        Args:
            key: an attribute, such as ``episode``.
            attempts: of recorders that a resumed experiment repeats, those of the ``last`` attempt
                or of ``all``.

        Raises:
            ArgumentTypeError: the key is not text.
            ArgumentError: ``attempts`` is not valid, or records have the key themselves.
            ColumnError: no recorder has, or had, the attribute; the message suggests similar ones.

        Examples:
            >>> collection.level("episode").to_polars()["total_reward"].mean()  # doctest: +SKIP
        """
        return levels.Level(self.records, key, attempts)

    def view(self, *, edit: bool = False, opens_browser: bool | None = None) -> page_process.View:
        """The page with charts and tables of the collection, live while anybody logs.

        In Jupyter, marimo and VS Code it is shown as a frame; elsewhere it opens in the browser. A
        process of its own serves it on this machine until this process ends, or ``close()`` of the
        result; it is started once, however often this is called. Needs ``rigorous-recorder[page]``.

        Args:
            edit: whether the page can name, tag, annotate, archive and delete experiments.
            opens_browser: whether to open it in the browser; None for outside of notebooks only.

        Raises:
            MissingPackageError: the extra is not installed.
            NotACollectionError: nothing was logged to the collection yet.

        Examples:
            >>> collection.view()  # doctest: +SKIP
            <View http://127.0.0.1:40123/>
        """
        return page_process.view_of(self._store, edit=edit, opens_browser=opens_browser)

    @property
    def views(self) -> saved_views.SavedViews:
        """The named views of the page, by name: what is behind ``#`` in its address.

        ``rigorous view --edit`` and ``rigorous views`` save them as well.

        Raises:
            ReadOnlyError: this is a union, which has no folder.
        """
        if isinstance(store := self._store, UnionStore):
            store.require_writable()
        folder = store.folders[0]
        return saved_views.SavedViews(folder.views, is_read_only=folder.is_read_only)

    def __len__(self) -> int:
        """Number of records."""
        return len(self.records)

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, experiment_number: SupportsIndex) -> reading.Records:
        """The records under one experiment number; -1 is the last number, and so on.

        If several runs share the number, because some failed and were restarted, it includes all of
        them: ``collection[number].where(error_number=0)`` selects the one that ended without an error.

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
        self,
        experiment_number: SupportsIndex,
        *,
        error_number: SupportsIndex | None = None,
        collection: str | None = None,
    ) -> experiments.Experiment:
        """An experiment of this process or another: its status, attributes and records.

        Its records inherit attributes that are set on it: ``experiment["note"] = "best so far"``.

        Args:
            experiment_number: -1 is the last number, and so on. If several have the number, because
                one failed and was restarted, it is the latest of them.
            error_number: selects another one of them.
            collection: in a union, the name of the collection, each of which has its own numbers.

        Raises:
            UnknownExperimentError: there is no such experiment.
            ArgumentError: this is a union, and several collections have the number; or there is no
                collection of that name.
        """
        found = run_lookup.the_run(
            self._store, experiment_number, error_number=error_number, collection=collection
        )
        return experiments.experiment_at(self._store, found.node)

    @property
    def experiments(self) -> experiment_lists.Experiments:
        """All experiments, in order of start, with their attributes."""
        return experiment_lists.Experiments(self._store)

    def tree(self, *, depth: int | None = None, children: int = 10) -> trees.Tree:
        """All recorders as a tree to print, with numbers of records and the size on disk.

        Args:
            depth: how many levels to list; 1 lists the experiments; None lists all.
            children: how many of the recorders below one to list: the first and the last.

        Raises:
            ArgumentError: ``depth`` is negative, or ``children`` below 1.
        """
        tree = self.recorder.tree(depth=depth, children=children)
        return trees.collection_tree(tree, self._store.name, self.size_on_disk())

    def overview(self) -> list[overviews.ExperimentOverview]:
        """The status and size of each experiment, in order of start, in one pass over the records."""
        return overviews.overview_of(self._store)

    def size_on_disk(self) -> int:
        """Size of all files of the collection in bytes, including reserved space of live files."""
        return sum(map(size_on_disk, self._store.folders))

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """The result of a DuckDB query, as a lazy relation.

        Tables: ``records`` (the flat table), ``experiments`` (a row for each), ``recorders`` (a
        row for each: ``_node``, ``_parent``, own and inherited attributes; ``nodes`` is the same), and
        for each key of recorders ``level('key')`` (see ``level``): compute means over it.

        Each query has its own connection: two relations can't be combined by their methods (join
        them in one query instead), and what a query creates or sets ends with it. As with
        ``records.sql``, the relation has the rows that exist now, and a query can read and write any
        file that the user can.

        Raises:
            ColumnError: a name is ambiguous between keys that differ only in case.
            CompactedError: files were merged while a result was read in parts: query again.
            DeletedError: records were deleted and compacted away before they were read.
        """
        scan = self.records._scan()
        return sql_engine.collection_sql(scan, query)

    def reload(self) -> None:
        """Drop all caches. Not needed: new records are visible automatically."""
        self._store.reader.forget()

    # --- maintenance ---------------------------------------------------------------------------

    def verify(self) -> list[verification.Problem]:
        """Read every file to its end, verify checksums, and list what is damaged."""
        return [
            problem for folder in self._store.folders for problem in verification.verify(folder)
        ]

    @staticmethod
    def verify_folder(
        folder_path: str | PathLike[str], *, extension: str = ".collection"
    ) -> list[verification.Problem]:
        """Like ``verify``, without opening the collection, which damage may prevent.

        Opening a collection seals what dead processes left in it; this changes no file.

        Args:
            folder_path: the collection.
            extension: the suffix of the folder's name.

        Raises:
            NotACollectionError: nothing at ``folder_path`` belongs to a collection.
            NewerFormatError: a newer version of this library wrote it.
        """
        folder = Folder(collection_path(folder_path, extension), is_read_only=True)
        if not any(path.exists() for path in (folder.info_path, *folder.places)):
            message = f"there is nothing of a collection at {folder.path}: nothing to verify"
            raise NotACollectionError(message)
        with suppress(NotACollectionError):  # listed as a problem
            folder.exists()
        return verification.verify(folder)

    def __iter__(self) -> Iterator[int]:
        """The distinct numbers of the experiments in order: the keys of ``collection[number]``."""
        return iter(self.experiment_numbers)

    def __reversed__(self) -> Iterator[int]:
        """The numbers of the experiments in reverse order."""
        return reversed(self.experiment_numbers)

    def __contains__(self, experiment_number: object) -> bool:
        """Whether an experiment has this number."""
        is_number = isinstance(experiment_number, SupportsIndex)
        is_truth = isinstance(experiment_number, bool)
        return is_number and not is_truth and experiment_number in self.experiment_numbers

    def delete(
        self,
        *experiment_numbers: SupportsIndex,
        error_number: SupportsIndex | None = None,
        all_runs: bool = False,
    ) -> int:
        """Exclude experiments from all query results, for good.

        From now on no process sees their records, recorders or attributes, nor what is still logged
        below them, which raises no error. A recorder of theirs that is in use has no records any
        more. Their numbers are not used again. No file changes until ``compact`` drops the deleted
        records from the files of finished writers; this process counts as one once the collection
        is closed.

        Args:
            experiment_numbers: as in ``collection[experiment_number]``: -1 is the last one.
            error_number: which run to delete, if several share the one number.
            all_runs: delete all runs that share a number. (The attempts of a resumed experiment
                are one run, and are always deleted together.)

        Returns:
            The number of deleted records.

        Raises:
            UnknownExperimentError: there is no such experiment; nothing is deleted.
            ArgumentError: several runs share a number, and none is selected; the message lists
                them, and nothing is deleted.
            RunningError: one is still running; nothing is deleted.
            ReadOnlyError: the collection was opened read-only.
            SaveError: the folder can't be written. Either nothing is deleted; or, if it failed
                later, the deletion waits in memory and only this process knows it.
        """
        store = self._to_write()
        if not experiment_numbers:
            return 0
        choose = partial(self._to_delete, experiment_numbers, error_number, all_runs=all_runs)
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
        all_runs: bool,
    ) -> list[Past]:
        if error_number is not None and (all_runs or len(numbers) > 1):
            message = "error_number chooses one run of one number; pass only that number with it"
            raise ArgumentError(message)
        advice = "; pass several numbers one by one: delete(*numbers)"
        found: dict[int, Past] = {}
        for number in numbers:
            runs = run_lookup.chosen_runs(self._to_write(), number, error_number, advice=advice)
            if len(runs) > 1 and not all_runs:
                message = (
                    f"{len(runs)} runs share the number {runs[0].number}; choose one of them by"
                    " error_number=... (--error-number), or delete all of them by all_runs=True"
                    f" (--all-runs):{run_lookup.listing(self._to_write(), runs)}"
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
    ) -> list[verification.Problem]:
        """Write a new collection with everything that is readable in a damaged one.

        The damaged collection is only read, even if it can't be opened. Intact files are copied; of
        the others all readable rows and values are recovered. Other processes may log meanwhile, but
        none should compact.

        Args:
            folder_path: the damaged collection.
            into: where to create the new one; nothing may exist there.
            extension: the suffix of both folders' names.

        Returns:
            For each damaged file: how many ``rows`` it had, how many of them were ``readable``, and
            the ``columns`` with lost values in those.

        Raises:
            ArgumentError: ``into`` exists.
            NotACollectionError: nothing at ``folder_path`` belongs to a collection.
            NewerFormatError: a newer version of this library wrote it.
            OSError: the new collection can't be written.
        """
        old, new = collection_path(folder_path, extension), collection_path(into, extension)
        return repair.repair(Folder(old, is_read_only=True), new)

    def copy_to(self, folder_path: str | PathLike[str], *, extension: str = ".collection") -> Path:
        """Write a consistent copy of the collection, while any process may log, merge and delete.

        The copy has everything that any process had logged before this call (up to a second before,
        for processes with write-behind, as on network file systems), with all inherited attributes.
        It is a closed collection with Parquet files only, in which running experiments are
        unfinished. It appears whole, or not at all.

        Args:
            folder_path: where to create the copy; nothing may exist there.
            extension: the suffix of its name.

        Returns:
            The folder of the copy.

        Raises:
            ArgumentError: ``folder_path`` exists.
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
        """Merge small files of finished writers; other processes may write and read meanwhile.

        Rows keep their order. Deleted records are dropped from these files, and of deleted recorders
        only the deletion remains. Until this returns, other tools that read the folder can see rows
        of merged files twice.

        Returns:
            By how many files the collection has shrunk.

        Raises:
            ReadOnlyError: the collection was opened read-only.
            SaveError: the folder can't be written; nothing is lost.
        """
        return self._compact(None)

    def _compact(self, spread: compaction.Spread | None) -> int:
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
            "the machine went down, or this is another machine: rows after the last sync can't be"
            f" trusted, and were moved to {path / 'unsynced'}"
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
    if is_named and not all(isinstance(name, str) for name in collections):
        message = f"the names of a union's collections are text, not {list(collections)!r:.60}"
        raise ArgumentTypeError(message)
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
        f"{one_line(str(path))} is an incomplete copy, made while it was logged to: {reasons}."
        " Everything else is there. Copy the original with collection.copy_to or rigorous copy"
    )
    warn(message, IncompleteCopyWarning, stacklevel=3)


def reopened(
    kind: type[_Collection],
    path: str,
    is_quiet: bool,
    is_read_only: bool = False,
    is_strict: bool = False,
) -> _Collection:
    """Unpickle a collection by opening it."""
    if is_read_only:
        return kind.open(path, read_only=True, quiet=is_quiet)
    return kind(path, extension="", quiet=is_quiet, strict=is_strict)


def collection_path(folder_path: str | PathLike[str], extension: str) -> Path:
    """Where the folder of a collection is.

    Raises:
        ArgumentTypeError: it is not a path, or the extension is not text.
        ArgumentError: nothing can have this path.
        NotACollectionError: the path is empty, or is relative to a folder that was deleted.
    """
    path_of(folder_path, "a collection", "data/my_study")
    if not isinstance(extension, str):
        message = f"extension={extension!r:.60}: expected text, such as {SUFFIX!r}"
        raise ArgumentTypeError(message)
    name = fspath(folder_path).rstrip("/")
    if not name:
        message = (
            f"{folder_path!r} is not the path of a folder; expected one such as 'data/my_study'"
        )
        raise NotACollectionError(message)
    name = name if name.endswith(extension) else name + extension
    path = path_of(name, "a collection", "data/my_study")
    try:
        return path.absolute()
    except FileNotFoundError:
        message = (
            f"{folder_path!r} is relative to the working folder, which was deleted; expected an"
            " absolute path, or os.chdir to a folder that is there"
        )
        raise NotACollectionError(message) from None
