"""TorchRL: a logger for its trainers and recorders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from rigorous_recorder import Recorder, Run

from .guest import guest, push, set_attributes
from .histograms import histogram
from .host import Capture, Host, Place
from .media import array_of
from .requirement import required

with required("torchrl>=0.9"):
    from torchrl.record.loggers.common import Logger

__all__ = ["RigorousLogger"]


class RigorousLogger(Logger):
    """Logs what TorchRL hands to a logger: ``RigorousLogger("ppo", "data/study")``.

    ``log_scalar`` is a record with the name and ``step``; ``log_metrics`` is one for all of them.
    Hyperparameters are attributes, videos arrays, histograms dicts as TensorBoard has them.

    Args:
        exp_name: the attribute ``name`` of the run that begins.
        log_dir: a collection or its path, in which a run begins; or a started run or a recorder,
            which the caller ends.
        info: further attributes of the run.
        resume: "auto" to continue the run that this program began before; see
            ``ExperimentCollection.new_experiment``.
        capture: what the run that begins records of itself; see ``new_experiment``.
    """

    def __init__(
        self,
        exp_name: str,
        log_dir: Place | Run | Recorder,
        info: Mapping[str, Any] | None = None,
        *,
        resume: Literal["auto"] | None = None,
        capture: Capture = True,
    ) -> None:
        attributes = {"name": exp_name, **(info or {})}
        self._host = Host(log_dir, attributes, resume=resume, capture=capture)
        super().__init__(exp_name=exp_name, log_dir=str(log_dir))

    @guest
    def _create_experiment(self) -> Recorder:
        return self._host.recorder

    def _push(self, fields: Mapping[str, Any], step: int | None) -> None:
        push(self._host.recorder, fields if step is None else {"step": step, **fields})

    @guest
    def log_scalar(self, name: str, value: Any, step: int | None = None) -> None:
        """Log a number, also as a tensor."""
        self._push({name: value}, step)

    @guest
    def log_metrics(self, metrics: Any, step: int | None = None, *, keys_sep: str = "/") -> Any:
        """Log a dict or a TensorDict as one record."""
        fields = _flat(metrics, keys_sep)
        self._push(fields, step)
        return fields

    @guest
    def log_video(self, name: str, video: Any, step: int | None = None, **kwargs: Any) -> None:
        """Log a video as an array."""
        self._push({name: array_of(video)}, step)

    @guest
    def log_hparams(self, cfg: Any) -> None:
        """Set attributes."""
        set_attributes(self._host.recorder, _flat(cfg, "."))

    @guest
    def log_histogram(self, name: str, data: Sequence[Any], **kwargs: Any) -> None:
        """Log a histogram."""
        bins = kwargs.get("bins")
        found = histogram(data, "tensorflow" if bins is None else bins)
        self._push({name: found}, kwargs.get("step"))

    @guest
    def shutdown(self, timeout: float | None = None) -> None:
        """End the run that began here; ``close`` does the same."""
        self._host.finish()
        super().shutdown(timeout)

    def __repr__(self) -> str:
        return f"RigorousLogger({self.exp_name!r})"


def _flat(values: Any, separator: str) -> dict[str, Any]:
    """A nested mapping, TensorDict or OmegaConf's config with joined names."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = separator.join(key) if isinstance(key, tuple) else str(key)
        if hasattr(value, "items"):
            nested = _flat(value, separator)
            found |= {f"{name}{separator}{each}": nested[each] for each in nested}
        else:
            found[name] = value
    return found
