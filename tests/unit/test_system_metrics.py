"""Metrics of the machine: logged from a thread of their own, bounded, and never in the way of a run."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection, Status
from rigorous_recorder._capture import cgroup, gpus, system
from rigorous_recorder.errors import ArgumentError

psutil = pytest.importorskip("psutil", reason="psutil is not installed")

KEYS = {
    "cpu/percent",
    "memory/percent",
    "memory/available_mb",
    "disk/percent",
    "disk/free_mb",
    "process/cpu_percent",
    "process/memory_mb",
    "process/threads",
    "process/count",
}


class Sink:
    """Takes records, and tells when there are so many."""

    def __init__(self, count: int) -> None:
        self.records: list[Mapping[str, Any]] = []
        self.is_full = threading.Event()
        self._count = count

    def __call__(self, record: Mapping[str, Any]) -> None:
        self.records.append(record)
        if len(self.records) >= self._count:
            self.is_full.set()


def test_a_run_has_a_child_with_what_it_used(tmp_path: Path) -> None:
    """Also if it is short: the last record is logged at its end; records of the run inherit none."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        with collection.new_experiment(capture=["environment", "system"]) as run:
            run.push(loss=1.0)
        with collection.new_experiment(capture="system") as run:
            sum(range(200_000))
        (own,) = collection.records.where("loss is not null")
        assert "cpu/percent" not in {key for key, value in own.items() if value is not None}
        rows = list(collection.records.where(part="system"))
        assert [row["experiment_number"] for row in rows] == [1, 2]
        for row in rows:
            assert {key for key in KEYS if row[key] is None} == set()
            assert 0 <= row["cpu/percent"] <= 100
            assert 0 < row["memory/percent"] <= 100
            assert row["process/memory_mb"] > 10
            assert row["process/count"] >= 1
            assert row["disk/free_mb"] > 0
        assert [each.status for each in collection.experiments] == [Status.FINISHED] * 2
        assert "packages" in collection.experiment(1).environment
        with pytest.raises(ArgumentError, match="'environment', 'system'"):
            collection.new_experiment(capture="gpu")  # type: ignore[arg-type]


def test_records_come_by_themselves_and_end_with_the_run(tmp_path: Path) -> None:
    """A thread logs them; after ``close`` there is one more, and no thread."""
    sink, before = Sink(2), set(threading.enumerate())
    monitor = system.SystemMonitor(sink, tmp_path, interval=0.001)
    (thread,) = set(threading.enumerate()) - before
    assert sink.is_full.wait(60)
    monitor.close()
    thread.join(60)
    assert not thread.is_alive()
    count = len(sink.records)
    monitor.close()
    assert len(sink.records) == count >= 3
    assert set(sink.records[0]).issuperset(KEYS)


def test_many_runs_leave_no_files_and_no_threads_open(tmp_path: Path) -> None:
    """Nor one whose end was interrupted by Ctrl-C while it waited for its last sample, which has its end all the same."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        opened = []
        for _ in range(8):
            with collection.new_experiment(capture="system"):
                opened.append(len(list(Path("/proc/self/fd").glob("*"))))
        assert opened[-1] - opened[1] < 6  # what has two for each run has 12
        run = collection.start(capture="system")
        assert run._monitor is not None
        thread = run._monitor._thread
        run._monitor._thread = types.SimpleNamespace(join=interrupt)  # type: ignore[assignment]
        with pytest.raises(KeyboardInterrupt):
            run.finish()
        assert run.status is Status.STOPPED
        thread.join(60)
    for thread in threading.enumerate():
        if thread.name == "rigorous-system":
            thread.join(5)
            assert not thread.is_alive()


def interrupt(seconds: float) -> None:
    assert seconds > 0
    raise KeyboardInterrupt


def test_a_slow_sample_is_followed_by_a_longer_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most 0.2 % of a core is used: a second of work is followed by 500 seconds without."""
    pauses: list[float] = []
    seconds = iter(range(100))
    has_ended = threading.Event()

    class Lock:
        """Is free at once, the first time and the fourth."""

        def acquire(self, timeout: float | None = None) -> bool:
            if timeout is not None:
                pauses.append(timeout)
            if len(pauses) == 3:
                has_ended.set()
            return len(pauses) in (0, 3)

        def release(self) -> None: ...

    fake = types.SimpleNamespace(Lock=Lock, Thread=threading.Thread)
    monkeypatch.setattr(system, "threading", fake)
    monkeypatch.setattr(system.time, "thread_time", lambda: float(next(seconds)))
    monitor = system.SystemMonitor(Sink(1), tmp_path, interval=10)
    assert has_ended.wait(60)
    monitor.close()
    assert pauses == [10, pytest.approx(500), pytest.approx(500)]


def test_processes_that_it_started_count(tmp_path: Path) -> None:
    """With their memory and the time that they used."""
    monitor = system.SystemMonitor(sink := Sink(1), tmp_path, interval=3600)
    code = "sum(range(3_000_000)); print(1, flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as child:  # type: ignore[call-overload]
        child.stdout.readline()
        monitor.sample()
        child.communicate(b"\n")
    monitor.close()
    with_child, without = sink.records
    assert with_child["process/count"] == without["process/count"] + 1
    assert with_child["process/cpu_percent"] > 0


def test_a_driver_that_is_gone_is_reported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """That GPU's metrics end, and all others go on; what one device does not tell is left out."""
    is_gone = False

    class NVMLError(Exception):
        def __init__(self, text: str, value: int) -> None:
            super().__init__(text)
            self.value = value

    def utilization(handle: int) -> Any:
        if is_gone and handle == 1:
            raise NVMLError("GPU is lost", 15)
        return types.SimpleNamespace(gpu=50 + handle)

    def temperature(handle: int, kind: int) -> int:
        if handle == 1:
            raise NVMLError("Not supported", 3)
        return 60

    fake = types.ModuleType("pynvml")
    vars(fake).update(
        NVMLError=NVMLError,
        NVML_TEMPERATURE_GPU=0,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda number: number,
        nvmlDeviceGetUtilizationRates=utilization,
        nvmlDeviceGetMemoryInfo=lambda _: types.SimpleNamespace(used=2**30, total=2**32),
        nvmlDeviceGetTemperature=temperature,
        nvmlDeviceGetPowerUsage=lambda _: 70_500,
    )
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    monitor = system.SystemMonitor(sink := Sink(1), tmp_path, interval=3600)
    monitor.sample()
    is_gone = True
    monitor.sample()
    monitor.close()
    first, second, third = sink.records
    assert {key: value for key, value in first.items() if key.startswith("gpu/")} == {
        "gpu/0/percent": 50,
        "gpu/0/memory_mb": 1024,
        "gpu/0/memory_percent": 25.0,
        "gpu/0/temperature": 60,
        "gpu/0/power_watts": 70.5,
        "gpu/1/percent": 51,
        "gpu/1/memory_mb": 1024,
        "gpu/1/memory_percent": 25.0,
        "gpu/1/power_watts": 70.5,
    }
    assert set(second) == set(third) == {key for key in first if not key.startswith("gpu/1/")}
    (line,) = capsys.readouterr().err.splitlines()
    assert "metrics of GPU 1 are not recorded any more: NVMLError: GPU is lost" in line


def test_gpus_that_share_their_memory_or_are_parted_have_what_they_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No utilization of a parted one, no memory of its own: that is no error."""

    class NVMLError(Exception):
        value = 3

    def refuse(_: int) -> Any:
        raise NVMLError

    fake = types.ModuleType("pynvml")
    vars(fake).update(
        NVML_TEMPERATURE_GPU=0,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda number: number,
        nvmlDeviceGetUtilizationRates=refuse,
        nvmlDeviceGetMemoryInfo=refuse,
        nvmlDeviceGetTemperature=lambda *_: 60,
        nvmlDeviceGetPowerUsage=refuse,
    )
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    monitor = system.SystemMonitor(sink := Sink(1), tmp_path, interval=3600)
    monitor.sample()
    monitor.close()
    assert capsys.readouterr().err == ""
    for found in sink.records:
        assert [key for key in found if key.startswith("gpu/")] == ["gpu/0/temperature"]


def test_gpus_of_amd_are_read_by_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where the driver is; a value that a device does not have is "N/A", or an error."""

    class AmdSmiLibraryException(Exception):
        def get_error_code(self) -> int:
            return 2

    def memory(handle: str) -> dict[str, int]:
        if handle == "b":
            raise AmdSmiLibraryException
        return {"vram_total": 65536, "vram_used": 16384}

    power = {"a": {"socket_power": 300, "average_socket_power": "N/A"}}
    power["b"] = {"current_socket_power": "N/A", "average_socket_power": 250}
    fake = types.ModuleType("amdsmi")
    vars(fake).update(
        AmdSmiTemperatureType=types.SimpleNamespace(HOTSPOT=1),
        AmdSmiTemperatureMetric=types.SimpleNamespace(CURRENT=0),
        amdsmi_init=lambda: None,
        amdsmi_get_processor_handles=lambda: ["a", "b"],
        amdsmi_get_gpu_activity=lambda handle: {"gfx_activity": 40 if handle == "a" else "N/A"},
        amdsmi_get_gpu_vram_usage=memory,
        amdsmi_get_temp_metric=lambda *_: 55,
        amdsmi_get_power_info=power.get,
    )
    monkeypatch.setitem(sys.modules, "pynvml", None)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "amdsmi", fake)
    driver = tmp_path / "kfd"
    monkeypatch.setattr(gpus, "_DRIVER_OF_AMD", driver)
    assert gpus.gpus() == {}
    driver.touch()
    readers = gpus.gpus()
    assert list(readers) == ["GPU 0", "GPU 1"]
    assert readers["GPU 0"]() == {
        "gpu/0/percent": 40,
        "gpu/0/memory_mb": 16384,
        "gpu/0/memory_percent": 25.0,
        "gpu/0/temperature": 55,
        "gpu/0/power_watts": 300,
    }
    assert readers["GPU 1"]() == {"gpu/1/temperature": 55, "gpu/1/power_watts": 250}


def groups(folder: Path, own: str, files: Mapping[str, str]) -> tuple[Path, Path]:
    """A tree of control groups, and the file that tells which of them is the process's."""
    for name, text in files.items():
        path = folder / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "own").write_text(own)
    return folder / "cgroup", folder / "own"


def test_the_lowest_limit_of_a_container_counts(tmp_path: Path) -> None:
    """Of the process's group and those above it, in both versions; files that can be dropped don't count."""
    two = groups(
        tmp_path / "2",
        "0::/job/step\n",
        {
            "job/memory.max": "1048576000\n",
            "job/memory.current": "600000000\n",
            "job/memory.stat": "anon 1\ninactive_file 100000000\n",
            "job/cpu.max": "150000 100000\n",
            "job/step/memory.max": "max\n",
            "job/step/cpu.max": "max 100000\n",
        },
    )
    limit = cgroup.memory_limit(*two)
    assert limit is not None
    assert (limit.bytes, limit.used()) == (1_048_576_000, 500_000_000)
    assert cgroup.cpu_limit(*two) == 1.5
    one = groups(
        tmp_path / "1",
        "4:memory:/docker/of-the-host\n1:cpu,cpuacct:/docker/of-the-host\n0::/\n",
        {
            "memory/memory.limit_in_bytes": "2000000\n",
            "memory/memory.usage_in_bytes": "1000000\n",
            "memory/memory.stat": "total_inactive_file 1\n",
            "cpu/cpu.cfs_quota_us": "-1\n",
            "cpu/cpu.cfs_period_us": "100000\n",
        },
    )
    limit = cgroup.memory_limit(*one)
    assert limit is not None
    assert (limit.bytes, limit.used()) == (2_000_000, 999_999)
    assert cgroup.cpu_limit(*one) is None
    none = groups(tmp_path / "0", "0::/\n", {"memory/memory.limit_in_bytes": f"{2**63 - 4096}\n"})
    assert cgroup.memory_limit(*none) is None
    assert cgroup.memory_limit(tmp_path, tmp_path / "missing") is None


def test_a_container_with_a_limit_has_metrics_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit above the memory of the machine is none."""
    (tmp_path / "memory.current").write_text(str(2**28))
    for size, expected in ((2**30, (256, 25.0)), (2**59, (None, None))):
        limit = cgroup.MemoryLimit(tmp_path, size)
        monkeypatch.setattr(system, "memory_limit", lambda limit=limit: limit)
        monitor = system.SystemMonitor(sink := Sink(1), tmp_path, interval=3600)
        monitor.close()
        (found,) = sink.records
        keys = "container/memory_mb", "container/memory_percent"
        assert tuple(found.get(key) for key in keys) == expected


def test_a_driver_that_hangs_does_not_keep_a_run_from_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The end waits some seconds for the last record, and reports that it is missing."""
    monkeypatch.setattr(system, "_PATIENCE", 0.01)
    answers = threading.Event()
    monitor = system.SystemMonitor(sink := Sink(1), tmp_path, interval=3600)
    monitor._sources["GPUs"] = lambda: {"gpu/0/percent": float(answers.wait(60))}
    monitor.close()
    assert sink.records == []
    assert "takes too long" in capsys.readouterr().err
    answers.set()
    monitor._thread.join(60)
    assert not monitor._thread.is_alive()


def test_a_machine_without_disks_has_no_metrics_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in containers, where psutil returns None; that is no error. One that comes later counts."""
    counters = types.SimpleNamespace(read_bytes=2**20, write_bytes=2**20)
    found = [None, None, counters, counters]
    monkeypatch.setattr(system.psutil, "disk_io_counters", lambda: found.pop(0))
    monkeypatch.setattr(system.psutil, "net_io_counters", lambda: None)
    monitor = system.SystemMonitor(sink := Sink(1), tmp_path, interval=3600)
    monitor.sample()
    monitor.sample()
    monitor.close()
    assert capsys.readouterr().err == ""
    assert "network/sent_mb" not in sink.records[0]
    assert "disk/read_mb" not in sink.records[0]
    assert sink.records[1]["disk/read_mb"] == 0.0


def test_a_forked_child_does_not_end_its_parents(tmp_path: Path) -> None:
    """It has no such thread, and logs nothing."""
    monitor = system.SystemMonitor(sink := Sink(1), tmp_path, interval=3600)
    process = monitor._process
    monitor._process = os.getpid() + 1  # as a child sees it
    monitor.close()
    assert sink.records == []
    monitor._process = process
    monitor.close()
    assert len(sink.records) == 1


def test_without_psutil_the_install_line_is_named(tmp_path: Path) -> None:
    """Before the run begins."""
    code = (
        "import sys; sys.modules['psutil'] = None\n"
        "from rigorous_recorder import ExperimentCollection\n"
        "from rigorous_recorder.errors import MissingPackageError\n"
        f"collection = ExperimentCollection({str(tmp_path / 'c')!r}, quiet=True)\n"
        "try:\n    collection.new_experiment(capture='system')\n"
        "except MissingPackageError as error:\n    print(error)\n"
        "print(len(collection.experiments))"
    )
    command = [sys.executable, "-c", code]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "rigorous-recorder[system]" in out
    assert out.splitlines()[-1] == "0"
