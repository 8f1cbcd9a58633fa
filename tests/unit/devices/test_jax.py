"""Arrays of jax: on the processor, as if they were on a device, and on a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import Recorder
from rigorous_recorder._values.devices.jax import Jax
from tests.unit.devices.pretended import column

ROOT = Path(__file__).parents[3]


@pytest.fixture(params=["cpu", "device", "gpu"])
def jax(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Jax on the processor, plainly; as if its arrays were on a device; and where they are."""
    module = pytest.importorskip("jax")
    if request.param == "device":
        monkeypatch.setattr(Jax, "is_on_device", lambda _self, _array: True)
    if request.param == "gpu" and module.default_backend() != "gpu":
        pytest.skip("jax has no GPU here")
    place = module.devices("gpu" if request.param == "gpu" else "cpu")[0]
    with module.default_device(place):
        yield module


@pytest.mark.parametrize("dtype", ["bool", "int32", "uint8", "float16", "bfloat16", "float32"])
def test_jax_values_are_stored(jax: Any, dtype: str) -> None:
    """Scalars and arrays of jax read back as numbers and numpy arrays."""
    recorder = Recorder()
    scalar, array = jax.numpy.ones((), dtype), jax.numpy.ones(2, dtype)
    for _ in range(3):
        recorder.push(x=scalar, y=array)
    for row in recorder.records:
        assert (type(row["x"]), row["x"]) == (type(scalar.item()), scalar.item())
        assert row["y"].tolist() == array.tolist()


def test_jax_arrays_may_be_given_away(jax: Any) -> None:
    """An array whose memory jax took for a later one has the value that it was logged with."""
    recorder = Recorder()
    array = jax.numpy.ones(2)
    recorder.push(x=array).push(x=array)
    array.delete()
    assert [each.tolist() for each in column(recorder.records, "x")] == [[1, 1]] * 2


def test_jax_tracers_are_refused(jax: Any) -> None:
    """Inside of a jitted function there is no value, and push raises an error."""
    recorder = Recorder().push(y=0)
    with pytest.raises(TypeError):
        jax.jit(lambda x: recorder.push(x=x) and x)(1.0)
    assert len(recorder.records) == 1


def test_jax_columns_are_extended(jax: Any) -> None:
    """An array of jax is a column of its numbers."""
    recorder = Recorder()
    recorder.extend({"x": jax.numpy.ones(2), "y": jax.numpy.ones(2, "bfloat16")})
    assert column(recorder.records, "x") == column(recorder.records, "y") == [1, 1]
