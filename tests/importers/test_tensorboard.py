"""TensorBoard's event files: tensors of all types, texts, hyperparameters, and times."""

from __future__ import annotations

import struct
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.importers import event_frames, import_runs

from .test_samples import DATA
from .test_tools import attributes_in, event_file, rows_in
from .test_wandb import field

FILE = "events.out.tfevents.1.host"


def double(number: int, value: float) -> bytes:
    """A field of 8 bytes."""
    return bytes([number << 3 | 1]) + struct.pack("<d", value)


def tensor(kind: int, dims: tuple[int, ...], *values: bytes) -> bytes:
    """A tensor with values in the fields that are given."""
    shape = b"".join(field(2, field(1, dim)) for dim in dims)
    return field(1, kind) + field(2, shape) + b"".join(values)


def of_plugin(name: str, content: bytes = b"") -> bytes:
    """The metadata of a value."""
    return field(9, field(1, field(1, name) + field(2, content)))


def summary(*values: bytes, step: int = 1) -> bytes:
    """An event with values, each of which has its tag."""
    return field(2, step) + field(5, b"".join(field(1, each) for each in values))


def only_row(folder: Path, *values: bytes) -> dict[str, Any]:
    """The fields of the record that an event with these values becomes."""
    (row,) = rows_in(event_file(folder / FILE, summary(*values)), folder)
    return row


FLOATS = struct.pack("<4f", 1.0, 2.0, 0.0, -3.5)
DOUBLES = struct.pack("<4d", 1.0, 2.0, 0.0, -3.5)


@pytest.mark.parametrize(
    ("kind", "values"),
    [(8, (4, FLOATS)), (8, (9, FLOATS)), (18, (4, DOUBLES)), (18, (12, DOUBLES))],
    ids=["TensorFlow, 64 bits", "PyTorch, 64 bits", "TensorFlow, 128 bits", "PyTorch, 128 bits"],
)
def test_complex_numbers_are_pairs(kind: int, values: tuple[int, bytes], tmp_path: Path) -> None:
    """Each is a list of its real and its imaginary part, also one without a shape."""
    number, data = values
    pair = data[: len(data) // 2]
    row = only_row(
        tmp_path,
        field(1, "two") + field(8, tensor(kind, (2,), field(number, data))),
        field(1, "one") + field(8, tensor(kind, (), field(number, pair))),
        field(1, "same") + field(8, tensor(kind, (2, 1), field(number, pair))),
    )
    found = [row[key] for key in ("two", "one", "same")]
    assert found == [[[1.0, 2.0], [0.0, -3.5]], [1.0, 2.0], [[[1.0, 2.0]], [[1.0, 2.0]]]]


def test_a_value_that_can_not_be_read_costs_no_other_of_its_event(tmp_path: Path) -> None:
    """It is reported by its reason: of an unknown type, too large, or run metadata of a graph."""
    values = [
        field(1, "before") + b"\x15" + struct.pack("<f", 0.5),
        field(1, "float8") + field(8, tensor(24, (2,), field(4, b"\x3c\x40"))),
        field(1, "deep") + field(8, tensor(1, (1,) * 1000, field(5, FLOATS[:4]))),
        field(1, "wide") + field(8, tensor(1, (1 << 40, 0), field(5, FLOATS[:4]))),
        field(1, "trace")
        + of_plugin("graph_run_metadata_graph")
        + field(8, tensor(7, (), field(8, b"\xff"))),
        field(1, "after") + b"\x15" + struct.pack("<f", 1.5),
    ]
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        done = import_runs(event_file(tmp_path / FILE, summary(*values)), collection)
        (row,) = collection.records
        assert (row["before"], row["after"]) == (0.5, 1.5)
        assert not {"float8", "deep", "wide", "trace"} & row.keys()
    assert sorted((each.text, each.count) for each in done.report.losses) == [
        ("run metadata: not taken", 1),
        ("tensors of a type that is not known: not taken", 1),
        ("values that are not valid or too large: skipped", 2),
    ]


def test_texts_and_bytes_have_the_shape_that_was_logged(tmp_path: Path) -> None:
    """One text is a list where it was one; PyTorch, which writes a text as a list, has its own tag."""
    text = of_plugin("text")
    one = tensor(7, (1,), field(8, "a"))
    table = tensor(7, (2, 2), *(field(8, each) for each in "abcd"))
    row = only_row(
        tmp_path,
        field(1, "torch/text_summary") + text + field(8, one),
        field(1, "list") + text + field(8, one),
        field(1, "scalar") + text + field(8, tensor(7, (), field(8, "a"))),
        field(1, "table") + text + field(8, table),
        field(1, "empty") + field(8, tensor(1, (2, 0))),
        field(1, "bytes") + field(8, tensor(7, (), field(8, b"\xff\x00"))),
        field(1, "some") + field(8, tensor(7, (2,), field(8, b"\xff"), field(8, "a"))),
    )
    wanted = {"torch": "a", "list": ["a"], "scalar": "a", "table": [["a", "b"], ["c", "d"]]}
    wanted |= {"empty": [[], []], "bytes": b"\xff\x00", "some/0": b"\xff", "some/1": "a"}
    assert {key: row[key] for key in wanted} == wanted


def test_domains_and_metrics_of_hyperparameters_are_attributes(tmp_path: Path) -> None:
    """What ``hparams_config`` and ``add_hparams`` write of an experiment."""
    ends = field(6, double(1, 0.25) + double(2, 0.5))
    names = field(5, b"".join(field(1, field(3, each)) for each in ("adam", "sgd")))
    infos = (field(1, "lr") + ends, field(1, "opt") + names, field(1, "any") + field(4, 3))
    metric = field(1, field(1, "validation") + field(2, "loss")) + field(3, "Loss")
    experiment = b"".join(field(4, each) for each in infos)
    experiment += field(5, metric) + field(5, field(1, field(2, "acc")))
    value = field(1, "_hparams_/experiment") + of_plugin("hparams", field(2, experiment))
    (run,) = attributes_in(event_file(tmp_path / FILE, summary(value)), tmp_path)
    assert run["hparam_domains"] == {"lr": {"min": 0.25, "max": 0.5}, "opt": ["adam", "sgd"]}
    assert run["hparam_metrics"] == [
        {"tag": "loss", "group": "validation", "display_name": "Loss"},
        {"tag": "acc"},
    ]


def test_times_are_rounded_once_to_microseconds(tmp_path: Path) -> None:
    """As Python rounds them, for scalars that are read as columns and for all other values."""
    start = datetime(1970, 1, 1, tzinfo=UTC)
    # the float next to each is 0.24 microseconds away: one of three is near the middle of two
    walls = [1.8e9 + at * 2.0**-22 for at in range(90)] + [-5.25, -1.8e9 - 2.0**-21, 0.0]
    scalars = [
        double(1, wall) + summary(field(1, "x") + b"\x15" + bytes(4), step=at)
        for at, wall in enumerate(walls)
    ]
    twos = [
        double(1, wall) + summary(*(field(1, key) + b"\x15" + bytes(4) for key in "ab"), step=at)
        for at, wall in enumerate(walls)
    ]
    wanted = [start + timedelta(seconds=wall) for wall in walls]
    for name, events in (("scalars", scalars), ("twos", twos)):
        (tmp_path / name).mkdir()
        file = event_file(tmp_path / name / FILE, *events)
        assert [row["time"] for row in rows_in(file, tmp_path / name)] == wanted
        data = file.read_bytes()
        assert repr(event_frames.scan(data, 0)) == repr(event_frames._scan(data, 0))


def test_a_run_does_not_end_before_it_starts(tmp_path: Path) -> None:
    """The file of ``add_scalars`` begins later than the time of its first value, which it is given."""
    scalar = double(1, 5.0) + summary(field(1, "x") + b"\x15" + bytes(4))
    file = event_file(tmp_path / FILE, double(1, 7.0) + field(3, "brain.Event:2"), scalar)
    data = file.read_bytes()
    file.write_bytes(data[len(event_file(tmp_path / "none").read_bytes()) :])
    (run,) = attributes_in(file, tmp_path)
    ends = run["experiment_start_time"], run["experiment_end_time"], run["experiment_duration"]
    assert ends == (7.0, 7.0, 0.0)
    (row,) = rows_in(file, tmp_path / "again")
    assert row["time"] == datetime.fromtimestamp(5.0, UTC)


def test_a_file_that_is_torn_anywhere_is_completed(tmp_path: Path) -> None:
    """Its run has the same attributes and records as if it had been imported once, as a whole."""
    sample = DATA / "tensorboard" / "tensorboardX" / "first"
    (source,) = sample.glob("*tfevents*")
    data, file = source.read_bytes(), tmp_path / "first" / source.name
    file.parent.mkdir()
    file.write_bytes(data)

    def imported(collection: ExperimentCollection) -> str:
        import_runs(file.parent, collection)
        run = collection.experiments[0].recorder.local_data
        left_out = {"experiment_end_time", "experiment_duration"}
        attributes = {key: run[key] for key in sorted(run.keys() - left_out)}
        rows = [{**row, **dict.fromkeys(left_out)} for row in collection.records]
        return repr((attributes, [sorted(row.items()) for row in rows]))

    with ExperimentCollection(tmp_path / "whole") as collection:
        wanted = imported(collection)
    for cut in range(0, len(data), 29):
        with ExperimentCollection(tmp_path / str(cut)) as collection:
            file.write_bytes(data[:cut])
            import_runs(file.parent, collection)
            file.write_bytes(data)
            assert imported(collection) == wanted, cut


def test_importing_scalars_does_not_import_pandas(tmp_path: Path) -> None:
    """That takes longer, and more memory, than all else of a small import."""
    events = [
        double(1, 1.8e9 + at) + summary(field(1, "x") + b"\x15" + bytes(4)) for at in range(90)
    ]
    event_file(
        tmp_path / FILE, *events, double(1, 1.0) + summary(field(1, "t") + b"\x15" + bytes(4))
    )
    code = (
        "import sys; from rigorous_recorder.importers import import_runs\n"
        "assert import_runs(sys.argv[1], sys.argv[2]).records == 91\n"
        "print([each for each in ('pandas', 'duckdb', 'polars') if each in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(tmp_path), str(tmp_path / "study")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
