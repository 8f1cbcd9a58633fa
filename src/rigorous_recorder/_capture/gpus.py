"""What GPUs report of themselves: NVIDIA's by ``nvidia-ml-py``, AMD's by ``amdsmi``."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

__all__ = ["gpus"]

_Read = Callable[[], Mapping[str, float]]

_MEGABYTE: Final = 1024 * 1024
#: Errors of NVML: not supported, no permission, an older driver.
_NOT_OF_NVIDIA: Final = frozenset({3, 4, 13})
#: Of AMD SMI: not supported, not implemented yet, no permission, no data.
_NOT_OF_AMD: Final = frozenset({2, 3, 10, 40})
#: There if the driver of AMD's GPUs for computing is loaded; ``amdsmi`` prints a line without its library.
_DRIVER_OF_AMD: Final = Path("/dev/kfd")


def gpus() -> dict[str, _Read]:
    """What reads the metrics of each GPU of the machine, by its name, such as ``GPU 0``."""
    found: list[_Read] = []
    for readers in (_of_nvidia, _of_amd):
        with suppress(Exception):  # there are none, as on most machines
            found += readers()
    return {f"GPU {n}": _named(f"gpu/{n}/", read) for n, read in enumerate(found)}


def _named(prefix: str, read: _Read) -> _Read:
    return lambda: {prefix + key: value for key, value in read().items()}


def _tolerant(parts: list[_Read], is_unsupported: Callable[[Exception], bool]) -> _Read:
    """All parts in one; one that the device does not have is left out from then on."""

    def read() -> dict[str, float]:
        found: dict[str, float] = {}
        for part in list(parts):
            try:
                found |= part()
            except Exception as error:
                if not is_unsupported(error):
                    raise
                parts.remove(part)
        return found

    return read


def _memory(used: int, total: int) -> dict[str, float]:
    """In MB."""
    percent = {"memory_percent": round(100 * used / total, 2)} if total else {}
    return {"memory_mb": used, **percent}


# --- NVIDIA --------------------------------------------------------------------------------------


def _of_nvidia() -> Iterator[_Read]:
    pynvml = importlib.import_module("pynvml")  # optional, and it loads the driver's library
    pynvml.nvmlInit()
    for number in range(pynvml.nvmlDeviceGetCount()):
        parts = _parts_of_nvidia(pynvml, pynvml.nvmlDeviceGetHandleByIndex(number))
        yield _tolerant(parts, lambda error: getattr(error, "value", None) in _NOT_OF_NVIDIA)


def _parts_of_nvidia(nvml: Any, handle: Any) -> list[_Read]:
    def memory() -> dict[str, float]:
        found = nvml.nvmlDeviceGetMemoryInfo(handle)
        return _memory(found.used // _MEGABYTE, found.total // _MEGABYTE)

    kind = nvml.NVML_TEMPERATURE_GPU
    return [
        lambda: {"percent": nvml.nvmlDeviceGetUtilizationRates(handle).gpu},
        memory,
        lambda: {"temperature": nvml.nvmlDeviceGetTemperature(handle, kind)},
        lambda: {"power_watts": nvml.nvmlDeviceGetPowerUsage(handle) / 1000},
    ]


# --- AMD -----------------------------------------------------------------------------------------


def _of_amd() -> Iterator[_Read]:
    if not _DRIVER_OF_AMD.exists():
        return
    amdsmi = importlib.import_module("amdsmi")  # the same
    amdsmi.amdsmi_init()
    for handle in amdsmi.amdsmi_get_processor_handles():
        yield _tolerant(_parts_of_amd(amdsmi, handle), _is_not_of_amd)


def _is_not_of_amd(error: Exception) -> bool:
    code = getattr(error, "get_error_code", None)
    return code is not None and code() in _NOT_OF_AMD


def _parts_of_amd(smi: Any, handle: Any) -> list[_Read]:
    def memory() -> dict[str, float]:
        found = smi.amdsmi_get_gpu_vram_usage(handle)
        return _memory(found["vram_used"], found["vram_total"])

    def temperature() -> dict[str, float]:
        place, now = smi.AmdSmiTemperatureType.HOTSPOT, smi.AmdSmiTemperatureMetric.CURRENT
        return {"temperature": smi.amdsmi_get_temp_metric(handle, place, now)}

    return [
        lambda: _first("percent", smi.amdsmi_get_gpu_activity(handle), "gfx_activity"),
        memory,
        temperature,
        lambda: _first(
            "power_watts",
            smi.amdsmi_get_power_info(handle),
            *("socket_power", "current_socket_power", "average_socket_power"),
        ),
    ]


def _first(key: str, found: Mapping[str, Any], *names: str) -> dict[str, float]:
    """The first of several that is a number: what a device does not have is the text "N/A"."""
    numbers = (found[name] for name in names if isinstance(found.get(name), int | float))
    number = next(numbers, None)
    return {} if number is None else {key: number}
