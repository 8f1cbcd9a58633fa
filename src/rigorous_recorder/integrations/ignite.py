"""PyTorch-Ignite: a logger to attach to engines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from rigorous_recorder import Recorder, Run

from .guest import guest, push
from .host import Capture, Host, Place
from .requirement import required

with required("pytorch-ignite>=0.5"):
    from ignite.handlers.base_logger import (
        BaseLogger,
        BaseOptimizerParamsHandler,
        BaseOutputHandler,
    )

__all__ = ["RigorousLogger"]


class _Output(BaseOutputHandler):
    @guest
    def __call__(self, engine: Any, logger: RigorousLogger, event_name: Any) -> None:
        """Log metrics, outputs and attributes of the state as a record."""
        values = self._setup_output_metrics_state_attrs(engine, log_text=True, key_tuple=False)
        step = self.global_step_transform(engine, event_name)
        push(logger.recorder, {"step": step, **logger.place_of(engine), **values})


class _OptimizerParams(BaseOptimizerParamsHandler):
    @guest
    def __call__(self, engine: Any, logger: RigorousLogger, event_name: Any) -> None:
        """Log a parameter of each group of the optimizer."""
        start = f"{self.tag}/" if self.tag else ""
        groups = enumerate(self.optimizer.param_groups)
        values = {
            f"{start}{self.param_name}/group_{n}": each[self.param_name] for n, each in groups
        }
        step = engine.state.get_event_attrib_value(event_name)
        push(logger.recorder, {"step": step, **logger.place_of(engine), **values})


class RigorousLogger(BaseLogger):
    """A logger as Ignite's others are: ``logger.attach_output_handler(trainer, ...)``.

    A record has ``step``, the number of the event or what ``global_step_transform`` returns,
    ``epoch`` of the engine, and values as ``tag/name``. Give the handlers of evaluators
    ``global_step_transform=global_step_from_engine(trainer)``: an evaluator's own step and epoch
    are always 1, so that its records have no ``epoch``.

    Ignite calls no logger at an exception. ``with logger:`` ends the run that it began: as failed if
    the block raises.

    Args:
        place: a collection or its path, in which a run begins with the first record; or a started run
            or a recorder, which the caller ends.
        info: attributes of the run that begins.
        resume: "auto" to continue the run that this program began before; see
            ``ExperimentCollection.new_experiment``.
        capture: what the run that begins records of itself; see ``new_experiment``.
    """

    def __init__(
        self,
        place: Place | Run | Recorder,
        info: Mapping[str, Any] | None = None,
        *,
        resume: Literal["auto"] | None = None,
        capture: Capture = True,
    ) -> None:
        self._host = Host(place, info, resume=resume, capture=capture)

    @property
    def recorder(self) -> Recorder:
        """Where it logs; a run begins if there is none yet."""
        return self._host.recorder

    def place_of(self, engine: Any) -> dict[str, int]:
        """The epoch of an engine that has several."""
        is_trainer = (engine.state.max_epochs or 1) > 1
        return {"epoch": engine.state.epoch} if is_trainer else {}

    def _create_output_handler(self, *args: Any, **kwargs: Any) -> Any:
        return _Output(*args, **kwargs)

    def _create_opt_params_handler(self, *args: Any, **kwargs: Any) -> Any:
        return _OptimizerParams(*args, **kwargs)

    @guest
    def close(self) -> None:
        """End the run that it began."""
        self._host.finish()

    def __exit__(self, *error: object) -> None:
        if error[1] is None:
            self.close()
        else:
            self._fail()

    @guest
    def _fail(self) -> None:
        self._host.fail()
