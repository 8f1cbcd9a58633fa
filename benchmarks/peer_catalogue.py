"""Who is compared: what each needs, and how much it logs in a run of about a second."""

from __future__ import annotations

from typing import NamedTuple

from peer_environments import WORKING_TREE

__all__ = ["BASE", "CURRENT", "ENTRIES", "OLD", "Entry"]

MILLION = 1_000_000


class Entry(NamedTuple):
    """One way to log, with its class in ``peer_scripts``."""

    name: str
    label: str
    contender: str
    environment: str
    requirements: tuple[str, ...]
    #: Of a run whose time is taken.
    records: int
    #: Of a run that is killed.
    killed: int
    is_saved: bool = True


BASE = Entry(
    "rows",
    '`rows.append({"index": i, "loss": x})`, never saved',
    "plain:RowDicts",
    "plain",
    (),
    MILLION,
    10_000,
    is_saved=False,
)
CURRENT = Entry(
    "push",
    "**this library**, `push(index=i, loss=x)`",
    "current:Push",
    "rigorous-recorder",
    (WORKING_TREE,),
    MILLION,
    10_000,
)
OLD = Entry(
    "1.4.4-collection",
    "rigorous-recorder 1.4.4, `push` in an ExperimentCollection",
    "old:OldCollection",
    "rigorous-recorder-1.4.4",
    ("rigorous-recorder==1.4.4",),
    10_000,
    10_000,
)
ENTRIES = (
    BASE,
    CURRENT,
    Entry(
        "two-lists",
        "two `list.append`, Parquet by Polars at the end",
        "two_lists:TwoLists",
        "polars",
        ("polars",),
        MILLION,
        10_000,
    ),
    Entry("csv", "`csv.writer` lines", "plain:CsvLines", "plain", (), MILLION, 10_000),
    Entry(
        "orjson",
        "orjson lines",
        "json_lines:JsonLines",
        "orjson",
        ("orjson",),
        MILLION,
        10_000,
    ),
    Entry(
        "orjson-unbuffered",
        "orjson lines, unbuffered",
        "json_lines:FlushedLines",
        "orjson",
        ("orjson",),
        MILLION,
        10_000,
    ),
    Entry(
        "sqlite",
        "sqlite3, WAL, a commit for each record",
        "plain:SqliteRows",
        "plain",
        (),
        50_000,
        10_000,
    ),
    Entry(
        "h5py",
        "h5py, SWMR, a flush for each record",
        "hdf5:GrowingDatasets",
        "h5py",
        ("h5py",),
        5_000,
        1_000,
    ),
    Entry(
        "1.4.4",
        "rigorous-recorder 1.4.4, `push` without a collection",
        "old:OldKeeper",
        OLD.environment,
        OLD.requirements,
        200_000,
        10_000,
    ),
    OLD,
    Entry(
        "tensorboardX",
        "tensorboardX, `add_scalar`",
        "tensorboard:Scalars",
        "tensorboardX",
        ("tensorboardX", "tensorboard"),
        20_000,
        10_000,
    ),
    Entry(
        "sacred",
        "Sacred, `log_scalar`, FileStorageObserver",
        "sacred:Scalars",
        "sacred",
        ("sacred",),
        200_000,
        10_000,
    ),
    Entry(
        "trackio",
        "Trackio, `log`, local",
        "trackio:Local",
        "trackio",
        ("trackio",),
        50_000,
        10_000,
    ),
    Entry(
        "swanlab",
        "SwanLab, `log`, offline",
        "swanlab:Offline",
        "swanlab",
        ("swanlab",),
        30_000,
        10_000,
    ),
    Entry("wandb", "W&B, `log`, offline", "wandb:Offline", "wandb", ("wandb",), 10_000, 10_000),
    Entry("aim", "Aim, `track`, local", "aim:Tracked", "aim", ("aim",), 10_000, 10_000),
    Entry(
        "mlflow",
        "MLflow, `log_metric`, local SQLite",
        "mlflow:Metrics",
        "mlflow",
        ("mlflow",),
        300,
        300,
    ),
)
