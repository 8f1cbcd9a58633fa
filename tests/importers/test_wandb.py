"""W&B's files: damage, odd bytes, what W&B adds by itself, and reading on."""

from __future__ import annotations

import json
import random
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from rigorous_recorder.importers import Record, Report, Rows, Run, Source
from rigorous_recorder.importers.contract import Position
from rigorous_recorder.importers.wandb import FORMAT

SAMPLES = Path(__file__).parents[1] / "data" / "tools" / "wandb"
HEADER = b":W&B\xe1\xbe\x00"


def varint(value: int) -> bytes:
    """The bytes of a number."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def field(number: int, value: int | str | bytes) -> bytes:
    """A field of a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def history(step: int, **values: Any) -> bytes:
    """A record of history; a key with ``__`` is a path."""
    items = b"".join(
        field(1, b"".join(field(2, part) for part in key.split("__")) + field(16, json.dumps(each)))
        for key, each in {**values, "_step": step}.items()
    )
    return field(1, step + 1) + field(2, items + field(2, field(1, step)))


def log_of(records: list[bytes]) -> bytes:
    """The file with these records, in blocks."""
    data = bytearray(HEADER)
    for record in records:
        left, begin = record, True
        while begin or left:
            if (room := 32_768 - len(data) % 32_768) < 7:
                data += bytes(room)
                room = 32_768
            part, left = left[: room - 7], left[room - 7 :]
            kind = (2 if left else 1) if begin else (3 if left else 4)
            framed = bytes([kind]) + part
            data += struct.pack("<IH", crc32(framed), len(part)) + framed
            begin = False
    return bytes(data)


def read(data: bytes, folder: Path, position: Any = None) -> tuple[list[Any], Report]:
    """The events of a file with these bytes, and what is reported."""
    path = folder / "run-x.wandb"
    path.write_bytes(data)
    report = Report()
    return list(FORMAT.read(Source(path, (path,), "x"), report, position)), report


def rows_of(events: list[Any]) -> Iterator[dict[str, Any]]:
    """The records, with the step among their fields."""
    for event in events:
        if isinstance(event, Record):
            yield {"step": event.step, **event.fields}
        elif isinstance(event, Rows):
            columns = {key: each.to_pylist() for key, each in event.columns.items()}
            steps = event.steps.to_pylist()
            for at in range(event.size):
                yield {"step": steps[at], **{key: each[at] for key, each in columns.items()}}


def test_records_over_blocks_come_back_whole(tmp_path: Path) -> None:
    """Rows of any length, over many blocks, have the values that were written, in order."""
    sizes = [0, 5, 200, 32_760, 40_000, 100_000, 3]
    events, report = read(
        log_of([history(n, a="x" * size) for n, size in enumerate(sizes)]), tmp_path
    )
    assert [(row["step"], len(row["a"])) for row in rows_of(events)] == list(enumerate(sizes))
    assert not report.losses


def test_damage_is_reported_with_its_place(tmp_path: Path) -> None:
    """A wrong checksum costs its block, a torn tail its record; all else is there."""
    data = bytearray(log_of([history(n, a=n, b="y" * 3000) for n in range(40)]))
    data[40_000] ^= 1
    events, report = read(bytes(data[:-10]), tmp_path)
    steps = [row["step"] for row in rows_of(events)]
    assert 0 in steps
    assert 38 in steps
    assert 39 not in steps
    assert 25 < len(steps) < 38
    assert [loss.text.split(":")[0] for loss in report.losses] == [
        "wrong checksum",
        "a record without its beginning is left out",
        "ends within a record, which is left out",
    ]
    assert report.losses[0].offset is not None
    assert 32_768 < report.losses[0].offset <= 40_000


@pytest.mark.parametrize("size", [0, 3, 7, 12])
def test_files_of_killed_runs_have_no_records(size: int, tmp_path: Path) -> None:
    """Without a whole record there are no events, and no errors."""
    events, _ = read(log_of([history(0, a=1)])[:size], tmp_path)
    assert [each for each in events if isinstance(each, Run | Record | Rows)] == []


def test_a_newer_version_is_told_and_read(tmp_path: Path) -> None:
    """Of a version that is not known, and of records that are not known, the rest is taken."""
    data = log_of([history(0, a=1), field(1, 2) + field(77, b"what"), history(1, a=2)])
    events, report = read(data[:6] + b"\x09" + data[7:], tmp_path)
    assert [row["a"] for row in rows_of(events)] == [1, 2]
    texts = [loss.text for loss in report.losses]
    assert any("newer version" in text for text in texts)
    assert any("unknown type 77" in text for text in texts)


def test_names_with_dots_and_paths_stay_apart(tmp_path: Path) -> None:
    """A path is a dict, and a name with a dot is a name."""
    events, _ = read(log_of([history(0, **{"n__w": 2, "n.w": 7, "n__d__v": 1.5})]), tmp_path)
    assert list(rows_of(events)) == [{"step": 0, "n": {"w": 2, "d": {"v": 1.5}}, "n.w": 7}]


def test_ints_among_floats_are_floats(tmp_path: Path) -> None:
    """1.0 is written as 1, and -0.0 as -0; large ints stay exact."""
    values: list[Any] = [1, 0.5, 2]
    records = [history(n, a=each, big=2**53 + 1 + n) for n, each in enumerate(values)]
    minus = field(1, 9) + field(2, field(1, field(2, "minus") + field(16, "-0")))
    events, _ = read(log_of([*records, minus]), tmp_path)
    rows = list(rows_of(events))
    assert [repr(row["a"]) for row in rows[:3]] == ["1.0", "0.5", "2.0"]
    assert repr(rows[3]["minus"]) == "-0.0"
    assert [row["big"] for row in rows[:3]] == [2**53 + 1, 2**53 + 2, 2**53 + 3]


def test_ints_before_the_first_float_are_floats_too(tmp_path: Path) -> None:
    """Also where rows have other keys, and where W&B's Python wrote 1.0 as it is: there, ints are ints."""
    rows = [{"a": 1, "b": 1}, {"a": 2, "n__w": 3}, {"c": 1}, {"a": 0.5}]
    records = [history(n, **row) for n, row in enumerate(rows)]
    for version, first in (("0.31.0", "1.0"), ("", "1")):
        header = field(1, 9) + field(21, field(1, version) if version else b"")
        found = list(rows_of(read(log_of([header, *records]), tmp_path)[0]))
        assert [repr(row["a"]) for row in found if "a" in row][::2] == [first, "0.5"]
        assert [repr(found[0]["b"]), found[1]["n"]] == ["1", {"w": 3}]


def summary(**values: Any) -> bytes:
    """A record of the summary; a key with ``__`` is a path."""
    items = b"".join(
        field(1, b"".join(field(2, part) for part in key.split("__")) + field(16, json.dumps(each)))
        for key, each in values.items()
    )
    return field(1, 7) + field(3, items)


def test_the_summary_is_what_was_not_logged_last(tmp_path: Path) -> None:
    """Nothing that was logged last, also where ``None`` was logged behind it; what was removed is not."""
    rule = field(1, 1) + field(12, field(1, "low") + field(7, field(1, 1)))
    removed = field(1, 8) + field(
        3, field(2, field(2, "gone")) + field(2, field(2, "d") + field(2, "x"))
    )
    records = [
        summary(gone=1, best=0.5, d__x=1, d__y=2),
        rule,
        summary(loss=2, low__min=1, text="a", _step=0),
        history(0, loss=2, low=1, text="a"),
        summary(loss=3, low__min=1, _step=1),
        history(1, loss=3, low=9, text=None),
        removed,
    ]
    for later in ([], [summary(loss=3, low__min=1, text="a", best=0.5)]):  # as older versions do
        data = log_of([*records, *later])
        for cut in (len(data), len(log_of(records))):
            events, report = read(data[:cut], tmp_path)
            position = next(each.value for each in reversed(events) if isinstance(each, Position))
            rest, _ = read(data, tmp_path, json.loads(json.dumps(position)))
            runs = [each for each in [*events, *rest] if isinstance(each, Run)]
            found = [run.about["summary"] for run in runs if "summary" in run.about]
            assert found[-1] == {"best": 0.5, "d": {"y": 2}, "low": {"min": 1}}
            assert not report.losses


def test_none_in_a_dict_that_was_logged_last_is_not_in_the_summary(tmp_path: Path) -> None:
    """W&B leaves it out there, so that the summary is another dict than the one that was logged."""
    records = [
        summary(d__x=1, d__e__y=2, _step=0),
        history(0, d__x=1, d__n=None, d__e__y=2, d__e__n=None),
    ]
    events, _ = read(log_of(records), tmp_path)
    assert not [each for each in events if isinstance(each, Run) and "summary" in each.about]
    assert list(rows_of(events)) == [
        {"step": 0, "d": {"x": 1, "n": None, "e": {"y": 2, "n": None}}}
    ]


def test_files_in_lists_and_in_dicts_are_media(tmp_path: Path) -> None:
    """Several pictures of one call, sounds, and a picture inside of what was logged as a dict."""
    (tmp_path / "files").mkdir()
    for name in "abcd":
        (tmp_path / "files" / name).write_bytes(name.encode())
    sounds = [{"_type": "audio-file", "path": "c", "caption": "s"}]
    rows = (
        history(
            0,
            p___type="images/separated",
            p__filenames=["a", "b"],
            p__captions=["x", "y"],
            p__width=4,
        ),
        history(
            1,
            s___type="audio",
            s__count=1,
            s__audio=sounds,
            d__v=1,
            d__e__path="d",
            d__e___type="image-file",
        ),
    )
    events, report = read(log_of([*rows]), tmp_path)
    first, second = rows_of(events)
    assert {key: first[key] for key in ("p/0", "p/1", "p/0/caption", "p/1/name", "p/width")} == {
        "p/0": b"a", "p/1": b"b", "p/0/caption": "x", "p/1/name": "b", "p/width": 4,
    }  # fmt: skip
    assert (second["s"], second["s/caption"], second["d/e"], second["d"]) == (
        b"c",
        "s",
        b"d",
        {"v": 1},
    )
    assert not report.losses


def test_metadata_of_older_versions_are_attributes(tmp_path: Path) -> None:
    """They are in a file of their own, by other names."""
    (tmp_path / "files").mkdir()
    text = '{"host": "box", "username": "u", "program": "p.py", "args": [], "git": {"commit": "c"}}'
    (tmp_path / "files" / "wandb-metadata.json").write_text(text, "utf-8")
    events, _ = read(log_of([field(1, 1) + field(17, field(1, "x") + field(13, "mine"))]), tmp_path)
    (about,) = (each.about for each in events if isinstance(each, Run))
    wanted = {"host": "mine", "user": "u", "command": "p.py", "git_commit": "c"}
    assert {key: about[key] for key in wanted} == wanted


def test_reading_on_gives_only_what_is_new(tmp_path: Path) -> None:
    """From any position on, the rest is given, and never the same twice."""
    records = [history(n, a=n / 2) for n in range(50)]
    whole = log_of(records)
    for cut in range(0, len(whole), 97):
        events, _ = read(whole[:cut], tmp_path)
        position = next((e.value for e in reversed(events) if isinstance(e, Position)), None)
        rest, _ = read(whole, tmp_path, json.loads(json.dumps(position)))
        steps = [row["step"] for row in [*rows_of(events), *rows_of(rest)]]
        assert steps == list(range(50))


def test_filled_in_step_metrics_are_marked(tmp_path: Path) -> None:
    """A step metric that equals the one before, where W&B puts it, is marked as carried."""
    define = field(1, 1) + field(12, field(2, "val/*") + field(4, "epoch"))
    first = history(0, epoch=3)
    filled = history(1, **{"val/loss": 0.5})
    step = field(1, field(2, "_step") + field(16, "1"))
    epoch = field(1, field(2, "epoch") + field(16, "3"))
    items = field(1, field(2, "val/loss") + field(16, "0.5")) + step + epoch
    filled = field(1, 3) + field(2, items + field(2, field(1, 1)))
    logged = history(2, epoch=4, **{"val/loss": 0.25})
    events, report = read(log_of([define, first, filled, logged]), tmp_path)
    assert [row.get("epoch/carried") for row in rows_of(events)] == [None, True, None]
    assert [row["epoch"] for row in rows_of(events)] == [3, 3, 4]
    assert len(report.losses) == 1


def test_media_outside_of_the_run_are_not_read(tmp_path: Path) -> None:
    """A path that leads out of the run's folder is reported, and its file stays unread."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "link").symlink_to(tmp_path / "secret")
    for path in ("../secret", str(tmp_path / "secret"), "link", "a\0b"):
        row = history(0, p___type="image-file", p__path=path)
        events, report = read(log_of([row]), tmp_path)
        assert b"secret" not in [value for row in rows_of(events) for value in row.values()]
        assert report.losses


def test_random_bytes_raise_nothing(tmp_path: Path) -> None:
    """Whatever bytes are changed, also below right checksums, the rest is read."""
    chance = random.Random(7)
    (file,) = (SAMPLES / "sample").rglob("run-first.wandb")
    shutil.copytree(file.parent / "files", tmp_path / "files")
    data = file.read_bytes()
    from_start = [history(n, a=n, b__c=1.5, d="text") for n in range(6)]
    for _ in range(60):
        changed = bytearray(data)
        for _ in range(chance.randint(1, 8)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        read(bytes(changed), tmp_path)
        records = [bytearray(each) for each in from_start]
        for record in records:
            record[chance.randrange(len(record))] = chance.randrange(256)
        read(log_of([bytes(each) for each in records]), tmp_path)


def printed(stream: int, text: str, second: int) -> bytes:
    """A record of the console."""
    time = field(1, second)
    return field(1, 1) + field(13, field(1, stream) + field(2, time) + field(3, text))


def lines_of(events: list[Any]) -> list[tuple[str, str, float]]:
    """What was printed: lines, streams and seconds."""
    return [
        (each.fields["line"], each.fields["stream"], each.time.timestamp())
        for each in events
        if isinstance(each, Record) and each.run.endswith("/console")
    ]


def test_the_console_is_lines_whatever_pieces_were_printed(tmp_path: Path) -> None:
    """``print`` writes its line break by itself; a line that no other piece follows is given, too."""
    pieces = [(1, "a"), (0, "warn"), (1, "b\n"), (1, "\n"), (0, "ing\nx\ny"), (1, "end"), (1, "")]
    records = [printed(stream, text, at) for at, (stream, text) in enumerate(pieces)]
    exit_ = field(1, 1) + field(18, field(2, 3))
    wanted = [("ab", "stdout", 0.0), ("", "stdout", 3.0), ("warning", "stderr", 1.0)]
    wanted += [("x", "stderr", 4.0), ("y", "stderr", 4.0), ("end", "stdout", 5.0)]
    for ends in ([exit_], []):
        events, _ = read(log_of([*records, *ends]), tmp_path)
        assert lines_of(events) == wanted
    events, _ = read(log_of([printed(1, "x" * 40_000, 0), printed(1, "y" * 40_000, 1)]), tmp_path)
    assert [len(line) for line, *_ in lines_of(events)] == [80_000]


def test_lines_are_whole_where_a_run_is_followed(tmp_path: Path) -> None:
    """A piece waits for its end in the next part of the file, and for the end of the run."""
    records = [printed(1, "a", 0), printed(1, "b\nc", 1), printed(1, "d", 2)]
    whole = log_of([*records, field(1, 1) + field(18, b"")])
    path = tmp_path / "run-x.wandb"
    source = Source(path, (path,), "x", is_written=True)
    found, position = [], None
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        events = list(FORMAT.read(source, Report(), position))
        found += lines_of(events)
        last = [each.value for each in events if isinstance(each, Position)]
        position = json.loads(json.dumps(last[-1])) if last else position
    assert found == [("ab", "stdout", 0.0), ("cd", "stdout", 1.0)]
