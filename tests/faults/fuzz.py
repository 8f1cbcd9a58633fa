"""A coverage-guided fuzzer for the readers of our own making.

``python -m tests.faults.fuzz TARGET [SECONDS]`` with one of the targets below. It ends with 1, and
prints the input, where a reader raises what is no error of ours. Needs ``pip install atheris``.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import json
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import atheris
import numpy as np

with atheris.instrument_imports(include=["rigorous_recorder"]):
    import rigorous_recorder
    from rigorous_recorder import ExperimentCollection, Recorder
    from rigorous_recorder._live import column, layout, segment
    from rigorous_recorder._store import (
        checksums,
        corruption,
        folder,
        fragments,
        listing,
        live_files,
        parquet_fragment,
        path_checks,
        recover,
        salvage,
        seal,
    )
    from rigorous_recorder._values import arrays, classify, json_text, kinds

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from rigorous_recorder.errors import DamagedFileWarning, RigorousError

from ..small_tables import make_small

assert rigorous_recorder
assert all(
    (arrays, checksums, classify, column, json_text, layout, pa.compute, recover, path_checks)
)
assert all((seal, segment))

PLACE = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
NAME = folder.LiveName("0000beef", 0, "records")


def live_file(data: bytes) -> None:
    """The bytes of a live file; beside reading them, what can be saved of them."""
    try:
        found = live_files._loose(NAME, data, data, None)
    except corruption.UNREADABLE:
        found = None
    if found is not None:
        look_at(found)
    salvage.saved_of(data, NAME)


def look_at(fragment: fragments.Fragment) -> None:
    """Whatever engines ask of a fragment."""
    for table in fragment.tables(list(fragment.columns)):
        table.validate(full=True)
        for each, name in fragment.columns.items():
            values = table.column(name).combine_chunks()
            each.kind.values(each.kind.from_storage(values))
            each.kind.json(each.kind.from_storage(values))
    assert fragment.nodes is not None


def metadata(data: bytes) -> None:
    """What a file's footer says of the file, and of one of its columns."""
    about, _, field = data.partition(b"\xff")
    named = pa.field("i", pa.int64(), metadata={b"rigorous": field})
    schema = pa.schema([pa.field("_node", pa.int64(), nullable=False), named])
    path = PLACE / "records" / "0000beef-0.parquet"
    try:
        sealed = parquet_fragment.ParquetFragment(
            path, schema.with_metadata({b"rigorous": about}), [1], lambda _: None
        )
    except corruption.UNREADABLE:
        return
    assert sorted([sealed.origin, sealed.origin])
    assert all(isinstance(each.writer, str) for each in sealed.ranges)


def footer(data: bytes) -> None:
    """A whole small Parquet file, of which the fuzzer changes bytes."""
    with contextlib.suppress(*corruption.UNREADABLE):
        checksums.check_footer(io.BytesIO(data))


def description(data: bytes) -> None:
    """A collection.json."""
    place = folder.Folder(PLACE)
    place.info_path.write_bytes(data)
    try:
        info = place.info()
        assert isinstance(info["id"], str)
    except RigorousError:
        pass
    place.is_ours()


def file_names(data: bytes) -> None:
    """Names of files, one a line, of a folder of a table."""
    names = frozenset(data.decode("utf-8", "surrogateescape").split("\n"))
    found = [each for each in map(folder.sealed_name, names) if each is not None]
    assert all(str(each) in names or isinstance(each, folder.SealedName) for each in found)
    assert all("/" not in str(each) and ".." not in str(each) for each in found)
    plain = [each for each in found if isinstance(each, folder.SealedName)]
    kept = folder.counting(plain)
    assert all(any(k.includes(each) for k in kept) for each in plain)
    assert set(listing.Listing.of(names, {}).files) == set(kept)


def pickles(data: bytes) -> None:
    """A pickle for load_from."""
    path = PLACE / "a.pickle"
    path.write_bytes(data)
    try:
        recorder = Recorder.load_from(path)
        assert isinstance(recorder, Recorder)
        list(recorder.all_records)
    except RigorousError:
        pass


def json_values(data: bytes) -> None:
    """Texts of a JSON column, one a line."""
    texts = data.decode("utf-8", "replace").split("\n")
    array = pa.array(texts, pa.string())
    values = kinds.JSON.values(array)
    assert len(values) == len(texts)
    assert len(kinds.JSON.unreadable(array)) <= len(texts)


def seeds_of(target: Callable[[bytes], None]) -> list[bytes]:
    """Sound inputs that the fuzzer starts from."""
    place = PLACE / "seeds"
    texts = [{"a": 1}, [1, None, "x"], {"deep": [[[1.5]]]}]
    if target is live_file:
        return [_live_image(place)]
    if target is metadata:
        said = {"table": "records", "writer": "0000beef", "started": 1, "segments": [[0, 1]]}
        field = {"key": "i", "kind": "int"}
        both = [{"writers": [said, said]}, said]
        return [json.dumps(a).encode() + b"\xff" + json.dumps(field).encode() for a in both]
    if target is footer:
        path = place.with_name("sound.parquet")
        table = pa.table({"_node": [1]})
        pq.write_table(table.replace_schema_metadata(checksums.room_for(table.schema, 1)), path)
        checksums.fill(path, pq.read_metadata(path))
        return [path.read_bytes()]
    if target is description:
        said = {"format": "rigorous-recorder", "version": 1, "id": "0" * 32, "created": 1.5}
        return [json.dumps(said).encode()]
    if target is file_names:
        return [b"0000beef-0.parquet\n0000beef-0-7.parquet\nmerged-" + b"0" * 32 + b".parquet\nx"]
    if target is pickles:
        recorder = Recorder(a=1)
        recorder.child(b="x").push(i=1, text="y")
        recorder.save_to(PLACE / "seed.pickle")
        data = Path(__file__).parents[1] / "data"
        return [
            (PLACE / "seed.pickle").read_bytes(),
            *(p.read_bytes() for p in data.glob("*.pickle")),
        ]
    return [json.dumps(text).encode() for text in texts]


def _live_image(place: Path) -> bytes:
    """A live file of most kinds, as small as can be, under the name that is read."""
    make_small(setattr, rows=8, dense=9)
    collection = ExperimentCollection(place, quiet=True)
    recorder = collection.recorder.child()
    for i in range(3):
        recorder.push(
            i=i, x=i / 4, text="longer than twelve bytes", deep={"a": [i]}, day=dt.date(2020, 1, 1),
            when=dt.datetime(2020, 1, 1), array=np.ones(2), flag=True, many=np.arange(i),
        )  # fmt: skip
        few = {f"loss/{i}": i / 2, f"step {i}": i, f"is {i}": i > 1, f"no {i}": None}
        recorder.push({**few, f"a long key, number {i}": "long text " * i, f"json {i}": {"a": i}})
    (path,) = (place.with_name("seeds.collection") / "live").glob("*.records.arrow")
    data = path.read_bytes().replace(path.name.split("-")[0].encode(), NAME.writer.encode())
    collection.close()
    return data


TARGETS = {
    each.__name__: each
    for each in (live_file, metadata, footer, description, file_names, pickles, json_values)
}


def main() -> None:
    target = TARGETS[sys.argv[1]]
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    corpus = PLACE / "corpus"
    corpus.mkdir()
    for number, data in enumerate(seeds_of(target)):
        (corpus / str(number)).write_bytes(data)
    warnings.simplefilter("ignore", DamagedFileWarning)

    def once(data: bytes) -> None:
        target(data)

    options = [
        sys.argv[0],
        f"-max_total_time={seconds}",
        "-timeout=20",
        "-rss_limit_mb=4096",
        "-max_len=20000",
        "-print_final_stats=1",
        f"-artifact_prefix={PLACE}/",
        str(corpus),
    ]
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    atheris.Setup(options, once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
